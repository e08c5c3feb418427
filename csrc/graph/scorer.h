// Scorer: all that the graph knows of vectors is how far a slot is from a query, and for building
// in bulk their rows as floats.
//
// Why: codecs, re-training and versions stay out of the graph, and a codec sees whole blocks of
// slots, so that it can prefetch and use every lane.
// Contract:
//   1. score() takes at most kScoreBlock slots and gives the same distance for the same slot and
//   query
//      whatever the block; it returns a mask of those below the threshold.
//   2. `payloads` is what the adjacency stores beside each neighbour, or nullptr where it stores
//   none.
//   3. A scorer is bound to one query at a time and used by one thread.
// Threads: one per scorer; a Space makes scorers from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace omen {

inline constexpr size_t kScoreBlock = 32;

class Scorer {
 public:
  virtual ~Scorer() = default;
  virtual void prefetch(const uint32_t* slots, size_t n) const = 0;
  virtual uint32_t score(const uint32_t* slots, const uint32_t* payloads, size_t n, float threshold,
                         float* distances) const = 0;
};

// Scores a node's neighbours from a row of the node's own (packed_rows.h). Bound to one query at a
// time and used by one thread.
class NeighbourScorer {
 public:
  virtual ~NeighbourScorer() = default;
  virtual void prefetch(uint32_t node) const = 0;
  virtual uint32_t blocks() const = 0;
  // Writes the ids of a block's kScoreBlock neighbours, kNoSlot where there is none, and estimates
  // of their distances, given the exact one of the node.
  virtual void score(uint32_t node, uint32_t block, float node_distance, uint32_t* ids,
                     float* distances) const = 0;
};

class ByteRows;

// A scorer whose query is a stored slot: building and repairing.
class SlotScorer : public Scorer {
 public:
  virtual void bind(uint32_t slot) = 0;
  // Fills `out` with the rows of n slots, 1 to ByteRows::kMax, to compare them among each other
  // where distances are `least` or more. False where bytes do not tell those: score() does.
  virtual bool copy_bytes(const uint32_t* /*slots*/, size_t /*n*/, float /*least*/,
                          ByteRows* /*out*/) const {
    return false;
  }
};

// A stored row as floats, to be multiplied by `scale`: 1, or the inverse norm under cosine.
struct FloatRow {
  const float* values;
  float scale;
};

// Floats of the largest row: room to decode one into, on a stack.
inline constexpr size_t kRowFloatsMax = 16384;

class Space {
 public:
  virtual ~Space() = default;
  // nullptr when there is no memory.
  virtual std::unique_ptr<SlotScorer> make_slot_scorer() const = 0;
  virtual size_t dimensions() const = 0;
  // `room` has dimensions() floats, for a space whose rows are no floats; one row in it at a time.
  virtual FloatRow row(uint32_t slot, float* room) const = 0;
  // Before row(), of a slot that comes soon.
  virtual void prefetch(uint32_t) const {}
  // Whether nearness is that of scaled rows in Euclidean space, which bulk building compares. If
  // not, it is the dot product.
  virtual bool is_euclidean() const = 0;
};

}  // namespace omen
