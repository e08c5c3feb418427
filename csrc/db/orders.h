// Orders: a number for each slot's record, in the order in which records came. A record that is
// replaced keeps its number.
//
// Why: ties are broken by it, and records are read in it page by page, wherever their slots are.
// Before each stretch of slots lies within which numbers its orders are, so that who looks for the
// next page reads few stretches. That only ever widens.
// Threads: as Store; set() before its slot is published.
#pragma once

#include <algorithm>
#include <atomic>

#include "memory/slot_pages.h"

namespace omen {

class Orders {
 public:
  static constexpr uint32_t kStretch = 1024;
  // Orders are below this.
  static constexpr uint32_t kMax = 0xFFFFFFFFu;

  explicit Orders(MemoryAccount* account) : pages_(account, Use::kIds, sizeof(uint32_t)) {}

  Status ensure(uint32_t slots) { return pages_.ensure(row_of(slots)); }
  void shrink(uint32_t slots) { pages_.shrink(row_of(slots)); }
  void populate(uint32_t first, uint32_t count) const {
    pages_.populate(row_of(first), row_of(first + count) - row_of(first));
  }

  uint32_t of(uint32_t slot) const {
    return number(row_of(slot)).load(std::memory_order_relaxed);
  }
  void set(uint32_t slot, uint32_t order) {
    const uint32_t head = head_of(slot / kStretch);
    widen(number(head), ~order);
    widen(number(head + 1), order + 1);
    number(row_of(slot)).store(order, std::memory_order_relaxed);
  }
  struct Range {
    uint32_t from;
    uint32_t end;
  };
  // fn(slot, order) of the slots of a stretch, below `slots`, whose orders lie within a range.
  template <class Fn>
  void each_within(uint32_t stretch, uint32_t slots, const Range& range, const Fn& fn) const {
    const uint32_t head = head_of(stretch);
    const uint32_t least = ~number(head).load(std::memory_order_relaxed);
    const uint32_t beyond = number(head + 1).load(std::memory_order_relaxed);
    if (least >= range.end || beyond <= range.from) return;
    const uint32_t first = stretch * kStretch;
    for (uint32_t slot = first; slot < std::min(slots, first + kStretch); ++slot) {
      const uint32_t order = of(slot);
      if (order - range.from < range.end - range.from) fn(slot, order);
    }
  }

 private:
  // Of a stretch: the complement of its least order and its largest plus one, so that zeros mean
  // none.
  static constexpr uint32_t kHead = 2;

  static uint32_t head_of(uint32_t stretch) { return stretch * (kStretch + kHead); }
  static uint32_t row_of(uint32_t slot) {
    return head_of(slot / kStretch) + kHead + slot % kStretch;
  }
  std::atomic<uint32_t>& number(uint32_t row) const {
    return *pages_.row_as<std::atomic<uint32_t>>(row);
  }
  static void widen(std::atomic<uint32_t>& most, uint32_t value) {
    uint32_t old = most.load(std::memory_order_relaxed);
    while (value > old && !most.compare_exchange_weak(old, value, std::memory_order_relaxed)) {
    }
  }

  SlotPages pages_;
};

}  // namespace omen
