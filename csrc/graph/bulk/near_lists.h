// NearLists: for each point a bounded list of candidate neighbours, the nearest found in each
// direction.
//
// After the online prune of PiPNN (arXiv:2602.21247): a candidate's direction is the side of some
// random hyperplanes that it lies on as seen from the point, hashed to a bucket; a bucket keeps its
// nearest candidate, and a full list gives up its farthest. What order candidates come in matters
// only among equals, so a list is nearly the same however many threads fill it.
// Invariants:
//   1. A list holds a candidate at most once, and no bucket twice.
//   2. Entries beyond size() are unused; worst() is the farthest of a full list.
// Threads: a list has one writer at a time: the caller locks the point.
#pragma once

#include <cstring>

#include "memory/array.h"

namespace omen {

class NearLists {
 public:
  // `capacity` is a multiple of 16, at most 128.
  NearLists(MemoryAccount* account, uint32_t capacity)
      : capacity_(capacity),
        sizes_(account, Use::kScratch),
        worst_(account, Use::kScratch),
        buckets_(account, Use::kScratch),
        ids_(account, Use::kScratch),
        keys_(account, Use::kScratch) {}

  Status reserve(uint32_t points) {
    const size_t entries = size_t{points} * capacity_;
    OMEN_TRY(sizes_.resize(points));
    OMEN_TRY(worst_.resize(points));
    OMEN_TRY(buckets_.resize(entries));
    OMEN_TRY(ids_.resize(entries));
    return keys_.resize(entries);
  }

  uint32_t size(uint32_t point) const { return sizes_[point]; }
  const uint32_t* ids(uint32_t point) const { return ids_.data() + size_t{point} * capacity_; }
  // Before offering to a point whose list is not in the cache.
  void prefetch(uint32_t point) const;
  // A farther candidate changes nothing.
  bool is_hopeless(uint32_t point, uint32_t key) const {
    return sizes_[point] == capacity_ && key >= worst_[point];
  }
  // `key` orders by distance, below 2^31; `bucket` is below 2^16 - 1. Of candidates at equal
  // distance in one bucket the first stays.
  void offer(uint32_t point, uint16_t bucket, uint32_t id, uint32_t key);
  Status validate(uint32_t points) const;

 private:
  const uint32_t capacity_;
  Array<uint8_t> sizes_;
  Array<uint32_t> worst_;    // Of full lists.
  Array<uint16_t> buckets_;  // Plus one: 0 is an unused entry.
  Array<uint32_t> ids_;
  Array<uint32_t> keys_;
};

}  // namespace omen
