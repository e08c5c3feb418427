// EdgeRows: the neighbours of each node of one layer, in rows of fixed capacity.
//
// Why: a search reads whole rows without locks while writers replace them, so a row is 64-bit
// atomics, two ids each, copied by acquire loads into a local block before SIMD touches it. A
// reader may see words of two versions of a row: every id in either is safe to follow under the
// epoch pin.
// Invariants:
//   1. Ids come first, without repeats or the node itself; the rest of the row is kNoSlot.
//   2. write() and append() are the only writers, and restore() where nobody may read yet. They
//      need the node's lock, or to be sure that no other thread writes to the row meanwhile.
//   3. With track_changes(): a row that was changed since clear_changed() has its bit set, and
//      had it before the first of its words changed.
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
        pages_(account, Use::kGraph, capacity_ * sizeof(uint32_t), SlotPages::Paging::kAtCollapse),
        changed_(account, Use::kGraph, sizeof(uint64_t)) {
    OMEN_ASSERT(capacity_ <= kRowIdsMax);
  }

  uint32_t capacity() const { return capacity_; }
  // From now on write() notes which rows it changed. Before the first ensure().
  void track_changes() { tracks_changes_ = true; }
  Status ensure(uint32_t rows) {
    if (tracks_changes_) OMEN_TRY(changed_.ensure(rows / 64 + 1));
    OMEN_TRY(pages_.ensure(rows));
    pages_.collapse(rows);
    return Status::ok();
  }
  void release_all() {
    pages_.release_all();
    changed_.release_all();
  }
  uint64_t bytes() const { return pages_.bytes() + changed_.bytes(); }
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

  // With track_changes() alone, and below what ensure() was asked for.
  bool has_changed(uint32_t row) const {
    return (changes(row / 64).load(std::memory_order_acquire) >> (row & 63) & 1) != 0;
  }
  // 64 rows from 64 * `index` on, a bit each.
  uint64_t changed(uint32_t index) const { return changes(index).load(std::memory_order_acquire); }
  void clear_changed(uint32_t row) {
    changes(row / 64).fetch_and(~(uint64_t{1} << (row & 63)), std::memory_order_acq_rel);
  }

  // Adds an id that is not there behind the last, where there is room; as write().
  void append(uint32_t row, uint32_t id) {
    auto* words = pages_.row_as<std::atomic<uint64_t>>(row);
    for (uint32_t i = 0; i < capacity_ / 2; ++i) {
      const uint64_t word = words[i].load(std::memory_order_acquire);
      uint32_t pair[2];
      std::memcpy(pair, &word, sizeof(word));
      if (pair[0] == id || pair[1] == id) return;
      if (pair[1] != kNoSlot) continue;
      note_change(row);
      pair[pair[0] == kNoSlot ? 0 : 1] = id;
      uint64_t fresh;
      std::memcpy(&fresh, pair, sizeof(fresh));
      return words[i].store(fresh, std::memory_order_release);
    }
  }

  void write(uint32_t row, const uint32_t* ids, size_t n) {
    OMEN_ASSERT(n <= capacity_);
    note_change(row);
    auto* words = pages_.row_as<std::atomic<uint64_t>>(row);
    for (uint32_t i = 0; i < capacity_ / 2; ++i) {
      const uint32_t pair[2] = {2 * i < n ? ids[2 * i] : kNoSlot,
                                2 * i + 1 < n ? ids[2 * i + 1] : kNoSlot};
      uint64_t word;
      std::memcpy(&word, pair, sizeof(word));
      words[i].store(word, std::memory_order_release);
    }
  }

  // As write() of capacity() ids, by plain copying: of a row that nobody may read yet.
  void restore(uint32_t row, const uint32_t* ids) {
    note_change(row);
    std::memcpy(pages_.row(row), ids, capacity_ * sizeof(uint32_t));
  }

 private:
  void note_change(uint32_t row) {
    if (!tracks_changes_ || has_changed(row)) return;
    changes(row / 64).fetch_or(uint64_t{1} << (row & 63), std::memory_order_acq_rel);
  }
  std::atomic<uint64_t>& changes(uint32_t index) const {
    return *changed_.row_as<std::atomic<uint64_t>>(index);
  }

  const uint32_t capacity_;
  bool tracks_changes_ = false;
  SlotPages pages_;
  SlotPages changed_;  // A bit a row.
};

}  // namespace omen
