// Graph: from the entry down to the bottom layer (algorithms 2 and 5 of arXiv:1603.09320).
//
// Why: a hop of a layer above the bottom waits for memory three times, for a row, for the slots of
// whom it names, and for their codes. So searches that begin together take turns at each.
#include <algorithm>
#include <limits>

#include "graph/graph.h"
#include "graph/layer.h"

namespace omen {

namespace {

// Measured: free up to ef 48, 3 % more rows beyond, for data that need it.
constexpr uint32_t kEfPerBeam = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

// A search of one layer after the other: of those above the bottom but one with a pool of one,
// which goes to the nearest neighbour until none is nearer.
struct Graph::Descent {
  enum class Stage : uint8_t { kPick, kRow, kSlots, kCodes };  // What is on its way.
  Search search;
  uint32_t level = 0;
  uint32_t width = 1;  // Of the pool on this layer.
  uint32_t root = kNoSlot;
  uint32_t node = kNoSlot;  // Whose row was asked for.
  Stage stage = Stage::kPick;
  size_t cursor = 0;                // All before it are expanded.
  std::span<const uint32_t> fresh;  // Whom the row names; in the scratch.
  uint32_t slots[kRowIdsMax];       // Theirs.

  // The layer above the bottom is searched with a beam that grows with ef: where clusters lie
  // equally far from each other, or one vector has many copies, a single walk ends beside the right
  // one.
  uint32_t width_of(uint32_t of_level) const {
    return of_level == 1 ? std::max(search.ef / kEfPerBeam, 1u) : 1;
  }
};

// Greedy: to the nearest neighbour until none is nearer, then one layer down. Nodes that lie near
// each other name the same ones: none is scored twice on a layer.
Graph::Entry Graph::descend(const Scorer& scorer, Entry from, uint32_t to_level,
                            SearchScratch& s) const {
  float distances[kRowIdsMax];
  float best;
  score_nodes(from.level, scorer, &from.node, 1, kInfinity, &best);
  ++s.counters.rows_scored;
  const size_t limit = s.visited.size() * 64;
  for (; from.level > to_level; from.node = down_of(from.level, from.node), --from.level) {
    if (from.node < limit) s.visit(from.node);
    for (bool moved = true; moved;) {
      moved = false;
      const std::span<const uint32_t> fresh = gather(from.level, from.node, s);
      for (size_t first = 0; first < fresh.size(); first += kScoreBlock) {
        const size_t block = std::min(kScoreBlock, fresh.size() - first);
        score_nodes(from.level, scorer, fresh.data() + first, block, kInfinity, distances + first);
      }
      s.counters.rows_scored += fresh.size();
      ++s.counters.hops;
      for (size_t i = 0; i < fresh.size(); ++i) {
        if (distances[i] < best) {
          best = distances[i];
          from.node = fresh[i];
          moved = true;
        }
      }
    }
    s.clear_visited();
  }
  return from;
}

bool Graph::begin_descent(Descent& d) const {
  SearchScratch& s = *d.search.scratch;
  s.pool_size = 0;
  Entry entry;
  if (!load_entry(&entry)) return false;
  d.level = entry.level;
  d.width = d.width_of(entry.level);
  d.root = slot_of(entry.level, entry.node);
  // A scratch may be older than the entry.
  if (entry.node < s.visited.size() * 64) start_pool(entry.level, entry.node, *d.search.scorer, s);
  return true;
}

bool Graph::pick_next(Descent& d) const {
  SearchScratch& s = *d.search.scratch;
  while (d.cursor < s.pool_size && (s.pool_ids[d.cursor] & kExpanded) != 0) ++d.cursor;
  if (d.cursor == s.pool_size) return false;
  d.node = s.pool_ids[d.cursor];
  s.pool_ids[d.cursor] = d.node | kExpanded;
  layer(d.level).rows.prefetch(d.node);
  d.stage = Descent::Stage::kRow;
  return true;
}

// The pool goes along, with the numbers that its nodes have one layer down.
void Graph::leave_layer(Descent& d) const {
  SearchScratch& s = *d.search.scratch;
  s.clear_visited();
  const size_t limit = s.visited.size() * 64;
  size_t kept = 0;
  for (size_t i = 0; i < s.pool_size; ++i) {
    const uint32_t node = down_of(d.level, s.pool_ids[i] & kNodeMask);
    if (node >= limit) continue;
    s.pool_ids[kept] = node;
    s.pool_distances[kept++] = s.pool_distances[i];
    s.visit(node);
  }
  s.pool_size = kept;
  d.width = d.width_of(--d.level);
  d.cursor = 0;
}

void Graph::arrive(Descent& d) const {
  SearchScratch& s = *d.search.scratch;
  if (d.root >= s.visited.size() * 64 || s.is_visited(d.root)) return;
  s.visit(d.root);
  const auto room = static_cast<uint32_t>(s.pool_size + 1);
  offer_nodes(0, *d.search.scorer, {&d.root, 1}, room, s);
}

bool Graph::step_down(Descent& d) const {
  SearchScratch& s = *d.search.scratch;
  const Scorer& scorer = *d.search.scorer;
  const size_t n = d.fresh.size();
  switch (d.stage) {
    case Descent::Stage::kRow:
      d.fresh = gather(d.level, d.node, s);
      for (const uint32_t id : d.fresh) prefetch_read(layer(d.level).links.row(id));
      ++s.counters.hops;
      d.stage = Descent::Stage::kSlots;
      return true;
    case Descent::Stage::kSlots:
      for (size_t i = 0; i < n; ++i) d.slots[i] = slot_of(d.level, d.fresh[i]);
      scorer.prefetch(d.slots, n);
      d.stage = Descent::Stage::kCodes;
      return true;
    case Descent::Stage::kCodes:
      d.cursor = std::min(d.cursor, offer(scorer, d.fresh.data(), d.slots, n, d.width, s));
      break;
    case Descent::Stage::kPick:
      break;
  }
  while (d.level > 0) {
    if (pick_next(d)) return true;
    leave_layer(d);
  }
  arrive(d);
  return false;
}

void Graph::start_bottoms(std::span<const Search> searches) const {
  Descent descents[kGroupMax];
  Descent* going[kGroupMax];
  size_t count = 0;
  for (const Search& search : searches) {
    Descent& descent = descents[count];
    descent.search = search;
    if (begin_descent(descent)) going[count++] = &descent;
  }
  while (count > 0) {
    size_t still = 0;
    for (size_t i = 0; i < count; ++i) {
      if (step_down(*going[i])) going[still++] = going[i];
    }
    count = still;
  }
}

bool Graph::start_bottom(const Scorer& scorer, uint32_t ef, SearchScratch& s) const {
  const Search one{&scorer, &s, ef};
  start_bottoms({&one, 1});
  return s.pool_size > 0;
}

}  // namespace omen
