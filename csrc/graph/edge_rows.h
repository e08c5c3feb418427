// EdgeRows: the neighbours of each node of one layer, in rows of fixed capacity.
//
// Why: a search reads whole rows without locks while writers replace them, so a row is 64-bit
// atomics, two ids each, copied by acquire loads into a local block before SIMD touches it. A
// reader may see words of two versions of a row: every id in either is safe to follow under the
// epoch pin.
// Invariants:
//   1. Ids come first, without repeats or the node itself; the rest of the row is kNoSlot.
//   2. write() is the only writer; it needs the node's lock.
// Threads: readers any time, writers one per row at a time.
#pragma once

#include <atomic>
#include <cstring>

#include "base/assert.h"
#include "memory/slot_pages.h"

namespace omen {

inline constexpr uint32_t kRowIdsMax = 128;

class EdgeRows {
 public:
  EdgeRows(MemoryAccount* account, uint32_t capacity)
      : capacity_((capacity + 1) / 2 * 2),
        pages_(account, Use::kGraph, capacity_ * sizeof(uint32_t), SlotPages::Paging::kAtCollapse) {
    OMEN_ASSERT(capacity_ <= kRowIdsMax);
  }

  uint32_t capacity() const { return capacity_; }
  Status ensure(uint32_t rows) {
    OMEN_TRY(pages_.ensure(rows));
    pages_.collapse(rows);
    return Status::ok();
  }
  void release_all() { pages_.release_all(); }
  uint64_t bytes() const { return pages_.bytes(); }
  void prefetch(uint32_t row) const { pages_.view().prefetch(row, capacity_ * sizeof(uint32_t)); }

  // Copies capacity() ids, kNoSlot after the last.
  void read(uint32_t row, uint32_t* out) const {
    const auto* words = pages_.row_as<std::atomic<uint64_t>>(row);
    for (uint32_t i = 0; i < capacity_ / 2; ++i) {
      const uint64_t word = words[i].load(std::memory_order_acquire);
      std::memcpy(out + 2 * i, &word, sizeof(word));
    }
  }
  // The same, and how many there are.
  uint32_t read_counted(uint32_t row, uint32_t* out) const {
    read(row, out);
    uint32_t n = 0;
    while (n < capacity_ && out[n] != kNoSlot) ++n;
    return n;
  }

  void write(uint32_t row, const uint32_t* ids, size_t n) {
    OMEN_ASSERT(n <= capacity_);
    auto* words = pages_.row_as<std::atomic<uint64_t>>(row);
    for (uint32_t i = 0; i < capacity_ / 2; ++i) {
      const uint32_t pair[2] = {2 * i < n ? ids[2 * i] : kNoSlot,
                                2 * i + 1 < n ? ids[2 * i + 1] : kNoSlot};
      uint64_t word;
      std::memcpy(&word, pair, sizeof(word));
      words[i].store(word, std::memory_order_release);
    }
  }

 private:
  const uint32_t capacity_;
  SlotPages pages_;
};

}  // namespace omen
