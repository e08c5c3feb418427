// RowSet: a set of slots as a bitmap.
//
// Why: the answer of a filter, and the planner's unit of work: intersected with the live slots,
// counted, handed to the graph as a mask.
// Invariants (validate() checks them):
//   1. Bits at and past size() are zero.
//   2. The words lie within the bytes that the account holds.
// Threads: one writer; const methods from any thread once written.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/status.h"

namespace omen {

class MemoryAccount;

class RowSet {
 public:
  RowSet() = default;
  // Memory is counted as Use::kScratch in the account, which must outlive the set; nullptr:
  // uncounted.
  explicit RowSet(MemoryAccount* account) : account_(account) {}
  ~RowSet() { reset(); }
  RowSet(RowSet&& other) noexcept { swap(other); }
  RowSet& operator=(RowSet&& other) noexcept {
    if (this != &other) {
      reset();
      swap(other);
    }
    return *this;
  }
  RowSet(const RowSet&) = delete;
  RowSet& operator=(const RowSet&) = delete;

  // The set now ranges over [0, rows); slots past the old size are absent, slots past the new one
  // leave.
  Status resize(uint32_t rows);
  Status copy_from(const RowSet& other);
  void reset();

  uint32_t size() const { return size_; }
  uint32_t word_count() const { return (size_ >> 6) + ((size_ & 63) != 0); }
  uint64_t* words() { return words_; }
  const uint64_t* words() const { return words_; }
  MemoryAccount* account() const { return account_; }
  uint64_t bytes() const { return capacity_words_ * sizeof(uint64_t); }

  // Slots outside of [0, size()) are never contained and must not be added.
  bool contains(uint32_t slot) const {
    return slot < size_ && (words_[slot >> 6] >> (slot & 63) & 1) != 0;
  }
  void add(uint32_t slot) {
    OMEN_ASSERT(slot < size_);
    words_[slot >> 6] |= uint64_t{1} << (slot & 63);
  }
  void remove(uint32_t slot) {
    if (slot < size_) words_[slot >> 6] &= ~(uint64_t{1} << (slot & 63));
  }
  void fill();   // All of [0, size()).
  void clear();  // None.

  uint32_t count() const;
  bool is_empty() const;
  // A smaller operand counts as absent past its size.
  void and_with(const RowSet& other);
  void or_with(const RowSet& other);  // other.size() <= size().
  void and_not(const RowSet& other);
  uint32_t count_and(const RowSet& other) const;

  // First slot >= from in the set, or size().
  uint32_t next(uint32_t from) const;

  template <class F>
  void for_each(F&& f) const {
    for (uint32_t w = 0; w < word_count(); ++w) {
      for (uint64_t bits = words_[w]; bits != 0; bits &= bits - 1) {
        f(w * 64 + static_cast<uint32_t>(std::countr_zero(bits)));
      }
    }
  }

  Status validate() const;

 private:
  void swap(RowSet& other) noexcept;
  void trim();  // Clears the bits past size_ of the last word.

  MemoryAccount* account_ = nullptr;
  uint64_t* words_ = nullptr;
  uint64_t capacity_words_ = 0;
  uint32_t size_ = 0;
};

}  // namespace omen
