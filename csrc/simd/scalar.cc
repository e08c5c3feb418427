// The scalar table: plain C++ for any processor, and the reference for the others.
//
// Why: the other tables are checked against this one, so it says what each kernel means in the
// fewest words. Sums run in four parts, which compilers turn into instruction-level parallelism.
// Threads: pure functions.
#include <cmath>
#include <cstring>

#include "simd/table.h"

namespace omen::simd::scalar {
namespace {

constexpr uint32_t kNoSlot = 0xFFFFFFFF;

// Keeps the compiler from fusing this product with the addition that follows, which is allowed by
// default on processors with fused multiply-add and would change codes.
float unfused(float x) {
#if defined(__GNUC__) && defined(__x86_64__)
  __asm__("" : "+x"(x));
#elif defined(__GNUC__) && defined(__aarch64__)
  __asm__("" : "+w"(x));
#endif
  return x;
}

template <class Sum, class Term>
Sum sum_of(size_t n, Term term) {
  Sum s[4] = {};
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    s[0] += term(i);
    s[1] += term(i + 1);
    s[2] += term(i + 2);
    s[3] += term(i + 3);
  }
  for (; i < n; ++i) s[0] += term(i);
  return (s[0] + s[1]) + (s[2] + s[3]);
}

float l2_f32(const float* a, const float* b, size_t n) {
  return sum_of<float>(n, [=](size_t i) { return (a[i] - b[i]) * (a[i] - b[i]); });
}

float dot_f32(const float* a, const float* b, size_t n) {
  return sum_of<float>(n, [=](size_t i) { return a[i] * b[i]; });
}

float cosine(double dot, double norm_a, double norm_b) {
  if (norm_a == 0 || norm_b == 0) return 1;
  return static_cast<float>(1.0 - dot / std::sqrt(norm_a * norm_b));
}

float cosine_f32(const float* a, const float* b, size_t n) {
  return cosine(dot_f32(a, b, n), dot_f32(a, a, n), dot_f32(b, b, n));
}

int32_t l2_i8(const int8_t* a, const int8_t* b, size_t n) {
  return sum_of<int32_t>(n, [=](size_t i) { return (a[i] - b[i]) * (a[i] - b[i]); });
}

int32_t dot_i8(const int8_t* a, const int8_t* b, size_t n) {
  return sum_of<int32_t>(n, [=](size_t i) { return a[i] * b[i]; });
}

float cosine_i8(const int8_t* a, const int8_t* b, size_t n) {
  return cosine(dot_i8(a, b, n), dot_i8(a, a, n), dot_i8(b, b, n));
}

int32_t dot_u8(const Weights& weights, const uint8_t* code, size_t n) {
  const int16_t* w = weights.w;
  return sum_of<int32_t>(n, [=](size_t i) { return code[i] * w[i]; });
}

template <auto kSingle, class Query, class Row, class Out>
void each_row(Query q, const Row* const* rows, size_t count, size_t n, Out* out) {
  for (size_t i = 0; i < count; ++i) out[i] = kSingle(q, rows[i], n);
}

void l2_f32_rows(const float* q, const float* const* rows, size_t count, size_t n, float* out) {
  each_row<l2_f32>(q, rows, count, n, out);
}

void dot_f32_rows(const float* q, const float* const* rows, size_t count, size_t n, float* out) {
  each_row<dot_f32>(q, rows, count, n, out);
}

void cosine_f32_rows(const float* q, const float* const* rows, size_t count, size_t n,
                     float* out) {
  each_row<cosine_f32>(q, rows, count, n, out);
}

void l2_i8_rows(const int8_t* q, const int8_t* const* rows, size_t count, size_t n, int32_t* out) {
  each_row<l2_i8>(q, rows, count, n, out);
}

void dot_i8_rows(const int8_t* q, const int8_t* const* rows, size_t count, size_t n,
                 int32_t* out) {
  each_row<dot_i8>(q, rows, count, n, out);
}

void cosine_i8_rows(const int8_t* q, const int8_t* const* rows, size_t count, size_t n,
                    float* out) {
  each_row<cosine_i8>(q, rows, count, n, out);
}

void dot_u8_rows(const Weights& weights, const uint8_t* const* rows, size_t count, size_t n,
                 int32_t* out) {
  for (size_t i = 0; i < count; ++i) out[i] = dot_u8(weights, rows[i], n);
}

void dot_square_u8_rows(const Weights& weights, const uint8_t* const* rows, size_t count, size_t n,
                        int32_t* dots, float* squares) {
  for (size_t r = 0; r < count; ++r) {
    dots[r] = dot_u8(weights, rows[r], n);
    int32_t sum = 0;
    for (size_t i = 0; i < n; ++i) sum += rows[r][i] * rows[r][i];
    squares[r] = static_cast<float>(sum);
  }
}

double norm_f32(const float* x, size_t n) {
  return sum_of<double>(n, [=](size_t i) { return static_cast<double>(x[i]) * x[i]; });
}

double copy_norm_f32(float* to, const float* from, size_t n) {
  if (n != 0) std::memmove(to, from, n * sizeof(float));
  return norm_f32(to, n);
}

// Half to even by the rounding of addition itself: at 1.5 * 2^23 the spacing of floats is 1.
// |x| must be below 2^22.
float round_even(float x) {
  constexpr float kSpacingOne = 12582912.0f;
  return unfused(x + kSpacingOne) - kSpacingOne;
}

// NaN gives `low`.
float clamp(float x, float low, float high) {
  x = x > low ? x : low;
  return x < high ? x : high;
}

float quantize_u8(const Kernels::Quantizer& quantizer, const float* x, float scale, size_t n,
                  uint8_t* code) {
  float sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const float steps = (unfused(x[i] * scale) - quantizer.low[i]) * quantizer.inverse_step[i];
    const float c = round_even(clamp(unfused(steps), 0, 255));
    code[i] = static_cast<uint8_t>(c);
    sum += quantizer.step[i] * c * (quantizer.step[i] * c);
  }
  return sum;
}

struct WeightPlanes {
  int16_t* w;
  int8_t* hi;
  int8_t* lo;
};

void put_weight(float value, size_t i, const WeightPlanes& to) {
  constexpr float kMax = static_cast<float>(kWeightMax);
  const int w = static_cast<int>(round_even(clamp(unfused(value), -kMax, kMax)));
  const int hi = (w + 64) >> 7;
  to.w[i] = static_cast<int16_t>(w);
  to.hi[i] = static_cast<int8_t>(hi);
  to.lo[i] = static_cast<int8_t>(w - 128 * hi);
}

void make_weights(const float* t, float factor, size_t n, int16_t* w, int8_t* hi, int8_t* lo) {
  for (size_t i = 0; i < n; ++i) put_weight(t[i] * factor, i, {w, hi, lo});
}

void code_weights(const uint8_t* code, const float* squared_step, float factor, size_t n,
                  int16_t* w, int8_t* hi, int8_t* lo) {
  for (size_t i = 0; i < n; ++i) {
    put_weight(squared_step[i] * static_cast<float>(code[i]) * factor, i, {w, hi, lo});
  }
}

void rescale_u8(const uint8_t* code, const float* scale, size_t n, int8_t* out) {
  for (size_t i = 0; i < n; ++i) {
    const float x = round_even(unfused(static_cast<float>(code[i]) * scale[i]));
    out[i] = static_cast<int8_t>(static_cast<int>(x) - 128);
  }
}

template <class Range, class Holds>
Kernels::CellBits test_cells(const uint64_t* cells, const Range& range, Holds holds) {
  Kernels::CellBits bits = {0, 0};
  for (size_t i = 0; i < 64; ++i) {
    bits.hits |= static_cast<uint64_t>(holds(cells[i])) << i;
    bits.tagged |= static_cast<uint64_t>((cells[i] >> 48) - range.tag <= 1) << i;
  }
  return bits;
}

Kernels::CellBits cells_of_numbers(const uint64_t* cells, const Kernels::NumberRange& range) {
  return test_cells(cells, range, [&](uint64_t cell) {
    double x;
    memcpy(&x, &cell, sizeof(x));
    return range.strict ? range.low < x && x < range.high : range.low <= x && x <= range.high;
  });
}

Kernels::CellBits cells_of_words(const uint64_t* cells, const Kernels::WordRange& range) {
  return test_cells(cells, range,
                    [&](uint64_t cell) { return range.low <= cell && cell <= range.high; });
}

template <size_t kWidth>
int32_t dot_bits(const int8_t* q, const uint8_t* code, size_t n) {
  constexpr size_t kBlockBytes = 8 * kWidth;
  constexpr int kMask = (1 << kWidth) - 1;
  int32_t sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint8_t byte = code[i / 64 * kBlockBytes + i % kBlockBytes];
    sum += q[i] * (byte >> (i % 64 / kBlockBytes * kWidth) & kMask);
  }
  return sum;
}

void dot_u1_rows(const int8_t* q, const uint8_t* const* rows, size_t count, size_t n,
                 int32_t* out) {
  for (size_t i = 0; i < count; ++i) out[i] = dot_bits<1>(q, rows[i], n);
}

void dot_u2_rows(const int8_t* q, const uint8_t* const* rows, size_t count, size_t n,
                 int32_t* out) {
  for (size_t i = 0; i < count; ++i) out[i] = dot_bits<2>(q, rows[i], n);
}

void scan_u1(const uint8_t* tables, const uint8_t* codes, size_t n, uint32_t* out) {
  for (size_t row = 0; row < 32; ++row) {
    uint32_t sum = 0;
    for (size_t group = 0; group < n / 4; ++group) {
      const int byte = codes[16 * group + row % 16];
      sum += tables[16 * group + static_cast<size_t>(byte >> (row < 16 ? 0 : 4) & 15)];
    }
    out[row] = sum;
  }
}

void hadamard_f32(float* x, size_t n) {
  for (size_t h = n / 2; h > 0; h /= 2) {
    for (size_t i = 0; i < n; ++i) {
      if ((i & h) != 0) continue;
      const float a = x[i];
      const float b = x[i + h];
      x[i] = a + b;
      x[i + h] = a - b;
    }
  }
}

uint32_t mask_below(const float* d, size_t n, float threshold) {
  uint32_t mask = 0;
  for (size_t i = 0; i < n; ++i) mask |= static_cast<uint32_t>(d[i] < threshold) << i;
  return mask;
}

size_t pool_insert(float* distances, uint32_t* ids, size_t size, size_t capacity, float d,
                   uint32_t id) {
  if (size == capacity && (size == 0 || distances[size - 1] <= d)) return capacity;
  size_t begin = 0;
  for (size_t length = size; length > 0;) {  // Branchless binary search: conditional moves.
    const size_t half = (length + 1) / 2;
    begin += distances[begin + half - 1] <= d ? half : 0;
    length -= half;
  }
  const size_t kept = (size < capacity ? size : capacity - 1) - begin;
  std::memmove(distances + begin + 1, distances + begin, kept * sizeof(float));
  std::memmove(ids + begin + 1, ids + begin, kept * sizeof(uint32_t));
  distances[begin] = d;
  ids[begin] = id;
  return begin;
}

// ---- tiles: points side by side, one after the other ----

constexpr size_t kTileWidth = 8;

int32_t tile_pack(const Kernels::TilePoint& point, size_t n, size_t lane, int16_t* panel) {
  const size_t padded = n + n % 2;
  int32_t sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const float moved = unfused(point.x[i] * point.scale) - point.centre[i];
    const float c = round_even(clamp(unfused(moved * point.factor), -32767, 32767));
    panel[lane * padded + i] = static_cast<int16_t>(c);
    sum += static_cast<int32_t>(c) * static_cast<int32_t>(c);
  }
  if (padded > n) panel[lane * padded + n] = 0;
  return sum;
}

void tile_distances(const Kernels::TilePanel& a, const Kernels::TilePanel& b, size_t n,
                    uint32_t* keys) {
  const size_t padded = n + n % 2;
  for (size_t i = 0; i < kTileWidth; ++i) {
    for (size_t j = 0; j < kTileWidth; ++j) {
      const int16_t* x = a.points + i * padded;
      const int16_t* y = b.points + j * padded;
      // In one chain: with four, what GCC 12 builds for AArch64 gave other sums.
      int32_t dot = 0;
      for (size_t d = 0; d < n; ++d) dot += x[d] * y[d];
      const auto d = static_cast<float>(a.norms[i] + b.norms[j] - 2 * dot);
      uint32_t bits;
      std::memcpy(&bits, &d, sizeof(bits));
      keys[i * kTileWidth + j] = bits & ~kTileIndexMask;
    }
  }
}

int32_t byte_pack(const Kernels::TilePoint& point, size_t n, size_t lane, uint8_t* panel) {
  const size_t padded = (n + 3) / 4 * 4;
  int32_t sum = 0;
  for (size_t i = 0; i < padded; ++i) {
    int32_t c = 0;
    if (i < n) {
      const float moved = unfused(point.x[i] * point.scale) - point.centre[i];
      const float at = unfused(moved * point.factor) + static_cast<float>(kByteMiddle);
      c = static_cast<int32_t>(round_even(clamp(at, 0, static_cast<float>(kByteMax))));
    }
    panel[lane * padded + i] = static_cast<uint8_t>(c);
    sum += c * c;
  }
  return sum;
}

void byte_distances(const Kernels::BytePanel& a, const Kernels::BytePanel& b, size_t n,
                    uint32_t* keys) {
  const size_t padded = (n + 3) / 4 * 4;
  for (size_t i = 0; i < kTileWidth; ++i) {
    for (size_t j = 0; j < kTileWidth; ++j) {
      const uint8_t* x = a.points + i * padded;
      const uint8_t* y = b.points + j * padded;
      int32_t dot = 0;
      for (size_t d = 0; d < n; ++d) dot += x[d] * y[d];
      const auto distance = static_cast<uint32_t>(a.norms[i] + b.norms[j] - 2 * dot);
      keys[i * kTileWidth + j] = (distance & 0xFFFF) << kTileIndexBits;
    }
  }
}

void tile_transpose(const uint32_t* keys, uint32_t* out) {
  for (size_t i = 0; i < kTileWidth; ++i) {
    for (size_t j = 0; j < kTileWidth; ++j) out[j * kTileWidth + i] = keys[i * kTileWidth + j];
  }
}

void tile_nearest(const uint32_t* keys, uint32_t first, size_t k, uint32_t* nearest) {
  for (size_t column = 0; column < kTileWidth; ++column) {
    for (size_t i = 0; i < kTileWidth; ++i) {
      uint32_t key = keys[i * kTileWidth + column] | (first + static_cast<uint32_t>(i));
      for (size_t at = 0; at < k; ++at) {
        uint32_t& kept = nearest[at * kTileWidth + column];
        const uint32_t far = kept < key ? key : kept;
        kept = kept < key ? kept : key;
        key = far;
      }
    }
  }
}

}  // namespace

size_t gather_unvisited(const uint32_t* ids, size_t n, uint64_t* visited, uint32_t* out) {
  size_t size = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint32_t id = ids[i];
    if (id == kNoSlot) break;
    const uint64_t word = visited[id >> 6];
    // Written always, kept only if new: whether a neighbour was seen is a coin toss to the branch
    // predictor.
    out[size] = id;
    size += ~(word >> (id & 63)) & 1;
    visited[id >> 6] = word | uint64_t{1} << (id & 63);
  }
  return size;
}

uint32_t affine_dots(const Kernels::Affine& a, const int32_t* dots, const float* factors, size_t n,
                     float threshold, float* out) {
  uint32_t mask = 0;
  for (size_t i = 0; i < n; ++i) {
    const float factor = a.factor_multiplier * factors[i];
    const float dot = a.dot_multiplier * static_cast<float>(dots[i]);
    const float d = a.bias + factor - dot;
    const float below = d < kFarthest ? d : kFarthest;
    out[i] = below > -kFarthest ? below : -kFarthest;
    mask |= (out[i] < threshold ? 1u : 0u) << i;
  }
  return mask;
}

constinit const Kernels kTable = {
    .name = "scalar",
    .features = "",
#include "simd/entries.inc"
};

}  // namespace omen::simd::scalar
