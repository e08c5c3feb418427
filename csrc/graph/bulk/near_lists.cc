// NearLists: offering candidates.
#include "graph/bulk/near_lists.h"

#include <algorithm>

#include "memory/slot_pages.h"

namespace omen {

void NearLists::prefetch(uint32_t point) const {
  const auto* record = reinterpret_cast<const std::byte*>(&head(point));
  for (size_t i = 0; i < stride_; i += kCacheLineBytes) prefetch_read(record + i);
}

void NearLists::prefetch_ids(uint32_t point) const {
  const auto* first = reinterpret_cast<const std::byte*>(ids(point));
  prefetch_read(&head(point));
  for (size_t i = 0; i < capacity_ * sizeof(uint32_t); i += kCacheLineBytes) {
    prefetch_read(first + i);
  }
  prefetch_read(first + capacity_ * sizeof(uint32_t) - 1);
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
  Head& list = head(point);
  const uint32_t n = list.size;
  if (n == capacity_ && key >= list.worst) return;
  uint32_t* const keys = this->keys(point);
  uint16_t* const buckets = this->buckets(point);
  uint32_t at = find_bucket(buckets, capacity_, static_cast<uint16_t>(bucket + 1));
  if (at > 0) {
    if (key >= keys[--at]) return;
  } else if (n < capacity_) {
    at = n;
    ++list.size;
  } else {
    at = static_cast<uint32_t>(std::find(keys, keys + n, list.worst) - keys);
  }
  buckets[at] = static_cast<uint16_t>(bucket + 1);
  keys[capacity_ + at] = id;
  keys[at] = key;
  if (list.size == capacity_) list.worst = largest(keys, capacity_);
}

Status NearLists::validate(uint32_t points) const {
  const auto broken = [](int invariant, uint32_t point) {
    return Status::error(ErrorCode::kCorrupt, "near lists, invariant " + std::to_string(invariant) +
                                                  ": point " + std::to_string(point));
  };
  for (uint32_t point = 0; point < points; ++point) {
    const uint32_t* keys = this->keys(point);
    const uint32_t n = size(point);
    if (n > capacity_) return broken(2, point);
    uint32_t worst = 0;
    for (uint32_t i = 0; i < n; ++i) {
      worst = std::max(worst, keys[i]);
      for (uint32_t j = i + 1; j < n; ++j) {
        const bool same = ids(point)[i] == ids(point)[j];
        if (same || buckets(point)[i] == buckets(point)[j]) return broken(1, point);
      }
    }
    if (n == capacity_ && worst != head(point).worst) return broken(2, point);
  }
  return Status::ok();
}

}  // namespace omen
