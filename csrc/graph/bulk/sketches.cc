// Sketches: random directions and projections.
#include "graph/bulk/sketches.h"

namespace omen {

Status Sketches::reserve(const BulkPoints& points, const float* centre, float typical,
                         uint64_t seed) {
  OMEN_TRY(directions_.resize(kDirections * points.dimensions));
  OMEN_TRY(values_.make_zeros(size_t{points.count} * kStride));
  Random random(seed);
  // Sums of uniform numbers are normal enough.
  for (float& x : directions_) {
    x = static_cast<float>(random.unit() + random.unit() + random.unit() - 1.5);
  }
  factor_ = typical > 0 ? 16384.0f / typical : 1.0f;
  if (!std::isfinite(factor_)) factor_ = 1.0f;
  for (size_t i = 0; i < kDirections; ++i) {
    const float* direction = directions_.data() + i * points.dimensions;
    origin_[i] = points.kernels.dot_f32(centre, direction, points.dimensions);
  }
  return Status::ok();
}

void Sketches::compute(const BulkPoints& points, uint32_t point) {
  const size_t n = points.dimensions;
  float room[kRowFloatsMax];
  const FloatRow row = points.row(point, room);
  const float* directions[kDirections];
  for (size_t i = 0; i < kDirections; ++i) directions[i] = directions_.data() + i * n;
  float at[kDirections];
  points.kernels.dot_f32_rows(row.values, directions, kDirections, n, at);
  int16_t* out = values_.data() + size_t{point} * kStride;
  for (size_t i = 0; i < kDirections; ++i) {
    const float x = (at[i] * row.scale - origin_[i]) * factor_;
    out[i] = static_cast<int16_t>(std::clamp(x, -32767.0f, 32767.0f));
  }
}

}  // namespace omen
