// Seeded randomness and hashing. Nothing here but process_seed() reads a clock or global state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace omen {

// splitmix64's finaliser (Steele, Lea & Flood 2014): a bijection that mixes all bits.
inline uint64_t mix64(uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

// A sequence of mixed counters: small, fast, replayable from its seed.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() { return mix64(state_++); }
  // Uniform in [0, bound); bound > 0. The bias is below 2^-32 for bounds below 2^32.
  uint64_t below(uint64_t bound) { return next() % bound; }
  // Uniform in [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  uint64_t state_;
};

// The seed of this process's hash tables, other in each: keys that collide cannot be chosen ahead.
// Only places within tables may depend on it, nothing that is told or stored.
uint64_t process_seed();

// Hash of bytes, seeded; not cryptographic. Eight bytes a step through mix64.
inline uint64_t hash_bytes(const void* data, size_t length, uint64_t seed = 0) {
  const auto* p = static_cast<const unsigned char*>(data);
  uint64_t h = mix64(seed ^ length);
  while (length >= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    h = mix64(h ^ word);
    p += 8;
    length -= 8;
  }
  uint64_t tail = 0;
  for (size_t i = 0; i < length; ++i) tail |= static_cast<uint64_t>(p[i]) << (8 * i);
  return mix64(h ^ tail);
}

}  // namespace omen
