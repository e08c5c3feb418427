// Graph: walks of the bottom layer that score neighbours from the rows they stand in.
//
// After SymphonyQG (arXiv:2411.12229): a row estimates all neighbours of its node at once; a node
// is scored exactly when it is expanded, and its neighbours are estimated from that distance.
// Two pools: nodes by estimate tell where to go, nodes by exact distance are the answer.
// Estimates of one node differ from row to row. It stands in the pool by the nearest of them: by
// the first alone fewer are found (recall 0.950 instead of 0.974 at ef 64, 50 000 rows of SIFT).
// Threads: as search().
#include <algorithm>
#include <bit>
#include <limits>

#include "graph/graph.h"
#include "graph/layer.h"

namespace omen {

static_assert(kScoreBlock == 32, "masks of a block are 32 bits");

namespace {

bool is_queued(const SearchScratch& s, uint32_t node) {
  return (s.queued[node >> 6] >> (node & 63) & 1) != 0;
}

void queue(SearchScratch& s, uint32_t node) {
  if (is_queued(s, node)) return;
  s.queued[node >> 6] |= uint64_t{1} << (node & 63);
  s.touch(&node, 1);
}

}  // namespace

// Visited are those that were expanded, queued those that entered the pool.
struct Graph::PackedWalk {
  PackedSearch search;
  uint32_t node = kNoSlot;   // To expand next.
  uint32_t asked = kNoSlot;  // Whose row was asked for last.
  size_t cursor = 0;
  size_t found = 0;  // Of the second pool.
  bool done = false;
};

bool Graph::start_packed(PackedWalk& w) const {
  SearchScratch& s = *w.search.scratch;
  if (!start_bottom(*w.search.scorer, w.search.ef, s)) return false;
  s.pool_size = std::min<size_t>(s.pool_size, w.search.ef);
  s.clear_visited();
  for (size_t i = 0; i < s.pool_size; ++i) queue(s, s.pool_ids[i]);
  return true;
}

void Graph::ask(PackedWalk& w, uint32_t node) const {
  if (node == w.asked) return;
  w.asked = node;
  w.search.rows->prefetch(node);
  w.search.exact->prefetch(&node, 1);
}

// The next node to expand; false if none is left.
bool Graph::pick(PackedWalk& w) const {
  SearchScratch& s = *w.search.scratch;
  while (w.cursor < s.pool_size && (s.pool_ids[w.cursor] & kExpanded) != 0) ++w.cursor;
  if (w.cursor == s.pool_size) return false;
  w.node = s.pool_ids[w.cursor];
  s.pool_ids[w.cursor++] |= kExpanded;
  s.visited[w.node >> 6] |= uint64_t{1} << (w.node & 63);
  ask(w, w.node);
  return true;
}

// A node that waits in the pool makes way for a nearer estimate of it: false if this is none.
bool Graph::take_out(PackedWalk& w, uint32_t node, float estimate) const {
  SearchScratch& s = *w.search.scratch;
  uint32_t* const ids = s.pool_ids.data();
  float* const distances = s.pool_distances.data();
  const uint32_t* const found = std::find(ids + w.cursor, ids + s.pool_size, node);
  const auto at = static_cast<size_t>(found - ids);
  if (at == s.pool_size) return true;  // Nearer ones drove it out.
  if (distances[at] <= estimate) return false;
  std::copy(ids + at + 1, ids + s.pool_size, ids + at);
  std::copy(distances + at + 1, distances + s.pool_size, distances + at);
  --s.pool_size;
  return true;
}

// At most kScoreBlock nodes with their distances, to the pool.
void Graph::offer_estimates(PackedWalk& w, const uint32_t* nodes, const float* estimates,
                            size_t n) const {
  SearchScratch& s = *w.search.scratch;
  const uint32_t ef = w.search.ef;
  const size_t limit = s.visited.size() * 64;
  const float threshold =
      s.pool_size < ef ? std::numeric_limits<float>::infinity() : s.pool_distances[s.pool_size - 1];
  for (uint32_t mask = kernels_.mask_below(estimates, n, threshold); mask != 0; mask &= mask - 1) {
    const int i = std::countr_zero(mask);
    const uint32_t node = nodes[i];
    // Nobody, or one that was added after this search began.
    if (node >= limit || s.is_visited(node)) continue;
    if (is_queued(s, node) && !take_out(w, node, estimates[i])) continue;
    const size_t at = kernels_.pool_insert(s.pool_distances.data(), s.pool_ids.data(), s.pool_size,
                                           ef, estimates[i], node);
    if (at == ef) continue;
    queue(s, node);
    s.pool_size = std::min<size_t>(s.pool_size + 1, ef);
    w.cursor = std::min(w.cursor, at);
  }
}

// Neighbours of a node whose row is not packed yet.
void Graph::offer_unpacked(PackedWalk& w) const {
  SearchScratch& s = *w.search.scratch;
  uint32_t ids[kRowIdsMax];
  float distances[kScoreBlock];
  const uint32_t n = read_known(0, w.node, s, ids);
  const auto* end =
      std::remove_if(ids, ids + n, [&](uint32_t neighbour) { return s.is_visited(neighbour); });
  const auto count = static_cast<size_t>(end - ids);
  w.search.exact->prefetch(ids, count);
  for (size_t first = 0; first < count; first += kScoreBlock) {
    const size_t block = std::min(kScoreBlock, count - first);
    w.search.exact->score(ids + first, nullptr, block, 0, distances);
    offer_estimates(w, ids + first, distances, block);
  }
  s.counters.rows_scored += count;
}

void Graph::expand(PackedWalk& w) const {
  SearchScratch& s = *w.search.scratch;
  const NeighbourScorer& rows = *w.search.rows;
  const uint32_t ef = w.search.ef;
  float distance;
  w.search.exact->score(&w.node, nullptr, 1, 0, &distance);
  const size_t at = kernels_.pool_insert(s.match_distances.data(), s.match_ids.data(), w.found, ef,
                                         distance, w.node);
  if (at < ef) w.found = std::min<size_t>(w.found + 1, ef);
  ++s.counters.hops;
  if (layer(0).rows.has_changed(w.node)) return offer_unpacked(w);
  uint32_t ids[kScoreBlock];
  float estimates[kScoreBlock];
  for (uint32_t block = 0; block < rows.blocks(); ++block) {
    rows.score(w.node, block, distance, ids, estimates);
    offer_estimates(w, ids, estimates, kScoreBlock);
  }
  s.counters.rows_scored += rows.blocks() * kScoreBlock;
}

void Graph::finish(PackedWalk& w) const {
  w.search.scratch->clear_visited();
  w.search.scratch->swap_matches(w.found);
}

void Graph::search_packed(const PackedSearch& search) const {
  PackedWalk w{search};
  if (!start_packed(w)) return;
  const SearchScratch& s = *search.scratch;
  while (pick(w)) {
    // The likely next node's row arrives while this one is scored.
    if (w.cursor < s.pool_size) ask(w, s.pool_ids[w.cursor] & kNodeMask);
    expand(w);
  }
  finish(w);
}

void Graph::search_packed_group(std::span<const PackedSearch> searches) const {
  OMEN_ASSERT(searches.size() <= kGroupMax);
  PackedWalk walks[kGroupMax];
  size_t count = 0;
  for (const PackedSearch& search : searches) {
    PackedWalk& w = walks[count];
    w = {search};
    if (!start_packed(w)) continue;
    w.done = !pick(w);
    ++count;
  }
  const std::span<PackedWalk> all(walks, count);
  for (bool going = true; going;) {
    going = false;
    for (PackedWalk& w : all) {
      if (w.done) continue;
      expand(w);
      w.done = !pick(w);
      going |= !w.done;
    }
  }
  for (PackedWalk& w : all) finish(w);
}

}  // namespace omen
