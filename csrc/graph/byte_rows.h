// ByteRows: the rows of a node's candidates as signed bytes, to be compared among each other.
//
// Why: choosing neighbours compares every candidate with those that were kept before it, some
// hundred pairs a node. A codec's score prepares each kept row as a query, in weights finer than
// codes are; rows of bytes with one step for all dimensions take one product of bytes a dimension
// (docs/decisions/0035).
// Invariants: a pair's distance is the same whichever of the two is asked for.
// Threads: one at a time.
#pragma once

#include "memory/array.h"
#include "simd/kernels.h"

namespace omen {

class ByteRows {
 public:
  // More than these are compared by scores.
  static constexpr size_t kMax = 128;

  explicit ByteRows(MemoryAccount* account) : bytes_(account, Use::kScratch) {}

  // ERR_MEMORY.
  Status reserve(const simd::Kernels& kernels, size_t dimensions) {
    kernels_ = &kernels;
    dimensions_ = dimensions;
    stride_ = round_up(dimensions, kCacheLineBytes);
    return bytes_.size() == kMax * stride_ ? Status::ok() : bytes_.resize(kMax * stride_);
  }

  // How bytes are made: distances are `unit` times their squared distances.
  struct Steps {
    float unit;
    bool are_rounded;  // Else bytes are what is scored.
  };
  // Whether a distance so short can be told from the rounding of coordinates.
  bool can_tell(float distance, const Steps& steps) const {
    return !steps.are_rounded ||
           distance >= kTellable * steps.unit * static_cast<float>(dimensions_);
  }
  // To be filled before start().
  int8_t* row(size_t i) { return bytes_.data() + i * stride_; }
  void start(size_t count, const Steps& steps);
  // Of the rows [begin, begin + count), kScoreBlock of them at most, from row `from`.
  void score(size_t from, size_t begin, size_t count, float* distances) const;
  // Row `to` is what `from` was.
  void move(size_t from, size_t to) {
    rows_[to] = rows_[from];
    norms_[to] = norms_[from];
  }

 private:
  // Rounding both rows adds a sixth of a squared step a dimension, on average.
  static constexpr float kTellable = 2;

  const simd::Kernels* kernels_ = nullptr;
  size_t dimensions_ = 0;
  size_t stride_ = 0;
  Steps steps_ = {1, false};
  Array<int8_t> bytes_;
  const int8_t* rows_[kMax];
  int32_t norms_[kMax];
};

}  // namespace omen
