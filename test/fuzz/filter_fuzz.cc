// Any bytes as a filter, run on a few fixed records: the columns must answer as the reference does.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "memory/budget.h"
#include "memory/epoch.h"
#include "meta/columns.h"
#include "meta/compiled_filter.h"

using namespace omen;

namespace {

class SlotIds final : public RowIds {
 public:
  bool id_of(uint32_t slot, uint64_t* integer, std::string_view*) const override {
    *integer = slot;
    return true;
  }
};

struct Records {
  Records() {
    static const char* kRecords[] = {
        "{}",
        "{\"a\":1,\"b\":\"x\"}",
        "{\"a\":null,\"b\":[1,\"x\",null,true,{\"$date\":\"2020-01-01\"}]}",
        "{\"a\":{\"b\":2},\"c\":{\"$date\":\"+200000-01-01\"}}",
        "{\"a\":false,\"b\":[]}",
        "{\"a\":\"\\ud800\",\"c\":{\"$date\":\"2020-01-01\"}}",
    };
    for (const char* json : kRecords) {
      auto record = columns.parse(json);
      if (!record.is_ok()) std::abort();
      ParsedRecord r = record.take();
      if (!columns.reserve({&count, 1}, {&r, 1}).is_ok()) std::abort();
      columns.apply(count++, std::move(r));
    }
  }
  MemoryBudget budget;
  MemoryAccount account{&budget};
  EpochDomain epochs;
  Columns columns{&account, &epochs};
  SlotIds ids;
  uint32_t count = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Records* const records = new Records();
  auto filter = Filter::parse({reinterpret_cast<const char*>(data), size}, nullptr);
  if (!filter.is_ok()) {
    if (filter.status().code() != ErrorCode::kFilter || filter.status().message().empty()) {
      std::abort();
    }
    return 0;
  }
  const EpochDomain::Pin pin = records->epochs.pin();
  auto compiled = CompiledFilter::compile(*filter.value(), records->columns, records->ids);
  if (!compiled.is_ok()) std::abort();
  RowSet rows;
  const simd::Kernels& kernels = *simd::choose_kernels().value();
  if (!compiled.value().run(kernels, records->count, &rows).is_ok()) std::abort();
  for (uint32_t slot = 0; slot < records->count; ++slot) {
    FilterId id;
    id.integer = slot;
    const bool expected = filter.value()->matches_json(records->columns.json(slot), id);
    if (compiled.value().matches(slot) != expected || rows.contains(slot) != expected) std::abort();
  }
  return 0;
}
