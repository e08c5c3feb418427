// PreparedQuery: one query in the form that a codec scores rows with.
//
// Why: preparing costs a pass over the dimensions, so it is done once per query (or once per stored
// row that plays the query while the graph is built), into memory that is reused.
// Invariants:
//   1. Every array is 64-byte aligned and zero beyond `dimensions`, to a multiple of 64 elements.
//   2. distance = bias + factor_multiplier * row factor - dot_multiplier * dot.
// Threads: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "simd/kernels.h"

namespace omen {

class PreparedQuery {
 public:
  PreparedQuery() = default;
  ~PreparedQuery();
  PreparedQuery(const PreparedQuery&) = delete;
  PreparedQuery& operator=(const PreparedQuery&) = delete;

  // Makes room for `dimensions`; keeps what is there if it fits already. ERR_MEMORY.
  Status reserve(size_t dimensions);
  size_t bytes() const { return bytes_; }
  simd::Weights weights() const { return {w, hi, lo}; }

  float* floats = nullptr;  // The query itself (normalised under cosine), or a codec's scratch.
  int16_t* w = nullptr;
  int8_t* hi = nullptr;
  int8_t* lo = nullptr;
  float bias = 0;
  float factor_multiplier = 0;
  float dot_multiplier = 0;
  // Of `binary` alone, which scores with `hi`: what is taken off twice the dot product, the error
  // bound of a row with a B of 1, and the values of dominant dimensions.
  static constexpr size_t kDominantMax = 8;
  int32_t dot_offset = 0;
  float error_multiplier = 0;
  float dominant[kDominantMax] = {};

 private:
  size_t capacity_ = 0;
  size_t bytes_ = 0;
  void* block_ = nullptr;
};

}  // namespace omen
