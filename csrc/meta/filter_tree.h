// Building the tree of a filter: joining and negating nodes, constants folded away.
//
// Why: matches_all() must see through {$and: [{}]}, and what runs a filter should meet no constant
// but at the root. Apart from the parser, which knows paths and messages.
// Threads: pure functions; one thread per bump.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/status.h"
#include "meta/bump.h"
#include "meta/filter.h"

namespace omen {

Status filter_memory_error();

// *out := not inner, which is used up. `out` may be where `inner` came from.
Status negate_filter(FilterNode* inner, Bump* bump, FilterNode** out);

// Gathers nodes under one And or Or.
class FilterJoiner {
 public:
  FilterJoiner(Bump* bump, FilterOp op) : bump_(bump), op_(op) {}
  // Each node once; it is used up.
  void add(FilterNode* node);
  Status finish(FilterNode** out);

 private:
  Bump* bump_;
  FilterOp op_;
  FilterNode* first_ = nullptr;
  FilterNode** tail_ = &first_;
  uint32_t count_ = 0;
  bool is_decided_ = false;
};

// The dotted paths that a tree reads, sorted and each once: what caches compare versions of.
Status collect_filter_fields(const FilterNode& root, Bump* bump, const std::string_view** fields,
                             size_t* count);

}  // namespace omen
