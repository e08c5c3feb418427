// Moves: the slots that lately took a record over from another slot.
//
// Why: a new vector gives its record a new slot. A reader that passed the new slot before the
// record was there, and the old one after it had gone, has met neither: what it missed stands here.
// Invariants:
//   1. A move is noted before the old slot stops being live, so whoever sees that sees the move.
//   2. The last kKept - 1 moves can be read back.
// Threads: note() by the committer; the rest from any.
#pragma once

#include <atomic>
#include <cstdint>

namespace omen {

class Moves {
 public:
  static constexpr uint64_t kKept = 512;

  // How many there have been.
  uint64_t count() const { return count_.load(std::memory_order_acquire); }

  void note(uint32_t slot) {
    const uint64_t at = count_.load(std::memory_order_relaxed);
    slots_[at % kKept].store(slot, std::memory_order_release);
    count_.store(at + 1, std::memory_order_release);
  }

  // Calls `visit` with the slot of each move since count() was `since`. False if there were more
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

}  // namespace omen
