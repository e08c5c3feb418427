// Size classes over an arena; see block_pool.h.
#include "memory/block_pool.h"

#include <algorithm>
#include <bit>
#include <new>
#include <string>

namespace omen {

namespace {

// Of classes below it; from here on a block is its own slab.
constexpr size_t kSlabBytes = 4096;

}  // namespace

size_t BlockPool::class_of(size_t bytes) {
  if (bytes <= 128) return bytes == 0 ? 0 : (bytes - 1) / 16;
  const size_t above = bytes - 1;
  const auto log = static_cast<size_t>(std::bit_width(above)) - 1;  // 7 for 129 to 256.
  return 8 + (log - 7) * 4 + ((above >> (log - 2)) & 3);
}

size_t BlockPool::class_bytes(size_t index) {
  if (index < 8) return (index + 1) * 16;
  const size_t doubling = (index - 8) / 4;
  const size_t quarter = (index - 8) % 4;
  return (size_t{32} << doubling) * (5 + quarter);
}

size_t BlockPool::block_bytes(size_t bytes) { return class_bytes(class_of(bytes)); }

Result<void*> BlockPool::allocate(size_t bytes) {
  if (bytes > kBytesMax) {
    return Status::error(ErrorCode::kLimit, "a block of " + std::to_string(bytes) +
                                                " bytes exceeds the limit of " +
                                                std::to_string(kBytesMax));
  }
  const size_t index = class_of(bytes);
  const size_t size = class_bytes(index);
  const std::lock_guard lock(mutex_);
  SizeClass& c = classes_[index];
  if (c.free != nullptr) {
    FreeBlock* block = c.free;
    c.free = block->next;
    ++c.used_blocks;
    return static_cast<void*>(block);
  }
  if (c.next == c.end) {
    const size_t blocks = std::max<size_t>(kSlabBytes / size, 1);
    OMEN_ASSIGN(std::byte * slab, arena_.allocate(blocks * size));
    c.next = slab;
    c.end = slab + blocks * size;
    c.slab_blocks += blocks;
  }
  void* block = c.next;
  c.next += size;
  ++c.used_blocks;
  return block;
}

void BlockPool::release(void* block, size_t bytes) {
  if (block == nullptr) return;
  OMEN_ASSERT(bytes <= kBytesMax);
  const std::lock_guard lock(mutex_);
  SizeClass& c = classes_[class_of(bytes)];
  OMEN_ASSERT(c.used_blocks > 0);
  --c.used_blocks;
  c.free = new (block) FreeBlock{c.free};
}

void BlockPool::clear() {
  const std::lock_guard lock(mutex_);
  for (SizeClass& c : classes_) c = SizeClass();
  arena_.reset();
}

uint64_t BlockPool::used_bytes() const {
  const std::lock_guard lock(mutex_);
  uint64_t sum = 0;
  for (size_t i = 0; i < kClasses; ++i) sum += classes_[i].used_blocks * class_bytes(i);
  return sum;
}

uint64_t BlockPool::bytes_reserved() const {
  const std::lock_guard lock(mutex_);
  return arena_.bytes_reserved();
}

Status BlockPool::validate() const {
  const std::lock_guard lock(mutex_);
  OMEN_TRY(arena_.validate());
  for (size_t i = 0; i < kClasses; ++i) {
    const SizeClass& c = classes_[i];
    uint64_t blocks = c.used_blocks + static_cast<size_t>(c.end - c.next) / class_bytes(i);
    for (const FreeBlock* b = c.free; b != nullptr && blocks <= c.slab_blocks; b = b->next) {
      if (reinterpret_cast<uintptr_t>(b) % 16 != 0) {
        return Status::error(ErrorCode::kCorrupt, "block pool, invariant 1: unaligned block");
      }
      ++blocks;
    }
    if (blocks != c.slab_blocks) {
      return Status::error(ErrorCode::kCorrupt, "block pool, invariant 2: the blocks of class " +
                                                    std::to_string(i) + " do not add up");
    }
  }
  return Status::ok();
}

}  // namespace omen
