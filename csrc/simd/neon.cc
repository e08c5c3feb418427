// The NEON tables: AArch64's base, with and without the dot product of bytes.
//
// Why: as avx2.cc. The dot product is one line of assembly: intrinsics would need a flag for the
// whole file with some compilers. GCC 12 forgets target regions in templates, so there the assembly
// names its architecture; clang wants the region.
// Threads: pure functions.
#if defined(__aarch64__) || defined(_M_ARM64)

#include <arm_neon.h>
#include <math.h>
#include <string.h>

#if !defined(__GNUC__)
#include <intrin.h>  // __prefetch
#endif

#include "simd/table.h"
#include "simd/tail.h"

namespace omen::simd::neon {
namespace {

using F32 = float32x4_t;
using I16 = int16x8_t;
using I32 = int32x4_t;
struct F64 {
  float64x2_t low;
  float64x2_t high;
};

constexpr size_t kLanes = 4;
constexpr size_t kWide = 8;
// Four rows of four sums, a query register and loads: 32 registers hold them.
constexpr size_t kRowsF32 = 4;

inline void prefetch(const char* p) {
#if defined(__GNUC__)
  __builtin_prefetch(p);
#else
  __prefetch(p);
#endif
}

// All ones in the first `count` lanes: a window over four set and four clear ones.
constexpr uint32_t kLaneMasks[8] = {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF};

inline uint32x4_t first_lanes(size_t count) { return vld1q_u32(kLaneMasks + 4 - count); }

inline F32 f32_zero() { return vdupq_n_f32(0); }
inline F32 f32_set(float x) { return vdupq_n_f32(x); }
inline F32 f32_load(const float* p) { return vld1q_f32(p); }
inline F32 f32_load_first(const float* p, size_t count) {  // 1 to 3
  F32 x = vsetq_lane_f32(p[0], f32_zero(), 0);
  if (count > 1) x = vsetq_lane_f32(p[1], x, 1);
  if (count > 2) x = vsetq_lane_f32(p[2], x, 2);
  return x;
}
inline void f32_store(float* p, F32 x) { vst1q_f32(p, x); }
inline F32 f32_add(F32 a, F32 b) { return vaddq_f32(a, b); }
inline F32 f32_sub(F32 a, F32 b) { return vsubq_f32(a, b); }
inline F32 f32_mul(F32 a, F32 b) { return vmulq_f32(a, b); }
inline F32 f32_fma(F32 a, F32 b, F32 sum) { return vfmaq_f32(sum, a, b); }
// The bound if x is NaN.
inline F32 f32_max(F32 x, F32 bound) { return vmaxnmq_f32(x, bound); }
inline F32 f32_min(F32 x, F32 bound) { return vminnmq_f32(x, bound); }
inline F32 f32_of(I32 x) { return vcvtq_f32_s32(x); }

// Hides from the compiler where x came from: GCC turns intrinsics into plain arithmetic and would
// fuse it, and loads a shared operand again for each use.
inline F32 f32_opaque(F32 x) {
#if defined(__GNUC__)
  __asm__("" : "+w"(x));
#endif
  return x;
}

inline float f32_sum(F32 x) { return vaddvq_f32(x); }

inline uint32_t f32_below(F32 x, F32 limit) {
  constexpr uint32_t kBits[4] = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(vcltq_f32(x, limit), vld1q_u32(kBits)));
}

inline F64 f64_zero() { return {vdupq_n_f64(0), vdupq_n_f64(0)}; }
inline F64 f64_add(const F64& a, const F64& b) {
  return {vaddq_f64(a.low, b.low), vaddq_f64(a.high, b.high)};
}
inline F64 f64_add_squares(const F64& sum, F32 x) {
  const float64x2_t low = vcvt_f64_f32(vget_low_f32(x));
  const float64x2_t high = vcvt_high_f64_f32(x);
  return {vfmaq_f64(sum.low, low, low), vfmaq_f64(sum.high, high, high)};
}
inline double f64_sum(const F64& x) { return vaddvq_f64(vaddq_f64(x.low, x.high)); }
inline double f64_sqrt(double x) { return vget_lane_f64(vsqrt_f64(vdup_n_f64(x)), 0); }

inline I16 i16_load(const int16_t* p) { return vld1q_s16(p); }
inline I16 i16_load_i8(const int8_t* p) { return vmovl_s8(vld1_s8(p)); }
inline I16 i16_load_u8(const uint8_t* p) { return vreinterpretq_s16_u16(vmovl_u8(vld1_u8(p))); }
inline I16 i16_load_i8_first(const int8_t* p, size_t count) {
  return vmovl_s8(vcreate_s8(load_bytes(p, count)));
}
inline I16 i16_load_u8_first(const uint8_t* p, size_t count) {
  return vreinterpretq_s16_u16(vmovl_u8(vcreate_u8(load_bytes(p, count))));
}
inline I16 i16_sub(I16 a, I16 b) { return vsubq_s16(a, b); }

inline I32 i32_zero() { return vdupq_n_s32(0); }
inline I32 i32_load(const uint32_t* p) { return vreinterpretq_s32_u32(vld1q_u32(p)); }
inline void i32_store(uint32_t* p, I32 x) { vst1q_u32(p, vreinterpretq_u32_s32(x)); }
inline I32 i32_add(I32 a, I32 b) { return vaddq_s32(a, b); }
inline I32 i32_add_products(I32 sum, I16 a, I16 b) {
  sum = vmlal_s16(sum, vget_low_s16(a), vget_low_s16(b));
  return vmlal_high_s16(sum, a, b);
}
inline int32_t i32_sum(I32 x) { return vaddvq_s32(x); }
inline void i32_sum4(I32 a, I32 b, I32 c, I32 d, int32_t* out) {
  vst1q_s32(out, vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)));
}

inline I32 i32_round(F32 x) { return vcvtnq_s32_f32(x); }  // Half to even, in any mode.

inline I32 widen_bytes(uint64_t bytes) {
  const uint16x8_t halves = vmovl_u8(vcreate_u8(bytes));
  return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(halves)));
}
inline I32 i32_load_bytes(const uint8_t* p) { return widen_bytes(load_bytes(p, kLanes)); }
inline I32 i32_load_bytes_first(const uint8_t* p, size_t count) {
  return widen_bytes(load_bytes(p, count));
}

// The low byte of each lane.
inline uint32_t low_bytes(I32 x) {
  const int16x4_t halves = vmovn_s32(x);
  return vget_lane_u32(vreinterpret_u32_s8(vmovn_s16(vcombine_s16(halves, halves))), 0);
}
inline void i32_store_bytes(void* p, I32 x) {
  const uint32_t bytes = low_bytes(x);
  memcpy(p, &bytes, kLanes);
}
inline void i32_store_bytes_first(void* p, I32 x, size_t count) {
  const uint32_t bytes = low_bytes(x);
  memcpy(p, &bytes, count);
}
inline void i32_store_halves(int16_t* p, I32 x) { vst1_s16(p, vmovn_s32(x)); }
inline void i32_store_halves_first(int16_t* p, I32 x, size_t count) {
  int16_t halves[kLanes];
  vst1_s16(halves, vmovn_s32(x));
  memcpy(p, halves, count * sizeof(int16_t));
}

// w == 128 * high + low with low in [-64, 63].
inline I32 i32_weight_high(I32 w) { return vshrq_n_s32(vaddq_s32(w, vdupq_n_s32(64)), 7); }
inline I32 i32_weight_low(I32 w, I32 high) { return vsubq_s32(w, vshlq_n_s32(high, 7)); }

// A comparison that holds is -1.
inline I32 i32_count_at_most(I32 count, F32 x, F32 limit) {
  return vsubq_s32(count, vreinterpretq_s32_u32(vcleq_f32(x, limit)));
}

// The first `count` lanes of x, and of `rest` after them.
inline F32 f32_keep_first(F32 x, F32 rest, size_t count) {
  return vbslq_f32(first_lanes(count), x, rest);
}
inline I32 i32_keep_first(I32 x, I32 rest, size_t count) {
  return vbslq_s32(first_lanes(count), x, rest);
}
// x moved up by a lane; the first takes the last of `before`.
inline F32 f32_push(F32 x, F32 before) { return vextq_f32(before, x, 3); }
inline I32 i32_push(I32 x, I32 before) { return vextq_s32(before, x, 3); }
inline F32 f32_pick_above(F32 x, F32 limit, F32 above, F32 other) {
  return vbslq_f32(vcgtq_f32(x, limit), above, other);
}
inline I32 i32_pick_above(F32 x, F32 limit, I32 above, I32 other) {
  return vbslq_s32(vcgtq_f32(x, limit), above, other);
}

inline I32 i32_set(int32_t x) { return vdupq_n_s32(x); }
inline I32 i32_sub(I32 a, I32 b) { return vsubq_s32(a, b); }
inline I32 i32_and(I32 a, I32 b) { return vandq_s32(a, b); }
inline I32 i32_or(I32 a, I32 b) { return vorrq_s32(a, b); }
inline I32 i32_min(I32 a, I32 b) { return vminq_s32(a, b); }
inline I32 i32_max(I32 a, I32 b) { return vmaxq_s32(a, b); }
inline I32 i32_bits(F32 x) { return vreinterpretq_s32_f32(x); }

// Rows become columns: pairs, then the halves.
inline void i32_transpose(I32* r) {
  const int32x4x2_t low = vtrnq_s32(r[0], r[1]);
  const int32x4x2_t high = vtrnq_s32(r[2], r[3]);
  r[0] = vcombine_s32(vget_low_s32(low.val[0]), vget_low_s32(high.val[0]));
  r[1] = vcombine_s32(vget_low_s32(low.val[1]), vget_low_s32(high.val[1]));
  r[2] = vcombine_s32(vget_high_s32(low.val[0]), vget_high_s32(high.val[0]));
  r[3] = vcombine_s32(vget_high_s32(low.val[1]), vget_high_s32(high.val[1]));
}

inline I32 tile_add(I32 sum, I16 a, I16 b) { return i32_add_products(sum, a, b); }

// The products of a register's halves are added, so a panel holds the first coordinates of four
// points in one half and the second ones in the other.
constexpr size_t kTileRows = 8;
inline size_t tile_offset(size_t lane) { return lane / kLanes * kWide + lane % kLanes; }
inline void tile_put(int16_t* to, size_t lane, const int16_t* pair) {
  to[tile_offset(lane)] = pair[0];
  to[tile_offset(lane) + kLanes] = pair[1];
}
inline I16 tile_broadcast(const int16_t* from, size_t lane) {
  const int16_t* at = from + tile_offset(lane);
  return vcombine_s16(vld1_dup_s16(at), vld1_dup_s16(at + kLanes));
}

// Byte tiles keep two sums of 16 bits to a lane; pairs of products of seven bits fit them.
inline I32 byte_zero() { return vdupq_n_s32(0); }
inline I32 byte_load(const uint8_t* p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
inline int16x8_t byte_products(I32 a, I32 b) {
  const int8x16_t x = vreinterpretq_s8_s32(a);
  const int8x16_t y = vreinterpretq_s8_s32(b);
  return vpaddq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(y)), vmull_high_s8(x, y));
}
inline I32 byte_add(I32 sum, I32 a, I32 b) {
  return vreinterpretq_s32_s16(vaddq_s16(vreinterpretq_s16_s32(sum), byte_products(a, b)));
}
inline I32 byte_total(I32 sum) { return vpaddlq_s16(vreinterpretq_s16_s32(sum)); }
inline I32 byte_square(I32 sum, I32 x) { return vpadalq_s16(sum, byte_products(x, x)); }
// The low half, above the bits of an index.
inline I32 byte_key(I32 x) {
  const uint32x4_t high = vshlq_n_u32(vreinterpretq_u32_s32(x), 16);
  return vreinterpretq_s32_u32(vshrq_n_u32(high, 16 - kTileIndexBits));
}

// x with its lanes moved to the index that differs in bit kBit: 1 or 2.
template <size_t kBit>
inline F32 f32_swap(F32 x) {
  if constexpr (kBit == 1) return vrev64q_f32(x);
  if constexpr (kBit == 2) return vextq_f32(x, x, 2);
}

inline I16 i16_set(int16_t x) { return vdupq_n_s16(x); }

// sum + products of a block of 64 dimensions of kWidth bits each and its weights.
template <int kWidth>
inline I16 i16_add_bits(I16 sum, const uint8_t* code, const int8_t* q) {
  const uint8x16_t mask = vdupq_n_u8((1 << kWidth) - 1);
  OMEN_UNROLL
  for (int part = 0; part < 4; ++part) {
    uint8x16_t bits;
    int8x16_t shift;
    if constexpr (kWidth == 1) {  // The first 8 bytes of a part are one shift, the others the next.
      bits = vcombine_u8(vld1_u8(code), vld1_u8(code));
      shift = vcombine_s8(vdup_n_s8(static_cast<int8_t>(-2 * part)),
                          vdup_n_s8(static_cast<int8_t>(-2 * part - 1)));
    } else {
      bits = vld1q_u8(code);
      shift = vdupq_n_s8(static_cast<int8_t>(-2 * part));
    }
    const int8x16_t values = vreinterpretq_s8_u8(vandq_u8(vshlq_u8(bits, shift), mask));
    const int8x16_t weights = vld1q_s8(q + 16 * part);
    sum = vmlal_s8(sum, vget_low_s8(values), vget_low_s8(weights));
    sum = vmlal_high_s8(sum, values, weights);
  }
  return sum;
}

// Sums of the rows' look-ups in 16 bits, eight rows each.
constexpr size_t kScanGroups = 1;
struct Scan {
  uint16x8_t sums[4];
};

inline Scan scan_zero() {
  const uint16x8_t zero = vdupq_n_u16(0);
  return {{zero, zero, zero, zero}};
}
inline Scan scan_add(const Scan& scan, const uint8_t* codes, const uint8_t* tables) {
  const uint8x16_t c = vld1q_u8(codes);
  const uint8x16_t table = vld1q_u8(tables);
  const uint8x16_t low = vqtbl1q_u8(table, vandq_u8(c, vdupq_n_u8(15)));
  const uint8x16_t high = vqtbl1q_u8(table, vshrq_n_u8(c, 4));
  return {{vaddw_u8(scan.sums[0], vget_low_u8(low)), vaddw_high_u8(scan.sums[1], low),
           vaddw_u8(scan.sums[2], vget_low_u8(high)), vaddw_high_u8(scan.sums[3], high)}};
}
inline void scan_store(const Scan& scan, uint32_t* out) {
  OMEN_UNROLL
  for (size_t i = 0; i < 4; ++i, out += 8) {
    vst1q_u32(out, vaddw_u16(vld1q_u32(out), vget_low_u16(scan.sums[i])));
    vst1q_u32(out + 4, vaddw_high_u16(vld1q_u32(out + 4), scan.sums[i]));
  }
}

// Cells of a column.
using U64 = uint64x2_t;
constexpr size_t kCells = 2;
inline U64 u64_load(const uint64_t* p) { return vld1q_u64(p); }
inline U64 u64_set(uint64_t x) { return vdupq_n_u64(x); }
inline uint64_t u64_bits(U64 x) {
  return (vgetq_lane_u64(x, 0) & 1) | (vgetq_lane_u64(x, 1) & 2);
}
inline uint64_t u64_tagged(U64 x, const U64* tags) {
  const U64 tag = vshrq_n_u64(x, 48);
  return u64_bits(vorrq_u64(vceqq_u64(tag, tags[0]), vceqq_u64(tag, tags[1])));
}
inline uint64_t u64_within(U64 x, U64 low, U64 high) {
  return u64_bits(vandq_u64(vcleq_u64(low, x), vcleq_u64(x, high)));
}
inline uint64_t f64_within(U64 x, U64 low, U64 high) {
  const float64x2_t at = vreinterpretq_f64_u64(x);
  return u64_bits(vandq_u64(vcleq_f64(vreinterpretq_f64_u64(low), at),
                            vcleq_f64(at, vreinterpretq_f64_u64(high))));
}
inline uint64_t f64_between(U64 x, U64 low, U64 high) {
  const float64x2_t at = vreinterpretq_f64_u64(x);
  return u64_bits(vandq_u64(vcltq_f64(vreinterpretq_f64_u64(low), at),
                            vcltq_f64(at, vreinterpretq_f64_u64(high))));
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
    .name = "neon",
    .features = "",
#include "simd/entries.inc"
};

#if defined(__clang__)
#define OMEN_ARCH_DOTPROD ""
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#define OMEN_ARCH_DOTPROD ".arch armv8.2-a+dotprod\n\t"
#endif

namespace dotprod {
namespace {

// sum + products of signed bytes, four to a lane.
inline I32 add_byte_products(I32 sum, int8x16_t a, int8x16_t b) {
#if defined(__GNUC__)
  __asm__(OMEN_ARCH_DOTPROD "sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(b));
  return sum;
#else
  return vdotq_s32(sum, a, b);
#endif
}

// Four products to a lane, summed in 32 bits.
inline I32 byte_add(I32 sum, I32 a, I32 b) {
  return add_byte_products(sum, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b));
}
inline I32 byte_square(I32 sum, I32 x) { return byte_add(sum, x, x); }
inline I32 byte_total(I32 sum) { return sum; }

#include "simd/byte_tiles.inc"

inline int8x16_t load_16(const int8_t* p) { return vld1q_s8(p); }
inline int8x16_t load_16_first(const void* p, size_t count) {
  const char* bytes = static_cast<const char*>(p);
  const uint64_t low = load_bytes(bytes, count < 8 ? count : 8);
  const uint64_t high = count > 8 ? load_bytes(bytes + 8, count - 8) : 0;
  return vcombine_s8(vcreate_s8(low), vcreate_s8(high));
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

// SDOT wants signed bytes: code - 128, by flipping the top bit. w == 128 * hi + lo, both planes
// bytes; what the 128 took off is 128 * sum of w, the same for every row. Sums wrap, and the total
// fits.
struct ScorePlanes {
  struct Query {
    Weights weights;
    I32 high_start;
    I32 low_start;
  };

  static Query prepare(const Weights& weights, size_t n) {
    const int8x16_t minus_ones = vdupq_n_s8(-1);
    I32 high = i32_zero();
    I32 low = i32_zero();
    for (size_t i = 0; i < n; i += 16) {
      high = add_byte_products(high, minus_ones, load_16(weights.hi + i));
      low = add_byte_products(low, minus_ones, load_16(weights.lo + i));
    }
    return {weights, vnegq_s32(vshlq_n_s32(high, 7)), vnegq_s32(vshlq_n_s32(low, 7))};
  }

  template <size_t kRows>
  static void block(const Query& q, const uint8_t* const* rows, size_t n, int32_t* out) {
    const int8x16_t flip = vdupq_n_s8(-128);
    const uint8_t* row[kRows];
    I32 high[kRows];
    I32 low[kRows];
    OMEN_UNROLL
    for (size_t r = 0; r < kRows; ++r) {
      row[r] = rows[r];
      high[r] = q.high_start;
      low[r] = q.low_start;
    }
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
      const int8x16_t hi = load_16(q.weights.hi + i);
      const int8x16_t lo = load_16(q.weights.lo + i);
      OMEN_UNROLL
      for (size_t r = 0; r < kRows; ++r) {
        const int8x16_t code = veorq_s8(vreinterpretq_s8_u8(vld1q_u8(row[r] + i)), flip);
        high[r] = add_byte_products(high[r], code, hi);
        low[r] = add_byte_products(low[r], code, lo);
      }
    }
    if (i < n) {
      const int8x16_t hi = load_16(q.weights.hi + i);
      const int8x16_t lo = load_16(q.weights.lo + i);
      OMEN_UNROLL
      for (size_t r = 0; r < kRows; ++r) {
        const int8x16_t code = veorq_s8(load_16_first(row[r] + i, n - i), flip);
        high[r] = add_byte_products(high[r], code, hi);
        low[r] = add_byte_products(low[r], code, lo);
      }
    }
    OMEN_UNROLL
    for (size_t r = 0; r < kRows; ++r) low[r] = vaddq_s32(low[r], vshlq_n_s32(high[r], 7));
    put_sums<kRows>(low, out);
  }
};

struct ScoreSigned {
  template <size_t kRows>
  static void block(const int8_t* q, const int8_t* const* rows, size_t n, int32_t* out) {
    const int8_t* row[kRows];
    I32 sum[kRows];
    OMEN_UNROLL
    for (size_t r = 0; r < kRows; ++r) {
      row[r] = rows[r];
      sum[r] = i32_zero();
    }
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
      const int8x16_t x = load_16(q + i);
      OMEN_UNROLL
      for (size_t r = 0; r < kRows; ++r) {
        sum[r] = add_byte_products(sum[r], load_16(row[r] + i), x);
      }
    }
    if (i < n) {
      const int8x16_t x = load_16_first(q + i, n - i);
      OMEN_UNROLL
      for (size_t r = 0; r < kRows; ++r) {
        sum[r] = add_byte_products(sum[r], load_16_first(row[r] + i, n - i), x);
      }
    }
    put_sums<kRows>(sum, out);
  }
};

int32_t dot_u8(const Weights& weights, const uint8_t* code, size_t n) {
  int32_t out;
  ScorePlanes::block<1>(ScorePlanes::prepare(weights, n), &code, n, &out);
  return out;
}

void dot_u8_rows(const Weights& weights, const uint8_t* const* rows, size_t count, size_t n,
                 int32_t* out) {
  score_rows<ScorePlanes, 4>(ScorePlanes::prepare(weights, n), rows, count, n, out);
}

void dot_square_u8_rows(const Weights& weights, const uint8_t* const* rows, size_t count, size_t n,
                        int32_t* dots, float* squares) {
  dot_u8_rows(weights, rows, count, n, dots);
  square_u8_rows(rows, count, n, squares);
}

int32_t dot_i8(const int8_t* a, const int8_t* b, size_t n) {
  int32_t out;
  ScoreSigned::block<1>(a, &b, n, &out);
  return out;
}

void dot_i8_rows(const int8_t* q, const int8_t* const* rows, size_t count, size_t n,
                 int32_t* out) {
  score_rows<ScoreSigned, 4>(q, rows, count, n, out);
}

}  // namespace

constinit const Kernels kTable = {
    .name = "neon",
    .features = "dotprod",
#include "simd/entries.inc"
};

}  // namespace dotprod

#if defined(__clang__)
#pragma clang attribute pop
#endif

}  // namespace omen::simd::neon

#endif  // AArch64
