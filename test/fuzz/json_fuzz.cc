// Any bytes as JSON, as a date, as a record and as a merge: refused or read, never worse. What is
// stored must be what its columns say, and all memory must come back.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "memory/budget.h"
#include "memory/epoch.h"
#include "meta/columns.h"
#include "meta/date.h"
#include "meta/json.h"
#include "meta/merge.h"

using namespace omen;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  int64_t ms = 0;
  if (parse_iso_date(text, &ms) && (ms > kDateMsMax || ms < -kDateMsMax)) std::abort();

  Bump bump;
  auto root = parse_json(text, 64, ErrorCode::kMetadata, &bump);
  if (!root.is_ok()) return 0;
  MemoryBudget budget;
  MemoryAccount account(&budget);
  EpochDomain epochs;
  {
    Columns columns(&account, &epochs);
    auto record = columns.parse(text);
    if (record.is_ok()) {
      ParsedRecord r = record.take();
      const uint32_t slot = 0;
      if (columns.reserve({&slot, 1}, {&r, 1}).is_ok()) {
        columns.apply(slot, std::move(r));
        if (!columns.validate(1).is_ok()) std::abort();
        auto merged = merge_metadata(columns.json(slot), "{\"x\":1}", {});
        if (merged.is_ok() && !columns.parse(merged.value()).is_ok()) std::abort();
      }
    }
  }
  if (account.total() != 0) std::abort();
  return 0;
}
