// The AVX2 table: 256-bit registers and fused multiply-add, on x86-64 from Haswell and Zen on.
//
// Why: instruction sets are chosen in this file by target attributes, not by flags, so that both
// build systems compile one list; only intrinsics and C headers come in, and nothing here has weak
// linkage. The loops are in scoring.inc and steps.inc.
// Threads: pure functions.
#if defined(__x86_64__) || defined(_M_X64)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "simd/table.h"
#include "simd/tail.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,popcnt"))), \
                             apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,popcnt")
#endif

namespace omen::simd::avx2 {
namespace {

using F32 = __m256;
using I16 = __m256i;
using I32 = __m256i;
struct F64 {
  __m256d low;
  __m256d high;
};

constexpr size_t kLanes = 8;
constexpr size_t kWide = 16;
// Two rows of four sums leave registers for the loads; four rows would spill.
constexpr size_t kRowsF32 = 2;

inline void prefetch(const char* p) { _mm_prefetch(p, _MM_HINT_T0); }

// All ones in the first `count` lanes: a window over eight set and eight clear ones.
alignas(64) constexpr int32_t kLaneMasks[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

inline __m256i first_lanes(size_t count) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLaneMasks + 8 - count));
}

inline F32 f32_zero() { return _mm256_setzero_ps(); }
inline F32 f32_set(float x) { return _mm256_set1_ps(x); }
inline F32 f32_load(const float* p) { return _mm256_loadu_ps(p); }
// By parts, since emulators (QEMU 7.2) let the masked load read the masked lanes too.
inline __m128 load_4_first(const float* p, size_t count) {
  if (count == 0) return _mm_setzero_ps();
  if (count == 1) return _mm_load_ss(p);
  if (count == 4) return _mm_loadu_ps(p);
  const __m128 two = _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  return count == 2 ? two : _mm_movelh_ps(two, _mm_load_ss(p + 2));
}
inline F32 f32_load_first(const float* p, size_t count) {
  const __m128 low = load_4_first(p, count < 4 ? count : 4);
  const __m128 high = load_4_first(p + 4, count < 4 ? 0 : count - 4);
  return _mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
}
inline void f32_store(float* p, F32 x) { _mm256_storeu_ps(p, x); }
inline F32 f32_add(F32 a, F32 b) { return _mm256_add_ps(a, b); }
inline F32 f32_sub(F32 a, F32 b) { return _mm256_sub_ps(a, b); }
inline F32 f32_mul(F32 a, F32 b) { return _mm256_mul_ps(a, b); }
inline F32 f32_fma(F32 a, F32 b, F32 sum) { return _mm256_fmadd_ps(a, b, sum); }
// The second operand if x is NaN.
inline F32 f32_max(F32 x, F32 bound) { return _mm256_max_ps(x, bound); }
inline F32 f32_min(F32 x, F32 bound) { return _mm256_min_ps(x, bound); }
inline F32 f32_of(I32 x) { return _mm256_cvtepi32_ps(x); }

// Hides from the compiler where x came from: GCC turns intrinsics into plain arithmetic and would
// fuse it, and loads a shared operand again for each use.
inline F32 f32_opaque(F32 x) {
#if defined(__GNUC__)
  __asm__("" : "+x"(x));
#endif
  return x;
}

inline float f32_sum(F32 x) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

inline uint32_t f32_below(F32 x, F32 limit) {
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(x, limit, _CMP_LT_OQ)));
}

inline F64 f64_zero() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
inline F64 f64_add(const F64& a, const F64& b) {
  return {_mm256_add_pd(a.low, b.low), _mm256_add_pd(a.high, b.high)};
}
inline F64 f64_add_squares(const F64& sum, F32 x) {
  const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
  const __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
  return {_mm256_fmadd_pd(low, low, sum.low), _mm256_fmadd_pd(high, high, sum.high)};
}
inline double f64_sum(const F64& x) {
  const __m256d all = _mm256_add_pd(x.low, x.high);
  const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(all), _mm256_extractf128_pd(all, 1));
  return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
inline double f64_sqrt(double x) {
  const __m128d v = _mm_set_sd(x);
  return _mm_cvtsd_f64(_mm_sqrt_sd(v, v));
}

inline __m128i load_16(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
inline __m128i load_16_first(const void* p, size_t count) {
  const char* bytes = static_cast<const char*>(p);
  const uint64_t low = load_bytes(bytes, count < 8 ? count : 8);
  const uint64_t high = count > 8 ? load_bytes(bytes + 8, count - 8) : 0;
  return _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
}

inline I16 i16_load(const int16_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline I16 i16_load_i8(const int8_t* p) { return _mm256_cvtepi8_epi16(load_16(p)); }
inline I16 i16_load_u8(const uint8_t* p) { return _mm256_cvtepu8_epi16(load_16(p)); }
inline I16 i16_load_i8_first(const int8_t* p, size_t count) {
  return _mm256_cvtepi8_epi16(load_16_first(p, count));
}
inline I16 i16_load_u8_first(const uint8_t* p, size_t count) {
  return _mm256_cvtepu8_epi16(load_16_first(p, count));
}
inline I16 i16_sub(I16 a, I16 b) { return _mm256_sub_epi16(a, b); }

inline I32 i32_zero() { return _mm256_setzero_si256(); }
inline I32 i32_load(const uint32_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline void i32_store(uint32_t* p, I32 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x);
}
inline I32 i32_add(I32 a, I32 b) { return _mm256_add_epi32(a, b); }
inline I32 i32_add_products(I32 sum, I16 a, I16 b) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}
inline int32_t i32_sum(I32 x) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  s = _mm_add_epi32(s, _mm_unpackhi_epi64(s, s));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 1)));
}
inline void i32_sum4(I32 a, I32 b, I32 c, I32 d, int32_t* out) {
  const __m256i s = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                   _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1)));
}

// Half to even: the mode that every thread starts in, and nobody in this process may change.
inline I32 i32_round(F32 x) { return _mm256_cvtps_epi32(x); }

inline I32 i32_load_bytes(const uint8_t* p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
inline I32 i32_load_bytes_first(const uint8_t* p, size_t count) {
  return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(load_bytes(p, count))));
}

// The low byte of each lane.
inline __m128i low_bytes(I32 x) {
  const __m256i pick = _mm256_set1_epi32(0x0C080400);
  const __m256i packed = _mm256_shuffle_epi8(x, pick);
  return _mm_unpacklo_epi32(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
}
inline __m128i low_halves(I32 x) {
  return _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
}
inline void i32_store_bytes(void* p, I32 x) {
  _mm_storel_epi64(static_cast<__m128i*>(p), low_bytes(x));
}
inline void i32_store_halves(int16_t* p, I32 x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), low_halves(x));
}
inline void i32_store_bytes_first(void* p, I32 x, size_t count) {
  const long long bytes = _mm_cvtsi128_si64(low_bytes(x));
  memcpy(p, &bytes, count);
}
inline void i32_store_halves_first(int16_t* p, I32 x, size_t count) {
  int16_t halves[kLanes];
  i32_store_halves(halves, x);
  memcpy(p, halves, count * sizeof(int16_t));
}

// w == 128 * high + low with low in [-64, 63].
inline I32 i32_weight_high(I32 w) {
  return _mm256_srai_epi32(_mm256_add_epi32(w, _mm256_set1_epi32(64)), 7);
}
inline I32 i32_weight_low(I32 w, I32 high) {
  return _mm256_sub_epi32(w, _mm256_slli_epi32(high, 7));
}

// A comparison that holds is -1.
inline I32 at_most(F32 x, F32 limit) {
  return _mm256_castps_si256(_mm256_cmp_ps(x, limit, _CMP_LE_OQ));
}
inline I32 i32_count_at_most(I32 count, F32 x, F32 limit) {
  return _mm256_sub_epi32(count, at_most(x, limit));
}

// The first `count` lanes of x, and of `rest` after them.
inline F32 f32_keep_first(F32 x, F32 rest, size_t count) {
  return _mm256_blendv_ps(rest, x, _mm256_castsi256_ps(first_lanes(count)));
}
inline I32 i32_keep_first(I32 x, I32 rest, size_t count) {
  return _mm256_blendv_epi8(rest, x, first_lanes(count));
}
// x moved up by a lane; the first takes the last of `before`.
inline I32 i32_push(I32 x, I32 before) {
  const __m256i up = _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6);
  return _mm256_permutevar8x32_epi32(_mm256_blend_epi32(x, before, 0x80), up);
}
inline F32 f32_push(F32 x, F32 before) {
  return _mm256_castsi256_ps(i32_push(_mm256_castps_si256(x), _mm256_castps_si256(before)));
}
inline F32 f32_pick_above(F32 x, F32 limit, F32 above, F32 other) {
  return _mm256_blendv_ps(other, above, _mm256_cmp_ps(x, limit, _CMP_GT_OQ));
}
inline I32 i32_pick_above(F32 x, F32 limit, I32 above, I32 other) {
  return _mm256_castps_si256(
      f32_pick_above(x, limit, _mm256_castsi256_ps(above), _mm256_castsi256_ps(other)));
}

inline I32 i32_set(int32_t x) { return _mm256_set1_epi32(x); }
inline I32 i32_sub(I32 a, I32 b) { return _mm256_sub_epi32(a, b); }
inline I32 i32_and(I32 a, I32 b) { return _mm256_and_si256(a, b); }
inline I32 i32_or(I32 a, I32 b) { return _mm256_or_si256(a, b); }
inline I32 i32_min(I32 a, I32 b) { return _mm256_min_epi32(a, b); }
inline I32 i32_max(I32 a, I32 b) { return _mm256_max_epi32(a, b); }
inline I32 i32_bits(F32 x) { return _mm256_castps_si256(x); }

// Rows become columns: pairs, then quads within each half, then the halves.
inline void i32_transpose(I32* r) {
  I32 t[kLanes];
  OMEN_UNROLL
  for (size_t i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
  }
  OMEN_UNROLL
  for (size_t i = 0; i < 8; i += 4) {
    r[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  OMEN_UNROLL
  for (size_t i = 0; i < 4; ++i) {
    const I32 low = _mm256_permute2x128_si256(r[i], r[i + 4], 0x20);
    r[i + 4] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x31);
    r[i] = low;
  }
}

// i32_add_products() as one block of assembly: GCC computes all products first, and spills.
inline I32 tile_add(I32 sum, I16 a, I16 b) {
#if defined(__GNUC__)
  I32 products;
  __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"
          : "+x"(sum), "=&x"(products)
          : "x"(a), "x"(b));
  return sum;
#else
  return i32_add_products(sum, a, b);
#endif
}

// A panel interleaves the pairs of its points.
constexpr size_t kTileRows = 6;
inline void tile_put(int16_t* to, size_t lane, const int16_t* pair) {
  memcpy(to + 2 * lane, pair, 2 * sizeof(int16_t));
}
inline I16 tile_broadcast(const int16_t* from, size_t lane) {
  int32_t pair;
  memcpy(&pair, from + 2 * lane, sizeof(pair));
  return _mm256_set1_epi32(pair);
}

// Byte tiles keep two sums of 16 bits to a lane, in assembly for the same reason. Pairs of products
// of seven bits do not saturate.
inline I32 byte_zero() { return _mm256_setzero_si256(); }
inline I32 byte_load(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline I32 byte_add(I32 sum, I32 a, I32 b) {
#if defined(__GNUC__)
  I32 products;
  __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0"
          : "+x"(sum), "=&x"(products)
          : "x"(a), "x"(b));
  return sum;
#else
  return _mm256_add_epi16(sum, _mm256_maddubs_epi16(a, b));
#endif
}
inline I32 byte_total(I32 sum) { return _mm256_madd_epi16(sum, _mm256_set1_epi16(1)); }
inline I32 byte_square(I32 sum, I32 x) {
  return _mm256_add_epi32(sum, byte_total(_mm256_maddubs_epi16(x, x)));
}
// The low half, above the bits of an index.
inline I32 byte_key(I32 x) {
  return _mm256_srli_epi32(_mm256_slli_epi32(x, 16), 16 - static_cast<int>(kTileIndexBits));
}

// x with its lanes moved to the index that differs in bit kBit: 1, 2 or 4.
template <size_t kBit>
inline F32 f32_swap(F32 x) {
  if constexpr (kBit == 1) return _mm256_permute_ps(x, 0xB1);
  if constexpr (kBit == 2) return _mm256_permute_ps(x, 0x4E);
  if constexpr (kBit == 4) return _mm256_permute2f128_ps(x, x, 1);
}

inline I16 i16_set(int16_t x) { return _mm256_set1_epi16(x); }
// sum + products of 32 unsigned bytes and 32 signed ones, two to a lane.
inline I16 i16_add_byte_products(I16 sum, __m256i u, const int8_t* s) {
  const __m256i signed_bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(s));
  return _mm256_add_epi16(sum, _mm256_maddubs_epi16(u, signed_bytes));
}

// sum + products of a block of 64 dimensions of kWidth bits each and its weights.
template <int kWidth>
inline I16 i16_add_bits(I16 sum, const uint8_t* code, const int8_t* q) {
  const __m256i mask = _mm256_set1_epi8((1 << kWidth) - 1);
  __m256i bits;
  __m256i first;
  __m256i second;
  if constexpr (kWidth == 1) {
    bits = _mm256_set1_epi64x(static_cast<long long>(load_bytes(code, 8)));
    first = _mm256_set_epi64x(3, 2, 1, 0);
    second = _mm256_set_epi64x(7, 6, 5, 4);
  } else {
    bits = _mm256_broadcastsi128_si256(load_16(code));
    first = _mm256_set_epi64x(2, 2, 0, 0);
    second = _mm256_set_epi64x(6, 6, 4, 4);
  }
  const __m256i low = _mm256_and_si256(_mm256_srlv_epi64(bits, first), mask);
  const __m256i high = _mm256_and_si256(_mm256_srlv_epi64(bits, second), mask);
  return i16_add_byte_products(i16_add_byte_products(sum, low, q), high, q + 32);
}

// Sums of the rows' look-ups in 16 bits: rows 0 to 15, then 16 to 31. `all` adds pairs of bytes, of
// which `odd` are the upper ones; each lane of 128 bits has groups of its own.
constexpr size_t kScanGroups = 2;
struct Scan {
  __m256i all[2];
  __m256i odd[2];
};

inline Scan scan_zero() {
  const __m256i zero = _mm256_setzero_si256();
  return {{zero, zero}, {zero, zero}};
}
inline Scan scan_add(const Scan& sums, const uint8_t* codes, const uint8_t* tables) {
  const __m256i c = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
  const __m256i table = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tables));
  const __m256i mask = _mm256_set1_epi8(15);
  const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(c, mask));
  const __m256i high =
      _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(c, 4), mask));
  return {{_mm256_add_epi16(sums.all[0], low), _mm256_add_epi16(sums.all[1], high)},
          {_mm256_add_epi16(sums.odd[0], _mm256_srli_epi16(low, 8)),
           _mm256_add_epi16(sums.odd[1], _mm256_srli_epi16(high, 8))}};
}
inline void scan_store(const Scan& sums, uint32_t* out) {
  for (size_t half = 0; half < 2; ++half, out += 16) {
    const __m256i odd = sums.odd[half];
    const __m256i even = _mm256_sub_epi16(sums.all[half], _mm256_slli_epi16(odd, 8));
    const __m128i e =
        _mm_add_epi16(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
    const __m128i o = _mm_add_epi16(_mm256_castsi256_si128(odd), _mm256_extracti128_si256(odd, 1));
    i32_store(out, i32_add(i32_load(out), _mm256_cvtepu16_epi32(_mm_unpacklo_epi16(e, o))));
    i32_store(out + 8, i32_add(i32_load(out + 8), _mm256_cvtepu16_epi32(_mm_unpackhi_epi16(e, o))));
  }
}

// Cells of a column.
using U64 = __m256i;
constexpr size_t kCells = 4;
inline U64 u64_load(const uint64_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline U64 u64_set(uint64_t x) { return _mm256_set1_epi64x(static_cast<long long>(x)); }
inline uint64_t u64_bits(U64 x) {
  return static_cast<uint64_t>(_mm256_movemask_pd(_mm256_castsi256_pd(x)));
}
inline uint64_t u64_tagged(U64 x, const U64* tags) {
  const U64 tag = _mm256_srli_epi64(x, 48);
  return u64_bits(_mm256_or_si256(_mm256_cmpeq_epi64(tag, tags[0]),
                                  _mm256_cmpeq_epi64(tag, tags[1])));
}
// Comparisons are signed: with the top bit turned they order as unsigned ones do.
inline uint64_t u64_within(U64 x, U64 low, U64 high) {
  const U64 top = u64_set(uint64_t{1} << 63);
  const U64 at = _mm256_xor_si256(x, top);
  const U64 outside = _mm256_or_si256(_mm256_cmpgt_epi64(_mm256_xor_si256(low, top), at),
                                      _mm256_cmpgt_epi64(at, _mm256_xor_si256(high, top)));
  return ~u64_bits(outside) & 15;
}
template <int kPredicate>
inline uint64_t f64_ordered(U64 x, U64 low, U64 high) {
  const __m256d at = _mm256_castsi256_pd(x);
  const __m256d above = _mm256_cmp_pd(_mm256_castsi256_pd(low), at, kPredicate);
  const __m256d below = _mm256_cmp_pd(at, _mm256_castsi256_pd(high), kPredicate);
  return static_cast<uint64_t>(_mm256_movemask_pd(_mm256_and_pd(above, below)));
}
inline uint64_t f64_within(U64 x, U64 low, U64 high) {
  return f64_ordered<_CMP_LE_OQ>(x, low, high);
}
inline uint64_t f64_between(U64 x, U64 low, U64 high) {
  return f64_ordered<_CMP_LT_OQ>(x, low, high);
}

#include "simd/scoring.inc"
#include "simd/steps.inc"

inline uint32_t affine_few(const Kernels::Affine& a, const int32_t* dots, const float* factors,
                           size_t n, float threshold, float* out) {
  return scalar::affine_dots(a, dots, factors, n, threshold, out);
}

#include "simd/tiles.inc"
#include "simd/byte_tiles.inc"
#include "simd/bits.inc"
#include "simd/scan.inc"
#include "simd/cells.inc"

}  // namespace

constinit const Kernels kTable = {
    .name = "avx2",
    .features = "",
#include "simd/entries.inc"
};

}  // namespace omen::simd::avx2

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

#endif  // x86-64
