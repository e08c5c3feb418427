// Sketches: where each point lies along a few random directions.
//
// Why: the side of random hyperplanes that one point lies on as seen from another is a comparison
// of sketches, a few instructions whatever the dimensions are.
// Threads: compute() of different points at once; the rest when that is done.
#pragma once

#include "base/random.h"
#include "graph/bulk/points.h"
#include "memory/array.h"

namespace omen {

class Sketches {
 public:
  static constexpr size_t kDirections = 12;
  static constexpr size_t kStride = 16;

  explicit Sketches(MemoryAccount* account)
      : directions_(account, Use::kScratch), values_(account, Use::kScratch) {}

  // Draws the directions. `typical` is a length that most points stay within along any of them, as
  // seen from `centre`.
  Status reserve(const BulkPoints& points, const float* centre, float typical, uint64_t seed);
  void compute(const BulkPoints& points, uint32_t point);

  // kStride numbers; those beyond kDirections are 0.
  const int16_t* of(uint32_t point) const { return values_.data() + size_t{point} * kStride; }
  // The direction of `to` as seen from `from`, below 2^kDirections.
  static uint16_t bucket(const int16_t* from, const int16_t* to) {
    // Each comparison sets a bit of its own; a sum of all is what compilers vectorise.
    uint16_t bits = 0;
    for (size_t i = 0; i < kStride; ++i) bits |= to[i] > from[i] ? kBits.of[i] : uint16_t{0};
    return bits;
  }

 private:
  struct Bits {
    uint16_t of[kStride];
  };
  static constexpr Bits kBits = {{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 0, 0, 0, 0}};

  float factor_ = 1;
  float origin_[kDirections] = {};
  Array<float> directions_;  // kDirections rows.
  Array<int16_t> values_;
};

}  // namespace omen
