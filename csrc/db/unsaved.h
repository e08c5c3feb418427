// Unsaved: which extents and slots of a store are not in the snapshot that is on disk.
//
// Why: a checkpoint writes what changed and no more, so whoever changes something says so here: the
// extent, which is written again whole, and the slot, whose edges and code the stored graph lacks.
// Invariants:
//   1. A bit is set before the change can be seen by a cut, which takes the commit lock.
//   2. What a checkpoint took is given back if it fails.
//   3. The bytes of the extents that are marked are counted once in what count_in() was given.
// Threads: under the collection's commit lock.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <utility>

#include "memory/array.h"
#include "storage/room.h"

namespace omen {

// Bits that grow, counted in an account.
class Marks {
 public:
  explicit Marks(MemoryAccount* account) : words_(account, Use::kIds) {}

  Status ensure(uint32_t bits) {
    const size_t words = (size_t{bits} + 63) / 64;
    return words > words_.size() ? words_.resize(words) : Status::ok();
  }
  void set(uint32_t i) { words_[i >> 6] |= uint64_t{1} << (i & 63); }
  bool has(uint32_t i) const {
    return i >> 6 < words_.size() && (words_[i >> 6] >> (i & 63) & 1) != 0;
  }
  void clear() { std::fill(words_.begin(), words_.end(), uint64_t{0}); }
  // There is room for all of them.
  void add(const Marks& other) {
    for (size_t i = 0; i < other.words_.size(); ++i) words_[i] |= other.words_[i];
  }
  Status copy(const Marks& other) {
    OMEN_TRY(words_.resize(other.words_.size()));
    std::copy(other.words_.begin(), other.words_.end(), words_.begin());
    return Status::ok();
  }
  size_t words() const { return words_.size(); }
  uint64_t count() const {
    uint64_t n = 0;
    for (const uint64_t word : words_) n += static_cast<uint64_t>(std::popcount(word));
    return n;
  }
  uint64_t word(size_t i) const { return i < words_.size() ? words_[i] : 0; }
  uint64_t* data() { return words_.data(); }

 private:
  Array<uint64_t> words_;
};

class Unsaved {
 public:
  explicit Unsaved(MemoryAccount* account) : slots(account), extents_(account) {}
  ~Unsaved() { stop_counting(); }
  Unsaved(const Unsaved&) = delete;
  Unsaved& operator=(const Unsaved&) = delete;

  // Of a store whose extents have so many rows, a power of two.
  void set_extent_rows(uint32_t rows) { shift_ = static_cast<uint32_t>(std::countr_zero(rows)); }
  // Into what all stores of a database are counted; an extent takes about so many bytes on disk.
  void count_in(std::shared_ptr<UnsavedBytes> total) { total_ = std::move(total); }
  void set_extent_bytes(uint64_t bytes) {
    if (bytes > 0) extent_bytes_ = bytes;
    recount();
  }
  // What is marked will not be written: the store is on its way out.
  void stop_counting() {
    extent_bytes_ = 0;
    recount();
    total_.reset();
  }
  Status ensure(uint32_t high_water) {
    OMEN_TRY(slots.ensure(high_water));
    return extents_.ensure((high_water >> shift_) + 1);
  }
  void note_slot(uint32_t slot) {
    slots.set(slot);
    note_metadata(slot);
  }
  void note_metadata(uint32_t slot) {
    if (extents_.has(slot >> shift_)) return;
    extents_.set(slot >> shift_);
    ++marked_;
    recount();
  }
  // Of the extents that only these slots, which rise, would mark.
  uint64_t new_bytes(const uint32_t* rising, size_t count) const {
    uint64_t extents = 0;
    uint32_t last = UINT32_MAX;
    for (size_t i = 0; i < count; ++i) {
      const uint32_t extent = rising[i] >> shift_;
      extents += extent != last && !extents_.has(extent) ? 1 : 0;
      last = extent;
    }
    return extents * extent_bytes_;
  }
  // Extents go to a checkpoint; they count until it has written them, and come back if it fails.
  Status take_extents(Marks* out) {
    OMEN_TRY(out->copy(extents_));
    extents_.clear();
    taken_ = std::exchange(marked_, 0);
    return Status::ok();
  }
  void end_taken(const Marks& taken, bool is_saved) {
    if (!is_saved) extents_.add(taken);
    if (!is_saved) marked_ = extents_.count();
    taken_ = 0;
    recount();
  }

  Marks slots;  // That hold other rows than when the stored graph was written.

 private:
  void recount() {
    if (total_ == nullptr) return;
    const uint64_t now = (marked_ + taken_) * extent_bytes_;
    total_->fetch_add(now - counted_, std::memory_order_relaxed);
    counted_ = now;
  }

  uint32_t shift_ = 0;
  Marks extents_;
  uint64_t marked_ = 0;  // Of extents_.
  uint64_t taken_ = 0;
  uint64_t extent_bytes_ = 0;
  uint64_t counted_ = 0;
  std::shared_ptr<UnsavedBytes> total_;
};

}  // namespace omen
