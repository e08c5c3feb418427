// Arena: bump allocation, 64-byte aligned, freed all at once.
//
// Why: what dies together (the scratch of a build, the parts of a compiled filter, a pool's slabs)
// is freed by one call instead of millions, and what was allocated together stays together.
// Blocks grow from 16 KiB to 2 MiB, so a small user stays small and a large one gets huge pages;
// a request above half a block gets a block of its own.
// Invariants (validate() checks them):
//   1. A returned pointer never moves, is 64-byte aligned, and its bytes start as zero.
//   2. bytes_used() <= bytes_reserved(), and bytes_reserved() is what the account holds for it.
//   3. Allocations lie within their blocks: the bump pointer is inside the newest block.
// Threads: one writer at a time; readers may hold pointers, never call in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "memory/blocks.h"
#include "memory/budget.h"

namespace omen {

class Arena {
 public:
  Arena(MemoryAccount* account, Use use) : account_(account), use_(use) {}
  ~Arena() { reset(); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Zeroed bytes; zero bytes give a valid pointer too. ERR_MEMORY.
  Result<std::byte*> allocate(size_t bytes);

  template <class T>
  Result<T*> allocate_array(size_t n) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= kCacheLineBytes);
    if (n > SIZE_MAX / 2 / sizeof(T)) return too_large(n);
    Result<std::byte*> memory = allocate(n * sizeof(T));
    if (!memory.is_ok()) return memory.status();
    return reinterpret_cast<T*>(memory.value());
  }

  // Frees everything that was allocated.
  void reset();

  uint64_t bytes_used() const { return bytes_used_; }
  uint64_t bytes_reserved() const { return bytes_reserved_; }
  Status validate() const;

 private:
  struct Block {  // At the start of each block; allocations follow at the next cache line.
    Block* previous;
    size_t bytes;
  };

  static Status too_large(size_t n);
  Result<Block*> add_block(size_t bytes);

  MemoryAccount* const account_;
  const Use use_;
  Block* own_blocks_ = nullptr;   // Each holds one large allocation.
  Block* bump_blocks_ = nullptr;  // Newest first; the newest is the one allocated from.
  std::byte* next_ = nullptr;
  std::byte* end_ = nullptr;
  size_t block_bytes_ = 0;  // Of the newest bump block.
  uint64_t bytes_used_ = 0;
  uint64_t bytes_reserved_ = 0;
};

}  // namespace omen
