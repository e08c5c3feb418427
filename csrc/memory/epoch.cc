// Pins, retirement and collection; the proof is in epoch.h.
#include "memory/epoch.h"

#include <chrono>
#include <new>
#include <thread>

#include "base/random.h"

namespace omen {

namespace {

// Where this thread looks for a pin slot first; its address names the thread. Trivially
// destructible: a destructor would run in threads of the host after the library is unloaded.
thread_local uint32_t pin_hint = 0;

const void* this_thread() { return &pin_hint; }

// The read of a pin slot that the proof calls (3): as an RMW it takes part in the slot's release
// sequence, so that a later pin's CAS acquires what this thread did before.
uint64_t read_slot(std::atomic<uint64_t>& slot) {
  return slot.fetch_add(0, std::memory_order_acq_rel);
}

void pause(uint32_t round) {
  if (round < 64) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

}  // namespace

void EpochDomain::List::append(RetireNode* node) {
  node->next = nullptr;
  (last == nullptr ? first : last->next) = node;
  last = node;
}

EpochDomain::~EpochDomain() {
  for (PinSlot& slot : slots_) OMEN_ASSERT(slot.epoch.load(std::memory_order_acquire) == 0);
  while (fresh_.first != nullptr || waiting_.first != nullptr) collect();
}

EpochDomain::Pin EpochDomain::pin() {
  uint32_t start = pin_hint;
  if (start == 0) {  // Spreads threads over the slots; slot 0 as a hint means "none yet".
    // The shift keeps g++ 12 from folding mix64's constant into a thread-local relocation, which
    // then does not fit.
    start = static_cast<uint32_t>(mix64(reinterpret_cast<uintptr_t>(this_thread()) >> 4));
  }
  for (uint32_t round = 0;; ++round) {
    const uint64_t epoch = epoch_.load(std::memory_order_acquire);
    for (uint32_t i = 0; i < kPinSlots; ++i) {
      const uint32_t index = (start + i) % kPinSlots;
      PinSlot& slot = slots_[index];
      uint64_t expected = 0;
      if (slot.epoch.load(std::memory_order_relaxed) == 0 &&
          slot.epoch.compare_exchange_strong(expected, epoch, std::memory_order_acq_rel,
                                             std::memory_order_relaxed)) {
        slot.owner.store(this_thread(), std::memory_order_relaxed);
        pin_hint = index;
        return Pin(&slot);
      }
    }
    pause(round);
  }
}

void EpochDomain::retire(RetireNode* node, void* object, void (*destroy)(void*, void*),
                         void* context, uint64_t bytes) {
  *node = RetireNode{nullptr, object, destroy, context, bytes, 0, node->owned_by_domain};
  retired_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  fresh_.append(node);
}

void EpochDomain::retire(void* object, void (*destroy)(void*, void*), void* context,
                         uint64_t bytes) {
  if (auto* node = new (std::nothrow) RetireNode; node != nullptr) {
    node->owned_by_domain = true;
    retire(node, object, destroy, context, bytes);
  } else if (is_pinned_by_this_thread()) {
    abandoned_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  } else {
    synchronize();
    destroy(object, context);
  }
}

void EpochDomain::synchronize() {
  OMEN_ASSERT(!is_pinned_by_this_thread());
  const uint64_t epoch = epoch_.fetch_add(1, std::memory_order_acq_rel);
  for (PinSlot& slot : slots_) {
    for (uint32_t round = 0;; ++round) {
      const uint64_t pinned = read_slot(slot.epoch);
      if (pinned == 0 || pinned > epoch) break;
      pause(round);
    }
  }
}

uint64_t EpochDomain::oldest_pinned() {
  uint64_t oldest = UINT64_MAX;
  for (PinSlot& slot : slots_) {
    const uint64_t pinned = read_slot(slot.epoch);
    if (pinned != 0 && pinned < oldest) oldest = pinned;
  }
  return oldest;
}

size_t EpochDomain::collect() {
  List free;
  {
    const std::lock_guard lock(mutex_);
    if (fresh_.first != nullptr) {
      const uint64_t epoch = epoch_.fetch_add(1, std::memory_order_acq_rel);
      while (RetireNode* node = fresh_.first) {
        fresh_.first = node->next;
        node->epoch = epoch;
        waiting_.append(node);
      }
      fresh_.last = nullptr;
    }
    if (waiting_.first == nullptr) return 0;
    const uint64_t oldest = oldest_pinned();
    while (waiting_.first != nullptr && waiting_.first->epoch < oldest) {
      RetireNode* node = waiting_.first;
      waiting_.first = node->next;
      free.append(node);
    }
    if (waiting_.first == nullptr) waiting_.last = nullptr;
  }
  return destroy_all(free.first);
}

size_t EpochDomain::destroy_all(RetireNode* first) {
  size_t count = 0;
  while (first != nullptr) {
    RetireNode* next = first->next;  // The node may be part of what is destroyed.
    const RetireNode node = *first;
    if (node.owned_by_domain) delete first;
    retired_bytes_.fetch_sub(node.bytes, std::memory_order_relaxed);
    node.destroy(node.object, node.context);
    first = next;
    ++count;
  }
  return count;
}

bool EpochDomain::is_pinned_by_this_thread() const {
  for (const PinSlot& slot : slots_) {
    if (slot.owner.load(std::memory_order_relaxed) == this_thread()) return true;
  }
  return false;
}

}  // namespace omen
