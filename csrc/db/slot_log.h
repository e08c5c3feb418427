// SlotLog: the slots to which something happened lately.
//
// Moves: slots that took a record over from another slot. A new vector gives its record a new slot;
// a reader that passed the new slot before the record was there, and the old one after it had gone,
// has met neither: what it missed stands here.
// Changes: slots of which filters may see something else than before: a record came, went, or got
// other metadata. Row sets that are cached are brought up to date by it.
// Invariants:
//   1. A move is noted before the index names the new slot, and that before the old slot stops
//      being live: whoever sees either sees the move. A change is noted before it is made, while
//      Store::version is odd, and before its move.
//   2. The last kKept - 1 notes can be read back.
// Threads: note() by the committer; the rest from any.
#pragma once

#include <atomic>
#include <cstdint>

namespace omen {

template <uint64_t kSlots>
class SlotLog {
 public:
  static constexpr uint64_t kKept = kSlots;

  // How many there have been.
  uint64_t count() const { return count_.load(std::memory_order_acquire); }

  void note(uint32_t slot) {
    const uint64_t at = count_.load(std::memory_order_relaxed);
    slots_[at % kKept].store(slot, std::memory_order_release);
    count_.store(at + 1, std::memory_order_release);
  }

  // Calls `visit` with the slot of each note since count() was `since`. False if there were more
  // than are kept: then not all were visited.
  template <class Visit>
  bool visit_since(uint64_t since, const Visit& visit) const {
    const uint64_t now = count();
    for (uint64_t i = since; i < now && now - since < kKept; ++i) {
      const uint32_t slot = slots_[i % kKept].load(std::memory_order_acquire);
      // The one at count() may be on its way in, over the oldest.
      if (count() - since >= kKept) return false;
      visit(slot);
    }
    return now - since < kKept;
  }

 private:
  std::atomic<uint64_t> count_{0};
  std::atomic<uint32_t> slots_[kKept] = {};
};

using Moves = SlotLog<512>;
// Two for each record of an upsert of 1 000.
using Changes = SlotLog<2048>;

}  // namespace omen
