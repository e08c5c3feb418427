// Bump allocation; see arena.h.
#include "memory/arena.h"

#include <algorithm>
#include <new>
#include <string>

namespace omen {

namespace {

constexpr size_t kFirstBlockBytes = size_t{16} << 10;
constexpr size_t kBlockHeaderBytes = kCacheLineBytes;

Status broken(int invariant, const char* what) {
  return Status::error(ErrorCode::kCorrupt,
                       "arena, invariant " + std::to_string(invariant) + ": " + what);
}

}  // namespace

Status Arena::too_large(size_t n) {
  return Status::error(ErrorCode::kMemory, "an allocation of " + std::to_string(n) +
                                               " units does not fit the address space");
}

Result<Arena::Block*> Arena::add_block(size_t bytes) {
  OMEN_TRY(account_->reserve(use_, bytes));
  Result<std::byte*> memory = allocate_bytes(bytes);
  if (!memory.is_ok()) {
    account_->release(use_, bytes);
    return memory.status();
  }
  bytes_reserved_ += bytes;
  return new (memory.value()) Block{nullptr, bytes};
}

Result<std::byte*> Arena::allocate(size_t bytes) {
  static_assert(sizeof(Block) <= kBlockHeaderBytes);
  if (bytes > SIZE_MAX / 2) return too_large(bytes);
  const size_t size = round_up(std::max<size_t>(bytes, 1), kCacheLineBytes);
  if (next_ == nullptr || size > static_cast<size_t>(end_ - next_)) {
    const size_t block_bytes = std::clamp(block_bytes_ * 2, kFirstBlockBytes, kHugePageBytes);
    if (size > block_bytes / 2) {  // Of its own, so that the bump block's rest is not lost.
      OMEN_ASSIGN(Block * own, add_block(kBlockHeaderBytes + size));
      own->previous = own_blocks_;
      own_blocks_ = own;
      bytes_used_ += size;
      return reinterpret_cast<std::byte*>(own) + kBlockHeaderBytes;
    }
    OMEN_ASSIGN(Block * block, add_block(block_bytes));
    block->previous = bump_blocks_;
    bump_blocks_ = block;
    block_bytes_ = block_bytes;
    next_ = reinterpret_cast<std::byte*>(block) + kBlockHeaderBytes;
    end_ = reinterpret_cast<std::byte*>(block) + block_bytes;
  }
  std::byte* result = next_;
  next_ += size;
  bytes_used_ += size;
  return result;
}

void Arena::reset() {
  for (Block* list : {own_blocks_, bump_blocks_}) {
    while (list != nullptr) {
      Block* previous = list->previous;
      free_bytes(list, list->bytes);
      list = previous;
    }
  }
  account_->release(use_, bytes_reserved_);
  own_blocks_ = bump_blocks_ = nullptr;
  next_ = end_ = nullptr;
  block_bytes_ = 0;
  bytes_used_ = bytes_reserved_ = 0;
}

Status Arena::validate() const {
  uint64_t reserved = 0;
  for (const Block* list : {own_blocks_, bump_blocks_}) {
    for (; list != nullptr; list = list->previous) reserved += list->bytes;
  }
  if (reserved != bytes_reserved_) return broken(2, "the blocks are not what is reserved");
  if (bytes_used_ > bytes_reserved_) return broken(2, "more is used than reserved");
  if (account_->used(use_) < bytes_reserved_) return broken(2, "the account holds less");
  if ((bump_blocks_ == nullptr) != (next_ == nullptr)) return broken(3, "no block to bump in");
  if (bump_blocks_ != nullptr) {
    const auto* start = reinterpret_cast<const std::byte*>(bump_blocks_) + kBlockHeaderBytes;
    if (next_ < start || next_ > end_) return broken(3, "the pointer is outside its block");
    if (reinterpret_cast<uintptr_t>(next_) % kCacheLineBytes != 0) {
      return broken(1, "the pointer is not aligned");
    }
  }
  return Status::ok();
}

}  // namespace omen
