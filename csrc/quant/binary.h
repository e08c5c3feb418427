// Binary: one or two bits a dimension, by RaBitQ (Gao & Long, arXiv:2405.12497; more bits by
// arXiv:2409.09913).
//
// How: a row's difference r from the centre of the data is rotated at random (rotation.h), and each
// dimension rounded to 2 or 4 equal steps around zero: u in 0..1 or 0..3, standing for x = u - 0.5
// or u - 1.5 in units of a step that fits the row's length. The rounded x is not r, but it is
// related to it: for a query's difference q, rotated alike,
//   <r, q>  is about  B <x, q>   with B = |r|^2 / <x, r>,
// and exactly so on average over rotations, since what x holds besides r lies in a random direction
// across r. Two floats a row, A and B, then give distances of every metric:
//   L2:     |q - r|^2 = |q|^2 + A - 2 B <x, q>          with A = |r|^2
//   cosine: half of that on normalised vectors
//   dot:    -<c, y> - A - B <x, q>                      with A = <r, c>, y the query, c the centre
// The query is rounded to 8 bits a dimension, 16 times finer than a code.
// How far off: what x holds across r has the length e = |x| sqrt(1 - cos^2), cos being the angle
// between x and r, and its product with q is that of a random direction of n - 1: B e |q| /
// sqrt(n - 1) is the standard deviation, less where q lies along r. After the rotation the
// dimensions are all but Gaussian, so |x| and cos are constants of the step (kLevels). The bound is
// kDeviations of that: see error_bound(query, code).
// Why a step per row, and not the best one for each (as the extension has it): searching it raises
// cos by 0.0004 at two bits. Why two bits at low dimensions: the deviation falls with sqrt(n); at
// 128 one bit must re-rank the best 149 of 200 000 to find 95 % of the 10 nearest, two bits 30
// (docs/decisions/0017).
// Dominant dimensions: the error goes with the length of r. Where one dimension holds much of it,
// all the others would drown in that dimension's error (one of 128, a hundred times the others:
// recall 0.27). Such dimensions are left out of r, and kept as floats, scored exactly.
// A code: n w / 8 bytes of bits, as simd/table.h lays them out, then A, then B, then a float for
// each dominant dimension; n is the dimensions padded to a multiple of 64, w the bits. No separate
// factor.
// Invariants:
//   1. code_bytes() is a multiple of 8.
//   2. Codes are equal with every kernel table.
// Threads: immutable after train().
#pragma once

#include <cmath>
#include <memory>

#include "quant/codec.h"
#include "quant/rotation.h"

namespace omen {

class BinaryCodec final : public Codec {
 public:
  // From so many dimensions on one bit suffices.
  static constexpr size_t kOneBitDimensions = 512;
  // The error bound, in standard deviations: 95 % of all rows lie within, and more of those near
  // the query, which lie along it.
  static constexpr float kDeviations = 2;

  struct Training {
    Distance distance;
    size_t dimensions;
    const float* const* rows;  // A sample,
    const float* scales;       // their inverse norms under cosine, else 1,
    size_t count;              // and how many.
    uint64_t seed;             // Of the rotation.
    size_t bits = 0;           // 1 or 2; 0: by the dimensions.
  };
  // The centre is the mean of the sample. ERR_MEMORY.
  static Result<std::unique_ptr<BinaryCodec>> train(const Training& training,
                                                    const simd::Kernels& kernels);
  // One that was trained before, from its seed, bits, dominant dimensions and centre. ERR_CORRUPT
  // if they cannot be those of a codec.
  struct Trained {
    uint64_t seed;
    size_t bits;
    const uint32_t* dominants;
    size_t dominant_count;
    const float* centre;  // A float a dimension.
  };
  static Result<std::unique_ptr<BinaryCodec>> restore(Distance distance, size_t dimensions,
                                                      const simd::Kernels& kernels,
                                                      const Trained& trained);
  ~BinaryCodec() override;

  const char* name() const override { return "binary"; }
  size_t code_bytes() const override {
    return bits_bytes_ + 2 * sizeof(float) + (dominants_ + 1) / 2 * 2 * sizeof(float);
  }
  // Always 0: a code holds its factors.
  float encode(const float* x, float scale, uint8_t* code) const override;
  void prepare(const float* query, float scale, PreparedQuery* out) const override;
  void prepare_row(const uint8_t* code, float factor, PreparedQuery* out) const override;
  void score(const PreparedQuery& query, const uint8_t* const* rows, const float* factors,
             size_t count, float* distances) const override;
  // The vector nearest to what a code tells, `dimensions` floats: normalised under cosine. What the
  // rounding lost is across it, so that it is shorter than the row was.
  void decode(const uint8_t* code, float* out) const;
  // None that holds for all rows.
  float error_bound(float) const override { return INFINITY; }
  // |score - exact distance| is below this with the probability that kDeviations tells.
  float error_bound(const PreparedQuery& query, const uint8_t* code) const;

  size_t bits() const { return bits_; }
  size_t dominants() const { return dominants_; }
  // What codes of neighbours share (edge_codec.h): the j-th dominant dimension, the centre (0
  // there), and the rotation of what is left.
  uint32_t dominant(size_t j) const { return dominant_[j]; }
  const float* centre() const { return centre_; }
  const Rotation& rotation() const { return *rotation_; }
  uint64_t seed() const { return seed_; }
  Distance distance() const { return distance_; }
  size_t dimensions() const { return dimensions_; }
  size_t bytes() const;

 private:
  BinaryCodec(const Training& training, const simd::Kernels& kernels);
  Status allocate();
  Status fit_centre(const Training& training);
  // Finds what dominates, given each dimension's variance, which is used up.
  void choose_dominants(double* variances);
  float dominant_distance(const PreparedQuery& query, const uint8_t* code) const;
  // Writes x times `step`, padded_ floats.
  void unpack(const uint8_t* code, float step, float* out) const;
  // Rounds the rotated difference in out->floats, whose squared length is `squares`.
  void finish_query(double squares, PreparedQuery* out) const;

  Distance distance_;
  size_t dimensions_;
  uint64_t seed_;
  size_t bits_;
  size_t padded_;
  size_t bits_bytes_;
  const simd::Kernels& kernels_;
  std::unique_ptr<Rotation> rotation_;
  float* centre_ = nullptr;  // 0 in dominant dimensions.
  float centre_squared_ = 0;
  size_t dominants_ = 0;
  uint32_t dominant_[PreparedQuery::kDominantMax] = {};  // Dimensions.
};

}  // namespace omen
