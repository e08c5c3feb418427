// Mapped blocks that are used again instead of unmapped, for tests that open a database a million
// times: the system takes most of the time of opening a small one to map, fault and unmap memory.
//
// How: the executable defines mmap, munmap and madvise, and so the engine's calls come here. A
// block that is given back is zeroed where it was touched, and handed out when one of its size is
// wanted.
// Include it in one file of the executable. Not under sanitizers, which define them too.
// Invariants:
//   1. What is handed out is zero, as from the system.
// Threads: all, one at a time within. (malloc's own mappings do not come here.)
#pragma once

#if defined(__linux__) && !defined(OMENDB_SANITIZED)

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

namespace omen::test {

struct RecycledBlocks {
  static constexpr size_t kPage = 4096;
  static constexpr size_t kBytesMax = size_t{256} << 20;  // Larger ones are rare.
  static constexpr size_t kAlign = size_t{2} << 20;

  std::mutex mutex;
  std::map<size_t, std::vector<void*>> free;  // By size.
  std::map<void*, size_t> used;

  static void* system_map(size_t size) {
    return reinterpret_cast<void*>(::syscall(SYS_mmap, nullptr, size, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  }
  void* take(size_t size) {
    std::vector<void*>& list = free[size];
    if (!list.empty()) {
      void* block = list.back();
      list.pop_back();
      used[block] = size;
      return block;
    }
    auto start = reinterpret_cast<uintptr_t>(system_map(size + kAlign));  // Never trimmed.
    void* block = reinterpret_cast<void*>((start + kAlign - 1) / kAlign * kAlign);
    used[block] = size;
    return block;
  }
  void give_back(void* block, size_t size) {
    static unsigned char touched[kBytesMax / kPage];
    ::syscall(SYS_mincore, block, size, touched);
    const unsigned char* const end = touched + size / kPage;
    for (const unsigned char* at = touched;; ++at) {
      at = static_cast<const unsigned char*>(std::memchr(at, 1, static_cast<size_t>(end - at)));
      if (at == nullptr) break;
      std::memset(static_cast<char*>(block) + static_cast<size_t>(at - touched) * kPage, 0, kPage);
    }
    free[size].push_back(block);
  }
  bool holds(void* at) const {
    const auto above = used.upper_bound(at);
    if (above == used.begin()) return false;
    const auto& [start, size] = *std::prev(above);
    return static_cast<char*>(at) < static_cast<char*>(start) + size;
  }
  static RecycledBlocks& get() {
    static auto* const blocks = new RecycledBlocks;
    return *blocks;
  }
};

}  // namespace omen::test

extern "C" void* mmap(void* at, size_t size, int access, int flags, int file, off_t offset) {
  using omen::test::RecycledBlocks;
  if (at == nullptr && file == -1 && size <= RecycledBlocks::kBytesMax) {
    const std::lock_guard<std::mutex> guard(RecycledBlocks::get().mutex);
    return RecycledBlocks::get().take(size);
  }
  return reinterpret_cast<void*>(::syscall(SYS_mmap, at, size, access, flags, file, offset));
}

// The engine maps more than it wants and trims both ends: a block is aligned as it wishes, so only
// the end is trimmed, and that is left where it is.
extern "C" int munmap(void* at, size_t size) {
  using omen::test::RecycledBlocks;
  RecycledBlocks& blocks = RecycledBlocks::get();
  const std::lock_guard<std::mutex> guard(blocks.mutex);
  const auto found = blocks.used.find(at);
  if (found != blocks.used.end()) {
    const size_t whole = found->second;
    blocks.used.erase(found);
    blocks.give_back(at, whole);
    return 0;
  }
  if (blocks.holds(at)) return 0;  // A trimmed end.
  return static_cast<int>(::syscall(SYS_munmap, at, size));
}

extern "C" int madvise(void* at, size_t size, int advice) {
  const bool is_about_pages = advice == MADV_NOHUGEPAGE || advice == MADV_HUGEPAGE;
  if (is_about_pages) {
    omen::test::RecycledBlocks& blocks = omen::test::RecycledBlocks::get();
    const std::lock_guard<std::mutex> guard(blocks.mutex);
    if (blocks.holds(at)) return 0;
  }
  return static_cast<int>(::syscall(SYS_madvise, at, size, advice));
}

#endif
