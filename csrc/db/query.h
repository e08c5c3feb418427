// Query: one running search, as the planner, the graph walk and the scan see it. Private to the
// collection.
#pragma once

#include "db/collection_impl.h"

namespace omen {

struct Collection::Impl::Query {
  enum class Route : uint8_t { kScan, kGraph, kFilteredGraph };

  const float* vector = nullptr;
  float scale = 1;  // Inverse norm under cosine.
  const SearchOptions* options = nullptr;
  uint32_t k = 0;
  uint32_t ef = 0;
  QueryScratch* scratch = nullptr;
  uint64_t version = 0;                    // Of the store when the search began,
  uint64_t moves = 0;                      // and how many records had moved.
  std::shared_ptr<const CachedRows> rows;  // nullptr: all live records.
  uint64_t matches = 0;
  Route route = Route::kScan;
  bool by_index = false;     // A scan takes only slots that the index names: see find_hits().
  uint32_t matching_ef = 0;  // Matches that a walk under a filter keeps; 0: no filter.
  uint32_t nodes_min = 0;    // Nodes that it walks over at least.
  uint64_t rows_limit = 0;   // Work after which a walk under a filter gives up for a scan.
  Plan plan;

  bool accepts(uint32_t slot) const { return rows == nullptr || rows->rows.contains(slot); }
  size_t wanted() const { return matches < k ? static_cast<size_t>(matches) : k; }
};

}  // namespace omen
