// BlockPool: blocks of 16 bytes to 1 MiB in size classes, with free lists.
//
// Why: metadata and strings come and go record by record, in sizes of their own. Four classes a
// doubling waste at most a fifth of a block above 128 bytes; the caller knows its size when it
// releases, so a block needs no header. Slabs come from an Arena, whose blocks grow from 16 KiB to
// 2 MiB; a class keeps its slabs until clear().
// Invariants (validate() checks them):
//   1. A block is 16-byte aligned and never moves.
//   2. Of each class, the blocks handed out, the free list and the uncut end of the newest slab
//      add up to all blocks of its slabs.
// Threads: all calls, from any thread (one mutex).
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>

#include "memory/arena.h"

namespace omen {

class BlockPool {
 public:
  static constexpr size_t kBytesMax = size_t{1} << 20;

  BlockPool(MemoryAccount* account, Use use) : arena_(account, use) {}

  // Uninitialised bytes. ERR_MEMORY; ERR_LIMIT above kBytesMax.
  Result<void*> allocate(size_t bytes);
  // `bytes` as it was asked for; null is ignored.
  void release(void* block, size_t bytes);
  // Frees all memory, whether its blocks were released or not.
  void clear();

  // What a block of `bytes` really occupies.
  static size_t block_bytes(size_t bytes);
  uint64_t used_bytes() const;
  uint64_t bytes_reserved() const;
  Status validate() const;

 private:
  static constexpr size_t kClasses = 60;  // 16 to 128 by 16, then four a doubling to 1 MiB.
  struct FreeBlock {
    FreeBlock* next;
  };
  struct SizeClass {
    FreeBlock* free = nullptr;
    std::byte* next = nullptr;  // The uncut end of the newest slab.
    std::byte* end = nullptr;
    uint64_t used_blocks = 0;
    uint64_t slab_blocks = 0;  // Of all its slabs.
  };

  static size_t class_of(size_t bytes);
  static size_t class_bytes(size_t index);

  mutable std::mutex mutex_;
  Arena arena_;
  SizeClass classes_[kClasses];
};

}  // namespace omen
