// Small things that every vector table needs at the end of a row, and a hint for the compiler.
//
// Why: a kernel may not read past a vector, and copying the last bytes through a buffer costs a
// store-forwarding stall. Everything here has internal linkage, because it is included by files of
// different instruction sets.
// Threads: pure functions.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Loops over register arrays must unroll completely, or the arrays live in memory.
#if defined(__clang__)
#define OMEN_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define OMEN_UNROLL _Pragma("GCC unroll 16")
#else
#define OMEN_UNROLL
#endif

namespace omen::simd {

// The first `count` (0 to 8) bytes at `p`, the rest zero, by loads that overlap.
// Little-endian, as every processor with a vector table is.
static inline uint64_t load_bytes(const void* p, size_t count) {
  const uint8_t* bytes = static_cast<const uint8_t*>(p);
  if (count >= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word;
  }
  if (count >= 4) {
    uint32_t first;
    uint32_t last;
    memcpy(&first, bytes, 4);
    memcpy(&last, bytes + count - 4, 4);
    return first | static_cast<uint64_t>(last) << (8 * (count - 4));
  }
  if (count == 0) return 0;
  return static_cast<uint64_t>(bytes[0]) |
         static_cast<uint64_t>(bytes[count / 2]) << (8 * (count / 2)) |
         static_cast<uint64_t>(bytes[count - 1]) << (8 * (count - 1));
}


}  // namespace omen::simd
