// Float32: the codec `none`. Its codes are the originals, its factor the inverse norm under cosine.
//
// Threads: immutable.
#pragma once

#include "quant/codec.h"

namespace omen {

class Float32Codec final : public Codec {
 public:
  Float32Codec(Distance distance, size_t dimensions, const simd::Kernels& kernels)
      : distance_(distance), dimensions_(dimensions), kernels_(kernels) {}

  const char* name() const override { return "none"; }
  size_t code_bytes() const override { return dimensions_ * sizeof(float); }
  float encode(const float* x, float scale, uint8_t* code) const override;
  void prepare(const float* query, float scale, PreparedQuery* out) const override;
  void prepare_row(const uint8_t* code, float factor, PreparedQuery* out) const override;
  void score(const PreparedQuery& query, const uint8_t* const* rows, const float* factors,
             size_t count, float* distances) const override;
  float error_bound(float) const override { return 0; }

 private:
  Distance distance_;
  size_t dimensions_;
  const simd::Kernels& kernels_;
};

}  // namespace omen
