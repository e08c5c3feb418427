// relax(): one round of a loop that waits for another thread's store.
//
// Why: it tells the processor that the loop only waits, so that the other thread of the same core
// runs on, and that the loop's end costs no flush of what was begun too early.
// Threads: any.
#pragma once

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace omen {

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  // `yield` is nothing on most of these processors; `isb` waits about as long as x86's pause.
  asm volatile("isb" ::: "memory");
#elif defined(_MSC_VER) && defined(_M_X64)
  _mm_pause();
#elif defined(_MSC_VER) && defined(_M_ARM64)
  __isb(0xf);
#endif
}

}  // namespace omen
