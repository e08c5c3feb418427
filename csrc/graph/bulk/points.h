// BulkPoints: the rows that a bulk build links, numbered from 0, and the frame they are compared
// in.
//
// Why: a bulk build compares millions of pairs, so coordinates are taken relative to a centre near
// them and rounded to int16 (simd/table.h, tiles): about 14 bits of the radius, whatever the codec
// of the collection is, and exact where the data are small integers.
// Threads: constant.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

#include "graph/scorer.h"
#include "simd/kernels.h"

namespace omen {

// In a list of nearest points whose places are not all taken.
inline constexpr uint32_t kNobody = UINT32_MAX >> 1;

struct BulkPoints {
  const Space& space;
  const simd::Kernels& kernels;
  const uint32_t* slots;
  uint32_t count;
  size_t dimensions;

  FloatRow row(uint32_t point, float* room) const { return space.row(slots[point], room); }
  void prefetch(uint32_t point) const { space.prefetch(slots[point]); }
};

// Where coordinates are zero, and how many steps a unit has.
struct Frame {
  const float* centre;  // dimensions, scaled.
  float factor;
};

// How far a row lies from a scaled centre with this squared norm. Never NaN.
inline float distance_to(const BulkPoints& points, const FloatRow& row, const float* centre,
                         float centre_norm) {
  const size_t n = points.dimensions;
  const float squared =
      row.scale == 1.0f
          ? points.kernels.l2_f32(row.values, centre, n)
          // A scale is an inverse norm: the row's own norm is 1.
          : 1.0f + centre_norm - 2.0f * row.scale * points.kernels.dot_f32(row.values, centre, n);
  return std::sqrt(std::clamp(squared, 0.0f, 3e38f));
}

// The finest steps, a power of two to keep integers integers, at which no point within `radius` of
// the centre has a squared norm above kTileNormMax, each coordinate rounded by up to half a step.
inline float tile_factor(float radius, size_t dimensions) {
  const double room = std::sqrt(static_cast<double>(simd::kTileNormMax)) * 0.999 -
                      0.5 * std::sqrt(static_cast<double>(dimensions));
  if (!(radius > 0)) return 1.0f;
  const double exponent = std::floor(std::log2(room / static_cast<double>(radius)));
  return static_cast<float>(std::exp2(std::clamp(exponent, -126.0, 126.0)));
}

// The finest steps of byte tiles at which the squared distance of two points within `radius` of the
// centre stays below 2^16, each coordinate of both rounded by up to half a step. Clamping brings
// points nearer to each other, never farther.
inline float byte_factor(float radius, size_t dimensions) {
  const double room = 255.0 - std::sqrt(static_cast<double>(dimensions));
  const double factor = 0.5 * room / std::max(static_cast<double>(radius), 1e-30);
  return static_cast<float>(std::min(factor, 1e30));
}

// Rounding two points to whole steps moves a squared distance of d steps by 0.8 d, give or take,
// and blurs what is near beside a sixth of the dimensions. Bytes serve where all but an eighth
// (kCoarseShare) of the nearest lie at least so many squared steps away.
inline uint32_t told_by_bytes(size_t dimensions) {
  return static_cast<uint32_t>(100 + dimensions / 6);
}
inline constexpr size_t kCoarseShare = 8;

}  // namespace omen
