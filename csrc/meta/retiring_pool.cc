// Small blocks from the size classes, all others on their own, so that sizes that change leave no
// slabs behind.
#include "meta/retiring_pool.h"

namespace omen {

Result<void*> RetiringPool::allocate(uint64_t bytes) {
  if (bytes <= BlockPool::kBytesMax) return pool_.allocate(static_cast<size_t>(bytes));
  OMEN_TRY(account_->reserve(use_, bytes));
  Result<std::byte*> memory = allocate_bytes(static_cast<size_t>(bytes));
  if (!memory.is_ok()) {
    account_->release(use_, bytes);
    return memory.status();
  }
  return static_cast<void*>(memory.value());
}

void RetiringPool::release(void* block, uint64_t bytes) {
  if (block == nullptr) return;
  if (bytes <= BlockPool::kBytesMax) {
    pool_.release(block, static_cast<size_t>(bytes));
    return;
  }
  free_bytes(block, static_cast<size_t>(bytes));
  account_->release(use_, bytes);
}

void RetiringPool::drain() {
  // A pin taken between the two calls may delay what was retired before it; it cannot do so twice.
  while (pending_.load(std::memory_order_acquire) != 0) {
    epochs_->synchronize();
    epochs_->collect();
  }
}

}  // namespace omen
