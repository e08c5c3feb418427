// PackedCodes: the neighbours' codes of every node, for `layout: 'fast'`, and the graph's view of
// them.
//
// Why: edge rows stay what the graph is built of, repaired by and filtered through; this is a
// second form of them that unfiltered searches walk over. Rows are packed after edges changed, all
// those of a commit at once; until then the graph scores such rows neighbour by neighbour.
// A row relates neighbours to its node, both of which are slots: before a slot is free again its
// row is emptied, and no row names it.
// Threads: pack() and reset() of one row by one thread at a time, beside readers under a pin.
#pragma once

#include <memory>
#include <span>

#include "graph/packed_rows.h"
#include "graph/scorer.h"
#include "quant/edge_codec.h"
#include "quant/float32.h"

namespace omen {

struct RowViews;

class PackedCodes {
 public:
  // `codec` outlives it. Rows of `neighbours` at most.
  PackedCodes(MemoryAccount* account, const BinaryCodec& codec, const simd::Kernels& kernels,
              uint32_t neighbours)
      : codec_(codec, kernels), rows_(account, neighbours, codec_.block_bytes()) {}

  Status ensure(uint32_t slots) { return rows_.ensure(slots); }
  uint64_t bytes() const { return rows_.bytes(); }
  // Makes the row that of these neighbours; those that it has already are not coded again.
  void pack(uint32_t slot, std::span<const uint32_t> ids, const RowViews& floats);
  // Empties the row.
  void reset(uint32_t slot);
  // Whether the row is that of these neighbours. For tests and checks.
  Status validate(uint32_t slot, std::span<const uint32_t> ids, const RowViews& floats) const;

  const EdgeCodec& codec() const { return codec_; }
  const PackedRows& rows() const { return rows_; }

 private:
  struct Lanes;
  EdgeCodec codec_;
  PackedRows rows_;
};

// Scores neighbours by packed codes. `query` was prepared by their codec.
class PackedScorer final : public NeighbourScorer {
 public:
  PackedScorer(const PackedCodes& codes, const EdgeQuery& query) : codes_(codes), query_(query) {}
  void prefetch(uint32_t node) const override;
  uint32_t blocks() const override { return codes_.rows().blocks(); }
  void score(uint32_t node, uint32_t block, float node_distance, uint32_t* ids,
             float* distances) const override;

 private:
  const PackedCodes& codes_;
  const EdgeQuery& query_;
};

}  // namespace omen
