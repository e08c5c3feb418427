// Graph: nodes that no path from the entry reaches on the bottom layer, found and linked.
//
// Why: pruning reverse edges can leave a node without any edge that leads to it (arXiv:2407.07871),
// and a record that cannot be found is lost to its user, however good the recall is on average.
#include <algorithm>
#include <bit>

#include "graph/graph.h"
#include "graph/layer.h"

namespace omen {

namespace {

constexpr uint32_t kAttachEf = 64;
constexpr int kRoundsMax = 8;
constexpr size_t kRowsAhead = 16;

bool test(const Array<uint64_t>& bits, uint32_t i) { return (bits[i >> 6] >> (i & 63) & 1) != 0; }
void set(Array<uint64_t>* bits, uint32_t i) { (*bits)[i >> 6] |= uint64_t{1} << (i & 63); }

}  // namespace

// Follows edges from what is on the stack. The stack has room for every node: each is pushed once.
// Rows are asked for some nodes before they are read.
void Graph::spread(Array<uint64_t>* reached, Array<uint32_t>* stack) const {
  const EdgeRows& rows = layer(0).rows;
  uint32_t row[kRowIdsMax];
  uint32_t asked[kRowsAhead];
  size_t asked_count = 0;
  for (size_t turn = 0; !stack->empty() || asked_count > 0; turn = (turn + 1) % kRowsAhead) {
    while (asked_count < kRowsAhead && !stack->empty()) {
      asked[(turn + asked_count++) % kRowsAhead] = stack->back();
      rows.prefetch(stack->back());
      stack->pop_back();
    }
    const uint32_t n = rows.read_counted(asked[turn], row);
    --asked_count;
    for (uint32_t i = 0; i < n; ++i) {
      if (row[i] >= reached->size() * 64 || test(*reached, row[i])) continue;
      set(reached, row[i]);
      stack->push_back_reserved(row[i]);
    }
  }
}

Status Graph::walk(uint32_t high_water, Array<uint64_t>* reached, Array<uint32_t>* stack) const {
  OMEN_TRY(reached->resize((static_cast<size_t>(high_water) + 63) / 64));
  OMEN_TRY(stack->reserve(high_water));
  Entry entry;
  if (!load_entry(&entry)) return Status::ok();
  const uint32_t start = slot_of(entry.level, entry.node);
  set(reached, start);
  stack->push_back_reserved(start);
  spread(reached, stack);
  return Status::ok();
}

Result<uint64_t> Graph::count_unreachable(uint32_t high_water) const {
  Array<uint64_t> reached(account_, Use::kScratch);
  Array<uint32_t> stack(account_, Use::kScratch);
  OMEN_TRY(walk(high_water, &reached, &stack));
  uint64_t lost = 0;
  for (uint32_t slot = 0; slot < high_water; ++slot) {
    const uint8_t state = states_->load(slot);
    lost += (state & SlotStates::kLinked) != 0 && (state & SlotStates::kMarked) == 0 &&
            !test(reached, slot);
  }
  return lost;
}

// Gives the node edges to what a search for it finds, and makes one reached node lead to it: the
// nearest with room, else the nearest by force.
void Graph::attach(uint32_t slot, const Array<uint64_t>& reached, BuildScratch& scratch) {
  scratch.node->bind(slot);
  search(*scratch.node, kAttachEf, scratch.search);
  Candidates found;
  const auto keep_reached = [&] {
    gather_live(0, slot, scratch.search, &found);
    size_t kept = 0;
    for (size_t i = 0; i < found.size; ++i) {
      if (!test(reached, found.nodes[i])) continue;
      found.nodes[kept] = found.nodes[i];
      found.distances[kept++] = found.distances[i];
    }
    found.size = kept;
  };
  keep_reached();
  // The layers above led to an island: a walk from the root alone stays on what is reached.
  if (found.size == 0 && search_from_root(*scratch.node, kAttachEf, scratch.search)) keep_reached();
  if (found.size == 0) return;
  EdgeRows& rows = layers_[0]->rows;
  uint32_t row[kRowIdsMax];
  uint32_t to = kNoSlot;
  for (size_t i = 0; i < found.size && to == kNoSlot; ++i) {
    if (rows.read_counted(found.nodes[i], row) < rows.capacity()) to = found.nodes[i];
  }
  if (to == kNoSlot) to = found.nodes[0];
  const size_t count = select(0, found, {options_.m}, scratch);
  {
    const SlotLock lock(*states_, slot);
    uint32_t n = rows.read_counted(slot, row);
    for (size_t i = 0; i < count && n < rows.capacity(); ++i) {
      if (std::find(row, row + n, found.nodes[i]) == row + n) row[n++] = found.nodes[i];
    }
    rows.write(slot, row, n);
  }
  force_edge(to, slot, &reached);
}

Result<bool> Graph::repair_round(uint32_t high_water, BuildScratch& scratch, uint64_t* found) {
  Array<uint64_t> reached(account_, Use::kScratch);
  Array<uint32_t> stack(account_, Use::kScratch);
  OMEN_TRY(walk(high_water, &reached, &stack));
  bool any = false;
  for (uint32_t slot = 0; slot < high_water; ++slot) {
    const uint8_t state = states_->load(slot);
    if ((state & SlotStates::kLinked) == 0 || (state & SlotStates::kMarked) != 0) continue;
    if (test(reached, slot)) continue;
    attach(slot, reached, scratch);
    ++*found;
    any = true;
    set(&reached, slot);
    stack.push_back_reserved(slot);
    spread(&reached, &stack);
  }
  return any;
}

Result<uint64_t> Graph::repair(uint32_t high_water, const Space& space) {
  uint64_t found = 0;
  if (is_empty()) return found;
  BuildScratch scratch(account_);
  OMEN_TRY(scratch.reserve(high_water, kAttachEf, space, kernels_));
  begin_change();
  for (int round = 0; round < kRoundsMax; ++round) {
    OMEN_ASSIGN(const bool any, repair_round(high_water, scratch, &found));
    if (!any) break;
  }
  return found;
}

}  // namespace omen
