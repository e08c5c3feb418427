// Unsaved: which extents and slots of a store are not in the snapshot that is on disk.
//
// Why: a checkpoint writes what changed and no more, so whoever changes something says so here: the
// extent, which is written again whole, and the slot, whose edges and code the stored graph lacks.
// Invariants:
//   1. A bit is set before the change can be seen by a cut, which takes the commit lock.
//   2. What a checkpoint took is given back if it fails.
// Threads: under the collection's commit lock.
#pragma once

#include <bit>
#include <cstdint>

#include "memory/array.h"

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
  uint64_t word(size_t i) const { return i < words_.size() ? words_[i] : 0; }
  uint64_t* data() { return words_.data(); }

 private:
  Array<uint64_t> words_;
};

struct Unsaved {
  explicit Unsaved(MemoryAccount* account) : extents(account), slots(account) {}

  // Of a store whose extents have so many rows, a power of two.
  void set_extent_rows(uint32_t rows) { shift = static_cast<uint32_t>(std::countr_zero(rows)); }
  Status ensure(uint32_t high_water) {
    OMEN_TRY(slots.ensure(high_water));
    return extents.ensure((high_water >> shift) + 1);
  }
  void note_slot(uint32_t slot) {
    slots.set(slot);
    extents.set(slot >> shift);
  }
  void note_metadata(uint32_t slot) { extents.set(slot >> shift); }

  uint32_t shift = 0;
  Marks extents;
  Marks slots;  // That hold other rows than when the stored graph was written.
};

}  // namespace omen
