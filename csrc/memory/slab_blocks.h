// SlabBlocks: slabs of 64 KiB out of huge pages.
//
// Why: a pool of many megabytes is touched all over. On small pages each of its slabs costs sixteen
// faults when it is filled (0.25 us each on bare metal, 12 us on some virtual machines: a third of
// the time that opening a database with metadata took) and as many TLB entries later. So slabs are
// cut from blocks of 2 MiB. A slab that is let go gives its pages back, and the last one its block.
// Invariants (validate() checks them):
//   1. A slab lies in its slot of a block; that of the first slot begins behind the block's head.
//   2. A block has a slab in use, and is in the list exactly if it has a free slot.
//   3. bytes() is what the account holds: slots in use, and those never used, whose memory came
//      with the huge page.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/blocks.h"
#include "memory/budget.h"

namespace omen {

class SlabBlocks {
 public:
  static constexpr size_t kSlabBytes = size_t{64} << 10;
  // From here on the memory that waits in a block for its first use is no great part.
  static constexpr uint64_t kWorthwhileBytes = uint64_t{8} << 20;

  SlabBlocks(MemoryAccount* account, Use use) : account_(account), use_(use) {}
  SlabBlocks(const SlabBlocks&) = delete;
  SlabBlocks& operator=(const SlabBlocks&) = delete;

  struct Piece {
    std::byte* memory;  // 64-byte aligned, uninitialised.
    size_t bytes;       // kSlabBytes, or a cache line less.
  };
  Result<Piece> allocate();  // ERR_MEMORY
  // Every piece goes back, so that nothing is left to the destructor.
  void free(void* memory);

  uint64_t bytes() const { return bytes_; }
  Status validate() const;

 private:
  static constexpr size_t kSlots = kHugePageBytes / kSlabBytes;
  struct Block {  // At its start.
    Block* previous;
    Block* next;
    uint32_t used;     // A bit for each slot.
    uint32_t counted;  // In the account.
  };
  static_assert(kSlots == 32 && sizeof(Block) <= kCacheLineBytes);

  static std::byte* slot_of(Block* block, size_t i) {
    return reinterpret_cast<std::byte*>(block) + i * kSlabBytes;
  }
  Status add_block();
  void free_block(Block* block);
  void link(Block* block);
  void unlink(Block* block);

  MemoryAccount* const account_;
  const Use use_;
  Block* with_room_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace omen
