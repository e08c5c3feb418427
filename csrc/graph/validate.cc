// Graph: its invariants, checked one by one.
#include <algorithm>

#include "graph/graph.h"
#include "graph/layer.h"

namespace omen {

namespace {

Status broken(int invariant, const std::string& what) {
  return Status::error(ErrorCode::kCorrupt, "graph, invariant " + std::to_string(invariant) + ": " +
                                                what + "; rebuild the graph with optimize()");
}

std::string at(uint32_t level, uint32_t node) {
  return "node " + std::to_string(node) + " of layer " + std::to_string(level);
}

}  // namespace

Status Graph::validate_row(uint32_t level, uint32_t node, uint32_t nodes) const {
  const EdgeRows& rows = layer(level).rows;
  uint32_t row[kRowIdsMax];
  rows.read(node, row);
  uint32_t n = 0;
  while (n < rows.capacity() && row[n] != kNoSlot) ++n;
  for (uint32_t i = n; i < rows.capacity(); ++i) {
    if (row[i] != kNoSlot) return broken(1, at(level, node) + " has a hole in its edges");
  }
  for (uint32_t i = 0; i < n; ++i) {
    if (row[i] == node) return broken(1, at(level, node) + " names itself");
    if (row[i] >= nodes) return broken(1, at(level, node) + " names a node that does not exist");
    if (std::find(row, row + i, row[i]) != row + i) {
      return broken(1, at(level, node) + " names a node twice");
    }
    const uint32_t slot = slot_of(level, row[i]);
    if (slot == kNoSlot || !states_->has(slot, SlotStates::kLinked)) {
      return broken(4, at(level, node) + " names the free " + at(level, row[i]));
    }
  }
  return Status::ok();
}

Status Graph::validate(uint32_t high_water) const {
  uint32_t top = 0;
  bool any = false;
  uint64_t expected[kLayersMax] = {};
  uint64_t seen[kLayersMax] = {};
  for (uint32_t slot = 0; slot < high_water; ++slot) {
    if (!states_->has(slot, SlotStates::kLinked)) continue;
    any = true;
    const uint32_t level = level_of(slot);
    top = std::max(top, level);
    for (uint32_t l = 1; l <= level; ++l) ++expected[l];
    OMEN_TRY(validate_row(0, slot, high_water));
  }
  for (uint32_t level = 1; level < kLayersMax; ++level) {
    const Layer& l = layer(level);
    for (uint32_t node = 0; node < l.high_water; ++node) {
      const uint32_t slot = slot_of(level, node);
      if (slot == kNoSlot) continue;
      ++seen[level];
      if (slot >= high_water || !states_->has(slot, SlotStates::kLinked) ||
          level_of(slot) < level) {
        return broken(2, at(level, node) + " belongs to no such slot");
      }
      if (slot_of(level - 1, down_of(level, node)) != slot) {
        return broken(2, at(level, node) + " has lost its node one layer down");
      }
      OMEN_TRY(validate_row(level, node, l.high_water));
    }
    if (seen[level] != expected[level]) {
      return broken(2, "layer " + std::to_string(level) + " has " + std::to_string(seen[level]) +
                           " nodes, not " + std::to_string(expected[level]));
    }
  }
  Entry entry;
  if (load_entry(&entry) != any) return broken(3, "the entry point and the nodes disagree");
  if (!any) return Status::ok();
  if (entry.level != top) return broken(3, "the entry point is not in the highest layer");
  const uint32_t slot = slot_of(entry.level, entry.node);
  if (slot >= high_water || !states_->has(slot, SlotStates::kLinked)) {
    return broken(4, "the entry point is a free slot");
  }
  return Status::ok();
}

}  // namespace omen
