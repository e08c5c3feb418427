// Mapped blocks on POSIX systems: mmap a little more than asked for, and trim to 2 MiB bounds.
#if !defined(_WIN32)

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "memory/blocks.h"

namespace omen {

namespace {

Status refused(size_t bytes, int error) {
#if defined(__linux__)
  if (error == ENOMEM) {
    return Status::error(ErrorCode::kMemory,
                         "the system refused to map " + std::to_string(bytes) +
                             " bytes: free memory, or, with thousands of collections, raise "
                             "vm.max_map_count (sysctl): a collection takes up to 19 mappings");
  }
#endif
  return Status::error(ErrorCode::kMemory, "the system refused to map " + std::to_string(bytes) +
                                               " bytes (error " + std::to_string(error) +
                                               "); raise its limits or free memory");
}

}  // namespace

size_t page_bytes() {
  static const size_t bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

Result<std::byte*> map_block(size_t bytes) {
  if (bytes == 0 || bytes > SIZE_MAX / 2) return refused(bytes, EINVAL);
  const size_t size = round_up(bytes, kHugePageBytes);
  const size_t slack = size + kHugePageBytes;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#if defined(MAP_NORESERVE)
  flags |= MAP_NORESERVE;  // Address space is no promise of memory; the budget counts what is used.
#endif
  void* mapped = mmap(nullptr, slack, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (mapped == MAP_FAILED) return refused(size, errno);
  const uintptr_t start = reinterpret_cast<uintptr_t>(mapped);
  const uintptr_t aligned = round_up(start, kHugePageBytes);
  if (aligned > start) munmap(mapped, aligned - start);
  const uintptr_t end = start + slack;
  if (end > aligned + size) {
    munmap(reinterpret_cast<void*>(aligned + size), end - (aligned + size));
  }
#if defined(MADV_NOHUGEPAGE)
  // Where huge pages are "always" on, the first byte of a small array would cost 2 MiB.
  madvise(reinterpret_cast<void*>(aligned), size, MADV_NOHUGEPAGE);
#endif
  return reinterpret_cast<std::byte*>(aligned);
}

void unmap_block(std::byte* block, size_t bytes) {
  const int failed = munmap(block, round_up(bytes, kHugePageBytes));
  OMEN_ASSERT(failed == 0);
}

Status commit_block(std::byte*, size_t) { return Status::ok(); }

void decommit_block(std::byte* start, size_t bytes) {
#if defined(__linux__)
  const int failed = bytes == 0 ? 0 : madvise(start, bytes, MADV_DONTNEED);
  OMEN_ASSERT(failed == 0);
#else
  // Elsewhere DONTNEED may keep what was there: a fresh mapping in its place is zero for certain.
  if (bytes == 0) return;
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  OMEN_ASSERT(mmap(start, bytes, PROT_READ | PROT_WRITE, kFlags, -1, 0) != MAP_FAILED);
#endif
}

void advise_huge(std::byte* start, size_t bytes) {
#if defined(MADV_HUGEPAGE)
  if (bytes > 0) madvise(start, bytes, MADV_HUGEPAGE);
#else
  (void)start;
  (void)bytes;
#endif
}

void populate_block(std::byte* start, size_t bytes) {
#if defined(__linux__)
  constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, Linux 5.14; older headers lack it.
  if (bytes > 0) (void)madvise(start, bytes, kPopulateWrite);
#else
  (void)start;
  (void)bytes;
#endif
}

void collapse_huge(std::byte* start, size_t bytes) {
  advise_huge(start, bytes);
#if defined(__linux__)
  constexpr int kCollapse = 25;  // MADV_COLLAPSE, Linux 6.1; older headers lack it.
  (void)madvise(start, bytes, kCollapse);
#endif
}

}  // namespace omen

#endif
