// allocate_bytes: the choice between heap and mapped block, the same on every system.
#include "memory/blocks.h"

#include <cstdlib>
#include <cstring>
#include <string>

#if defined(_WIN32)
#include <malloc.h>
#endif

namespace omen {

namespace {

// From here on what the heap gives is likely to be new pages.
constexpr size_t kPopulateBytes = size_t{128} << 10;

void* heap_allocate(size_t bytes) {
#if defined(_WIN32)
  return _aligned_malloc(bytes, kCacheLineBytes);
#else
  return std::aligned_alloc(kCacheLineBytes, bytes);
#endif
}

void heap_free(void* memory) {
#if defined(_WIN32)
  _aligned_free(memory);
#else
  std::free(memory);
#endif
}

}  // namespace

Result<std::byte*> allocate_bytes(size_t bytes, Fill fill) {
  if (bytes < kHugePageBytes) {
    const size_t size = round_up(bytes == 0 ? 1 : bytes, kCacheLineBytes);
    void* memory = heap_allocate(size);
    if (memory == nullptr) {
      return Status::error(ErrorCode::kMemory, "the system refused " + std::to_string(bytes) +
                                                   " bytes; free memory on this machine");
    }
    if (size >= kPopulateBytes) {
      const size_t before = reinterpret_cast<uintptr_t>(memory) % page_bytes();
      const size_t skipped = before == 0 ? 0 : page_bytes() - before;
      populate_block(static_cast<std::byte*>(memory) + skipped,
                     (size - skipped) / page_bytes() * page_bytes());
    }
    if (fill == Fill::kZero) std::memset(memory, 0, size);
    return static_cast<std::byte*>(memory);
  }
  OMEN_ASSIGN(std::byte * block, map_block(bytes));
  if (Status s = commit_block(block, round_up(bytes, page_bytes())); !s.is_ok()) {
    unmap_block(block, bytes);
    return s;
  }
  advise_huge(block, bytes / kHugePageBytes * kHugePageBytes);
  return block;
}

void free_bytes(void* memory, size_t bytes) {
  if (memory == nullptr) return;
  if (bytes < kHugePageBytes) {
    heap_free(memory);
  } else {
    unmap_block(static_cast<std::byte*>(memory), bytes);
  }
}

}  // namespace omen
