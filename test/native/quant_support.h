// What the tests of codecs share: rows with their scales, exact distances, and one row scored.
#pragma once

#include <cmath>
#include <vector>

#include "db_support.h"
#include "quant/codec.h"

namespace omen::test {

struct Rows8 {
  std::vector<float> values;
  std::vector<const float*> rows;
  std::vector<float> scales;
  uint32_t dimensions = 0;

  Rows8(std::vector<float> v, uint32_t d, Distance distance) : values(std::move(v)), dimensions(d) {
    for (size_t i = 0; i < values.size(); i += d) {
      rows.push_back(&values[i]);
      double squares = 0;
      for (uint32_t j = 0; j < d; ++j)
        squares += static_cast<double>(values[i + j]) * values[i + j];
      scales.push_back(distance == Distance::kCosine ? static_cast<float>(1 / std::sqrt(squares))
                                                     : 1);
    }
  }
};

inline double exact(Distance distance, const float* a, float sa, const float* b, float sb,
                    uint32_t d) {
  double squares = 0;
  double dot = 0;
  for (uint32_t i = 0; i < d; ++i) {
    squares += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    dot += static_cast<double>(a[i]) * b[i];
  }
  if (distance == Distance::kL2) return squares;
  return distance == Distance::kDot ? -dot : 1 - dot * sa * sb;
}

inline const simd::Kernels& kernels() { return *simd::choose_kernels().value(); }

struct Encoded {
  std::vector<uint8_t> code;
  float factor;
};
inline Encoded encode(const Codec& codec, const float* x, float scale) {
  Encoded e{std::vector<uint8_t>(codec.code_bytes()), 0};
  e.factor = codec.encode(x, scale, e.code.data());
  return e;
}
inline float score(const Codec& codec, const PreparedQuery& query, const Encoded& row) {
  const uint8_t* rows[1] = {row.code.data()};
  float d;
  codec.score(query, rows, &row.factor, 1, &d);
  return d;
}

inline constexpr Distance kAll[] = {Distance::kL2, Distance::kCosine, Distance::kDot};

}  // namespace omen::test
