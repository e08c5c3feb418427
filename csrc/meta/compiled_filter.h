// CompiledFilter: a Filter bound to a collection's columns: a row test and a vectorised run.
//
// Why: operands become cells (numbers, dictionary codes), so that most tests are one comparison of
// 64-bit words; run() goes chunk by chunk, the whole tree per 256 slots, and skips chunks in which
// a column has no values.
// Use: compile, use and drop it under one pin of the columns' epoch domain: codes of strings are
// stable that long. Records written after compile() may be seen in their old or new version; the
// caller checks each hit with Filter::matches_json() on the record's block.
// Threads: const methods from any thread, each under its own pin or the compiler's.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "meta/bump.h"
#include "meta/columns.h"
#include "meta/filter.h"
#include "meta/row_set.h"
#include "simd/kernels.h"

namespace omen {

// What db/ tells about the ids of slots. Any answer will do for a slot without a record, but it
// must be safe to ask.
class RowIds {
 public:
  virtual ~RowIds() = default;
  // True: an integer id in *integer. False: a string id in *string, valid under the caller's pin.
  virtual bool id_of(uint32_t slot, uint64_t* integer, std::string_view* string) const = 0;
};

class CompiledFilter {
 public:
  // All three must outlive the result.
  static Result<CompiledFilter> compile(const Filter& filter, const Columns& columns,
                                        const RowIds& ids);
  ~CompiledFilter();
  CompiledFilter(CompiledFilter&&) noexcept;
  CompiledFilter& operator=(CompiledFilter&&) noexcept;

  // Whether the slot's record matches. A slot without a record is one whose fields are all missing:
  // the caller knows which slots live.
  bool matches(uint32_t slot) const;

  // out := the slots of [0, high_water) that match, live or not (see matches).
  Status run(const simd::Kernels& kernels, uint32_t high_water, RowSet* out) const;

  // The reference: whether a record with this JSON and id matches. Same as Filter::matches_json.
  bool matches_json(std::string_view json, const FilterId& id) const {
    return filter_->matches_json(json, id);
  }

  const Filter& filter() const { return *filter_; }

 private:
  struct Node;
  struct Plan;
  CompiledFilter();

  const Filter* filter_ = nullptr;
  std::unique_ptr<Plan> plan_;
};

}  // namespace omen
