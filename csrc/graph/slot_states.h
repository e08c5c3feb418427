// SlotStates: one byte a slot, the one place that says what a slot is.
//
// Bits: kLocked guards the slot's edge rows (all layers) for writers; kLinked: in the graph;
// kMarked: deleted but still navigable; kLive: the current version of a record; kStringId: how its
// id is stored.
// Invariants:
//   1. kLive and kMarked never hold together; kMarked implies kLinked or a link in progress.
//   2. A free or uncommitted slot's byte is 0.
// Threads: every bit is changed by atomic read-modify-write; locks are held for microseconds, one
// at a time per thread, so there is no order to keep.
#pragma once

#include <atomic>
#include <thread>

#include "memory/slot_pages.h"

namespace omen {

class SlotStates {
 public:
  enum Bit : uint8_t { kLocked = 1, kLinked = 2, kMarked = 4, kLive = 8, kStringId = 16 };

  SlotStates(MemoryAccount* account, Use use) : pages_(account, use, 1) {}

  Status ensure(uint32_t slots) { return pages_.ensure(slots); }
  void populate(uint32_t first, uint32_t count) const { pages_.populate(first, count); }
  void release_all() { pages_.release_all(); }
  uint32_t rows() const { return pages_.rows(); }
  uint64_t bytes() const { return pages_.bytes(); }

  uint8_t load(uint32_t slot) const { return at(slot).load(std::memory_order_acquire); }
  bool has(uint32_t slot, uint8_t bits) const { return (load(slot) & bits) == bits; }
  void set(uint32_t slot, uint8_t bits) { at(slot).fetch_or(bits, std::memory_order_acq_rel); }
  void clear(uint32_t slot, uint8_t bits) {
    at(slot).fetch_and(static_cast<uint8_t>(~bits), std::memory_order_acq_rel);
  }
  // Live becomes marked in one step. Returns false if it was not live.
  bool mark(uint32_t slot) {
    uint8_t old = load(slot);
    while ((old & kLive) != 0) {
      const auto fresh = static_cast<uint8_t>((old & ~kLive) | kMarked);
      if (at(slot).compare_exchange_weak(old, fresh, std::memory_order_acq_rel)) return true;
    }
    return false;
  }
  void reset(uint32_t slot) { at(slot).store(0, std::memory_order_release); }

  void lock(uint32_t slot) {
    for (unsigned spins = 0; (at(slot).fetch_or(kLocked, std::memory_order_acquire) & kLocked) != 0;
         ++spins) {
      if (spins > 64) std::this_thread::yield();
    }
  }
  void unlock(uint32_t slot) {
    at(slot).fetch_and(static_cast<uint8_t>(~kLocked), std::memory_order_release);
  }

 private:
  std::atomic<uint8_t>& at(uint32_t slot) const {
    return *reinterpret_cast<std::atomic<uint8_t>*>(pages_.row(slot));
  }
  SlotPages pages_;
};

// Holds a slot's lock for a scope.
class SlotLock {
 public:
  SlotLock(SlotStates& states, uint32_t slot) : states_(states), slot_(slot) { states.lock(slot); }
  ~SlotLock() { states_.unlock(slot_); }
  SlotLock(const SlotLock&) = delete;
  SlotLock& operator=(const SlotLock&) = delete;

 private:
  SlotStates& states_;
  uint32_t slot_;
};

}  // namespace omen
