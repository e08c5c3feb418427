// Memory from the operating system: address space in 2 MiB-aligned blocks, and plain allocations.
//
// Why: random reads of 64 to 512 bytes cost half as much on 2 MiB pages as on 4 KiB ones, so large
// arrays are aligned for them and ask for them; small ones must not, or a thousand tiny
// collections would cost gigabytes. A mapped block is address space only: a page costs memory
// from its first touch on, and reads as zero until written.
// Nothing here counts: callers reserve in their MemoryAccount first.
// Threads: all calls, from any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"

namespace omen {

inline constexpr size_t kHugePageBytes = size_t{2} << 20;
inline constexpr size_t kCacheLineBytes = 64;

inline constexpr size_t round_up(size_t bytes, size_t step) {
  return (bytes + step - 1) / step * step;
}

// The processor's page, 4 to 64 KiB.
size_t page_bytes();

// Address space of `bytes` (rounded up to 2 MiB), aligned to 2 MiB, of small pages until
// advise_huge. On Windows commit_block must precede the first touch. ERR_MEMORY when refused.
Result<std::byte*> map_block(size_t bytes);
// Takes what map_block gave, whole; `bytes` as then.
void unmap_block(std::byte* block, size_t bytes);

// Makes [start, start + bytes) of a block usable; the bounds are multiples of page_bytes().
// Idempotent. Where the system commits at first touch this does nothing.
Status commit_block(std::byte* start, size_t bytes);

// Gives the memory of [start, start + bytes) back; multiples of page_bytes(). The address space
// stays, and reads as zero once commit_block made it usable again.
void decommit_block(std::byte* start, size_t bytes);

// Asks for 2 MiB pages; the bounds are multiples of kHugePageBytes. A hint: no result.
void advise_huge(std::byte* start, size_t bytes);

// Asks that what [start, start + bytes) holds be moved to 2 MiB pages now; multiples of
// kHugePageBytes. A hint: where the system cannot, small pages go on serving.
void collapse_huge(std::byte* start, size_t bytes);

// Asks that [start, start + bytes), usable and about to be written, be there before its first
// touch; multiples of page_bytes(). A hint, for whoever fills much: one call serves many pages,
// each of which would cost a fault, 0.25 us on bare metal and 12 us on some virtual machines.
void populate_block(std::byte* start, size_t bytes);

// Zeroed memory, 64-byte aligned: from the heap, or from 2 MiB on a mapped block whose whole huge
// pages are advised. With Fill::kNone what comes from the heap is not cleared. free_bytes takes the
// same `bytes`; null is ignored.
enum class Fill : uint8_t { kZero, kNone };
Result<std::byte*> allocate_bytes(size_t bytes, Fill fill = Fill::kZero);
void free_bytes(void* memory, size_t bytes);

}  // namespace omen
