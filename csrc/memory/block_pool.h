// BlockPool: blocks of 16 bytes to 1 KiB in size classes, whose memory comes back.
//
// Why: strings and small metadata come and go record by record, in sizes of their own. Four classes
// a doubling waste at most a fifth of a block above 128 bytes; the caller knows its size when it
// releases, so a block needs no header. Blocks are cut from slabs of one class, 4 KiB at first and
// up to 64 KiB as the class grows, so that a small user stays small; those of a large user lie in
// huge pages (slab_blocks.h). A slab counts its blocks in use and goes back to the system when the
// last is released: sizes that change from one year to the next leave nothing behind. A table of
// slabs sorted by address finds a block's slab: 64 KiB a slab keep it short. What is larger is
// better off on its own: the heap joins it with its neighbours again.
// Invariants (validate() checks them):
//   1. A block is 16-byte aligned and never moves.
//   2. Of each slab, the blocks in use, its free list and its uncut end add up to all its blocks,
//   and some block is in use.
//   3. A slab is in its class's list exactly if it has room, and in the table in order.
// Threads: all calls, from any thread (one mutex).
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

#include "memory/array.h"
#include "memory/slab_blocks.h"

namespace omen {

class BlockPool {
 public:
  static constexpr size_t kBytesMax = 1024;

  BlockPool(MemoryAccount* account, Use use)
      : account_(account), use_(use), slabs_(account, use), huge_(account, use) {}
  ~BlockPool() { clear(); }
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // That about so many bytes are about to be allocated: whether they are many is known then.
  void expect(uint64_t bytes);
  // Uninitialised bytes. ERR_MEMORY; ERR_LIMIT above kBytesMax.
  Result<void*> allocate(size_t bytes);
  // A block each, as many as `bytes` has entries, under one lock. All or nothing.
  Status allocate_many(std::span<const uint32_t> bytes, void** out);
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
  static constexpr size_t kClasses = 20;  // 16 to 128 by 16, then four a doubling to 1 KiB.
  struct FreeBlock {
    FreeBlock* next;
  };
  struct Slab {  // At the start of each slab; blocks follow at the next cache line.
    Slab* previous;  // In the class's list.
    Slab* next;
    FreeBlock* free;
    uint32_t cut;     // Blocks that were ever handed out; those past it are the uncut end.
    uint32_t used;    // Blocks in use.
    uint32_t blocks;  // All.
    uint32_t bytes;
    bool is_huge;  // Of huge_.

    bool is_full() const { return used == blocks; }
  };
  struct SizeClass {
    Slab* with_room = nullptr;
    uint64_t used_blocks = 0;
    uint64_t slab_bytes = 0;  // Of all its slabs.
  };

  static size_t class_of(size_t bytes);
  static size_t class_bytes(size_t index);
  static std::byte* first_block(Slab* slab) {
    return reinterpret_cast<std::byte*>(slab) + kCacheLineBytes;
  }
  static void link(SizeClass* c, Slab* slab);
  static void unlink(SizeClass* c, Slab* slab);
  // With the mutex held.
  Result<void*> take(size_t bytes);
  void give_back(void* block, size_t bytes);
  Result<SlabBlocks::Piece> allocate_slab(size_t bytes, bool is_huge);
  Status add_slab(SizeClass* c, size_t block_bytes);
  void free_slab(Slab* slab);
  size_t place_of(const void* block) const;
  Status validate_slab(Slab* slab, size_t index) const;

  mutable std::mutex mutex_;
  MemoryAccount* const account_;
  const Use use_;
  Array<Slab*> slabs_;  // Sorted by address.
  SlabBlocks huge_;
  uint64_t heap_bytes_ = 0;  // Of slabs that are not huge_'s.
  uint64_t expected_ = 0;
  SizeClass classes_[kClasses];
};

}  // namespace omen
