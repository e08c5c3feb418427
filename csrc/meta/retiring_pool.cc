// Small blocks from the size classes, all others on their own, so that sizes that change leave no
// slabs behind.
#include "meta/retiring_pool.h"

#include <algorithm>

namespace omen {

Result<void*> RetiringPool::allocate(uint64_t bytes) {
  if (bytes <= BlockPool::kBytesMax) return pool_.allocate(static_cast<size_t>(bytes));
  OMEN_TRY(account_->reserve(use_, bytes));
  Result<std::byte*> memory = allocate_bytes(static_cast<size_t>(bytes), Fill::kNone);
  if (!memory.is_ok()) {
    account_->release(use_, bytes);
    return memory.status();
  }
  own_blocks_.fetch_add(1, std::memory_order_relaxed);
  return static_cast<void*>(memory.value());
}

Status RetiringPool::allocate_many(std::span<const uint32_t> bytes, void** out) {
  const bool are_small =
      std::all_of(bytes.begin(), bytes.end(), [](uint32_t n) { return n <= BlockPool::kBytesMax; });
  if (are_small) return pool_.allocate_many(bytes, out);
  for (size_t i = 0; i < bytes.size(); ++i) {
    Result<void*> block = allocate(bytes[i]);
    if (block.is_ok()) {
      out[i] = block.value();
      continue;
    }
    while (i-- > 0) release(out[i], bytes[i]);
    return block.status();
  }
  return Status::ok();
}

void RetiringPool::release(void* block, uint64_t bytes) {
  if (block == nullptr) return;
  if (bytes <= BlockPool::kBytesMax) {
    pool_.release(block, static_cast<size_t>(bytes));
    return;
  }
  free_bytes(block, static_cast<size_t>(bytes));
  account_->release(use_, bytes);
  own_blocks_.fetch_sub(1, std::memory_order_relaxed);
}

void RetiringPool::drain() {
  // A pin taken between the two calls may delay what was retired before it; it cannot do so twice.
  while (pending_.load(std::memory_order_acquire) != 0) {
    epochs_->synchronize();
    epochs_->collect();
  }
}

}  // namespace omen
