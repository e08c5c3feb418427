// Sq8: training, encoding and scoring. See sq8.h for the algebra.
#include "quant/sq8.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

namespace omen {

namespace {

constexpr std::align_val_t kAlign{64};
constexpr double kDotLimit = 2147483647.0 / 255.0;

// A float holds a factor up to here, and its inverse. Beyond it a factor is applied in two steps of
// powers of two, which are exact, up to the inverse of the smallest float.
constexpr double kFactorMax = 0x1p120;
constexpr double kLift = 0x1p28;

// The largest power of two f such that weights t * f keep within a weight's range and the int32
// sum. Powers of two keep integer weights integer.
double weight_factor(double magnitude_max, double magnitude_sum, size_t dimensions) {
  if (!(magnitude_max > 0)) return 1;
  // Rounding may add half to each weight.
  const double by_sum = (kDotLimit - 0.5 * static_cast<double>(dimensions)) / magnitude_sum;
  const double by_max = (simd::kWeightMax - 0.5) / magnitude_max;
  const double factor = std::exp2(std::floor(std::log2(std::min(by_sum, by_max))));
  return std::min(factor, kFactorMax * kLift);
}

// Of such size as codes can be lossless for. A loop without exit, which compilers vectorise.
bool are_integers(const float* x, size_t n) {
  uint32_t others = 0;
  for (size_t i = 0; i < n; ++i) {
    const float bounded = std::clamp(x[i], -16777216.0f, 16777216.0f);
    others |= static_cast<float>(static_cast<int32_t>(bounded)) != x[i] ? 1u : 0u;
  }
  return others == 0;
}

}  // namespace

Sq8Codec::~Sq8Codec() { ::operator delete(low_, kAlign); }

Status Sq8Codec::allocate() {
  const size_t padded = (dimensions_ + 15) / 16 * 16;
  bytes_ = padded * 5 * sizeof(float);
  low_ = static_cast<float*>(::operator new(bytes_, kAlign, std::nothrow));
  if (low_ == nullptr) {
    bytes_ = 0;
    return Status::error(ErrorCode::kMemory,
                         "cannot allocate the sq8 tables; free memory and retry");
  }
  std::fill(low_, low_ + padded * 5, 0.0f);
  step_ = low_ + padded;
  inverse_step_ = step_ + padded;
  squared_step_ = inverse_step_ + padded;
  relative_step_ = squared_step_ + padded;
  return Status::ok();
}

Result<std::unique_ptr<Sq8Codec>> Sq8Codec::train(Distance distance, size_t dimensions,
                                                  const simd::Kernels& kernels,
                                                  const float* const* sample, const float* scales,
                                                  size_t count) {
  OMEN_ASSERT(count > 0);
  std::unique_ptr<Sq8Codec> codec(new (std::nothrow) Sq8Codec(distance, dimensions, kernels));
  if (!codec) return Status::error(ErrorCode::kMemory, "cannot allocate a codec");
  OMEN_TRY(codec->allocate());
  float* lowest = codec->low_;  // Reused as scratch until fit() overwrites them.
  float* highest = codec->step_;
  std::fill(lowest, lowest + dimensions, INFINITY);
  std::fill(highest, highest + dimensions, -INFINITY);
  bool integers = distance != Distance::kCosine;
  for (size_t row = 0; row < count; ++row) {
    const float* x = sample[row];
    const float scale = scales[row];
    for (size_t i = 0; i < dimensions; ++i) {
      lowest[i] = std::min(lowest[i], x[i] * scale);
      highest[i] = std::max(highest[i], x[i] * scale);
    }
    integers = integers && are_integers(x, dimensions);
  }
  codec->fit(lowest, highest, integers);
  return codec;
}

void Sq8Codec::fit(const float* lowest, const float* highest, bool all_integers) {
  const float bottom = *std::min_element(lowest, lowest + dimensions_);
  const float top = *std::max_element(highest, highest + dimensions_);
  integer_ = all_integers && top - bottom <= 255.0f && std::fabs(bottom) < 8388608.0f;
  // One common range for integers: u8 data keep [0, 255] and i8 data [-128, 127] whatever the
  // sample missed.
  float common = bottom;
  if (integer_ && bottom >= 0 && top <= 255)
    common = 0;
  else if (integer_ && bottom >= -128 && top <= 127)
    common = -128;
  for (size_t i = 0; i < dimensions_; ++i) {
    const float low = integer_ ? common : lowest[i];
    const float step = integer_ ? 1.0f : (highest[i] - lowest[i]) / 255.0f;
    low_[i] = low;
    step_[i] = std::isfinite(1.0f / step) ? step : 0.0f;
  }
  derive();
}

Result<std::unique_ptr<Sq8Codec>> Sq8Codec::restore(Distance distance, size_t dimensions,
                                                    const simd::Kernels& kernels,
                                                    const Trained& trained) {
  std::unique_ptr<Sq8Codec> codec(new (std::nothrow) Sq8Codec(distance, dimensions, kernels));
  if (!codec) return Status::error(ErrorCode::kMemory, "cannot allocate a codec");
  OMEN_TRY(codec->allocate());
  for (size_t i = 0; i < dimensions; ++i) {
    const float low = trained.low[i];
    const float step = trained.step[i];
    const bool is_possible = std::isfinite(low) && std::isfinite(step) && step >= 0 &&
                             (step == 0 || std::isfinite(1.0f / step));
    const bool is_whole = !trained.is_integer || (step == 1.0f && low == std::floor(low));
    if (!is_possible || !is_whole) {
      return Status::error(ErrorCode::kCorrupt, "codes with steps that no training gives");
    }
    codec->low_[i] = low;
    codec->step_[i] = step;
  }
  codec->integer_ = trained.is_integer;
  codec->derive();
  return codec;
}

void Sq8Codec::derive() {
  double step_max = 0;
  double squared_sum = 0;
  double t_max = 0;
  double t_sum = 0;
  for (size_t i = 0; i < dimensions_; ++i) {
    inverse_step_[i] = step_[i] > 0 ? 1.0f / step_[i] : 0.0f;
    squared_step_[i] = step_[i] * step_[i];
    step_max = std::max<double>(step_max, step_[i]);
    squared_sum += squared_step_[i];
    t_max = std::max<double>(t_max, 255.0 * squared_step_[i]);
    t_sum += 255.0 * squared_step_[i];
    low_squared_ += low_[i] * low_[i];
    half_step_squared_ += 0.25f * squared_step_[i];
  }
  step_max_ = static_cast<float>(step_max);
  for (size_t i = 0; i < dimensions_; ++i) {
    relative_step_[i] = step_[i] > 0 ? step_[i] / step_max_ : 0.0f;
  }
  const double row_factor = weight_factor(t_max, t_sum, dimensions_);
  row_factor_ = static_cast<float>(std::min(row_factor, kFactorMax));
  // Weights are multiples of 1 / factor, which the largest step dictates. Their rounding adds about
  // 85 sqrt(dimensions) / factor to a distance, the codes' own rounding about sqrt(squared_sum /
  // 12) times the distance's root: compare at a distance of one step per dimension.
  const double mean_square = squared_sum / static_cast<double>(dimensions_);
  in_float_ = step_max * step_max > 256.0 * mean_square ||
              !std::isfinite(static_cast<float>(t_sum * 255.0)) ||
              (t_sum > 0 && (row_factor_ == 0.0f || row_factor > kFactorMax));
  if (!in_float_ && t_max > 0) {
    // A dimension whose steps vanish beside the largest is lost in the weights' rounding.
    size_t coarse = 0;
    for (size_t i = 0; i < dimensions_; ++i)
      coarse += squared_step_[i] * 1024.0 < step_max * step_max;
    in_float_ = coarse * 4 > dimensions_;
  }
}

float Sq8Codec::encode(const float* x, float scale, uint8_t* code) const {
  if (distance_ != Distance::kCosine) scale = 1.0f;
  const simd::Kernels::Quantizer quantizer{low_, step_, inverse_step_};
  const float squares = kernels_.quantize_u8(quantizer, x, scale, dimensions_, code);
  if (distance_ != Distance::kDot) return squares;
  double sum = 0;  // sum low * (step c), for dot between codes.
  for (size_t i = 0; i < dimensions_; ++i) sum += static_cast<double>(low_[i] * step_[i]) * code[i];
  return static_cast<float>(sum);
}

// By sixteen, a count that compilers turn into vectors; the tables are that long.
void Sq8Codec::decode(const uint8_t* code, float* out) const {
  size_t i = 0;
  for (; i + 16 <= dimensions_; i += 16) {
    for (size_t j = i; j < i + 16; ++j) out[j] = low_[j] + step_[j] * static_cast<float>(code[j]);
  }
  for (; i < dimensions_; ++i) out[i] = low_[i] + step_[i] * static_cast<float>(code[i]);
}

bool Sq8Codec::clamps(const float* x, float scale) const {
  if (distance_ != Distance::kCosine) scale = 1.0f;
  const auto beyond = [&](size_t i) {
    const float off = x[i] * scale - low_[i];
    const float most = std::max(-off, off - 255.0f * step_[i]);
    return most > 0 ? most : 0.0f;
  };
  float sums[8] = {};
  size_t i = 0;
  for (; i + 8 <= dimensions_; i += 8) {
    for (size_t j = 0; j < 8; ++j) sums[j] += beyond(i + j) * beyond(i + j);
  }
  for (; i < dimensions_; ++i) sums[0] += beyond(i) * beyond(i);
  double sum = 0;
  for (const float s : sums) sum += s;
  return sum > 4.0 * half_step_squared_;
}

void Sq8Codec::prepare(const float* query, float scale, PreparedQuery* out) const {
  if (distance_ != Distance::kCosine) scale = 1.0f;
  double bias = 0;
  double magnitude_max = 0;
  double magnitude_sum = 0;
  const bool dot = distance_ == Distance::kDot;
  for (size_t i = 0; i < dimensions_; ++i) {
    const float x = query[i] * scale;
    const float t = dot ? x : x - low_[i];
    bias += dot ? -static_cast<double>(x) * low_[i] : static_cast<double>(t) * t;
    const float weight = t * step_[i];
    magnitude_max = std::max<double>(magnitude_max, std::fabs(weight));
    magnitude_sum += std::fabs(weight);
    out->floats[i] = in_float_ ? x : weight;
  }
  const float half = distance_ == Distance::kCosine ? 0.5f : 1.0f;
  out->bias = static_cast<float>(bias) * half;
  out->factor_multiplier = dot ? 0.0f : half;
  if (in_float_) return;
  double factor = weight_factor(magnitude_max, magnitude_sum, dimensions_);
  out->dot_multiplier = static_cast<float>((dot ? 1.0 : 2.0) * half / factor);
  if (factor > kFactorMax) {
    for (size_t i = 0; i < dimensions_; ++i) out->floats[i] *= static_cast<float>(kLift);
    factor /= kLift;
  }
  kernels_.make_weights(out->floats, static_cast<float>(factor), dimensions_, out->w, out->hi,
                        out->lo);
}

void Sq8Codec::prepare_row(const uint8_t* code, float factor, PreparedQuery* out) const {
  const bool dot = distance_ == Distance::kDot;
  if (in_float_) {
    for (size_t i = 0; i < dimensions_; ++i) {
      out->floats[i] = low_[i] + step_[i] * static_cast<float>(code[i]);
    }
    return;
  }
  const float half = distance_ == Distance::kCosine ? 0.5f : 1.0f;
  kernels_.code_weights(code, squared_step_, row_factor_, dimensions_, out->w, out->hi, out->lo);
  int32_t product;
  if (!has_factors()) {
    kernels_.dot_square_u8_rows(out->weights(), &code, 1, dimensions_, &product, &factor);
  }
  out->bias = dot ? -(low_squared_ + factor) : factor * half;
  out->factor_multiplier = dot ? -1.0f : half;
  out->dot_multiplier = (dot ? 1.0f : 2.0f) * half / row_factor_;
}

void Sq8Codec::score(const PreparedQuery& query, const uint8_t* const* rows, const float* factors,
                     size_t count, float* distances) const {
  for (size_t first = 0; first < count; first += kBlock) {
    const size_t n = std::min(kBlock, count - first);
    score_below(query, rows + first, factors + first, n, 0, distances + first);
  }
}

uint32_t Sq8Codec::score_below(const PreparedQuery& query, const uint8_t* const* rows,
                               const float* factors, size_t count, float threshold,
                               float* distances) const {
  OMEN_ASSERT(count <= kBlock);
  if (in_float_) {
    score_in_float(query, rows, count, distances);
    return kernels_.mask_below(distances, count, threshold);
  }
  int32_t dots[kBlock];
  float squares[kBlock];
  const simd::Kernels::Affine affine{query.bias, query.factor_multiplier, query.dot_multiplier};
  if (has_factors()) {
    kernels_.dot_u8_rows(query.weights(), rows, count, dimensions_, dots);
    return kernels_.affine_dots(affine, dots, factors, count, threshold, distances);
  }
  kernels_.dot_square_u8_rows(query.weights(), rows, count, dimensions_, dots, squares);
  return kernels_.affine_dots(affine, dots, squares, count, threshold, distances);
}

void Sq8Codec::score_in_float(const PreparedQuery& query, const uint8_t* const* rows, size_t count,
                              float* distances) const {
  for (size_t row = 0; row < count; ++row) {
    float squares = 0;
    float product = 0;
    for (size_t i = 0; i < dimensions_; ++i) {
      const float x = low_[i] + step_[i] * static_cast<float>(rows[row][i]);
      const float difference = query.floats[i] - x;
      squares += difference * difference;
      product += query.floats[i] * x;
    }
    distances[row] = bounded(distance_ == Distance::kDot  ? -product
                             : distance_ == Distance::kL2 ? squares
                                                          : 0.5f * squares);
  }
}

void Sq8Codec::even_out(const uint8_t* code, int8_t* out) const {
  if (!has_even_steps()) return kernels_.rescale_u8(code, relative_step_, dimensions_, out);
  // Eight at a time: compilers leave a loop over bytes, which may alias anything, as it is.
  const size_t n = dimensions_;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t eight;
    std::memcpy(&eight, code + i, 8);
    eight ^= 0x8080808080808080u;
    std::memcpy(out + i, &eight, 8);
  }
  for (; i < n; ++i) out[i] = static_cast<int8_t>(code[i] - 128);
}

float Sq8Codec::error_bound(float exact) const {
  // | |q - x - e|^2 - |q - x|^2 | <= 2 |q - x| |e| + |e|^2, with |e|^2 <= sum (step / 2)^2; the
  // weights' rounding and float arithmetic are covered by the slack.
  const float e = std::sqrt(half_step_squared_);
  if (distance_ == Distance::kDot) return INFINITY;  // Needs the query's norm: no bound from here.
  const float half = distance_ == Distance::kCosine ? 0.5f : 1.0f;
  const float root = std::sqrt(std::max(0.0f, exact / half));
  const float slack = 255.0f * std::sqrt(static_cast<float>(dimensions_)) / row_factor_;
  return half * (2.0f * root * e + e * e + (in_float_ ? 0.0f : slack)) + 1e-4f * exact;
}

}  // namespace omen
