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

// The share of matches around the query is told by the nearest nodes met so far, expanded or not:
// before the first hop by those of the layer above, which stand for all; after kFirstLook hops by
// more; from then on by the expanded ones, every kHopsPerLook.
constexpr uint64_t kFirstLook = 8;
constexpr uint64_t kHopsPerLook = 16;
constexpr size_t kNearestMin = 8;  // Fewer tell too little.
constexpr size_t kNearestMax = 32;
// Rows that a hop scores, before some hops told it.
constexpr double kRowsPerHop = 10;

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
  struct Sample {
    double nodes = 0;
    double matching = 0;
  };
  Sample nearest() const {
    Sample out;
    const size_t n = std::min(s.pool_size, kNearestMax);
    for (size_t i = 0; i < n; ++i) out.matching += accepts(s.pool_ids[i] & kNodeMask) ? 1 : 0;
    out.nodes = static_cast<double>(n);
    return out;
  }
  // Rows that finding walk.ef matches takes, if that is their share.
  double rows_for(double share, uint64_t rows) const {
    const double rows_per_hop = expanded < kHopsPerLook
                                    ? kRowsPerHop
                                    : static_cast<double>(rows) / static_cast<double>(expanded);
    return static_cast<double>(walk.ef) / std::min(1.0, share) * rows_per_hop;
  }
  // Whether finding walk.ef matches will take more nodes than there is room for, or score more rows
  // than is worth it, though the true share be two standard deviations above the one met.
  bool is_hopeless(const Sample& met, uint64_t rows) const {
    const double share = (met.matching + 2 * std::sqrt(met.matching) + 2) / met.nodes;
    // There are places for more, but what fills them lies far off: near ones would be missed.
    if (static_cast<double>(walk.ef) / std::min(1.0, share) > walk.capacity) return true;
    return rows_for(share, rows) > static_cast<double>(walk.rows_limit);
  }
  // Whether a walk that nothing else speaks for is not worth it, by the share a standard deviation
  // below the one met.
  bool is_doubtful(const Sample& met) const {
    return met.matching - std::sqrt(met.matching) < walk.share_min * met.nodes;
  }
  // To be asked before each hop.
  bool gives_up(uint64_t rows) const {
    if (rows >= walk.rows_limit) return true;
    if (expanded == 0 || expanded == kFirstLook) {
      const Sample met = nearest();
      if (met.nodes < kNearestMin) return expanded > 0 && walk.share_min > 0;
      return is_hopeless(met, rows) || is_doubtful(met);
    }
    if (expanded % kHopsPerLook != 0 || expanded < 2 * kHopsPerLook || is_full()) return false;
    return is_hopeless({static_cast<double>(expanded), static_cast<double>(expanded_matching)},
                       rows);
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
    if (m.gives_up(s.counters.rows_scored - rows_before)) {
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
