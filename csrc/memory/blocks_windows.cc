// Mapped blocks on Windows: reserve address space, find the 2 MiB bound in it, reserve again there.
//
// Large pages need a privilege that Node does not have, so advise_huge does nothing.
#if defined(_WIN32)

#include <string>

#include "base/windows.h"
#include "memory/blocks.h"

namespace omen {

namespace {

Status refused(const char* what, size_t bytes) {
  return Status::error(ErrorCode::kMemory, std::string("the system refused to ") + what + " " +
                                               std::to_string(bytes) + " bytes (error " +
                                               std::to_string(GetLastError()) +
                                               "); free memory or enlarge the page file");
}

}  // namespace

size_t page_bytes() {
  static const size_t bytes = [] {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return static_cast<size_t>(info.dwPageSize);
  }();
  return bytes;
}

Result<std::byte*> map_block(size_t bytes) {
  if (bytes == 0 || bytes > SIZE_MAX / 2) return refused("map", bytes);
  const size_t size = round_up(bytes, kHugePageBytes);
  // A reservation is released only as a whole; between the release and the second reserve another
  // thread may take the place, hence the attempts.
  for (int attempt = 0; attempt < 16; ++attempt) {
    void* probe = VirtualAlloc(nullptr, size + kHugePageBytes, MEM_RESERVE, PAGE_READWRITE);
    if (probe == nullptr) break;
    const uintptr_t aligned = round_up(reinterpret_cast<uintptr_t>(probe), kHugePageBytes);
    VirtualFree(probe, 0, MEM_RELEASE);
    void* block = VirtualAlloc(reinterpret_cast<void*>(aligned), size, MEM_RESERVE, PAGE_READWRITE);
    if (block != nullptr) return static_cast<std::byte*>(block);
  }
  return refused("map", size);
}

void unmap_block(std::byte* block, size_t) {
  const BOOL freed = VirtualFree(block, 0, MEM_RELEASE);
  OMEN_ASSERT(freed);
}

Status commit_block(std::byte* start, size_t bytes) {
  if (bytes == 0 || VirtualAlloc(start, bytes, MEM_COMMIT, PAGE_READWRITE) != nullptr) {
    return Status::ok();
  }
  return refused("commit", bytes);
}

void decommit_block(std::byte* start, size_t bytes) {
  if (bytes > 0) VirtualFree(start, bytes, MEM_DECOMMIT);
}

void advise_huge(std::byte*, size_t) {}

void collapse_huge(std::byte*, size_t) {}

void populate_block(std::byte*, size_t) {}

}  // namespace omen

#endif
