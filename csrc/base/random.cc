// The seed of this process, drawn once.
#include "base/random.h"

#include <chrono>

namespace omen {

namespace {

// When it started, to the tick, and where the system put it. std::random_device would end a process
// that may open no more files.
uint64_t draw_seed() {
  const int on_stack = 0;
  const auto ticks = [](auto time) {
    return static_cast<uint64_t>(time.time_since_epoch().count());
  };
  uint64_t seed = mix64(ticks(std::chrono::system_clock::now()));
  seed = mix64(seed ^ ticks(std::chrono::steady_clock::now()));
  seed = mix64(seed ^ reinterpret_cast<uintptr_t>(&on_stack));
  return mix64(seed ^ reinterpret_cast<uintptr_t>(&draw_seed));
}

}  // namespace

uint64_t process_seed() {
  static const uint64_t seed = draw_seed();
  return seed;
}

}  // namespace omen
