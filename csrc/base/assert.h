// OMEN_ASSERT: checks our own bugs, always on. What the world does wrong is a Status instead.
#pragma once

#include <cstdio>
#include <cstdlib>

#define OMEN_ASSERT(condition)                                                                \
  do {                                                                                        \
    if (!(condition)) [[unlikely]] {                                                          \
      std::fprintf(stderr, "omendb: internal error: %s at %s:%d; please report it\n",         \
                   #condition, __FILE__, __LINE__);                                           \
      std::abort();                                                                           \
    }                                                                                         \
  } while (0)
