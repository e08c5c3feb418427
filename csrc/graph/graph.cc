// Graph: its layers, levels, entry point and numbering.
#include "graph/graph.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "graph/layer.h"

namespace omen {

void Graph::Candidates::sort() {
  // Few and nearly sorted: insertion sort by distance, then node, so that equal builds are equal
  // graphs.
  for (size_t i = 1; i < size; ++i) {
    const uint32_t node = nodes[i];
    const float d = distances[i];
    size_t j = i;
    for (; j > 0 && (distances[j - 1] > d || (distances[j - 1] == d && nodes[j - 1] > node)); --j) {
      distances[j] = distances[j - 1];
      nodes[j] = nodes[j - 1];
    }
    distances[j] = d;
    nodes[j] = node;
  }
}

Graph::Graph(MemoryAccount* account, SlotStates* states, const GraphOptions& options,
             const simd::Kernels& kernels)
    : account_(account),
      states_(states),
      options_(options),
      kernels_(kernels),
      level_factor_(1.0 / std::log(static_cast<double>(options.m))) {
  for (uint32_t level = 0; level < kLayersMax; ++level) {
    layers_[level] = std::make_unique<Layer>(account, level == 0 ? 2 * options.m : options.m);
  }
  if (options.tracks_changes) layers_[0]->rows.track_changes();
}

Graph::~Graph() = default;

uint64_t Graph::changed(uint32_t index) const { return layer(0).rows.changed(index); }
void Graph::clear_changed(uint32_t slot) { layers_[0]->rows.clear_changed(slot); }
uint32_t Graph::row_capacity() const { return layer(0).rows.capacity(); }
void Graph::touch_rows(std::span<const uint32_t> slots) {
  uint32_t ids[kRowIdsMax];
  for (const uint32_t slot : slots) {
    const SlotLock lock(*states_, slot);
    const uint32_t n = read_row(slot, ids);
    layers_[0]->rows.write(slot, ids, n);
  }
}
uint32_t Graph::read_row(uint32_t slot, uint32_t* ids) const {
  return layer(0).rows.read_counted(slot, ids);
}

// Exponential with mean 1 / ln(m), so that a layer has 1/m of the nodes of the one below (section 4
// of the paper). The slot alone decides, so levels are the same in every build.
uint32_t Graph::level_of(uint32_t slot) const {
  const uint64_t h = mix64(options_.seed ^ (uint64_t{slot} * 0x9E3779B97F4A7C15ull));
  const double unit = (static_cast<double>(h >> 11) + 1.0) * 0x1.0p-53;
  // Most are at the bottom, and are told without a logarithm: it rises by 1 where unit is 1/m.
  if (unit * static_cast<double>(options_.m) > 1.001) return 0;
  const auto level = static_cast<uint32_t>(-std::log(unit) * level_factor_);
  return std::min(level, kLayersMax - 1);
}

uint32_t Graph::levels() const {
  Entry entry;
  return load_entry(&entry) ? entry.level : 0;
}

uint64_t Graph::bytes() const {
  uint64_t sum = 0;
  for (const auto& l : layers_) sum += l->rows.bytes() + l->links.bytes() + l->free_nodes.bytes();
  return sum;
}

Status Graph::reserve(uint32_t high_water, std::span<const uint32_t> slots,
                      std::span<const uint32_t> waiting) {
  uint32_t more[kLayersMax] = {};
  for (const auto& some : {slots, waiting}) {
    for (const uint32_t slot : some) {
      const uint32_t top = level_of(slot);
      for (uint32_t level = 1; level <= top; ++level) ++more[level];
    }
  }
  OMEN_TRY(layers_[0]->rows.ensure(high_water));
  const std::lock_guard<std::mutex> guard(upper_mutex_);
  for (uint32_t level = 1; level < kLayersMax; ++level) {
    Layer& l = *layers_[level];
    const auto free = static_cast<uint32_t>(l.free_nodes.size());
    if (more[level] <= free) continue;
    const uint32_t wanted = l.high_water + more[level] - free;
    if (wanted <= l.reserved) continue;
    OMEN_TRY(l.rows.ensure(wanted));
    OMEN_TRY(l.links.ensure(wanted));
    OMEN_TRY(l.free_nodes.reserve(wanted + wanted / 4));
    l.reserved = wanted;
  }
  if (high_water > nodes_.load(std::memory_order_relaxed)) {
    nodes_.store(high_water, std::memory_order_release);
  }
  return Status::ok();
}

uint32_t Graph::slot_of(uint32_t level, uint32_t node) const {
  if (level == 0) return node;
  return layer(level).links.row_as<Layer::Link>(node)->slot.load(std::memory_order_acquire);
}

uint32_t Graph::down_of(uint32_t level, uint32_t node) const {
  return layer(level).links.row_as<Layer::Link>(node)->down.load(std::memory_order_acquire);
}

bool Graph::load_entry(Entry* out) const {
  const uint64_t packed = entry_.load(std::memory_order_acquire);
  if (packed == 0) return false;
  out->level = static_cast<uint32_t>(packed >> 32) - 1;
  out->node = static_cast<uint32_t>(packed);
  return true;
}

void Graph::store_entry(uint32_t level, uint32_t node) {
  entry_.store((uint64_t{level} + 1) << 32 | node, std::memory_order_release);
}

uint32_t Graph::take_number(uint32_t level, uint32_t slot, uint32_t down) {
  Layer& l = *layers_[level];
  uint32_t node;
  {
    const std::lock_guard<std::mutex> guard(upper_mutex_);
    if (!l.free_nodes.empty()) {
      node = l.free_nodes.back();
      l.free_nodes.pop_back();
    } else {
      OMEN_ASSERT(l.high_water < l.reserved);
      node = l.high_water++;
    }
  }
  auto* link = l.links.row_as<Layer::Link>(node);
  link->down.store(down, std::memory_order_release);
  link->slot.store(slot, std::memory_order_release);
  l.rows.write(node, nullptr, 0);
  return node;
}

}  // namespace omen
