// RetiringPool: pool blocks that readers may still hold when they are let go.
//
// Why: metadata blocks, arrays and tables are all unlinked under readers and freed after a grace
// period, and all may be larger than a size class. The pool counts what is on its way, so that its
// owner can wait for the last of it before the pool itself goes.
// Invariants:
//   1. Everything retired is released exactly once; the destructor returns after the last.
//   2. A block is 16-byte aligned.
// Threads: all calls, from any thread. The destructor runs unpinned.
#pragma once

#include <atomic>
#include <cstdint>

#include "memory/block_pool.h"
#include "memory/budget.h"
#include "memory/epoch.h"

namespace omen {

class RetiringPool {
 public:
  RetiringPool(MemoryAccount* account, Use use, EpochDomain* epochs)
      : account_(account), use_(use), epochs_(epochs), pool_(account, use) {}
  ~RetiringPool() { drain(); }
  RetiringPool(const RetiringPool&) = delete;
  RetiringPool& operator=(const RetiringPool&) = delete;

  void expect(uint64_t bytes) { pool_.expect(bytes); }
  // Uninitialised bytes, from the pool or, past its largest class, on their own. ERR_MEMORY.
  Result<void*> allocate(uint64_t bytes);
  // A block each, as many as `bytes` has entries. All or nothing.
  Status allocate_many(std::span<const uint32_t> bytes, void** out);
  void release(void* block, uint64_t bytes);

  // T::bytes() tells the size that was allocated.
  template <class T>
  void retire(T* object) {
    retire_with(object, this, object->bytes(), [](void* o, void* context) {
      auto* t = static_cast<T*>(o);
      auto* pool = static_cast<RetiringPool*>(context);
      pool->release(t, t->bytes());
      pool->count_destroyed();
    });
  }
  // `destroy` releases the object and ends with count_destroyed().
  void retire_with(void* object, void* context, uint64_t bytes, void (*destroy)(void*, void*)) {
    pending_.fetch_add(1, std::memory_order_relaxed);
    epochs_->retire(object, destroy, context, bytes);
  }
  // Whether all that is not released is the pool's own, and goes with it.
  bool is_all_pooled() const { return own_blocks_.load(std::memory_order_relaxed) == 0; }
  void count_destroyed() { pending_.fetch_sub(1, std::memory_order_release); }

  // Waits until everything retired is released.
  void drain();

  EpochDomain* epochs() const { return epochs_; }
  MemoryAccount* account() const { return account_; }
  Use use() const { return use_; }

 private:
  MemoryAccount* const account_;
  const Use use_;
  EpochDomain* const epochs_;
  std::atomic<uint64_t> pending_{0};
  std::atomic<uint64_t> own_blocks_{0};  // Larger than the pool's.
  BlockPool pool_;
};

}  // namespace omen
