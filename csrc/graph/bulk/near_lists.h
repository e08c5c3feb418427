// NearLists: for each point a bounded list of candidate neighbours, the nearest found in each
// direction.
//
// After the online prune of PiPNN (arXiv:2602.21247): a candidate's direction is the side of some
// random hyperplanes that it lies on as seen from the point, hashed to a bucket; a bucket keeps its
// nearest candidate, and a full list gives up its farthest. What order candidates come in matters
// only among equals, so a list is nearly the same however many threads fill it.
// A list is one record, lock and all: each of its lines comes from memory once for all that a leaf
// offers.
// Invariants:
//   1. A list holds a candidate at most once, and no bucket twice.
//   2. Entries beyond size() are unused; worst() is the farthest of a full list.
// Threads: offers to a list under its Hold; the rest when all are done.
#pragma once

#include <atomic>
#include <cstring>
#include <span>
#include <thread>

#include "memory/array.h"

namespace omen {

class NearLists {
 public:
  // `capacity` is a multiple of 16, at most 128.
  NearLists(MemoryAccount* account, uint32_t capacity)
      : capacity_(capacity),
        stride_(round_up(sizeof(Head) + capacity * (2 * sizeof(uint32_t) + sizeof(uint16_t)),
                         kCacheLineBytes)),
        records_(account, Use::kScratch) {}

  Status reserve(uint32_t points) { return records_.make_zeros(points * stride_); }

  uint32_t size(uint32_t point) const { return head(point).size; }
  const uint32_t* ids(uint32_t point) const { return keys(point) + capacity_; }
  // Before offering to a point whose list is not in the cache.
  void prefetch(uint32_t point) const;
  // Before ids() alone.
  void prefetch_ids(uint32_t point) const;

  // One thread's turn at a list, of microseconds.
  class Hold {
   public:
    Hold(NearLists& lists, uint32_t point) : lock_(lists.head(point).lock) {
      for (unsigned spins = 0; lock_.exchange(1, std::memory_order_acquire) != 0; ++spins) {
        if (spins > 64) std::this_thread::yield();
      }
    }
    ~Hold() { lock_.store(0, std::memory_order_release); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    std::atomic<uint8_t>& lock_;
  };
  // A farther candidate changes nothing.
  bool is_hopeless(uint32_t point, uint32_t key) const {
    return head(point).size == capacity_ && key >= head(point).worst;
  }
  // `key` orders by distance, below 2^31; `bucket` is below 2^16 - 1. Of candidates at equal
  // distance in one bucket the first stays.
  void offer(uint32_t point, uint16_t bucket, uint32_t id, uint32_t key);
  Status validate(uint32_t points) const;

  // The lists' memory, for another use when they are done with: at least a word of 64 bits for each
  // entry that they had room for.
  std::span<uint64_t> take_memory() {
    return {reinterpret_cast<uint64_t*>(records_.data()), records_.size() / sizeof(uint64_t)};
  }

 private:
  // Then the keys, the ids, and the buckets plus one: 0 is an unused entry.
  struct Head {
    uint32_t worst;  // Of a full list.
    uint8_t size;
    std::atomic<uint8_t> lock;
  };
  Head& head(uint32_t point) const {
    return *reinterpret_cast<Head*>(const_cast<std::byte*>(records_.data()) + point * stride_);
  }
  uint32_t* keys(uint32_t point) const { return reinterpret_cast<uint32_t*>(&head(point) + 1); }
  uint16_t* buckets(uint32_t point) const {
    return reinterpret_cast<uint16_t*>(keys(point) + 2 * capacity_);
  }

  const uint32_t capacity_;
  const size_t stride_;
  Array<std::byte> records_;
};

}  // namespace omen
