// NearLists: offering candidates.
#include "graph/bulk/near_lists.h"

#include <algorithm>

#include "memory/slot_pages.h"

namespace omen {

void NearLists::prefetch(uint32_t point) const {
  prefetch_read(&sizes_[point]);
  const size_t first = size_t{point} * capacity_;
  for (uint32_t i = 0; i < capacity_; i += 32) prefetch_read(&buckets_[first + i]);
  for (uint32_t i = 0; i < capacity_; i += 16) {
    prefetch_read(&ids_[first + i]);
    prefetch_read(&keys_[first + i]);
  }
}

namespace {

// The position of `bucket` plus one, or 0. A loop without exit, which compilers turn into a few
// comparisons of whole registers.
uint32_t find_bucket(const uint16_t* buckets, uint32_t capacity, uint16_t bucket) {
  uint16_t found = 0;
  for (uint32_t i = 0; i < capacity; ++i) {
    found |= buckets[i] == bucket ? static_cast<uint16_t>(i + 1) : uint16_t{0};
  }
  return found;
}

// Keys are below 2^31: signed comparison is what every processor has.
uint32_t largest(const uint32_t* keys, uint32_t capacity) {
  int32_t worst = 0;
  for (uint32_t i = 0; i < capacity; ++i) {
    const auto key = static_cast<int32_t>(keys[i]);
    worst = worst < key ? key : worst;
  }
  return static_cast<uint32_t>(worst);
}

}  // namespace

void NearLists::offer(uint32_t point, uint16_t bucket, uint32_t id, uint32_t key) {
  const uint32_t n = sizes_[point];
  if (n == capacity_ && key >= worst_[point]) return;
  const size_t first = size_t{point} * capacity_;
  uint16_t* const buckets = &buckets_[first];
  uint32_t* const keys = &keys_[first];
  uint32_t at = find_bucket(buckets, capacity_, static_cast<uint16_t>(bucket + 1));
  if (at > 0) {
    if (key >= keys[--at]) return;
  } else if (n < capacity_) {
    at = n;
    ++sizes_[point];
  } else {
    at = static_cast<uint32_t>(std::find(keys, keys + n, worst_[point]) - keys);
  }
  buckets[at] = static_cast<uint16_t>(bucket + 1);
  ids_[first + at] = id;
  keys[at] = key;
  if (sizes_[point] == capacity_) worst_[point] = largest(keys, capacity_);
}

Status NearLists::validate(uint32_t points) const {
  const auto broken = [](int invariant, uint32_t point) {
    return Status::error(ErrorCode::kCorrupt, "near lists, invariant " + std::to_string(invariant) +
                                                  ": point " + std::to_string(point));
  };
  for (uint32_t point = 0; point < points; ++point) {
    const size_t first = size_t{point} * capacity_;
    const uint32_t n = sizes_[point];
    if (n > capacity_) return broken(2, point);
    uint32_t worst = 0;
    for (uint32_t i = 0; i < n; ++i) {
      worst = std::max(worst, keys_[first + i]);
      for (uint32_t j = i + 1; j < n; ++j) {
        const bool same = ids_[first + i] == ids_[first + j];
        if (same || buckets_[first + i] == buckets_[first + j]) return broken(1, point);
      }
    }
    if (n == capacity_ && worst != worst_[point]) return broken(2, point);
  }
  return Status::ok();
}

}  // namespace omen
