// EpochDomain: memory that lock-free readers may still hold is freed after they let go of it.
//
// Why: a search waits for no lock. It pins an epoch, reads pointers and slots, and unpins. A
// writer unlinks an object, so that no later reader can find it, then retires it; it is destroyed
// once every pin that could have seen it is gone.
//
// How: each pin owns one of kPinSlots cache lines, holding 0 (free) or the epoch it read. To free
// what was unlinked, the collector (1) has the unlinking in its past, (2) takes r = epoch++, and
// (3) reads each pin slot by an atomic add of zero, and frees if every value is 0 or above r.
// Proof, in happens-before alone (there are no fences: ThreadSanitizer does not model them; all
// operations on slots and epoch are acquire-release, and the epoch is changed only by RMW):
//   a. A slot read as 0 or v > r at (3). Reads of earlier pins of this slot happened before (3):
//      the unpin is a release store, and (3) acquires it or a pin chained to it by a CAS.
//   b. A later pin of a slot read as 0 is a CAS that reads the value written at (3), or one
//      chained to it: (3), and so the unlinking, happened before the pin, which cannot find it.
//   c. A pin with v > r read the epoch from (2) or from a later RMW in its release sequence:
//      again the unlinking happened before the pin.
//   d. A pin that holds v <= r keeps the object alive. A pin may read an old epoch and take its
//      slot after (3): b covers it, and it only delays what is retired later.
// Invariants:
//   1. An object is destroyed once, after all pins taken before its retirement are released.
//   2. Destroy functions run outside the domain's mutex, and may retire.
// Threads: all calls, from any thread. A Pin is released by the thread that took it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "base/assert.h"
#include "memory/blocks.h"

namespace omen {

// Part of an object that will be retired, so that retiring needs no memory.
struct RetireNode {
  RetireNode* next = nullptr;
  void* object = nullptr;
  void (*destroy)(void* object, void* context) = nullptr;
  void* context = nullptr;
  uint64_t bytes = 0;
  uint64_t epoch = 0;
  bool owned_by_domain = false;
};

class EpochDomain {
  struct alignas(kCacheLineBytes) PinSlot {
    std::atomic<uint64_t> epoch{0};
    std::atomic<const void*> owner{nullptr};  // Which thread; only for assertions.
  };

 public:
  static constexpr uint32_t kPinSlots = 128;  // Pins held at once; further ones wait for one.

  class Pin {
   public:
    Pin() = default;
    Pin(Pin&& other) noexcept : slot_(other.slot_) { other.slot_ = nullptr; }
    Pin& operator=(Pin&& other) noexcept {
      if (this != &other) {
        release();
        slot_ = other.slot_;
        other.slot_ = nullptr;
      }
      return *this;
    }
    ~Pin() { release(); }
    bool is_pinned() const { return slot_ != nullptr; }
    void release() {
      if (slot_ == nullptr) return;
      slot_->owner.store(nullptr, std::memory_order_relaxed);
      slot_->epoch.store(0, std::memory_order_release);
      slot_ = nullptr;
    }

   private:
    friend class EpochDomain;
    explicit Pin(PinSlot* slot) : slot_(slot) {}
    PinSlot* slot_ = nullptr;
  };

  EpochDomain() = default;
  // Nobody may be pinned; destroys all that is retired.
  ~EpochDomain();
  EpochDomain(const EpochDomain&) = delete;
  EpochDomain& operator=(const EpochDomain&) = delete;

  // Keeps everything reachable from now on alive until the Pin dies. Pins may nest.
  Pin pin();

  // The object must be unreachable for new pins. Neither fails, waits nor destroys: collect()
  // does. `bytes` only feeds retired_bytes(); callers count in their account (Use::kRetired).
  void retire(RetireNode* node, void* object, void (*destroy)(void*, void*), void* context,
              uint64_t bytes);
  // The same with a node of the domain's own. When there is no memory even for that: waits for
  // the pins and destroys at once; if this thread itself is pinned, the object is left alive for
  // ever and counted in abandoned_bytes().
  void retire(void* object, void (*destroy)(void*, void*), void* context, uint64_t bytes);

  // Returns when every pin taken before the call is released. Not while this thread is pinned.
  void synchronize();
  // Destroys what no pin can hold any more; never waits for a pin. Returns how many objects.
  size_t collect();

  uint64_t retired_bytes() const { return retired_bytes_.load(std::memory_order_relaxed); }
  uint64_t abandoned_bytes() const { return abandoned_bytes_.load(std::memory_order_relaxed); }
  bool is_pinned_by_this_thread() const;

 private:
  struct List {
    RetireNode* first = nullptr;
    RetireNode* last = nullptr;
    void append(RetireNode* node);
  };

  uint64_t oldest_pinned();
  size_t destroy_all(RetireNode* first);

  PinSlot slots_[kPinSlots];
  std::atomic<uint64_t> epoch_{1};
  std::atomic<uint64_t> retired_bytes_{0};
  std::atomic<uint64_t> abandoned_bytes_{0};
  std::mutex mutex_;  // Guards the lists.
  List fresh_;        // Not yet stamped with an epoch.
  List waiting_;      // Stamped, oldest first.
};

}  // namespace omen
