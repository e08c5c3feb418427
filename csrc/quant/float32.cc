// Float32: exact distances straight from the rows. L2 subtracts directly, since |x|^2 - 2 q.x +
// |q|^2 cancels for near neighbours.
#include "quant/float32.h"

#include <algorithm>
#include <cstring>

namespace omen {

float Float32Codec::encode(const float* x, float scale, uint8_t* code) const {
  std::memcpy(code, x, code_bytes());
  return distance_ == Distance::kCosine ? scale : 0.0f;
}

void Float32Codec::prepare(const float* query, float scale, PreparedQuery* out) const {
  if (distance_ != Distance::kCosine) scale = 1.0f;
  for (size_t i = 0; i < dimensions_; ++i) out->floats[i] = query[i] * scale;
}

void Float32Codec::prepare_row(const uint8_t* code, float factor, PreparedQuery* out) const {
  prepare(reinterpret_cast<const float*>(code), factor, out);
}

void Float32Codec::score(const PreparedQuery& query, const uint8_t* const* rows,
                         const float* factors, size_t count, float* distances) const {
  const auto* floats = reinterpret_cast<const float* const*>(rows);
  switch (distance_) {
    case Distance::kL2:
      kernels_.l2_f32_rows(query.floats, floats, count, dimensions_, distances);
      for (size_t i = 0; i < count; ++i) distances[i] = bounded(distances[i]);
      break;
    case Distance::kDot:
      kernels_.dot_f32_rows(query.floats, floats, count, dimensions_, distances);
      for (size_t i = 0; i < count; ++i) distances[i] = bounded(-distances[i]);
      break;
    case Distance::kCosine:
      kernels_.dot_f32_rows(query.floats, floats, count, dimensions_, distances);
      // Rounding may leave [0, 2] by an ulp; the public contract does not.
      for (size_t i = 0; i < count; ++i) {
        distances[i] = std::clamp(1.0f - distances[i] * factors[i], 0.0f, 2.0f);
      }
      break;
  }
}

}  // namespace omen
