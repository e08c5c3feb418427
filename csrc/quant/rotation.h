// Rotation: a fast random rotation of vectors, for codecs that want no direction to be special.
//
// How: rounds of random signs and a Hadamard transform, which is orthonormal and takes n log n
// additions (Ailon & Chazelle, "The fast Johnson-Lindenstrauss transform", 2009). Vectors are
// padded with zeros to a multiple of 64 only: where that is no power of two, each round transforms
// the first so many dimensions that are one, and then the last so many. The two overlap, so that
// rounds spread every dimension over all (784 become 832, where the next power of two is 1 024).
// Invariants:
//   1. apply() keeps lengths and angles up to rounding.
//   2. The same dimensions and seed give the same rotation, and bit for bit the same result with
//      every kernel table.
// Threads: immutable once made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/status.h"
#include "simd/kernels.h"

namespace omen {

class Rotation {
 public:
  // ERR_MEMORY.
  static Result<std::unique_ptr<Rotation>> make(size_t dimensions, uint64_t seed,
                                                const simd::Kernels& kernels);
  ~Rotation();
  Rotation(const Rotation&) = delete;
  Rotation& operator=(const Rotation&) = delete;

  static size_t padded(size_t dimensions) { return (dimensions + 63) / 64 * 64; }
  // Dimensions after padding: those that apply() takes and gives.
  size_t padded() const { return padded_; }
  // Rotates padded() floats in place.
  void apply(float* x) const;
  // Rotates padded() floats back.
  void invert(float* x) const;
  size_t bytes() const { return passes_ * power_ * sizeof(float); }

 private:
  Rotation(size_t dimensions, const simd::Kernels& kernels);

  const simd::Kernels& kernels_;
  size_t padded_;
  size_t power_;            // The largest power of two that is at most padded_.
  size_t passes_;           // Transforms: one a round, or two where they overlap.
  float* signs_ = nullptr;  // passes_ x power_: 1 / sqrt(power_), with a random sign.
};

}  // namespace omen
