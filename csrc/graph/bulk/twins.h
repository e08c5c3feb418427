// Twins: points whose rows are equal byte for byte.
//
// Why: a point's nearest would all be its copies, each of which names the others and nobody else,
// and no search would find the way in or out. So one of each kind stands in the graph, and the
// others hang on it (Graph::BulkBuild).
// Threads: find() uses all of an executor's; constant afterwards.
#pragma once

#include "exec/executor.h"
#include "graph/bulk/points.h"
#include "memory/array.h"

namespace omen {

class Twins {
 public:
  explicit Twins(MemoryAccount* account)
      : account_(account), heads_(account, Use::kScratch), others_(account, Use::kScratch) {}

  struct Twin {
    uint32_t head;  // Position in heads().
    uint32_t point;
  };

  // ERR_MEMORY.
  Status find(const BulkPoints& points, uint64_t seed, Executor& executor);
  // The first point of each kind, rising.
  std::span<const uint32_t> heads() const { return {heads_.data(), heads_.size()}; }
  // All other points, by head, then rising.
  std::span<const Twin> others() const { return {others_.data(), others_.size()}; }

 private:
  MemoryAccount* const account_;
  Array<uint32_t> heads_;
  Array<Twin> others_;
};

}  // namespace omen
