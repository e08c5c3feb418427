// The shape of a kernel table, and the tables that exist.
//
// Why: one binary must run at full speed on every processor. Each table is complete; kernels.h
// chooses one at first use. This header is all that the files of one instruction set include
// besides intrinsics and C headers, so it holds no function: an inline function compiled there for
// AVX-512 could become the copy that the linker keeps for everyone.
// Contracts, for every table:
//   1. A kernel is a pure function: no allocation, no CPU test, any n >= 0 (n = 0 gives 0), any
//      alignment of its inputs. It reads no byte past the end of a vector or code.
//   2. Integer kernels are exact and equal in every table. Float kernels may differ by rounding
//      only, in the order of summation.
//   3. `rows` variants score `count` rows, prefetching rows ahead, and give bit for bit what the
//      single variant of the same table gives for each row.
// Threads: tables are constant.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace omen::simd {

// Weights of a prepared `sq8` query, in the layouts that the tables want. Every weight w[i] lies in
// [-kWeightMax, kWeightMax], and w[i] == 128 * hi[i] + lo[i] with lo[i] in [-64, 63]. The arrays
// are 64-byte aligned and zero-padded to a multiple of 64 elements, so kernels may read past n in
// *weights* (never in codes).
struct Weights {
  const int16_t* w;
  const int8_t* hi;
  const int8_t* lo;
};
inline constexpr int32_t kWeightMax = 16256;

// Tiles compare many points with many: a panel holds tile_width points of n coordinates in int16,
// in a layout of the table's own, tile_width * (n + n % 2) elements, 64-byte aligned. A tile holds
// the squared distances of all pairs of two panels' points, as keys: the bits of the float, whose
// order is that of the distances, with the lowest kTileIndexBits cleared to make room for an index.
// That leaves 12 bits of precision: enough to say who is near.
inline constexpr size_t kTileWidthMax = 32;
inline constexpr size_t kTileNearestMax = 12;
inline constexpr uint32_t kTileIndexBits = 11;
inline constexpr uint32_t kTileIndexMask = (1u << kTileIndexBits) - 1;
// Farther than every distance: FLT_MAX without the index bits.
inline constexpr uint32_t kTileFar = 0x7F7FF800;
// Bounds the squared norm of a packed point. What fills a panel up has coordinates of zero and this
// other norm, which makes it farther from every point than any point can be; sums fit int32.
inline constexpr int32_t kTileNormMax = 1 << 28;
inline constexpr int32_t kTileFillerNorm = (1 << 30) - 1;
// Byte tiles are coarser and cost half as much: coordinates are bytes from 0 to kByteMax, with
// kByteMiddle where the frame has its centre; a panel has tile_width * (n rounded up to 4) of them.
// Keys are squared distances below 2^16, shifted by kTileIndexBits.
inline constexpr int32_t kByteMax = 127;
inline constexpr int32_t kByteMiddle = 64;

// FLT_MAX: distances are finite.
inline constexpr float kFarthest = 3.40282346638528859812e+38f;

struct Kernels {
  const char* name;      // "scalar", "avx2", "avx512", "neon": what OMENDB_SIMD forces.
  const char* features;  // "", "vnni", "dotprod": extensions in use, for stats().

  // float32, one pair. cosine is 1 - dot / sqrt(|a|^2 |b|^2); 1 if either is zero. Squared norms
  // are summed in float32: the caller has refused vectors whose squared norm overflows.
  float (*l2_f32)(const float* a, const float* b, size_t n);
  float (*dot_f32)(const float* a, const float* b, size_t n);
  float (*cosine_f32)(const float* a, const float* b, size_t n);
  // int8, one pair: exact sums in int32 (n <= 16 384, so that nothing overflows).
  int32_t (*l2_i8)(const int8_t* a, const int8_t* b, size_t n);
  int32_t (*dot_i8)(const int8_t* a, const int8_t* b, size_t n);
  float (*cosine_i8)(const int8_t* a, const int8_t* b, size_t n);
  // sum of code[i] * w[i]; the caller bounds sum |w[i]| by 2^31 / 255, so that int32 holds.
  int32_t (*dot_u8)(const Weights& weights, const uint8_t* code, size_t n);

  // One query against `count` rows.
  void (*l2_f32_rows)(const float* q, const float* const* rows, size_t count, size_t n,
                      float* out);
  void (*dot_f32_rows)(const float* q, const float* const* rows, size_t count, size_t n,
                       float* out);
  void (*cosine_f32_rows)(const float* q, const float* const* rows, size_t count, size_t n,
                          float* out);
  void (*l2_i8_rows)(const int8_t* q, const int8_t* const* rows, size_t count, size_t n,
                     int32_t* out);
  void (*dot_i8_rows)(const int8_t* q, const int8_t* const* rows, size_t count, size_t n,
                      int32_t* out);
  void (*cosine_i8_rows)(const int8_t* q, const int8_t* const* rows, size_t count, size_t n,
                         float* out);
  void (*dot_u8_rows)(const Weights& weights, const uint8_t* const* rows, size_t count, size_t n,
                      int32_t* out);

  // The same dots, and the sum of each row's squares, exact and rounded to float once.
  void (*dot_square_u8_rows)(const Weights& weights, const uint8_t* const* rows, size_t count,
                             size_t n, int32_t* dots, float* squares);

  // out[i] = bias + factor_multiplier * factors[i] - dot_multiplier * dots[i], in this order, each
  // operation rounded on its own, within +-kFarthest; what is no number is as far. Equal in every
  // table. `out` is neither input; n <= 32. Bit i of what is returned is set where out[i] <
  // threshold.
  struct Affine {
    float bias;
    float factor_multiplier;
    float dot_multiplier;
  };
  uint32_t (*affine_dots)(const Affine& a, const int32_t* dots, const float* factors, size_t n,
                          float threshold, float* out);

  // Copies n floats and returns the sum of their squares in double: NaN or infinite if any input
  // is.
  double (*copy_norm_f32)(float* to, const float* from, size_t n);
  // Sum of squares in double, without the copy.
  double (*norm_f32)(const float* x, size_t n);

  // Scalar quantisation: code[i] = round-half-even(clamp(
  // (x[i] * scale - low[i]) * inverse_step[i], 0, 255)), each operation rounded to float on its own
  // (never fused), so that codes are equal in every table. NaN gives 0.
  // Returns sum of (step[i] * code[i])^2 in float (accumulated in any order).
  struct Quantizer {
    const float* low;           // n
    const float* step;          // n
    const float* inverse_step;  // n
  };
  float (*quantize_u8)(const Quantizer& quantizer, const float* x, float scale, size_t n,
                       uint8_t* code);
  // Weights from floats: w[i] = clamp(round-half-even(t[i] * factor), -kWeightMax, kWeightMax),
  // then the split into hi and lo. Writes exactly n elements; the caller keeps the padding zero.
  // Equal in every table.
  void (*make_weights)(const float* t, float factor, size_t n, int16_t* w, int8_t* hi, int8_t* lo);
  // The same from a code: t[i] = squared_step[i] * code[i].
  void (*code_weights)(const uint8_t* code, const float* squared_step, float factor, size_t n,
                       int16_t* w, int8_t* hi, int8_t* lo);
  // Another scale for a code: out[i] = round-half-even(code[i] * scale[i]) - 128, the product
  // rounded to float on its own; scale[i] is 0 to 1. Equal in every table.
  void (*rescale_u8)(const uint8_t* code, const float* scale, size_t n, int8_t* out);

  // Codes of one or two bits a dimension (quant/binary.h); n is a multiple of 64, as no other
  // kernel asks. Each 64 dimensions are a block of 8 bytes (u1) or 16 (u2): bits [j w, j w + w) of
  // byte b, with w the width, hold dimension (8 w) j + b of the block, so that a shift and a mask
  // bring neighbouring dimensions to neighbouring bytes. out[r] is the sum of q[i] * value[i], in
  // int32 (n <= 16 384, so that nothing overflows).
  void (*dot_u1_rows)(const int8_t* q, const uint8_t* const* rows, size_t count, size_t n,
                      int32_t* out);
  void (*dot_u2_rows)(const int8_t* q, const uint8_t* const* rows, size_t count, size_t n,
                      int32_t* out);
  // One-bit codes of 32 rows at once; n is a multiple of 64. Each four dimensions are a group of 16
  // bytes: the low half of byte j holds the bits of row j, its high half those of row j + 16, the
  // first dimension lowest. out[r] is the sum over all groups of tables[16 group + bits of row r].
  void (*scan_u1)(const uint8_t* tables, const uint8_t* codes, size_t n, uint32_t* out);
  // Walsh-Hadamard transform in place, unnormalised: for every h from n / 2 down to 1, x[i] and
  // x[i + h] become their sum and their difference. n is a power of two, at least 64. Each element
  // is made by the same sums in the same order, so that results are equal in every table.
  void (*hadamard_f32)(float* x, size_t n);

  // 64 cells of a column (meta/cell.h). Bit i of `hits` is set where cell i lies within [low,
  // high], as a double (or between them, where that is `strict`; NaN lies nowhere) or as an
  // unsigned integer, bit i of `tagged` where its upper 16 bits are `tag` or `tag` + 1.
  struct CellBits {
    uint64_t hits;
    uint64_t tagged;
  };
  struct NumberRange {
    double low;
    double high;
    bool strict;
    uint64_t tag;
  };
  struct WordRange {
    uint64_t low;
    uint64_t high;
    uint64_t tag;
  };
  CellBits (*cells_of_numbers)(const uint64_t* cells, const NumberRange& range);
  CellBits (*cells_of_words)(const uint64_t* cells, const WordRange& range);

  // Graph steps. `ids` are slots below 2^31. Appends to `out` those ids whose bit in `visited` is
  // clear, in order, and sets the bits; returns how many. Stops at the first id equal to kNoSlot
  // (0xFFFFFFFF). `out` has room for n.
  size_t (*gather_unvisited)(const uint32_t* ids, size_t n, uint64_t* visited, uint32_t* out);
  // Bit i is set where d[i] < threshold; n <= 32.
  uint32_t (*mask_below)(const float* d, size_t n, float threshold);
  // Inserts (d, id) after all entries with distance <= d into the pool sorted by `distances`;
  // `size` entries are valid. A full pool (size == capacity) drops its last entry. Both arrays have
  // room for capacity + 16 entries. Returns the position, or `capacity` if it was not inserted.
  size_t (*pool_insert)(float* distances, uint32_t* ids, size_t size, size_t capacity, float d,
                        uint32_t id);

  // Tiles.
  size_t tile_width;  // Points in a panel: 8, 16 or 32.
  struct TilePoint {
    const float* x;       // n
    float scale;          // Coordinates are (x[i] * scale - centre[i]) * factor, each operation
    const float* centre;  // rounded to float on its own, then half to even, within +-32767.
    float factor;
  };
  // Writes one point to `lane` of a panel and returns the sum of its squared coordinates: the
  // caller's factor keeps it within kTileNormMax. Equal in every table.
  int32_t (*tile_pack)(const TilePoint& point, size_t n, size_t lane, int16_t* panel);
  struct TilePanel {
    const int16_t* points;
    const int32_t* norms;  // tile_width, as tile_pack() returned them.
  };
  // keys[i * tile_width + j]: of point i of `a` and point j of `b`. Exact in integers, then rounded
  // to float once. Equal in every table.
  void (*tile_distances)(const TilePanel& a, const TilePanel& b, size_t n, uint32_t* keys);
  void (*tile_transpose)(const uint32_t* keys, uint32_t* out);
  // Keeps the k (1 to kTileNearestMax) lowest keys of each column, with the index first + row in
  // their low bits: nearest[i * tile_width + column] is the i-th, sorted; all start as UINT32_MAX
  // >> 1 or real keys.
  void (*tile_nearest)(const uint32_t* keys, uint32_t first, size_t k, uint32_t* nearest);
  // Byte tiles, by the same two calls: coordinates are (x[i] * scale - centre[i]) * factor +
  // kByteMiddle, each operation rounded to float on its own, then half to even, within 0 to
  // kByteMax. Distances are exact modulo 2^16: the caller's factor keeps them below. Equal in every
  // table.
  int32_t (*byte_pack)(const TilePoint& point, size_t n, size_t lane, uint8_t* panel);
  struct BytePanel {
    const uint8_t* points;
    const int32_t* norms;  // tile_width, as byte_pack() returned them.
  };
  void (*byte_distances)(const BytePanel& a, const BytePanel& b, size_t n, uint32_t* keys);
};

// The tables. A table that the compiler's target cannot hold does not exist; which of those that
// exist can run here is decided by choose.cc.
namespace scalar {
extern const Kernels kTable;
// The vector tables use this one too: two ids of one list may share a word of `visited`, so the
// steps depend on each other, and a vector form gains nothing on lists of 32.
size_t gather_unvisited(const uint32_t* ids, size_t n, uint64_t* visited, uint32_t* out);
// What fills no register of the others'.
uint32_t affine_dots(const Kernels::Affine& a, const int32_t* dots, const float* factors, size_t n,
                     float threshold, float* out);
}  // namespace scalar
namespace avx2 {
extern const Kernels kTable;
}
namespace avx512 {
extern const Kernels kTable;
namespace vnni {
extern const Kernels kTable;
}
}  // namespace avx512
namespace neon {
extern const Kernels kTable;
namespace dotprod {
extern const Kernels kTable;
}
}  // namespace neon

}  // namespace omen::simd
