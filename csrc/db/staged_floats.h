// StagedFloats: the vectors of one batch, where their slots have no place for floats.
//
// Why: a collection that keeps no originals encodes rows as they are committed. Until then a
// batch's floats lie here, and they go with the commit. Large ones take small pages: they are
// filled on a thread that must not stall while 2 MiB at once are cleared.
// Threads: one at a time.
#pragma once

#include <utility>

#include "memory/blocks.h"
#include "memory/budget.h"

namespace omen {

class StagedFloats {
 public:
  StagedFloats() = default;
  ~StagedFloats() { drop(); }
  StagedFloats(const StagedFloats&) = delete;
  StagedFloats& operator=(const StagedFloats&) = delete;

  // Room for so many floats, once. ERR_MEMORY.
  Status reserve(MemoryAccount* account, size_t floats) {
    OMEN_ASSERT(data_ == nullptr);
    const size_t bytes = round_up(floats * sizeof(float), kCacheLineBytes);
    const size_t counted = bytes < kHugePageBytes ? bytes : round_up(bytes, page_bytes());
    OMEN_TRY(account->reserve(Use::kScratch, counted));
    Result<std::byte*> memory = bytes < kHugePageBytes ? allocate_bytes(bytes) : map(bytes);
    if (!memory.is_ok()) {
      account->release(Use::kScratch, counted);
      return memory.status();
    }
    account_ = account;
    bytes_ = bytes;
    counted_ = counted;
    data_ = reinterpret_cast<float*>(memory.value());
    return Status::ok();
  }
  // Asks for the memory of some floats that are about to be filled.
  void populate(size_t first, size_t count) {
    if (bytes_ < kHugePageBytes) return;
    const size_t begin = first * sizeof(float) / page_bytes() * page_bytes();
    const size_t end = round_up((first + count) * sizeof(float), page_bytes());
    populate_block(reinterpret_cast<std::byte*>(data_) + begin, end - begin);
  }
  void drop() {
    if (data_ == nullptr) return;
    free_bytes(std::exchange(data_, nullptr), bytes_);
    account_->release(Use::kScratch, counted_);
  }
  bool empty() const { return data_ == nullptr; }
  float* data() { return data_; }

 private:
  static Result<std::byte*> map(size_t bytes) {
    OMEN_ASSIGN(std::byte * block, map_block(bytes));
    if (Status s = commit_block(block, round_up(bytes, page_bytes())); !s.is_ok()) {
      unmap_block(block, bytes);
      return s;
    }
    return block;
  }

  MemoryAccount* account_ = nullptr;
  float* data_ = nullptr;
  size_t bytes_ = 0;
  size_t counted_ = 0;
};

}  // namespace omen
