// EdgeCodec: one bit a dimension for the neighbours of a node, relative to the node, 32 in a block.
//
// How: as RaBitQ does with the centre of the data (binary.h), but with the difference r = v - c of
// a neighbour v from its node c (SymphonyQG: Gou, Gao, Xu & Long, arXiv:2411.12229). Of a query q
// whose distance to c is known,
//   L2:     |q - v|^2 = |q - c|^2 + |r|^2 - 2 <r, q - c>
//   cosine: half of that on normalised vectors
//   dot:    -<q, v>   = -<q, c> - <r, q>
// and <r, q'> is about B <x, q'> with x the signs of the rotated r, halved, and B = |r|^2 / <x, r>.
// Rotated once, a query serves all nodes: q - c = (q - g) - (c - g), where g is the centre that the
// codes of single rows have, and what is <x, c - g> the neighbour keeps. So each has two floats:
//   L2, cosine: A = |r|^2 + 2 B <x, c - g>;  dot: A = <r, g>
// Why relative to the node: the error goes with |r| |q - c| / sqrt(n), both of which are short near
// the query, where |v - g| |q - g| is what it is everywhere.
// Dominant dimensions (binary.h) are left out of r; their differences are kept as floats.
// Products come from look-ups (simd/scan.inc): each dimension of the query is rounded to 6 bits,
// so that the sums of four fit a byte. That adds 0.02 |q - g| |r| / sqrt(n) to the error.
// A block: 4 n bytes of bits (n: dimensions padded to a multiple of 64), then A of 32 neighbours,
// B of them, and their differences in each dominant dimension.
// Invariants:
//   1. block_bytes() is a multiple of 64.
//   2. Blocks and estimates are equal with every kernel table.
// Threads: immutable.
#pragma once

#include <memory>

#include "memory/array.h"
#include "quant/binary.h"

namespace omen {

// A query in the form that blocks are scored with.
struct EdgeQuery {
  explicit EdgeQuery(MemoryAccount* account) : tables(account, Use::kScratch) {}

  Array<uint8_t> tables;  // 16 a group of four dimensions.
  float factor_multiplier = 0;
  float multiplier = 0;
  float offset = 0;
  float dominant[PreparedQuery::kDominantMax] = {};
};

class EdgeCodec {
 public:
  static constexpr size_t kLanes = 32;
  // A row: its values, and what to multiply them with (the inverse norm under cosine, else 1).
  struct Row {
    const float* x;
    float scale;
  };

  // Shares the rotation, the centre and the dominant dimensions of `codec`, which outlives it.
  explicit EdgeCodec(const BinaryCodec& codec, const simd::Kernels& kernels);

  size_t padded() const { return padded_; }
  size_t block_bytes() const {
    return 4 * padded_ + (2 + codec_.dominants()) * kLanes * sizeof(float);
  }
  // Writes the rotated node - centre to `rotated`, padded() floats: what encode() wants of a node.
  void prepare_node(const Row& node, float* rotated) const;
  struct Node {
    Row row;
    const float* rotated;
  };
  // Writes one neighbour's code to a lane of a block, and nothing else in it.
  void encode(const Node& node, const Row& neighbour, size_t lane, uint8_t* block) const;
  // Makes the lane one that is nobody's: its estimate is the farthest there is.
  void clear(size_t lane, uint8_t* block) const;

  // `query` as the codec prepared it. ERR_MEMORY.
  Status prepare(const PreparedQuery& query, EdgeQuery* out) const;
  // Estimates of a block's 32 neighbours, given the exact distance of their node.
  void score(const EdgeQuery& query, const uint8_t* block, float node_distance,
             float* distances) const;

 private:
  float* factors(uint8_t* block) const { return reinterpret_cast<float*>(block + 4 * padded_); }

  const BinaryCodec& codec_;
  const simd::Kernels& kernels_;
  const size_t padded_;
};

}  // namespace omen
