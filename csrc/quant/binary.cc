// Binary: training, encoding and scoring. See binary.h for the algebra.
#include "quant/binary.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <type_traits>

namespace omen {

namespace {

constexpr std::align_val_t kAlign{64};
constexpr size_t kPaddedMax = 16384;
constexpr float kQueryMax = 127;
// A dimension dominates that holds so much of the variance of all that do not. Each costs four
// bytes a row, as 16 dimensions of two bits do.
constexpr double kDominantShare = 0.2;

// Constants of the rounding, for a dimension that is Gaussian with variance 1.
struct Levels {
  double step;     // Between values of u: the one of least error (Max 1960, uniform).
  double squared;  // The mean of x^2,
  double across;   // and the part of it that is no multiple of the dimension itself.
};
constexpr Levels kLevels[2] = {{1.0, 0.25, 0.25 * (1 - 0.63662)}, {0.9957, 0.88874, 0.10558}};

// The value in the middle of u, doubled: x = u - middle / 2.
constexpr int middle(size_t bits) { return (1 << bits) - 1; }

float finite(double x) {
  return static_cast<float>(std::clamp(x, -static_cast<double>(FLT_MAX), double{FLT_MAX}));
}

double sum_of_squares(const float* x, size_t n) {
  double sum[4] = {};
  for (size_t i = 0; i < n; i += 4) {  // n is a multiple of 64.
    for (size_t j = 0; j < 4; ++j) sum[j] += static_cast<double>(x[i + j]) * x[i + j];
  }
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

double dot_of(const float* a, const float* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// Bits [kBits j, kBits j + kBits) of byte b of a block hold dimension (8 kBits) j + b. Returns
// <x, r>.
template <size_t kBits>
double pack(const float* r, float inverse_step, size_t n, uint8_t* code) {
  constexpr size_t kBlockBytes = 8 * kBits;
  constexpr float kMiddle = 0.5f * static_cast<float>(middle(kBits));
  double sum = 0;
  for (size_t block = 0; block < n / 64; ++block, code += kBlockBytes) {
    for (size_t b = 0; b < kBlockBytes; ++b) {
      unsigned byte = 0;
      for (size_t j = 0; j < 64 / kBlockBytes; ++j) {
        const float y = r[block * 64 + kBlockBytes * j + b];
        const float steps = y * inverse_step;
        unsigned u = steps >= 0 ? 1 : 0;
        if constexpr (kBits == 2) u = (steps >= -1 ? 1 : 0) + u + (steps >= 1 ? 1 : 0);
        byte |= u << (kBits * j);
        sum += static_cast<double>((static_cast<float>(u) - kMiddle) * y);
      }
      code[b] = static_cast<uint8_t>(byte);
    }
  }
  return sum;
}

struct Factors {
  float a;
  float b;
};

Factors factors_of(const uint8_t* code, size_t bits_bytes) {
  Factors f;
  std::memcpy(&f, code + bits_bytes, sizeof(f));
  return f;
}

// Codes are aligned to 8 bytes, and their floats so to 4.
template <class Byte>
auto dominants_of(Byte* code, size_t bits_bytes) {
  using Float = std::conditional_t<std::is_const_v<Byte>, const float, float>;
  return reinterpret_cast<Float*>(code + bits_bytes + sizeof(Factors));
}

}  // namespace

BinaryCodec::BinaryCodec(const Training& training, const simd::Kernels& kernels)
    : distance_(training.distance),
      dimensions_(training.dimensions),
      seed_(training.seed),
      bits_(training.bits != 0                         ? training.bits
            : training.dimensions >= kOneBitDimensions ? 1
                                                       : 2),
      padded_(Rotation::padded(training.dimensions)),
      bits_bytes_(padded_ * bits_ / 8),
      kernels_(kernels) {
  OMEN_ASSERT(padded_ <= kPaddedMax && (bits_ == 1 || bits_ == 2));
}

BinaryCodec::~BinaryCodec() { ::operator delete(centre_, kAlign); }

size_t BinaryCodec::bytes() const { return rotation_->bytes() + padded_ * sizeof(float); }

Result<std::unique_ptr<BinaryCodec>> BinaryCodec::train(const Training& training,
                                                        const simd::Kernels& kernels) {
  OMEN_ASSERT(training.count > 0);
  std::unique_ptr<BinaryCodec> codec(new (std::nothrow) BinaryCodec(training, kernels));
  if (!codec) return Status::error(ErrorCode::kMemory, "cannot allocate a codec");
  OMEN_TRY(codec->allocate());
  OMEN_TRY(codec->fit_centre(training));
  return codec;
}

Status BinaryCodec::allocate() {
  OMEN_ASSIGN(rotation_, Rotation::make(dimensions_, seed_, kernels_));
  centre_ = static_cast<float*>(::operator new(padded_ * sizeof(float), kAlign, std::nothrow));
  if (centre_ != nullptr) return Status::ok();
  return Status::error(ErrorCode::kMemory,
                       "cannot allocate the centre of binary codes; free memory and retry");
}

Result<std::unique_ptr<BinaryCodec>> BinaryCodec::restore(Distance distance, size_t dimensions,
                                                          const simd::Kernels& kernels,
                                                          const Trained& trained) {
  const auto impossible = [] {
    return Status::error(ErrorCode::kCorrupt, "binary codes with values that no training gives");
  };
  if (trained.bits < 1 || trained.bits > 2) return impossible();
  if (trained.dominant_count > PreparedQuery::kDominantMax) return impossible();
  Training training{};
  training.distance = distance;
  training.dimensions = dimensions;
  training.seed = trained.seed;
  training.bits = trained.bits;
  std::unique_ptr<BinaryCodec> codec(new (std::nothrow) BinaryCodec(training, kernels));
  if (!codec) return Status::error(ErrorCode::kMemory, "cannot allocate a codec");
  OMEN_TRY(codec->allocate());
  std::fill_n(codec->centre_, codec->padded_, 0.0f);
  for (size_t i = 0; i < dimensions; ++i) {
    if (!std::isfinite(trained.centre[i])) return impossible();
    codec->centre_[i] = trained.centre[i];
  }
  for (size_t j = 0; j < trained.dominant_count; ++j) {
    const uint32_t dimension = trained.dominants[j];
    if (dimension >= dimensions || codec->centre_[dimension] != 0) return impossible();
    codec->dominant_[codec->dominants_++] = dimension;
  }
  codec->centre_squared_ = finite(dot_of(codec->centre_, codec->centre_, dimensions));
  return codec;
}

// Mean and variance as they run (Welford 1962): sums of long vectors would overflow. Row by row, so
// that each is read once.
Status BinaryCodec::fit_centre(const Training& training) {
  std::fill_n(centre_, padded_, 0.0f);
  const std::unique_ptr<double[]> variances(new (std::nothrow) double[dimensions_]());
  if (!variances) {
    return Status::error(ErrorCode::kMemory,
                         "cannot allocate room to train binary codes; free memory and retry");
  }
  for (size_t row = 0; row < training.count; ++row) {
    const float scale = distance_ == Distance::kCosine ? training.scales[row] : 1.0f;
    const float weight = 1.0f / static_cast<float>(row + 1);
    for (size_t i = 0; i < dimensions_; ++i) {
      const float x = training.rows[row][i] * scale;
      const float off = x - centre_[i];
      centre_[i] += off * weight;
      variances[i] += static_cast<double>(off) * (x - centre_[i]);
    }
  }
  choose_dominants(variances.get());
  for (size_t j = 0; j < dominants_; ++j) centre_[dominant_[j]] = 0;
  centre_squared_ = finite(dot_of(centre_, centre_, dimensions_));
  return Status::ok();
}

void BinaryCodec::choose_dominants(double* variances) {
  double rest = 0;
  for (size_t i = 0; i < dimensions_; ++i) rest += variances[i];
  while (dominants_ < PreparedQuery::kDominantMax) {
    double* largest = std::max_element(variances, variances + dimensions_);
    if (!(*largest > 0) || *largest < kDominantShare * rest) return;
    dominant_[dominants_++] = static_cast<uint32_t>(largest - variances);
    *largest = 0;
    rest = 0;  // Anew: taking off the largest would leave its rounding.
    for (size_t i = 0; i < dimensions_; ++i) rest += variances[i];
  }
}

float BinaryCodec::encode(const float* x, float scale, uint8_t* code) const {
  if (distance_ != Distance::kCosine) scale = 1.0f;
  alignas(64) float r[kPaddedMax];
  for (size_t i = 0; i < dimensions_; ++i) r[i] = x[i] * scale - centre_[i];
  std::fill(r + dimensions_, r + padded_, 0.0f);
  float* exact = dominants_of(code, bits_bytes_);
  std::memset(code + bits_bytes_, 0, code_bytes() - bits_bytes_);
  for (size_t j = 0; j < dominants_; ++j) {
    exact[j] = r[dominant_[j]];
    r[dominant_[j]] = 0;
  }
  const double along = distance_ == Distance::kDot ? dot_of(r, centre_, dimensions_) : 0;
  rotation_->apply(r);
  const double squares = sum_of_squares(r, padded_);
  const double step = kLevels[bits_ - 1].step * std::sqrt(squares / static_cast<double>(padded_));
  const float inverse_step = step > 0 ? finite(1 / step) : 0.0f;
  const double product = bits_ == 1 ? pack<1>(r, inverse_step, padded_, code)
                                    : pack<2>(r, inverse_step, padded_, code);
  const Factors factors = {finite(distance_ == Distance::kDot ? along : squares),
                           product > 0 ? finite(squares / product) : 0.0f};
  std::memcpy(code + bits_bytes_, &factors, sizeof(factors));
  return 0;
}

void BinaryCodec::finish_query(double squares, PreparedQuery* out) const {
  float largest = 0;
  for (size_t i = 0; i < padded_; ++i) largest = std::max(largest, std::fabs(out->floats[i]));
  const double step = static_cast<double>(largest) / kQueryMax;
  const double inverse_step = step > 0 ? 1 / step : 0;
  // Half to even by the rounding of addition itself: at 1.5 * 2^52 the spacing of doubles is 1.
  constexpr double kSpacingOne = 6755399441055744.0;
  int32_t sum = 0;
  for (size_t i = 0; i < padded_; ++i) {
    const double rounded = (out->floats[i] * inverse_step + kSpacingOne) - kSpacingOne;
    const auto weight = static_cast<int32_t>(rounded);
    out->hi[i] = static_cast<int8_t>(weight);
    sum += weight;
  }
  const double half = distance_ == Distance::kCosine ? 0.5 : 1.0;
  const double slope = distance_ == Distance::kDot ? 1.0 : 2.0 * half;
  out->dot_offset = middle(bits_) * sum;
  out->dot_multiplier = static_cast<float>(0.5 * slope * step);
  const Levels& levels = kLevels[bits_ - 1];
  const auto n = static_cast<double>(padded_);
  // The rounding of codes, and that of the query's weights, which is uniform.
  const double variance =
      n / (n - 1) * levels.across * squares + n * levels.squared * step * step / 12;
  out->error_multiplier = finite(kDeviations * slope * std::sqrt(variance));
}

void BinaryCodec::prepare(const float* query, float scale, PreparedQuery* out) const {
  if (distance_ != Distance::kCosine) scale = 1.0f;
  float along = 1;
  out->bias = 0;
  if (distance_ == Distance::kDot) {
    // <r, y> = <r, y - t c> + t <r, c>, with the t that leaves the shortest y - t c to estimate by.
    const double product = dot_of(query, centre_, dimensions_);
    along = centre_squared_ > 0 ? finite(product / centre_squared_) : 0.0f;
    out->bias = finite(-product);
  }
  for (size_t i = 0; i < dimensions_; ++i) out->floats[i] = query[i] * scale - along * centre_[i];
  std::fill(out->floats + dimensions_, out->floats + padded_, 0.0f);
  for (size_t j = 0; j < dominants_; ++j) {
    out->dominant[j] = out->floats[dominant_[j]];
    out->floats[dominant_[j]] = 0;
  }
  rotation_->apply(out->floats);
  const double squares = sum_of_squares(out->floats, padded_);
  const double half = distance_ == Distance::kCosine ? 0.5 : 1.0;
  if (distance_ != Distance::kDot) out->bias = finite(half * squares);
  out->factor_multiplier = distance_ == Distance::kDot ? -along : static_cast<float>(half);
  finish_query(squares, out);
}

void BinaryCodec::unpack(const uint8_t* code, float step, float* out) const {
  const size_t block_bytes = 8 * bits_;
  for (size_t i = 0; i < padded_; ++i) {
    const size_t shift = i % 64 / block_bytes * bits_;
    const int u = code[i / 64 * block_bytes + i % block_bytes] >> shift & middle(bits_);
    out[i] = step * 0.5f * static_cast<float>(2 * u - middle(bits_));
  }
}

// B x is r and what lies across it; its projection, shorter by the square of the cosine between
// them, is nearest to r.
void BinaryCodec::decode(const uint8_t* code, float* out) const {
  alignas(64) float r[kPaddedMax];
  const Levels& levels = kLevels[bits_ - 1];
  const auto kept = static_cast<float>(1 - levels.across / levels.squared);
  unpack(code, factors_of(code, bits_bytes_).b * kept, r);
  rotation_->invert(r);
  const float* exact = dominants_of(code, bits_bytes_);
  for (size_t j = 0; j < dominants_; ++j) r[dominant_[j]] = exact[j];
  for (size_t i = 0; i < dimensions_; ++i) out[i] = bounded(centre_[i] + r[i]);
}

// The row is what its code says of it, B x: its rotated difference, with the lengths it had.
void BinaryCodec::prepare_row(const uint8_t* code, float, PreparedQuery* out) const {
  const Factors f = factors_of(code, bits_bytes_);
  unpack(code, f.b, out->floats);
  const bool dot = distance_ == Distance::kDot;
  const float half = distance_ == Distance::kCosine ? 0.5f : 1.0f;
  out->bias = dot ? -(centre_squared_ + f.a) : half * f.a;
  out->factor_multiplier = dot ? -1.0f : half;
  std::copy_n(dominants_of(code, bits_bytes_), dominants_, out->dominant);
  finish_query(sum_of_squares(out->floats, padded_), out);
}

void BinaryCodec::score(const PreparedQuery& query, const uint8_t* const* rows, const float*,
                        size_t count, float* distances) const {
  constexpr size_t kBlock = 32;
  int32_t dots[kBlock];
  const auto dot_rows = bits_ == 1 ? kernels_.dot_u1_rows : kernels_.dot_u2_rows;
  for (size_t first = 0; first < count; first += kBlock) {
    const size_t n = std::min(kBlock, count - first);
    dot_rows(query.hi, rows + first, n, padded_, dots);
    for (size_t i = 0; i < n; ++i) {
      const Factors f = factors_of(rows[first + i], bits_bytes_);
      const auto product = static_cast<float>(2 * dots[i] - query.dot_offset);
      distances[first + i] = bounded(query.bias + query.factor_multiplier * f.a -
                                     query.dot_multiplier * (f.b * product));
    }
  }
  for (size_t i = 0; i < count && dominants_ > 0; ++i) {
    distances[i] = bounded(distances[i] + dominant_distance(query, rows[i]));
  }
}

float BinaryCodec::dominant_distance(const PreparedQuery& query, const uint8_t* code) const {
  const float* x = dominants_of(code, bits_bytes_);
  float sum = 0;
  for (size_t j = 0; j < dominants_; ++j) {
    const float q = query.dominant[j];
    sum += distance_ == Distance::kDot ? -q * x[j] : (q - x[j]) * (q - x[j]);
  }
  return distance_ == Distance::kCosine ? 0.5f * sum : sum;
}

float BinaryCodec::error_bound(const PreparedQuery& query, const uint8_t* code) const {
  return query.error_multiplier * factors_of(code, bits_bytes_).b;
}

}  // namespace omen
