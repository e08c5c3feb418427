// Array<T>: a growable array of trivially copyable values whose growth can fail.
//
// Why: std::vector aborts when memory ends (the engine is built without exceptions) and is not
// counted. New elements are zero bytes, but for those that the caller writes himself.
// Invariants:
//   1. size() <= capacity(); capacity() * sizeof(T) bytes are reserved in the account.
//   2. A failed call changes nothing.
//   3. data() is 64-byte aligned and moves when the capacity changes.
// Threads: one at a time.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "memory/blocks.h"
#include "memory/budget.h"

namespace omen {

template <class T>
class Array {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
  static_assert(alignof(T) <= kCacheLineBytes);

 public:
  Array(MemoryAccount* account, Use use) : account_(account), use_(use) {}
  ~Array() { drop(); }
  Array(Array&& other) noexcept { *this = std::move(other); }
  Array& operator=(Array&& other) noexcept {
    if (this == &other) return *this;
    drop();
    account_ = other.account_;
    use_ = other.use_;
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  uint64_t bytes() const { return static_cast<uint64_t>(capacity_) * sizeof(T); }

  // Room for `n` elements, exactly.
  Status reserve(size_t n) { return n <= capacity_ ? Status::ok() : set_capacity(n, Fill::kNone); }

  // New elements are zero. Grows by at least half, so that a loop of calls is linear.
  Status resize(size_t n) {
    OMEN_TRY(reserve_growing(n));
    if (n > size_) std::memset(static_cast<void*>(data_ + size_), 0, (n - size_) * sizeof(T));
    size_ = n;
    return Status::ok();
  }

  // The first memory of an array that has none: so many zeros, whose pages come as they are
  // touched, which may be on several threads.
  Status make_zeros(size_t n) {
    OMEN_ASSERT(capacity_ == 0);
    if (n > 0) OMEN_TRY(set_capacity(n, Fill::kZero));
    size_ = n;
    return Status::ok();
  }

  Status push_back(const T& value) {
    const T copy = value;  // `value` may live in this array, which is about to move.
    OMEN_TRY(reserve_growing(size_ + 1));
    data_[size_++] = copy;
    return Status::ok();
  }

  // Only after reserve() made room: cannot fail.
  void push_back_reserved(const T& value) {
    OMEN_ASSERT(size_ < capacity_);
    data_[size_++] = value;
  }

  // The same for `n` elements that the caller wrote behind the last one.
  void grow_reserved(size_t n) {
    OMEN_ASSERT(size_ + n <= capacity_);
    size_ += n;
  }

  Status append(const T* values, size_t n) {
    if (n == 0) return Status::ok();
    OMEN_TRY(reserve_growing(size_ + n));
    std::memcpy(static_cast<void*>(data_ + size_), values, n * sizeof(T));
    size_ += n;
    return Status::ok();
  }

  void pop_back() {
    OMEN_ASSERT(size_ > 0);
    --size_;
  }
  // Only shortens.
  void truncate(size_t n) {
    OMEN_ASSERT(n <= size_);
    size_ = n;
  }
  // Keeps the memory for the next use.
  void clear() { size_ = 0; }
  // Gives the memory back.
  void drop() {
    if (data_ != nullptr) {
      free_bytes(data_, capacity_ * sizeof(T));
      account_->release(use_, bytes());
    }
    data_ = nullptr;
    size_ = capacity_ = 0;
  }
  Status shrink_to_fit() {
    if (size_ == capacity_) return Status::ok();
    if (size_ == 0) {
      drop();
      return Status::ok();
    }
    return set_capacity(size_, Fill::kNone);
  }
  // The data, released to the caller, who frees it with free_bytes(data, capacity * sizeof(T)) and
  // releases those bytes in the account: how an array is handed to an EpochDomain.
  T* detach() {
    size_ = capacity_ = 0;
    return std::exchange(data_, nullptr);
  }

 private:
  Status reserve_growing(size_t n) {
    if (n <= capacity_) return Status::ok();
    return set_capacity(std::max({n, capacity_ + capacity_ / 2, kCacheLineBytes / sizeof(T)}),
                        Fill::kNone);
  }

  Status set_capacity(size_t n, Fill fill) {
    OMEN_ASSERT(account_ != nullptr && n >= size_);
    if (n > SIZE_MAX / 2 / sizeof(T)) {
      return Status::error(ErrorCode::kMemory, "an array of " + std::to_string(n) +
                                                   " elements does not fit the address space");
    }
    const size_t size = n * sizeof(T);
    OMEN_TRY(account_->reserve(use_, size));
    Result<std::byte*> memory = allocate_bytes(size, fill);
    if (!memory.is_ok()) {
      account_->release(use_, size);
      return memory.status();
    }
    T* fresh = reinterpret_cast<T*>(memory.value());
    const size_t kept = size_;
    if (kept > 0) std::memcpy(static_cast<void*>(fresh), data_, kept * sizeof(T));
    drop();
    data_ = fresh;
    size_ = kept;
    capacity_ = n;
    return Status::ok();
  }

  MemoryAccount* account_ = nullptr;
  Use use_ = Use::kScratch;
  T* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace omen
