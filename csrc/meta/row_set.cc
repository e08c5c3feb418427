// Growth, counting and set algebra of RowSet.
#include "meta/row_set.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "memory/blocks.h"
#include "memory/budget.h"

namespace omen {

Status RowSet::resize(uint32_t rows) {
  const uint64_t words = (uint64_t{rows} + 63) / 64;
  if (words > capacity_words_) {
    const uint64_t capacity = std::max(words, capacity_words_ + capacity_words_ / 2);
    const uint64_t bytes = capacity * sizeof(uint64_t);
    if (account_ != nullptr) OMEN_TRY(account_->reserve(Use::kScratch, bytes));
    Result<std::byte*> memory = allocate_bytes(bytes);
    if (!memory.is_ok()) {
      if (account_ != nullptr) account_->release(Use::kScratch, bytes);
      return memory.status();
    }
    auto* fresh = reinterpret_cast<uint64_t*>(memory.value());
    const uint32_t size = size_;
    if (words_ != nullptr) std::memcpy(fresh, words_, size_t{word_count()} * sizeof(uint64_t));
    reset();
    words_ = fresh;
    capacity_words_ = capacity;
    size_ = size;
  }
  const uint32_t old_words = word_count();
  size_ = rows;
  if (word_count() > old_words) {
    std::memset(words_ + old_words, 0, size_t{word_count() - old_words} * sizeof(uint64_t));
  }
  trim();
  return Status::ok();
}

Status RowSet::copy_from(const RowSet& other) {
  if (this == &other) return Status::ok();
  OMEN_TRY(resize(other.size_));
  if (size_ > 0) std::memcpy(words_, other.words_, size_t{word_count()} * sizeof(uint64_t));
  return Status::ok();
}

void RowSet::reset() {
  if (words_ != nullptr) {
    free_bytes(words_, bytes());
    if (account_ != nullptr) account_->release(Use::kScratch, bytes());
  }
  words_ = nullptr;
  capacity_words_ = 0;
  size_ = 0;
}

void RowSet::swap(RowSet& other) noexcept {
  std::swap(account_, other.account_);
  std::swap(words_, other.words_);
  std::swap(capacity_words_, other.capacity_words_);
  std::swap(size_, other.size_);
}

void RowSet::trim() {
  if ((size_ & 63) != 0) words_[size_ >> 6] &= (uint64_t{1} << (size_ & 63)) - 1;
}

void RowSet::fill() {
  if (size_ == 0) return;
  std::memset(words_, 0xFF, size_t{word_count()} * sizeof(uint64_t));
  trim();
}

void RowSet::clear() {
  if (size_ > 0) std::memset(words_, 0, size_t{word_count()} * sizeof(uint64_t));
}

uint32_t RowSet::count() const {
  uint32_t total = 0;
  for (uint32_t w = 0; w < word_count(); ++w) {
    total += static_cast<uint32_t>(std::popcount(words_[w]));
  }
  return total;
}

bool RowSet::is_empty() const {
  for (uint32_t w = 0; w < word_count(); ++w) {
    if (words_[w] != 0) return false;
  }
  return true;
}

void RowSet::and_with(const RowSet& other) {
  const uint32_t shared = std::min(word_count(), other.word_count());
  for (uint32_t w = 0; w < shared; ++w) words_[w] &= other.words_[w];
  for (uint32_t w = shared; w < word_count(); ++w) words_[w] = 0;
}

void RowSet::or_with(const RowSet& other) {
  OMEN_ASSERT(other.size_ <= size_);
  for (uint32_t w = 0; w < other.word_count(); ++w) words_[w] |= other.words_[w];
}

void RowSet::and_not(const RowSet& other) {
  const uint32_t shared = std::min(word_count(), other.word_count());
  for (uint32_t w = 0; w < shared; ++w) words_[w] &= ~other.words_[w];
}

uint32_t RowSet::count_and(const RowSet& other) const {
  const uint32_t shared = std::min(word_count(), other.word_count());
  uint32_t total = 0;
  for (uint32_t w = 0; w < shared; ++w) {
    total += static_cast<uint32_t>(std::popcount(words_[w] & other.words_[w]));
  }
  return total;
}

uint32_t RowSet::next(uint32_t from) const {
  if (from >= size_) return size_;
  uint32_t w = from >> 6;
  uint64_t bits = words_[w] & (~uint64_t{0} << (from & 63));
  while (bits == 0) {
    if (++w == word_count()) return size_;
    bits = words_[w];
  }
  return w * 64 + static_cast<uint32_t>(std::countr_zero(bits));
}

Status RowSet::validate() const {
  if (word_count() > capacity_words_) {
    return Status::error(ErrorCode::kCorrupt, "row set: " + std::to_string(word_count()) +
                                                  " words in " + std::to_string(capacity_words_));
  }
  if ((size_ & 63) != 0 && words_[size_ >> 6] >> (size_ & 63) != 0) {
    return Status::error(ErrorCode::kCorrupt,
                         "row set, invariant 1: a bit past " + std::to_string(size_) + " is set");
  }
  return Status::ok();
}

}  // namespace omen
