// Graph: searching one layer (algorithm 2 of arXiv:1603.09320), on one sorted pool.
#include <algorithm>
#include <bit>
#include <limits>

#include "graph/graph.h"
#include "graph/layer.h"

namespace omen {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A pool that is not full takes everything.
float threshold_of(const SearchScratch& s, uint32_t ef) {
  return s.pool_size < ef ? kInfinity : s.pool_distances[s.pool_size - 1];
}

}  // namespace

// A search that began before slots were added may meet edges to them; its bitset has no bits for
// them. The load comes after the row's, so that whoever published such an edge had raised `nodes_`
// before.
void Graph::drop_unknown(const SearchScratch& s, uint32_t* row, uint32_t capacity) const {
  const size_t limit = s.visited.size() * 64;
  if (nodes_.load(std::memory_order_acquire) <= limit) [[likely]]
    return;
  uint32_t out = 0;
  for (uint32_t i = 0; i < capacity && row[i] != kNoSlot; ++i) {
    const uint32_t id = row[i];
    row[out] = id;
    out += id < limit ? 1 : 0;
  }
  for (; out < capacity; ++out) row[out] = kNoSlot;
}

uint32_t Graph::read_known(uint32_t level, uint32_t node, const SearchScratch& s,
                           uint32_t* row) const {
  const EdgeRows& rows = layer(level).rows;
  rows.read(node, row);
  drop_unknown(s, row, rows.capacity());
  uint32_t n = 0;
  while (n < rows.capacity() && row[n] != kNoSlot) ++n;
  return n;
}

std::span<const uint32_t> Graph::gather(uint32_t level, uint32_t node, SearchScratch& s) const {
  const EdgeRows& rows = layer(level).rows;
  uint32_t row[kRowIdsMax];
  rows.read(node, row);
  drop_unknown(s, row, rows.capacity());
  uint32_t* fresh = s.gather_room(rows.capacity());
  const size_t n = kernels_.gather_unvisited(row, rows.capacity(), s.visited.data(), fresh);
  s.keep_gathered(n);
  return {fresh, n};
}

uint32_t Graph::score_nodes(uint32_t level, const Scorer& scorer, const uint32_t* nodes, size_t n,
                            float threshold, float* distances) const {
  if (level == 0) return scorer.score(nodes, nullptr, n, threshold, distances);
  uint32_t slots[kScoreBlock];
  for (size_t i = 0; i < n; ++i) slots[i] = slot_of(level, nodes[i]);
  scorer.prefetch(slots, n);
  return scorer.score(slots, nullptr, n, threshold, distances);
}

void Graph::start_pool(uint32_t level, uint32_t node, const Scorer& scorer,
                       SearchScratch& s) const {
  float d;
  score_nodes(level, scorer, &node, 1, kInfinity, &d);
  ++s.counters.rows_scored;
  s.pool_distances[0] = d;
  s.pool_ids[0] = node;
  s.pool_size = 1;
  s.visit(node);
}

size_t Graph::offer(const Scorer& scorer, const uint32_t* nodes, const uint32_t* slots, size_t n,
                    uint32_t ef, SearchScratch& s) const {
  float distances[kScoreBlock];
  size_t lowest = s.pool_size;
  float* pool_distances = s.pool_distances.data();
  uint32_t* pool_ids = s.pool_ids.data();
  for (size_t first = 0; first < n; first += kScoreBlock) {
    const size_t block = std::min(kScoreBlock, n - first);
    uint32_t mask = scorer.score(slots + first, nullptr, block, threshold_of(s, ef), distances);
    for (; mask != 0; mask &= mask - 1) {
      const int i = std::countr_zero(mask);
      const size_t at = kernels_.pool_insert(pool_distances, pool_ids, s.pool_size, ef,
                                             distances[i], nodes[first + i]);
      if (at == ef) continue;
      s.pool_size = std::min<size_t>(s.pool_size + 1, ef);
      lowest = std::min(lowest, at);
    }
  }
  s.counters.rows_scored += n;
  return lowest;
}

size_t Graph::offer_nodes(uint32_t level, const Scorer& scorer, std::span<const uint32_t> nodes,
                          uint32_t ef, SearchScratch& s) const {
  if (level == 0) return offer(scorer, nodes.data(), nodes.data(), nodes.size(), ef, s);
  uint32_t slots[kRowIdsMax];
  for (size_t i = 0; i < nodes.size(); ++i) slots[i] = slot_of(level, nodes[i]);
  scorer.prefetch(slots, nodes.size());
  return offer(scorer, nodes.data(), slots, nodes.size(), ef, s);
}

void Graph::search_layer(uint32_t level, const Scorer& scorer, uint32_t ef,
                         SearchScratch& s) const {
  OMEN_ASSERT(s.pool_size <= ef);
  const Layer& l = layer(level);
  for (size_t cursor = 0; cursor < s.pool_size;) {
    const uint32_t node = s.pool_ids[cursor];
    if ((node & kExpanded) != 0) {
      ++cursor;
      continue;
    }
    s.pool_ids[cursor] = node | kExpanded;
    const std::span<const uint32_t> fresh = gather(level, node, s);
    // The likely next node's row arrives while this block is scored.
    if (cursor + 1 < s.pool_size) l.rows.prefetch(s.pool_ids[cursor + 1] & kNodeMask);
    const size_t lowest = offer_nodes(level, scorer, fresh, ef, s);
    ++s.counters.hops;
    cursor = std::min(cursor + 1, lowest);
  }
}

bool Graph::step(Walk& w) const {
  SearchScratch& s = *w.search.scratch;
  const Scorer& scorer = *w.search.scorer;
  const EdgeRows& rows = layer(0).rows;
  const bool is_idle = w.coming == kNoSlot && w.asked.empty();
  while (w.cursor < s.pool_size && (s.pool_ids[w.cursor] & kExpanded) != 0) ++w.cursor;
  const Search::Enough& enough = w.search.enough;
  const bool is_over = w.cursor == s.pool_size || (w.cursor >= enough.expanded &&
                                                   s.counters.rows_scored >= enough.rows);
  if (is_over && is_idle) return false;
  uint32_t picked = kNoSlot;
  if (!is_over && (is_idle || s.pool_size == w.search.ef)) {
    picked = s.pool_ids[w.cursor];
    s.pool_ids[w.cursor] = picked | kExpanded;
    rows.prefetch(picked);
  }
  std::span<const uint32_t> fresh;
  if (w.coming != kNoSlot) {
    fresh = gather(0, w.coming, s);
    scorer.prefetch(fresh.data(), fresh.size());
    ++s.counters.hops;
  }
  if (!w.asked.empty()) {
    w.cursor = std::min(w.cursor, offer_nodes(0, scorer, w.asked, w.search.ef, s));
  }
  w.coming = picked;
  w.asked = fresh;
  return true;
}

void Graph::take_turns(std::span<Walk> walks) const {
  OMEN_ASSERT(walks.size() <= kGroupMax);
  Walk* going[kGroupMax];
  size_t count = 0;
  for (Walk& walk : walks) {
    OMEN_ASSERT(walk.search.scratch->pool_size <= walk.search.ef);
    going[count++] = &walk;
  }
  while (count > 0) {
    size_t still = 0;
    for (size_t i = 0; i < count; ++i) {
      if (step(*going[i])) going[still++] = going[i];
    }
    count = still;
  }
}

void Graph::search_group(std::span<const Search> searches) const {
  OMEN_ASSERT(searches.size() <= kGroupMax);
  start_bottoms(searches);
  Walk walks[kGroupMax];
  size_t count = 0;
  for (const Search& search : searches) {
    SearchScratch& s = *search.scratch;
    if (s.pool_size == 0) continue;
    s.pool_size = std::min<size_t>(s.pool_size, search.ef);
    walks[count++].search = search;
  }
  take_turns({walks, count});
  for (size_t i = 0; i < count; ++i) walks[i].search.scratch->clear_visited();
}

void Graph::search(const Scorer& scorer, uint32_t ef, SearchScratch& s) const {
  const Search one{&scorer, &s, ef};
  search_group({&one, 1});
}

bool Graph::search_from_root(const Scorer& scorer, uint32_t ef, SearchScratch& s) const {
  s.pool_size = 0;
  Entry entry;
  if (!load_entry(&entry)) return false;
  const uint32_t root = slot_of(entry.level, entry.node);
  if (root >= s.visited.size() * 64) return false;
  start_pool(0, root, scorer, s);
  search_layer(0, scorer, ef, s);
  s.clear_visited();
  return true;
}

// The nodes around the query, whatever they are; those that pass, and the passing neighbours of the
// others, start the filtered search.
void Graph::seed_filtered(const Scorer& scorer, uint32_t ef, const Accept& accept,
                          SearchScratch& s) const {
  constexpr uint32_t kSeedsMax = 32;
  const uint32_t seeds = std::min(ef, kSeedsMax);
  s.pool_size = std::min<size_t>(s.pool_size, seeds);
  search_layer(0, scorer, seeds, s);
  uint32_t near[kSeedsMax];
  const size_t count = s.pool_size;
  for (size_t i = 0; i < count; ++i) near[i] = s.pool_ids[i] & kNodeMask;
  s.pool_size = 0;
  s.clear_visited();
  uint32_t row[kRowIdsMax];
  uint32_t passing[kRowIdsMax];
  for (size_t i = 0; i < count; ++i) {
    if (accept.contains(near[i]) && !s.is_visited(near[i])) {
      s.visit(near[i]);
      offer_nodes(0, scorer, {near + i, 1}, ef, s);
    }
    const uint32_t n = read_known(0, near[i], s, row);
    size_t kept = 0;
    for (uint32_t j = 0; j < n; ++j) {
      if (!accept.contains(row[j]) || s.is_visited(row[j])) continue;
      s.visit(row[j]);
      passing[kept++] = row[j];
    }
    scorer.prefetch(passing, kept);
    offer_nodes(0, scorer, {passing, kept}, ef, s);
  }
}

bool Graph::search_filtered(const Scorer& scorer, uint32_t ef, const Accept& accept,
                            uint64_t rows_limit, SearchScratch& s) const {
  if (!start_bottom(scorer, ef, s)) return true;
  s.pool_size = std::min<size_t>(s.pool_size, ef);
  seed_filtered(scorer, ef, accept, s);
  const EdgeRows& rows = layer(0).rows;
  uint32_t row[kRowIdsMax];
  uint32_t bridge_row[kRowIdsMax];
  uint32_t bridges[kRowIdsMax];
  uint32_t passing[kRowIdsMax];
  uint64_t work = 0;
  size_t cursor = 0;
  const auto take = [&](const uint32_t* ids, uint32_t n) {
    size_t kept = 0;
    for (uint32_t i = 0; i < n; ++i) {
      if (!accept.contains(ids[i]) || s.is_visited(ids[i])) continue;
      s.visit(ids[i]);
      passing[kept++] = ids[i];
    }
    if (kept == 0) return;
    scorer.prefetch(passing, kept);
    cursor = std::min(cursor, offer_nodes(0, scorer, {passing, kept}, ef, s));
    work += kept;
  };
  while (cursor < s.pool_size && work < rows_limit) {
    const uint32_t node = s.pool_ids[cursor];
    if ((node & kExpanded) != 0) {
      ++cursor;
      continue;
    }
    s.pool_ids[cursor++] = node | kExpanded;
    ++s.counters.hops;
    const uint32_t n = read_known(0, node, s, row);
    // Direct neighbours that pass, then those of the others, until about a row of passing ones was
    // seen.
    uint32_t bridge_count = 0;
    uint32_t passing_seen = 0;
    for (uint32_t i = 0; i < n; ++i) {
      if (accept.contains(row[i])) {
        ++passing_seen;
      } else if (!s.is_visited(row[i])) {
        bridges[bridge_count++] = row[i];
      }
    }
    take(row, n);
    for (uint32_t b = 0; b < bridge_count && passing_seen < rows.capacity(); ++b) {
      if (b + 1 < bridge_count) rows.prefetch(bridges[b + 1]);
      s.visit(bridges[b]);
      const uint32_t m = read_known(0, bridges[b], s, bridge_row);
      for (uint32_t i = 0; i < m; ++i) passing_seen += accept.contains(bridge_row[i]) ? 1 : 0;
      take(bridge_row, m);
      ++work;
    }
  }
  s.clear_visited();
  return work < rows_limit;
}

}  // namespace omen
