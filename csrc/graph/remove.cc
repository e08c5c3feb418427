// Graph: taking marked nodes out (after FreshDiskANN, arXiv:2105.09613, algorithm 4).
//
// Who points at a node is unknown, since edges are one-way after pruning, so all rows are scanned
// once. A row that names a doomed node is chosen anew among what it keeps and that node's
// neighbours: first those that are diverse, then the nearest.
#include <algorithm>
#include <vector>

#include "exec/parallel_for.h"
#include "graph/graph.h"
#include "graph/layer.h"

namespace omen {

namespace {

constexpr size_t kRowsPerTask = 1024;

}  // namespace

void Graph::repair_row(uint32_t level, uint32_t node, const Accept& doomed, BuildScratch& scratch) {
  EdgeRows& rows = layers_[level]->rows;
  uint32_t row[kRowIdsMax];
  uint32_t n = rows.read_counted(node, row);
  const auto is_doomed = [&](uint32_t id) { return doomed.contains(slot_of(level, id)); };
  if (std::none_of(row, row + n, is_doomed)) return;
  const SlotLock lock(*states_, slot_of(level, node));
  n = rows.read_counted(node, row);
  uint32_t kept[kRowIdsMax];
  uint32_t gone[kRowIdsMax];
  uint32_t kept_count = 0;
  uint32_t gone_count = 0;
  for (uint32_t i = 0; i < n; ++i) {
    if (is_doomed(row[i]))
      gone[gone_count++] = row[i];
    else
      kept[kept_count++] = row[i];
  }
  // The kept ones and the neighbours of what goes, once each, bounded.
  Candidates all;
  std::copy(kept, kept + kept_count, all.nodes);
  all.size = kept_count;
  for (uint32_t g = 0; g < gone_count; ++g) {
    const uint32_t m = rows.read_counted(gone[g], row);
    for (uint32_t i = 0; i < m && all.size < Candidates::kMax; ++i) {
      if (row[i] == node || is_doomed(row[i])) continue;
      if (states_->has(slot_of(level, row[i]), SlotStates::kMarked)) continue;
      if (std::find(all.nodes, all.nodes + all.size, row[i]) != all.nodes + all.size) continue;
      all.push(row[i], 0);
    }
  }
  SlotScorer& self = *scratch.node;
  self.bind(slot_of(level, node));
  score_all(level, self, all);
  all.sort();
  Candidates diverse = all;
  kept_count = static_cast<uint32_t>(select(level, diverse, {rows.capacity()}, scratch));
  std::copy(diverse.nodes, diverse.nodes + kept_count, kept);
  // Rows of diverse neighbours alone are thinner than those that insertions leave, and a search of
  // the same ef would see less: the nearest of the rest fill the row up to what it had.
  const uint32_t goal = std::max(n, rows.capacity() * 3 / 4);
  for (size_t i = 0; i < all.size && kept_count < goal; ++i) {
    if (std::find(kept, kept + kept_count, all.nodes[i]) != kept + kept_count) continue;
    kept[kept_count++] = all.nodes[i];
  }
  rows.write(node, kept, kept_count);
}

// To a node of the highest layer that keeps one.
void Graph::move_entry(const Accept& doomed, uint32_t high_water) {
  const std::lock_guard<std::mutex> guard(entry_mutex_);
  Entry entry;
  if (!load_entry(&entry) || !doomed.contains(slot_of(entry.level, entry.node))) return;
  for (uint32_t level = kLayersMax; level-- > 1;) {
    for (uint32_t node = 0; node < layer(level).high_water; ++node) {
      const uint32_t slot = slot_of(level, node);
      if (slot != kNoSlot && !doomed.contains(slot)) return store_entry(level, node);
    }
  }
  for (uint32_t slot = 0; slot < high_water; ++slot) {
    if (states_->has(slot, SlotStates::kLinked) && !doomed.contains(slot)) {
      return store_entry(0, slot);
    }
  }
  entry_.store(0, std::memory_order_release);
}

Status Graph::unlink(const Accept& doomed, uint32_t high_water, Executor& executor,
                     const Space& space) {
  std::vector<std::unique_ptr<BuildScratch>> workers(parallel_workers(executor));
  for (auto& worker : workers) {
    worker = std::make_unique<BuildScratch>(account_);
    OMEN_TRY(worker->reserve(0, 0, space, kernels_));
  }
  begin_change();
  move_entry(doomed, high_water);
  for (uint32_t level = kLayersMax; level-- > 1;) {
    for (uint32_t node = 0; node < layer(level).high_water; ++node) {
      const uint32_t slot = slot_of(level, node);
      if (slot != kNoSlot && !doomed.contains(slot)) repair_row(level, node, doomed, *workers[0]);
    }
  }
  parallel_for(executor, high_water, kRowsPerTask, [&](size_t begin, size_t end, unsigned worker) {
    for (size_t slot = begin; slot < end; ++slot) {
      const auto s = static_cast<uint32_t>(slot);
      if (!states_->has(s, SlotStates::kLinked) || doomed.contains(s)) continue;
      repair_row(0, s, doomed, *workers[worker]);
    }
  });
  return Status::ok();
}

void Graph::forget(const Accept& doomed, uint32_t high_water) {
  const std::lock_guard<std::mutex> guard(upper_mutex_);
  for (uint32_t level = 1; level < kLayersMax; ++level) {
    Layer& l = *layers_[level];
    for (uint32_t node = 0; node < l.high_water; ++node) {
      auto* link = l.links.row_as<Layer::Link>(node);
      const uint32_t slot = link->slot.load(std::memory_order_relaxed);
      if (slot == kNoSlot || !doomed.contains(slot)) continue;
      link->slot.store(kNoSlot, std::memory_order_release);
      l.free_nodes.push_back_reserved(node);
    }
  }
  for (uint32_t slot = 0; slot < high_water; ++slot) {
    if (doomed.contains(slot)) states_->clear(slot, SlotStates::kLinked);
  }
}

}  // namespace omen
