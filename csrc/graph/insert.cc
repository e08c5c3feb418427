// Graph: linking a new node (algorithm 1 of arXiv:1603.09320) with the diversity rule (algorithm
// 4).
//
// All layers are searched before any is linked, and layers are linked from the bottom up: a node
// that can be found in a layer has its rows below.
#include <algorithm>
#include <limits>

#include "graph/graph.h"
#include "graph/layer.h"

namespace omen {

namespace {

// A node's candidates compared by scores of the one that was kept last.
struct ByScores {
  SlotScorer& pair;
  uint32_t* slots;

  void score(size_t from, size_t begin, size_t n, float* distances) {
    if (from != bound) pair.bind(slots[bound = from]);
    pair.score(slots + begin, nullptr, n, std::numeric_limits<float>::infinity(), distances);
  }
  void move(size_t from, size_t to) { slots[to] = slots[from]; }
  size_t bound = SIZE_MAX;
};

// The rule of Graph::select().
template <class Candidates, class Among>
size_t keep_diverse(Candidates& c, size_t limit, float slack, Among& among) {
  float between[kScoreBlock];
  size_t kept = 0;
  size_t remaining = c.size;
  while (kept < remaining && kept < limit) {
    // c[kept] is the nearest that nothing pruned: keep it, and let it prune the rest.
    const size_t first = ++kept;
    if (first == limit || first == remaining) break;
    size_t out = first;
    for (size_t begin = first; begin < remaining; begin += kScoreBlock) {
      const size_t n = std::min(kScoreBlock, remaining - begin);
      among.score(first - 1, begin, n, between);
      for (size_t i = 0; i < n; ++i) {
        c.nodes[out] = c.nodes[begin + i];
        c.distances[out] = c.distances[begin + i];
        among.move(begin + i, out);
        out += between[i] * slack >= c.distances[out] ? 1 : 0;
      }
    }
    remaining = out;
  }
  return kept;
}

}  // namespace

// Keeps a candidate only if no candidate kept before is nearer to it than the node itself. Compares
// all that remain with each kept one at a time, in blocks. `c` is sorted; the kept ones move to
// its front. Of candidates at distance zero only the last few stay: many copies of one vector would
// fill each other's rows and be an island.
size_t Graph::select(uint32_t level, Candidates& c, const Keep& keep, BuildScratch& scratch) const {
  const size_t copies = count_copies(c);
  if (copies > kCopiesMax && level == 0) c.drop_first(copies - kCopiesMax);
  c.size = std::min(c.size, keep.candidates);
  uint32_t slots[Candidates::kMax];
  for (size_t i = 0; i < c.size; ++i) slots[i] = slot_of(level, c.nodes[i]);
  const size_t same = count_copies(c);
  if (same < c.size && c.size <= ByteRows::kMax &&
      scratch.pair->copy_bytes(slots, c.size, c.distances[same], &scratch.bytes)) {
    return keep_diverse(c, keep.limit, keep.slack, scratch.bytes);
  }
  ByScores by_scores{*scratch.pair, slots};
  return keep_diverse(c, keep.limit, keep.slack, by_scores);
}

void Graph::score_all(uint32_t level, const Scorer& scorer, Candidates& c) const {
  for (size_t first = 0; first < c.size; first += kScoreBlock) {
    const size_t block = std::min(kScoreBlock, c.size - first);
    score_nodes(level, scorer, c.nodes + first, block, std::numeric_limits<float>::infinity(),
                c.distances + first);
  }
}

// The pool without marked nodes: they are never linked to.
void Graph::gather_live(uint32_t level, uint32_t self, SearchScratch& s, Candidates* out) const {
  out->size = 0;
  for (size_t i = 0; i < s.pool_size && out->size < Candidates::kMax; ++i) {
    const uint32_t node = s.pool_ids[i] & kNodeMask;
    const uint32_t slot = slot_of(level, node);
    const uint8_t state = states_->load(slot);
    if (slot == self || (state & SlotStates::kLinked) == 0) continue;
    if ((state & SlotStates::kMarked) != 0) continue;
    out->push(node, s.pool_distances[i]);
  }
}

// Chooses from more ids than a row holds by the diversity rule, which leaves room for later ones;
// marked ones go. The kept ones move to the front: returns how many there are.
size_t Graph::prune(uint32_t level, uint32_t node, std::span<uint32_t> ids, BuildScratch& scratch) {
  Candidates c;
  SlotScorer& pair = *scratch.pair;
  pair.bind(slot_of(level, node));
  for (const uint32_t id : ids) {
    if (!states_->has(slot_of(level, id), SlotStates::kMarked)) c.push(id, 0);
  }
  score_all(level, pair, c);
  c.sort();
  const size_t kept = select(level, c, {layers_[level]->rows.capacity()}, scratch);
  std::copy(c.nodes, c.nodes + kept, ids.begin());
  return kept;
}

// Adds the edge from -> to. A full row is pruned and may drop the new edge at once: returns whether
// it stands.
bool Graph::connect(uint32_t level, uint32_t from, uint32_t to, BuildScratch& scratch) {
  EdgeRows& rows = layers_[level]->rows;
  uint32_t row[kRowIdsMax + 1];
  const SlotLock lock(*states_, slot_of(level, from));
  const uint32_t n = rows.read_counted(from, row);
  if (std::find(row, row + n, to) != row + n) return true;
  row[n] = to;
  const size_t kept = n < rows.capacity() ? n + 1 : prune(level, from, {row, n + 1}, scratch);
  rows.write(from, row, kept);
  return std::find(row, row + kept, to) != row + kept;
}

// Makes `via` lead to `node` even if its row is full: the last edge is displaced, and `node` takes
// it over, so that what it led to is still reached. An edge of `node` to something in `reached` may
// go for it.
void Graph::force_edge(uint32_t via, uint32_t node, const Array<uint64_t>* reached) {
  EdgeRows& rows = layers_[0]->rows;
  uint32_t row[kRowIdsMax];
  uint32_t displaced = kNoSlot;
  {
    const SlotLock lock(*states_, via);
    uint32_t n = rows.read_counted(via, row);
    if (std::find(row, row + n, node) != row + n) return;
    if (n == rows.capacity()) displaced = row[--n];
    row[n] = node;
    rows.write(via, row, n + 1);
  }
  if (displaced == kNoSlot) return;
  const SlotLock lock(*states_, node);
  uint32_t n = rows.read_counted(node, row);
  if (std::find(row, row + n, displaced) != row + n) return;
  uint32_t at = n;
  if (n == rows.capacity()) {
    at = n - 1;
    for (uint32_t i = 0; reached != nullptr && i < n; ++i) {
      if (row[i] < reached->size() * 64 && ((*reached)[row[i] >> 6] >> (row[i] & 63) & 1) != 0)
        at = i;
    }
  }
  row[at] = displaced;
  rows.write(node, row, std::max(n, at + 1));
}

// Writes the node's own row, keeping edges that others gave it meanwhile.
void Graph::write_row(uint32_t level, uint32_t node, const Candidates& chosen, size_t count) {
  EdgeRows& rows = layers_[level]->rows;
  const SlotLock lock(*states_, slot_of(level, node));
  uint32_t old[kRowIdsMax];
  uint32_t ids[kRowIdsMax];
  const uint32_t old_count = rows.read_counted(node, old);
  size_t n = std::min<size_t>(count, rows.capacity());
  std::copy(chosen.nodes, chosen.nodes + n, ids);
  for (uint32_t i = 0; i < old_count && n < rows.capacity(); ++i) {
    if (std::find(ids, ids + n, old[i]) == ids + n) ids[n++] = old[i];
  }
  rows.write(node, ids, n);
}

void Graph::link_found(uint32_t level, uint32_t node, BuildScratch& scratch) {
  Candidates chosen;
  gather_live(level, slot_of(level, node), scratch.search, &chosen);
  const uint32_t copy = level == 0 ? keep_one_copy(node, chosen) : kNoSlot;
  const size_t limit = level == 0 ? 2 * options_.m : options_.m;
  const size_t count = select(level, chosen, {limit}, scratch);
  write_row(level, node, chosen, count);
  if (copy != kNoSlot) return hang_copy(node, copy, scratch);
  bool stands = false;
  for (size_t i = 0; i < count; ++i) stands |= connect(level, chosen.nodes[i], node, scratch);
  if (stands || level > 0) return;
  // No neighbour kept the edge back: without one nobody would ever find the node.
  if (count > 0)
    force_edge(chosen.nodes[0], node, nullptr);
  else
    isolated_.store(true, std::memory_order_relaxed);
}

// The search of each layer from `top` down to `bottom` starts where the descent to it ends. All
// starts are found before any layer is linked, from the bottom up.
void Graph::link_layers(const uint32_t* numbers, uint32_t bottom, uint32_t top,
                        BuildScratch& scratch) {
  SearchScratch& s = scratch.search;
  Entry starts[kLayersMax];
  Entry entry;
  (void)load_entry(&entry);
  for (uint32_t l = top + 1; l-- > bottom;) {
    entry = descend(*scratch.node, entry, l, s);
    starts[l] = entry;
  }
  for (uint32_t l = bottom; l <= top; ++l) {
    start_pool(l, starts[l].node, *scratch.node, s);
    search_layer(l, *scratch.node, l == 0 ? insert_ef() : insert_ef() / 2, s);
    s.clear_visited();
    link_found(l, numbers[l], scratch);
  }
}

void Graph::insert(uint32_t slot, BuildScratch& scratch) {
  begin_change();
  const uint32_t level = level_of(slot);
  layers_[0]->rows.write(slot, nullptr, 0);
  Entry entry;
  // Raising the top is exclusive, and so is becoming the first node.
  std::unique_lock<std::mutex> raising(entry_mutex_, std::defer_lock);
  if (!load_entry(&entry) || level > entry.level) {
    raising.lock();
    if (load_entry(&entry) && level <= entry.level) raising.unlock();
  }
  const bool first = !load_entry(&entry);
  uint32_t numbers[kLayersMax];
  numbers[0] = slot;
  for (uint32_t l = 1; l <= level; ++l) numbers[l] = take_number(l, slot, numbers[l - 1]);
  scratch.node->bind(slot);
  // `linked` before the first edge points here, so that no one skips it.
  states_->set(slot, SlotStates::kLinked);
  if (!first) link_layers(numbers, 0, std::min(level, entry.level), scratch);
  // Held only by who raises the top; nobody else can have raised it since.
  if (raising.owns_lock()) store_entry(level, numbers[level]);
}

// A node that the bottom layer has, and whose level the entry reaches.
void Graph::insert_above(uint32_t slot, BuildScratch& scratch) {
  const uint32_t level = level_of(slot);
  uint32_t numbers[kLayersMax];
  numbers[0] = slot;
  for (uint32_t l = 1; l <= level; ++l) numbers[l] = take_number(l, slot, numbers[l - 1]);
  scratch.node->bind(slot);
  link_layers(numbers, 1, level, scratch);
}

}  // namespace omen
