// Graph: a walk that goes on until enough of what it found matches a filter.
//
// Why two pools: nodes that do not match lead to those that do, so all are walked over; but when to
// stop is told by the matches alone. A walk that is wide in advance (ef / share) guesses how many
// matches lie around the query; this one sees it: where they are dense it ends early, and where
// they are sparse it goes on, or gives up while that is still cheap.
// Threads: as search().
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "graph/graph.h"
#include "graph/layer.h"

namespace omen {

namespace {

// Before so many nodes were expanded their share of matches tells too little.
constexpr uint64_t kProbeHops = 64;
constexpr uint64_t kHopsPerLook = 16;

}  // namespace

// The state of one such walk.
struct Graph::Matching {
  const MatchingWalk& walk;
  const simd::Kernels& kernels;
  const SlotStates& states;
  SearchScratch& s;
  size_t found = 0;       // Matches kept.
  uint64_t expanded = 0;  // Nodes, and those of them that match: the share around the query.
  uint64_t expanded_matching = 0;

  bool accepts(uint32_t slot) const {
    return walk.accept.contains(slot) ||
           (walk.follows_marked && states.has(slot, SlotStates::kMarked));
  }
  bool is_full() const { return found == walk.ef; }
  // How far the walk goes: to the farthest match kept, and over so many nodes at least.
  float horizon() const {
    if (!is_full() || s.pool_size < walk.nodes_min) return std::numeric_limits<float>::infinity();
    return std::max(s.match_distances[found - 1], s.pool_distances[walk.nodes_min - 1]);
  }
  float threshold() const {
    const float h = horizon();
    return s.pool_size < walk.capacity ? h : std::min(h, s.pool_distances[s.pool_size - 1]);
  }
  void keep_match(uint32_t slot, float d) {
    const size_t at =
        kernels.pool_insert(s.match_distances.data(), s.match_ids.data(), found, walk.ef, d, slot);
    if (at == walk.ef) return;
    found = std::min<size_t>(found + 1, walk.ef);
    const float h = horizon();
    while (s.pool_size > 0 && s.pool_distances[s.pool_size - 1] > h) --s.pool_size;
  }
  // Returns the position taken in the pool.
  size_t keep(uint32_t slot, float d) {
    const size_t at = kernels.pool_insert(s.pool_distances.data(), s.pool_ids.data(), s.pool_size,
                                          walk.capacity, d, slot);
    if (at == walk.capacity) return at;
    s.pool_size = std::min<size_t>(s.pool_size + 1, walk.capacity);
    if (accepts(slot)) keep_match(slot, d);
    return at;
  }
  // Whether finding walk.ef matches will take more nodes than there is room for, or score more rows
  // than is worth it, though the true share be two standard deviations above the one met.
  bool is_hopeless(uint64_t rows) const {
    if (rows >= walk.rows_limit) return true;
    if (expanded < kProbeHops || expanded % kHopsPerLook != 0 || is_full()) return false;
    const auto met = static_cast<double>(expanded_matching);
    const double share = (met + 2 * std::sqrt(met) + 2) / static_cast<double>(expanded);
    const double hops = static_cast<double>(walk.ef) / std::min(1.0, share);
    // There are places for more, but what fills them lies far off: near ones would be missed.
    if (hops > walk.capacity) return true;
    const double rows_per_hop = static_cast<double>(rows) / static_cast<double>(expanded);
    return hops * rows_per_hop > static_cast<double>(walk.rows_limit);
  }
};

size_t Graph::offer_matching(const Scorer& scorer, const uint32_t* nodes, size_t n,
                             Matching& m) const {
  float distances[kScoreBlock];
  size_t lowest = m.s.pool_size;
  for (size_t first = 0; first < n; first += kScoreBlock) {
    const size_t block = std::min(kScoreBlock, n - first);
    uint32_t mask = scorer.score(nodes + first, nullptr, block, m.threshold(), distances);
    for (; mask != 0; mask &= mask - 1) {
      const int i = std::countr_zero(mask);
      lowest = std::min(lowest, m.keep(nodes[first + i], distances[i]));
    }
  }
  m.s.counters.rows_scored += n;
  return lowest;
}

bool Graph::search_matching(const Scorer& scorer, const MatchingWalk& walk,
                            SearchScratch& s) const {
  if (!start_bottom(scorer, walk.nodes_min, s)) return true;
  s.pool_size = std::min<size_t>(s.pool_size, walk.capacity);
  const EdgeRows& rows = layer(0).rows;
  Matching m{walk, kernels_, *states_, s};
  for (size_t i = 0; i < s.pool_size; ++i) {
    if (m.accepts(s.pool_ids[i])) m.keep_match(s.pool_ids[i], s.pool_distances[i]);
  }
  const uint64_t rows_before = s.counters.rows_scored;
  bool done = true;
  for (size_t cursor = 0; cursor < s.pool_size && s.pool_distances[cursor] <= m.horizon();) {
    const uint32_t node = s.pool_ids[cursor];
    if ((node & kExpanded) != 0) {
      ++cursor;
      continue;
    }
    if (m.is_hopeless(s.counters.rows_scored - rows_before)) {
      done = false;
      break;
    }
    s.pool_ids[cursor] = node | kExpanded;
    const std::span<const uint32_t> fresh = gather(0, node, s);
    scorer.prefetch(fresh.data(), fresh.size());
    if (cursor + 1 < s.pool_size) rows.prefetch(s.pool_ids[cursor + 1] & kNodeMask);
    ++m.expanded;
    m.expanded_matching += m.accepts(node) ? 1 : 0;
    cursor = std::min(cursor + 1, offer_matching(scorer, fresh.data(), fresh.size(), m));
    ++s.counters.hops;
  }
  s.clear_visited();
  s.swap_matches(m.found);
  return done;
}

}  // namespace omen
