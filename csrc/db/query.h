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
  // Not 0 with kScan: a walk is tried first, and goes on if more of the nodes around match.
  double share_min = 0;
  // The pool was filled by walk_group(), by the distances of `walked_codes`.
  bool walked = false;
  const CodeSet* walked_codes = nullptr;
  Plan plan;

  bool accepts(uint32_t slot) const { return rows == nullptr || rows->rows.contains(slot); }
  bool is_plain_walk() const { return route == Route::kGraph && matching_ef == 0; }
  size_t wanted() const { return matches < k ? static_cast<size_t>(matches) : k; }
};

// A walk that ends in a crowd is tried again with so many times its ef, up to a limit.
inline constexpr uint32_t kCrowdFactor = 8;
inline constexpr uint32_t kCrowdEfMax = 1024;

// Many copies of few vectors fill a pool and leave a walk no way on: fewer than one in four of a
// full pool's distances differ.
inline bool is_crowded(const SearchScratch& g, uint32_t ef) {
  if (g.pool_size < ef) return false;
  size_t different = 1;
  for (size_t i = 1; i < g.pool_size; ++i) {
    different += g.pool_distances[i] != g.pool_distances[i - 1] ? 1 : 0;
  }
  return different * 4 <= g.pool_size;
}

// One query, from its check to its hits: `write(store, scratch)` takes them out while the pin
// holds. It is not called where there is nothing to search.
template <class Write>
Status Collection::Impl::answer(const float* query, size_t length, const SearchOptions& options,
                                Plan* plan, const Write& write) {
  const EpochDomain::Pin pin = epochs.pin();
  OMEN_TRY(check_query(query, length, options));
  Store* s = store();
  if (s == nullptr || s->live() == 0) return Status::ok();
  // The first rows came between: now the dimensions are fixed, and not as the query has them.
  if (length != s->dimensions()) return check_query(query, length, options);
  std::unique_ptr<QueryScratch> scratch = take_scratch();
  Query q;
  q.scratch = scratch.get();
  Status status = prepare(*s, query, options, &q);
  if (status.is_ok()) status = answer_prepared(*s, q, write);
  if (plan != nullptr) *plan = q.plan;
  scratch_.put(std::move(scratch));
  return status;
}

template <class Write>
Status Collection::Impl::answer_prepared(Store& s, Query& q, const Write& write) {
  OMEN_TRY(find_hits(s, q));
  OMEN_TRY(s.vectors_status());
  return write(s, *q.scratch);
}

}  // namespace omen
