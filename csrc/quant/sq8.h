// Sq8: scalar quantisation, one byte a dimension, the default codec.
//
// How: dimension i maps [low_i, low_i + 255 step_i] to 0..255; values outside are clamped. A query
// is scored asymmetrically: only the stored side is rounded to bytes, the query becomes 15-bit
// integer weights, and the distance is bias + factor - multiplier * dot with one exact integer dot
// product.
//   L2:     sum (q - x)^2  = sum t^2 + sum (step c)^2 - 2 sum (t step) c      with t = q - low
//   cosine: half of that on normalised vectors
//   dot:    -sum q x       = -sum q low - sum (q step) c
// Why weights of 15 bits: two planes of signed bytes (VNNI, dot-product NEON) or one of int16
// (AVX2) multiply bytes exactly, and their rounding is far below the rounding of the codes. Integer
// data in a range of 255 trains to step 1 and integer lows, so that codes and, with the
// power-of-two weight factor, integer queries are exact, as long as the weights fit and the sums of
// the algebra stay below 2^24: float32 holds no longer every integer beyond. When the dimensions'
// steps differ so much that one weight factor cannot serve them all, scoring goes dimension by
// dimension in float: slower, and right.
// The factor of an L2 row is its squared length. Where all steps are 1 it is the sum of the code's
// squares, and up to kSquaredMax dimensions it is computed: an array of factors would be one more
// line of memory to read for each row.
// Invariants:
//   1. step_i >= 0; step_i == 0 where the sample was constant.
//   2. sum |w_i| * 255 < 2^31.
// Threads: immutable after train().
#pragma once

#include <memory>

#include "quant/codec.h"

namespace omen {

class Sq8Codec final : public Codec {
 public:
  // Trains on `count` sampled rows with their scales (inverse norms under cosine, else 1).
  static Result<std::unique_ptr<Sq8Codec>> train(Distance distance, size_t dimensions,
                                                 const simd::Kernels& kernels,
                                                 const float* const* sample, const float* scales,
                                                 size_t count);
  // One that was trained before, from its low(i), step(i) and is_integer(). ERR_CORRUPT if they
  // cannot be those of a codec.
  struct Trained {
    const float* low;
    const float* step;
    bool is_integer;
  };
  static Result<std::unique_ptr<Sq8Codec>> restore(Distance distance, size_t dimensions,
                                                   const simd::Kernels& kernels,
                                                   const Trained& trained);
  ~Sq8Codec() override;

  const char* name() const override { return "sq8"; }
  size_t code_bytes() const override { return dimensions_; }
  float encode(const float* x, float scale, uint8_t* code) const override;
  void prepare(const float* query, float scale, PreparedQuery* out) const override;
  void prepare_row(const uint8_t* code, float factor, PreparedQuery* out) const override;
  void score(const PreparedQuery& query, const uint8_t* const* rows, const float* factors,
             size_t count, float* distances) const override;
  // The same of 32 rows at most. Bit i of what is returned is set where distances[i] < threshold.
  uint32_t score_below(const PreparedQuery& query, const uint8_t* const* rows,
                       const float* factors, size_t count, float threshold, float* distances) const;
  float error_bound(float exact) const override;
  // The vector that a code stands for, `dimensions` floats: normalised under cosine.
  void decode(const uint8_t* code, float* out) const;
  // Whether clamping moves the row farther than rounding can: it lies outside of what the codec was
  // trained on.
  bool clamps(const float* x, float scale) const;

  size_t bytes() const { return bytes_; }
  float low(size_t i) const { return low_[i]; }
  float step(size_t i) const { return step_[i]; }
  Distance distance() const { return distance_; }
  // Whether every dimension has step 1 and an integer low.
  bool is_integer() const { return integer_; }
  // Whether factors must be kept beside the codes.
  bool has_factors() const {
    return !integer_ || distance_ != Distance::kL2 || dimensions_ > kSquaredMax;
  }
  // Of so many dimensions squares take as long as the line.
  static constexpr size_t kSquaredMax = 256;
  // A code with the same step in all dimensions, the largest: signed bytes, whose squared distances
  // times even_unit() are distances, but under dot. Where steps differ they are rounded once more.
  void even_out(const uint8_t* code, int8_t* out) const;
  bool has_even_steps() const { return integer_; }
  float even_unit() const {
    return step_max_ * step_max_ * (distance_ == Distance::kCosine ? 0.5f : 1.0f);
  }
  bool scores_in_float() const { return in_float_; }

 private:
  Sq8Codec(Distance distance, size_t dimensions, const simd::Kernels& kernels)
      : distance_(distance), dimensions_(dimensions), kernels_(kernels) {}
  Status allocate();
  void fit(const float* lowest, const float* highest, bool all_integers);
  // All else from low_, step_ and integer_.
  void derive();
  static constexpr size_t kBlock = 32;
  void score_in_float(const PreparedQuery& query, const uint8_t* const* rows, size_t count,
                      float* distances) const;

  Distance distance_;
  size_t dimensions_;
  const simd::Kernels& kernels_;
  float* low_ = nullptr;
  float* step_ = nullptr;
  float* inverse_step_ = nullptr;
  float* squared_step_ = nullptr;
  float* relative_step_ = nullptr;  // Beside the largest.
  size_t bytes_ = 0;
  float step_max_ = 0;
  float row_factor_ = 0;         // Weight factor that suits every stored row as the query.
  float low_squared_ = 0;        // sum low^2, for dot between codes.
  float half_step_squared_ = 0;  // sum (step / 2)^2: the codes' squared rounding radius.
  bool integer_ = false;
  bool in_float_ = false;
};

}  // namespace omen
