// Numbers and texts one after the other: how payloads and tables are written and read.
//
// A reader takes what it is asked for as far as there is any, and never goes beyond: what it gives
// is within the bytes that it was made with.
// Threads: one at a time.
#pragma once

#include <string_view>

#include "memory/array.h"
#include "storage/format.h"

namespace omen {

class IdReader;

// Appends numbers and texts to an array.
class PayloadWriter {
 public:
  explicit PayloadWriter(Array<std::byte>* out) : out_(out), start_(out->size()) {}
  template <class T>
  Status number(T value) {
    std::byte bytes[sizeof(T)];
    store_number(bytes, value);
    return out_->append(bytes, sizeof(T));
  }
  Status text(std::string_view text) { return bytes(text.data(), text.size()); }
  Status bytes(const void* data, size_t size) {
    return out_->append(static_cast<const std::byte*>(data), size);
  }
  Status pad() { return out_->resize(start_ + round_up_8(out_->size() - start_)); }

 private:
  Array<std::byte>* const out_;
  const size_t start_;
};

// Takes numbers and bytes as far as there are any.
class PayloadReader {
 public:
  PayloadReader(const std::byte* payload, size_t length) : start_(payload), length_(length) {}

  // nullptr past the end.
  const std::byte* bytes(uint64_t size) {
    if (size > length_ - at_) return nullptr;
    const std::byte* found = start_ + at_;
    at_ += static_cast<size_t>(size);
    return found;
  }
  template <class T>
  bool number(T* out) {
    const std::byte* found = bytes(sizeof(T));
    if (found == nullptr) return false;
    *out = load_number<T>(found);
    return true;
  }
  bool text(size_t size, std::string_view* out) {
    const std::byte* found = bytes(size);
    if (found == nullptr) return false;
    *out = {reinterpret_cast<const char*>(found), size};
    return true;
  }
  bool pad() { return bytes(round_up_8(at_) - at_) != nullptr; }
  size_t left() const { return length_ - at_; }
  size_t at() const { return at_; }
  bool is_at_end() const { return at_ == length_; }
  bool ids(uint32_t rows, IdReader* out);

 private:
  const std::byte* const start_;
  const size_t length_;
  size_t at_ = 0;
};

}  // namespace omen
