// The AVX-512 tables: 512-bit registers and masked tails; with and without VNNI, whose multiply-add
// of bytes scores a code against the two byte planes of its weights.
//
// Why: as avx2.cc. OMENDB_EMULATED_AVX512 lets a test compile this file against plain C++ versions
// of the intrinsics, so that it is checked on machines without AVX-512.
// Threads: pure functions.
#if defined(__x86_64__) || defined(_M_X64) || defined(OMENDB_EMULATED_AVX512)

#if defined(__GNUC__) && !defined(__clang__)
// GCC's own header initialises "undefined" registers with themselves (PR 105593), which warns at
// every place that an intrinsic is inlined into.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#if !defined(OMENDB_EMULATED_AVX512)
#include <immintrin.h>
#endif
#include <math.h>
#include <string.h>

#include "simd/table.h"
#include "simd/tail.h"

#if defined(OMENDB_EMULATED_AVX512)
// Plain C++.
#elif defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2,popcnt"))), \
    apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2,popcnt")
#endif

namespace omen::simd::avx512 {
namespace {

using F32 = __m512;
using I16 = __m512i;
using I32 = __m512i;
struct F64 {
  __m512d low;
  __m512d high;
};

constexpr size_t kLanes = 16;
constexpr size_t kWide = 32;
// Four rows of four sums, four query registers and a load: 32 registers hold them.
constexpr size_t kRowsF32 = 4;

inline void prefetch(const char* p) { _mm_prefetch(p, _MM_HINT_T0); }

// The first `count` lanes.
inline __mmask16 first_16(size_t count) { return static_cast<__mmask16>((1u << count) - 1); }
inline __mmask32 first_32(size_t count) {
  return static_cast<__mmask32>((uint64_t{1} << count) - 1);
}
inline __mmask64 first_64(size_t count) { return (uint64_t{1} << count) - 1; }  // count < 64

inline F32 f32_zero() { return _mm512_setzero_ps(); }
inline F32 f32_set(float x) { return _mm512_set1_ps(x); }
inline F32 f32_load(const float* p) { return _mm512_loadu_ps(p); }
inline F32 f32_load_first(const float* p, size_t count) {
  return _mm512_maskz_loadu_ps(first_16(count), p);
}
inline void f32_store(float* p, F32 x) { _mm512_storeu_ps(p, x); }
inline F32 f32_add(F32 a, F32 b) { return _mm512_add_ps(a, b); }
inline F32 f32_sub(F32 a, F32 b) { return _mm512_sub_ps(a, b); }
inline F32 f32_mul(F32 a, F32 b) { return _mm512_mul_ps(a, b); }
inline F32 f32_fma(F32 a, F32 b, F32 sum) { return _mm512_fmadd_ps(a, b, sum); }
// The second operand if x is NaN.
inline F32 f32_max(F32 x, F32 bound) { return _mm512_max_ps(x, bound); }
inline F32 f32_min(F32 x, F32 bound) { return _mm512_min_ps(x, bound); }
inline F32 f32_of(I32 x) { return _mm512_cvtepi32_ps(x); }

// Hides from the compiler where x came from: GCC turns intrinsics into plain arithmetic and would
// fuse it, and loads a shared operand again for each use.
inline F32 f32_opaque(F32 x) {
#if defined(__GNUC__) && !defined(OMENDB_EMULATED_AVX512)
  __asm__("" : "+v"(x));
#endif
  return x;
}

inline float f32_sum(F32 x) {
  const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1));
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(x), high);
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

inline uint32_t f32_below(F32 x, F32 limit) {
  return _mm512_cmp_ps_mask(x, limit, _CMP_LT_OQ);
}

inline F64 f64_zero() { return {_mm512_setzero_pd(), _mm512_setzero_pd()}; }
inline F64 f64_add(const F64& a, const F64& b) {
  return {_mm512_add_pd(a.low, b.low), _mm512_add_pd(a.high, b.high)};
}
inline F64 f64_add_squares(const F64& sum, F32 x) {
  const __m256 upper = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1));
  const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
  const __m512d high = _mm512_cvtps_pd(upper);
  return {_mm512_fmadd_pd(low, low, sum.low), _mm512_fmadd_pd(high, high, sum.high)};
}
inline double f64_sum(const F64& x) {
  const __m512d all = _mm512_add_pd(x.low, x.high);
  const __m256d half =
      _mm256_add_pd(_mm512_castpd512_pd256(all), _mm512_extractf64x4_pd(all, 1));
  const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(half), _mm256_extractf128_pd(half, 1));
  return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
inline double f64_sqrt(double x) {
  const __m128d v = _mm_set_sd(x);
  return _mm_cvtsd_f64(_mm_sqrt_sd(v, v));
}

inline __m256i load_32(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
inline I16 i16_load(const int16_t* p) { return _mm512_loadu_si512(p); }
inline I16 i16_load_i8(const int8_t* p) { return _mm512_cvtepi8_epi16(load_32(p)); }
inline I16 i16_load_u8(const uint8_t* p) { return _mm512_cvtepu8_epi16(load_32(p)); }
inline I16 i16_load_i8_first(const int8_t* p, size_t count) {
  return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(first_32(count), p));
}
inline I16 i16_load_u8_first(const uint8_t* p, size_t count) {
  return _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(first_32(count), p));
}
inline I16 i16_sub(I16 a, I16 b) { return _mm512_sub_epi16(a, b); }

inline I32 i32_zero() { return _mm512_setzero_si512(); }
inline I32 i32_load(const uint32_t* p) { return _mm512_loadu_si512(p); }
inline void i32_store(uint32_t* p, I32 x) { _mm512_storeu_si512(p, x); }
inline I32 i32_add(I32 a, I32 b) { return _mm512_add_epi32(a, b); }
inline I32 i32_add_products(I32 sum, I16 a, I16 b) {
  return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
}
inline __m256i i32_fold(I32 x) {
  return _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
}
inline int32_t i32_sum(I32 x) {
  const __m256i half = i32_fold(x);
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  s = _mm_add_epi32(s, _mm_unpackhi_epi64(s, s));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 1)));
}
inline void i32_sum4(I32 a, I32 b, I32 c, I32 d, int32_t* out) {
  const __m256i s = _mm256_hadd_epi32(_mm256_hadd_epi32(i32_fold(a), i32_fold(b)),
                                      _mm256_hadd_epi32(i32_fold(c), i32_fold(d)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                   _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1)));
}

// Half to even: the mode that every thread starts in, and nobody in this process may change.
inline I32 i32_round(F32 x) { return _mm512_cvtps_epi32(x); }

inline I32 i32_load_bytes(const uint8_t* p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline I32 i32_load_bytes_first(const uint8_t* p, size_t count) {
  return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first_16(count), p));
}
// Registers are narrowed before the store: the narrowing store to memory is slow on Zen 4.
inline void i32_store_bytes(void* p, I32 x) {
  _mm_storeu_si128(static_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x));
}
inline void i32_store_bytes_first(void* p, I32 x, size_t count) {
  _mm_mask_storeu_epi8(p, first_16(count), _mm512_cvtepi32_epi8(x));
}
inline void i32_store_halves(int16_t* p, I32 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(x));
}
inline void i32_store_halves_first(int16_t* p, I32 x, size_t count) {
  _mm256_mask_storeu_epi16(p, first_16(count), _mm512_cvtepi32_epi16(x));
}

// w == 128 * high + low with low in [-64, 63].
inline I32 i32_weight_high(I32 w) {
  return _mm512_srai_epi32(_mm512_add_epi32(w, _mm512_set1_epi32(64)), 7);
}
inline I32 i32_weight_low(I32 w, I32 high) {
  return _mm512_sub_epi32(w, _mm512_slli_epi32(high, 7));
}

inline I32 i32_count_at_most(I32 count, F32 x, F32 limit) {
  const __mmask16 held = _mm512_cmp_ps_mask(x, limit, _CMP_LE_OQ);
  return _mm512_mask_add_epi32(count, held, count, _mm512_set1_epi32(1));
}

// The first `count` lanes of x, and of `rest` after them.
inline F32 f32_keep_first(F32 x, F32 rest, size_t count) {
  return _mm512_mask_blend_ps(first_16(count), rest, x);
}
inline I32 i32_keep_first(I32 x, I32 rest, size_t count) {
  return _mm512_mask_blend_epi32(first_16(count), rest, x);
}
// x moved up by a lane; the first takes the last of `before`.
inline I32 i32_push(I32 x, I32 before) { return _mm512_alignr_epi32(x, before, 15); }
inline F32 f32_push(F32 x, F32 before) {
  return _mm512_castsi512_ps(i32_push(_mm512_castps_si512(x), _mm512_castps_si512(before)));
}
inline F32 f32_pick_above(F32 x, F32 limit, F32 above, F32 other) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, limit, _CMP_GT_OQ), other, above);
}
inline I32 i32_pick_above(F32 x, F32 limit, I32 above, I32 other) {
  return _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(x, limit, _CMP_GT_OQ), other, above);
}

inline I32 i32_set(int32_t x) { return _mm512_set1_epi32(x); }
inline I32 i32_sub(I32 a, I32 b) { return _mm512_sub_epi32(a, b); }
inline I32 i32_and(I32 a, I32 b) { return _mm512_and_si512(a, b); }
inline I32 i32_or(I32 a, I32 b) { return _mm512_or_si512(a, b); }
inline I32 i32_min(I32 a, I32 b) { return _mm512_min_epi32(a, b); }
inline I32 i32_max(I32 a, I32 b) { return _mm512_max_epi32(a, b); }
inline I32 i32_bits(F32 x) { return _mm512_castps_si512(x); }

// Rows become columns: pairs, then quads within each quarter, then the quarters, twice.
inline void i32_transpose(I32* r) {
  I32 t[kLanes];
  OMEN_UNROLL
  for (size_t i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  OMEN_UNROLL
  for (size_t i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  OMEN_UNROLL
  for (size_t i = 0; i < 4; ++i) {
    const I32 a = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    const I32 b = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xDD);
    const I32 c = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    const I32 d = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xDD);
    r[i] = _mm512_shuffle_i32x4(a, c, 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(a, c, 0xDD);
    r[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88);
    r[i + 12] = _mm512_shuffle_i32x4(b, d, 0xDD);
  }
}

// i32_add_products() as one block of assembly: GCC computes all products first, and spills.
inline I32 tile_add(I32 sum, I16 a, I16 b) {
#if defined(__GNUC__) && !defined(OMENDB_EMULATED_AVX512)
  I32 products;
  __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"
          : "+v"(sum), "=&v"(products)
          : "v"(a), "v"(b));
  return sum;
#else
  return i32_add_products(sum, a, b);
#endif
}

// A panel interleaves the pairs of its points.
constexpr size_t kTileRows = 12;
inline void tile_put(int16_t* to, size_t lane, const int16_t* pair) {
  memcpy(to + 2 * lane, pair, 2 * sizeof(int16_t));
}
inline I16 tile_broadcast(const int16_t* from, size_t lane) {
  int32_t pair;
  memcpy(&pair, from + 2 * lane, sizeof(pair));
  return _mm512_set1_epi32(pair);
}

// Byte tiles keep two sums of 16 bits to a lane. Pairs of products of seven bits do not saturate.
inline I32 byte_zero() { return _mm512_setzero_si512(); }
inline I32 byte_load(const uint8_t* p) { return _mm512_loadu_si512(p); }
inline I32 byte_add(I32 sum, I32 a, I32 b) {
#if defined(__GNUC__) && !defined(OMENDB_EMULATED_AVX512)
  I32 products;
  __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0"
          : "+v"(sum), "=&v"(products)
          : "v"(a), "v"(b));
  return sum;
#else
  return _mm512_add_epi16(sum, _mm512_maddubs_epi16(a, b));
#endif
}
inline I32 byte_total(I32 sum) { return _mm512_madd_epi16(sum, _mm512_set1_epi16(1)); }
inline I32 byte_square(I32 sum, I32 x) {
  return _mm512_add_epi32(sum, byte_total(_mm512_maddubs_epi16(x, x)));
}
// The low half, above the bits of an index.
inline I32 byte_key(I32 x) {
  return _mm512_srli_epi32(_mm512_slli_epi32(x, 16), 16 - kTileIndexBits);
}

// x with its lanes moved to the index that differs in bit kBit: 1, 2, 4 or 8.
template <size_t kBit>
inline F32 f32_swap(F32 x) {
  if constexpr (kBit == 1) return _mm512_permute_ps(x, 0xB1);
  if constexpr (kBit == 2) return _mm512_permute_ps(x, 0x4E);
  if constexpr (kBit == 4) return _mm512_shuffle_f32x4(x, x, 0xB1);
  if constexpr (kBit == 8) return _mm512_shuffle_f32x4(x, x, 0x4E);
}

inline I16 i16_set(int16_t x) { return _mm512_set1_epi16(x); }

// sum + products of a block of 64 dimensions of kWidth bits each and its weights.
template <int kWidth>
inline I16 i16_add_bits(I16 sum, const uint8_t* code, const int8_t* q) {
  __m512i bits;
  __m512i shifts;
  if constexpr (kWidth == 1) {
    bits = _mm512_set1_epi64(static_cast<long long>(load_bytes(code, 8)));
    shifts = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
  } else {
    bits = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(code)));
    shifts = _mm512_set_epi64(6, 6, 4, 4, 2, 2, 0, 0);
  }
  const __m512i mask = _mm512_set1_epi8((1 << kWidth) - 1);
  const __m512i values = _mm512_and_si512(_mm512_srlv_epi64(bits, shifts), mask);
  return _mm512_add_epi16(sum, _mm512_maddubs_epi16(values, _mm512_loadu_si512(q)));
}

// As in avx2.cc, with groups of four.
constexpr size_t kScanGroups = 4;
struct Scan {
  __m512i all[2];
  __m512i odd[2];
};

inline Scan scan_zero() {
  const __m512i zero = _mm512_setzero_si512();
  return {{zero, zero}, {zero, zero}};
}
inline Scan scan_add(const Scan& sums, const uint8_t* codes, const uint8_t* tables) {
  const __m512i c = _mm512_loadu_si512(codes);
  const __m512i table = _mm512_loadu_si512(tables);
  const __m512i mask = _mm512_set1_epi8(15);
  const __m512i low = _mm512_shuffle_epi8(table, _mm512_and_si512(c, mask));
  const __m512i high =
      _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(c, 4), mask));
  return {{_mm512_add_epi16(sums.all[0], low), _mm512_add_epi16(sums.all[1], high)},
          {_mm512_add_epi16(sums.odd[0], _mm512_srli_epi16(low, 8)),
           _mm512_add_epi16(sums.odd[1], _mm512_srli_epi16(high, 8))}};
}
inline __m128i scan_fold(__m512i x) {
  const __m256i half =
      _mm256_add_epi16(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
  return _mm_add_epi16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}
inline void scan_store(const Scan& sums, uint32_t* out) {
  for (size_t half = 0; half < 2; ++half, out += 16) {
    const __m512i odd = sums.odd[half];
    const __m128i e = scan_fold(_mm512_sub_epi16(sums.all[half], _mm512_slli_epi16(odd, 8)));
    const __m128i o = scan_fold(odd);
    const __m256i rows =
        _mm256_set_m128i(_mm_unpackhi_epi16(e, o), _mm_unpacklo_epi16(e, o));
    i32_store(out, i32_add(i32_load(out), _mm512_cvtepu16_epi32(rows)));
  }
}

// Cells of a column.
using U64 = __m512i;
constexpr size_t kCells = 8;
inline U64 u64_load(const uint64_t* p) { return _mm512_loadu_si512(p); }
inline U64 u64_set(uint64_t x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
inline uint64_t u64_tagged(U64 x, const U64* tags) {
  const U64 tag = _mm512_srli_epi64(x, 48);
  return static_cast<uint64_t>(_mm512_cmpeq_epi64_mask(tag, tags[0]) |
                               _mm512_cmpeq_epi64_mask(tag, tags[1]));
}
inline uint64_t u64_within(U64 x, U64 low, U64 high) {
  return static_cast<uint64_t>(_mm512_cmple_epu64_mask(low, x) & _mm512_cmple_epu64_mask(x, high));
}
template <auto kPredicate>
inline uint64_t f64_ordered(U64 x, U64 low, U64 high) {
  const __m512d at = _mm512_castsi512_pd(x);
  return static_cast<uint64_t>(_mm512_cmp_pd_mask(_mm512_castsi512_pd(low), at, kPredicate) &
                               _mm512_cmp_pd_mask(at, _mm512_castsi512_pd(high), kPredicate));
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
  const __mmask16 some = first_16(n);
  const I32 sums = _mm512_maskz_loadu_epi32(some, dots);
  const F32 distances = affine_lanes(a, sums, _mm512_maskz_loadu_ps(some, factors));
  _mm512_mask_storeu_ps(out, some, distances);
  return f32_below(distances, f32_set(threshold)) & some;
}

#include "simd/tiles.inc"
#include "simd/byte_tiles.inc"
#include "simd/bits.inc"
#include "simd/scan.inc"
#include "simd/cells.inc"

}  // namespace

constinit const Kernels kTable = {
    .name = "avx512",
    .features = "",
#include "simd/entries.inc"
};

namespace vnni {
namespace {

// sum + products of unsigned bytes u and signed bytes s, four to a lane. Inline assembly, because
// GCC 12 spills the accumulators around the intrinsic, which doubles the time of a row.
inline I32 add_byte_products(I32 sum, __m512i u, __m512i s) {
#if defined(__GNUC__) && !defined(OMENDB_EMULATED_AVX512)
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(u), "v"(s));
  return sum;
#else
  return _mm512_dpbusd_epi32(sum, u, s);
#endif
}

// Products of int16, two to a lane, and their sum in one instruction instead of two.
inline I32 tile_add(I32 sum, I16 a, I16 b) {
#if defined(__GNUC__) && !defined(OMENDB_EMULATED_AVX512)
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
#else
  return _mm512_dpwssd_epi32(sum, a, b);
#endif
}

// Four products to a lane, summed in 32 bits.
inline I32 byte_add(I32 sum, I32 a, I32 b) { return add_byte_products(sum, a, b); }
inline I32 byte_square(I32 sum, I32 x) { return add_byte_products(sum, x, x); }
inline I32 byte_total(I32 sum) { return sum; }

#include "simd/tiles.inc"
#include "simd/byte_tiles.inc"

inline __m512i load_64(const void* p) { return _mm512_loadu_si512(p); }
inline __m512i load_64_first(const void* p, size_t count) {
  return _mm512_maskz_loadu_epi8(first_64(count), p);
}

template <size_t kRows>
inline void put_sums(const I32* sum, int32_t* out) {
  if constexpr (kRows == 4) {
    i32_sum4(sum[0], sum[1], sum[2], sum[3], out);
  } else {
    static_assert(kRows == 1);
    out[0] = i32_sum(sum[0]);
  }
}

// w == 128 * hi + lo, and both planes are bytes: 128 * (code . hi) + (code . lo). Sums wrap, and
// the total fits.
struct ScorePlanes {
  template <size_t kRows>
  static void block(const Weights& weights, const uint8_t* const* rows, size_t n, int32_t* out) {
    const uint8_t* row[kRows];
    I32 high[kRows];
    I32 low[kRows];
    OMEN_UNROLL
    for (size_t r = 0; r < kRows; ++r) {
      row[r] = rows[r];
      high[r] = low[r] = i32_zero();
    }
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
      const __m512i hi = load_64(weights.hi + i);
      const __m512i lo = load_64(weights.lo + i);
      OMEN_UNROLL
      for (size_t r = 0; r < kRows; ++r) {
        const __m512i code = load_64(row[r] + i);
        high[r] = add_byte_products(high[r], code, hi);
        low[r] = add_byte_products(low[r], code, lo);
      }
    }
    if (i < n) {
      const __m512i hi = load_64(weights.hi + i);
      const __m512i lo = load_64(weights.lo + i);
      OMEN_UNROLL
      for (size_t r = 0; r < kRows; ++r) {
        const __m512i code = load_64_first(row[r] + i, n - i);
        high[r] = add_byte_products(high[r], code, hi);
        low[r] = add_byte_products(low[r], code, lo);
      }
    }
    OMEN_UNROLL
    for (size_t r = 0; r < kRows; ++r) {
      low[r] = _mm512_add_epi32(low[r], _mm512_slli_epi32(high[r], 7));
    }
    put_sums<kRows>(low, out);
  }
};

// A signed row is made unsigned by adding 128 to each byte; the query's sum takes it off again.
struct ScoreSigned {
  struct Query {
    const int8_t* x;
    I32 minus_128_sum;
  };

  static Query prepare(const int8_t* q, size_t n) {
    const __m512i ones = _mm512_set1_epi8(1);
    I32 sum = i32_zero();
    size_t i = 0;
    for (; i + 64 <= n; i += 64) sum = add_byte_products(sum, ones, load_64(q + i));
    if (i < n) sum = add_byte_products(sum, ones, load_64_first(q + i, n - i));
    return {q, _mm512_sub_epi32(i32_zero(), _mm512_slli_epi32(sum, 7))};
  }

  template <size_t kRows>
  static void block(const Query& q, const int8_t* const* rows, size_t n, int32_t* out) {
    const __m512i flip = _mm512_set1_epi8(-128);
    const int8_t* row[kRows];
    I32 sum[kRows];
    OMEN_UNROLL
    for (size_t r = 0; r < kRows; ++r) {
      row[r] = rows[r];
      sum[r] = q.minus_128_sum;
    }
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
      const __m512i x = load_64(q.x + i);
      OMEN_UNROLL
      for (size_t r = 0; r < kRows; ++r) {
        sum[r] = add_byte_products(sum[r], _mm512_xor_si512(load_64(row[r] + i), flip), x);
      }
    }
    if (i < n) {
      const __m512i x = load_64_first(q.x + i, n - i);
      OMEN_UNROLL
      for (size_t r = 0; r < kRows; ++r) {
        const __m512i bytes = _mm512_xor_si512(load_64_first(row[r] + i, n - i), flip);
        sum[r] = add_byte_products(sum[r], bytes, x);
      }
    }
    put_sums<kRows>(sum, out);
  }
};

int32_t dot_u8(const Weights& weights, const uint8_t* code, size_t n) {
  int32_t out;
  ScorePlanes::block<1>(weights, &code, n, &out);
  return out;
}

void dot_u8_rows(const Weights& weights, const uint8_t* const* rows, size_t count, size_t n,
                 int32_t* out) {
  score_rows<ScorePlanes, 4>(weights, rows, count, n, out);
}

#include "simd/squares.inc"

int32_t dot_i8(const int8_t* a, const int8_t* b, size_t n) {
  int32_t out;
  ScoreSigned::block<1>(ScoreSigned::prepare(a, n), &b, n, &out);
  return out;
}

void dot_i8_rows(const int8_t* q, const int8_t* const* rows, size_t count, size_t n,
                 int32_t* out) {
  score_rows<ScoreSigned, 4>(ScoreSigned::prepare(q, n), rows, count, n, out);
}

}  // namespace

constinit const Kernels kTable = {
    .name = "avx512",
    .features = "vnni",
#include "simd/entries.inc"
};

}  // namespace vnni
}  // namespace omen::simd::avx512

#if defined(OMENDB_EMULATED_AVX512)
// Nothing to restore.
#elif defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

#endif  // x86-64
