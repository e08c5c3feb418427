// Locality: an order of vectors in which those that lie near each other follow each other.
//
// Why: what a search reads lies around its query. Where rows that are near in space are near in
// memory too, they share pages, whose translations a processor caches only so many of, and queries
// that follow each other find in the cache what the ones before them read.
// How: a binary tree of hyperplanes halves a sample again and again, each between two means of what
// it halves; every vector walks down, and the leaves follow each other as in the tree. Vectors of
// one leaf keep their order. The same for every number of threads.
// Threads: the caller's and its executor's.
#pragma once

#include "exec/executor.h"
#include "graph/scorer.h"
#include "memory/array.h"
#include "simd/kernels.h"

namespace omen {

class LocalRows {
 public:
  virtual ~LocalRows() = default;
  virtual FloatRow row(size_t i) const = 0;
};

struct Locality {
  const LocalRows& rows;
  size_t count;
  size_t dimensions;
  size_t leaf_rows;  // About so many rows are not told apart.
  const simd::Kernels& kernels;
  Executor& executor;
  MemoryAccount* account;
};

// Numbers of all rows, in their order. ERR_MEMORY.
Status order_by_locality(const Locality& locality, Array<uint32_t>* order);

}  // namespace omen
