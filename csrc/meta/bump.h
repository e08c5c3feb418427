// Bump: memory for a parse tree, freed at once.
//
// Why: a parsed filter or document is many small nodes of one lifetime, and every allocation must
// be refusable: input decides how many there are. The arena of memory/ maps whole pages for data
// that lives long; this one starts inside the object, so that a small document allocates nothing.
// Invariants:
//   1. What allocate() returned never moves and lives as long as the Bump.
//   2. Only trivially destructible things lie in it: nothing is destroyed.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <type_traits>

namespace omen {

class Bump {
 public:
  Bump() = default;
  ~Bump();
  Bump(const Bump&) = delete;
  Bump& operator=(const Bump&) = delete;

  // 16-byte aligned; nullptr when the machine has no memory.
  void* allocate(size_t bytes) {
    const size_t rounded = (bytes + 15) & ~size_t{15};
    if (rounded < bytes) return nullptr;
    if (rounded > static_cast<size_t>(end_ - next_)) return allocate_chunk(rounded);
    void* p = next_;
    next_ += rounded;
    return p;
  }

  template <class T>
  T* make() {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= 16);
    void* p = allocate(sizeof(T));
    return p == nullptr ? nullptr : new (p) T();
  }

  // Default-constructed elements; nullptr when there is no memory or the size overflows.
  template <class T>
  T* make_array(size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= 16);
    if (count > SIZE_MAX / 2 / sizeof(T)) return nullptr;
    auto* p = static_cast<T*>(allocate(count == 0 ? 1 : count * sizeof(T)));
    if (p == nullptr) return nullptr;
    for (size_t i = 0; i < count; ++i) new (p + i) T();
    return p;
  }

  // False when there is no memory.
  bool copy(std::string_view text, std::string_view* out);

  // What lies outside of the object itself.
  uint64_t bytes() const { return bytes_; }

 private:
  struct Chunk {
    Chunk* previous;
    uint64_t padding;
  };
  static constexpr size_t kInlineBytes = 2048;
  static constexpr size_t kChunkBytesMax = size_t{1} << 20;

  void* allocate_chunk(size_t rounded);

  alignas(16) std::byte inline_[kInlineBytes];
  std::byte* next_ = inline_;
  std::byte* end_ = inline_ + kInlineBytes;
  Chunk* last_ = nullptr;
  size_t chunk_bytes_ = 4 * kInlineBytes;
  uint64_t bytes_ = 0;
};

}  // namespace omen
