// Graph: its rows out to a snapshot, and back in.
//
// Why it may be fuzzy: rows are copied while writers go on, each word as it stands, so what comes
// out is no state that the graph ever had. What goes in again is only what cannot be wrong: edges
// between nodes that exist, in layers that their slots reach. What was lost on the way (an edge to
// a node that came later) is left to repair(). Rows that nobody wrote to while they were copied are
// known to be whole: of them it is enough that what they name is there.
#include <algorithm>

#include "graph/graph.h"
#include "graph/layer.h"

namespace omen {

namespace {

Status damaged(const std::string& what) {
  return Status::error(ErrorCode::kCorrupt, "the stored graph cannot be one: " + what);
}

}  // namespace

Graph::Image Graph::image(uint32_t high_water) const {
  Image image;
  image.high_water = std::min(high_water, nodes_.load(std::memory_order_acquire));
  image.row_capacity = row_capacity();
  Entry entry;
  if (!load_entry(&entry)) {
    image.high_water = 0;
    return image;
  }
  image.levels = entry.level;
  image.entry_slot = slot_of(entry.level, entry.node);
  image.changes = changes_.load(std::memory_order_acquire);
  image.upper_capacity = layer(1).rows.capacity();
  for (uint32_t level = 1; level <= entry.level; ++level) {
    image.nodes[level] = layer(level).high_water;
  }
  return image;
}

void Graph::copy_rows(uint32_t first, uint32_t count, uint32_t* out) const {
  const Layer& bottom = layer(0);
  const uint32_t capacity = bottom.rows.capacity();
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t slot = first + i;
    uint32_t* const row = out + static_cast<size_t>(i) * capacity;
    if (states_->has(slot, SlotStates::kLinked)) {
      bottom.rows.read(slot, row);
    } else {
      std::fill_n(row, capacity, kNoSlot);
    }
  }
}

void Graph::copy_upper(uint32_t level, uint32_t node, uint32_t* out) const {
  out[0] = slot_of(level, node);
  out[1] = down_of(level, node);
  layer(level).rows.read(node, out + 2);
}

Status Graph::reserve_image(const Image& image) {
  if (image.levels >= kLayersMax || image.row_capacity != row_capacity() ||
      (image.levels > 0 && image.upper_capacity != layer(1).rows.capacity())) {
    return damaged("its rows are not of this size");
  }
  OMEN_TRY(layers_[0]->rows.ensure(std::max(image.high_water, 1u)));
  for (uint32_t level = 1; level <= image.levels; ++level) {
    const uint32_t nodes = image.nodes[level];
    const uint32_t below = level == 1 ? image.high_water : image.nodes[level - 1];
    if (nodes > below) return damaged("a layer has more nodes than the one below it");
    Layer& l = *layers_[level];
    OMEN_TRY(l.rows.ensure(std::max(nodes, 1u)));
    OMEN_TRY(l.links.ensure(std::max(nodes, 1u)));
    OMEN_TRY(l.free_nodes.reserve(nodes + nodes / 4));
    l.reserved = l.high_water = nodes;
  }
  if (image.high_water > nodes_.load(std::memory_order_relaxed)) {
    nodes_.store(image.high_water, std::memory_order_release);
  }
  return Status::ok();
}

void Graph::reset() {
  entry_.store(0, std::memory_order_release);
  for (uint32_t level = 1; level < kLayersMax; ++level) {
    layers_[level]->high_water = 0;
    layers_[level]->free_nodes.clear();
  }
}

// Keeps those of a row's ids that `exists` knows, each once, and not the node itself. Returns how
// many were lost.
template <class Exists>
uint32_t Graph::take_row(uint32_t level, uint32_t node, const uint32_t* ids, const Exists& exists) {
  EdgeRows& rows = layers_[level]->rows;
  uint32_t row[kRowIdsMax];
  uint32_t n = 0;
  uint32_t lost = 0;
  uint64_t met[4] = {};  // A bit for some of their bits: most ids need not be looked for.
  for (uint32_t i = 0; i < rows.capacity() && ids[i] != kNoSlot; ++i) {
    const uint32_t id = ids[i];
    uint64_t& word = met[id >> 6 & 3];
    const uint64_t bit = uint64_t{1} << (id & 63);
    const bool may_be_there = (word & bit) != 0;
    if (id != node && exists(id) && !(may_be_there && std::find(row, row + n, id) != row + n)) {
      row[n++] = id;
      word |= bit;
    } else {
      ++lost;
    }
  }
  rows.write(node, row, n);
  return lost;
}

bool Graph::is_as_in(const Image& image) const {
  return changes_.load(std::memory_order_acquire) == image.changes;
}

bool Graph::restore_whole_row(uint32_t slot, const uint32_t* ids, const Nodes& nodes) {
  EdgeRows& rows = layers_[0]->rows;
  const uint32_t n = rows.capacity();
  uint32_t unknown = 0;  // Without branches, for the compiler to make vectors of it.
  for (uint32_t i = 0; i < n; ++i) {
    unknown |= (ids[i] >= nodes.accept.size && ids[i] != kNoSlot) ? 1 : 0;
  }
  if (unknown != 0) return false;
  for (uint32_t i = 0; !nodes.are_all && i < n && ids[i] != kNoSlot; ++i) {
    if (!nodes.accept.contains(ids[i])) return false;
  }
  rows.restore(slot, ids);
  return true;
}

uint32_t Graph::restore_row(uint32_t slot, const uint32_t* ids, const Nodes& nodes) {
  if (nodes.are_whole && restore_whole_row(slot, ids, nodes)) return 0;
  return take_row(0, slot, ids, [&](uint32_t id) { return nodes.accept.contains(id); });
}

// Numbers first, of all layers: rows name them.
Status Graph::restore_upper(const Image& image, std::span<const uint32_t> words,
                            const Accept& nodes) {
  const size_t stride = 2 + size_t{image.upper_capacity};
  size_t at = 0;
  for (uint32_t level = 1; level <= image.levels; ++level) {
    Layer& l = *layers_[level];
    for (uint32_t node = 0; node < l.high_water; ++node, at += stride) {
      const uint32_t slot = words[at];
      const uint32_t down = words[at + 1];
      auto* link = l.links.row_as<Layer::Link>(node);
      const bool is_one = nodes.contains(slot) && level_of(slot) >= level;
      link->slot.store(is_one ? slot : kNoSlot, std::memory_order_relaxed);
      link->down.store(is_one ? down : 0, std::memory_order_relaxed);
      if (!is_one) {
        l.free_nodes.push_back_reserved(node);
        continue;
      }
      const bool leads_down = level == 1 ? down == slot
                                         : down < layers_[level - 1]->high_water &&
                                               slot_of(level - 1, down) == slot;
      if (!leads_down) return damaged("a node of an upper layer is not in the one below");
    }
  }
  at = 0;
  for (uint32_t level = 1; level <= image.levels; ++level) {
    const Layer& l = layer(level);
    for (uint32_t node = 0; node < l.high_water; ++node, at += stride) {
      if (slot_of(level, node) == kNoSlot) continue;
      (void)take_row(level, node, &words[at + 2], [&](uint32_t id) {
        return id < l.high_water && slot_of(level, id) != kNoSlot;
      });
    }
  }
  return Status::ok();
}

// What is still to be known: that every slot is in each of its layers once, and where to enter.
Result<bool> Graph::finish_restore(const Image& image, const Accept& nodes) {
  uint64_t expected[kLayersMax] = {};
  uint32_t top = 0;
  uint32_t top_slot = kNoSlot;
  for (uint32_t slot = 0; slot < image.high_water; ++slot) {
    if (!nodes.contains(slot)) continue;
    const uint32_t level = level_of(slot);
    for (uint32_t l = 1; l <= level; ++l) ++expected[l];
    const bool is_entry = slot == image.entry_slot && level == top;
    if (top_slot == kNoSlot || level > top || is_entry) {
      top = level;
      top_slot = slot;
    }
  }
  if (top_slot == kNoSlot) return true;
  if (top > image.levels) return damaged("a layer is missing");
  uint32_t entry_node = top_slot;
  for (uint32_t level = 1; level <= image.levels; ++level) {
    uint64_t seen = 0;
    Array<uint64_t> met(account_, Use::kScratch);
    OMEN_TRY(met.resize((size_t{image.high_water} + 63) / 64));
    for (uint32_t node = 0; node < layer(level).high_water; ++node) {
      const uint32_t slot = slot_of(level, node);
      if (slot == kNoSlot) continue;
      uint64_t& word = met[slot >> 6];
      const uint64_t bit = uint64_t{1} << (slot & 63);
      if ((word & bit) != 0) return damaged("a slot is in a layer twice");
      word |= bit;
      ++seen;
      if (level == top && slot == top_slot) entry_node = node;
    }
    if (seen != expected[level]) return damaged("a slot is missing from a layer");
  }
  store_entry(top, entry_node);
  return top_slot == image.entry_slot;
}

}  // namespace omen
