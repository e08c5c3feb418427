// Slots of 2 MiB blocks; see slab_blocks.h.
#include "memory/slab_blocks.h"

#include <bit>
#include <new>

namespace omen {

namespace {

Status broken(int invariant, const char* what) {
  return Status::error(ErrorCode::kCorrupt,
                       "slab blocks, invariant " + std::to_string(invariant) + ": " + what);
}

}  // namespace

void SlabBlocks::link(Block* block) {
  block->previous = nullptr;
  block->next = with_room_;
  if (with_room_ != nullptr) with_room_->previous = block;
  with_room_ = block;
}

void SlabBlocks::unlink(Block* block) {
  (block->previous == nullptr ? with_room_ : block->previous->next) = block->next;
  if (block->next != nullptr) block->next->previous = block->previous;
}

Status SlabBlocks::add_block() {
  OMEN_TRY(account_->reserve(use_, kHugePageBytes));
  Result<std::byte*> memory = map_block(kHugePageBytes);
  Status status = memory.status();
  if (status.is_ok()) {
    status = commit_block(memory.value(), kHugePageBytes);
    if (!status.is_ok()) unmap_block(memory.value(), kHugePageBytes);
  }
  if (!status.is_ok()) {
    account_->release(use_, kHugePageBytes);
    return status;
  }
  advise_huge(memory.value(), kHugePageBytes);
  link(new (memory.value()) Block{nullptr, nullptr, 0, UINT32_MAX});
  bytes_ += kHugePageBytes;
  return Status::ok();
}

void SlabBlocks::free_block(Block* block) {
  unlink(block);
  const uint64_t counted = static_cast<uint64_t>(std::popcount(block->counted)) * kSlabBytes;
  unmap_block(reinterpret_cast<std::byte*>(block), kHugePageBytes);
  account_->release(use_, counted);
  bytes_ -= counted;
}

Result<SlabBlocks::Piece> SlabBlocks::allocate() {
  if (with_room_ == nullptr) OMEN_TRY(add_block());
  Block* const block = with_room_;
  const uint32_t fresh = block->counted & ~block->used;  // Their memory is there already.
  const auto i = static_cast<size_t>(std::countr_zero(fresh != 0 ? fresh : ~block->used));
  const uint32_t bit = uint32_t{1} << i;
  if (fresh == 0) {
    OMEN_TRY(account_->reserve(use_, kSlabBytes));
    if (Status s = commit_block(slot_of(block, i), kSlabBytes); !s.is_ok()) {
      account_->release(use_, kSlabBytes);
      return s;
    }
    block->counted |= bit;
    bytes_ += kSlabBytes;
  }
  block->used |= bit;
  if (block->used == UINT32_MAX) unlink(block);
  const size_t head = i == 0 ? kCacheLineBytes : 0;
  return Piece{slot_of(block, i) + head, kSlabBytes - head};
}

void SlabBlocks::free(void* memory) {
  const auto address = reinterpret_cast<uintptr_t>(memory);
  auto* const block = reinterpret_cast<Block*>(address / kHugePageBytes * kHugePageBytes);
  const size_t i = address % kHugePageBytes / kSlabBytes;
  const uint32_t bit = uint32_t{1} << i;
  OMEN_ASSERT((block->used & bit) != 0);
  if (block->used == UINT32_MAX) link(block);
  block->used &= ~bit;
  if (block->used == 0) return free_block(block);
  if (i == 0) return;  // It has the block's head: it waits to be used again.
  decommit_block(slot_of(block, i), kSlabBytes);
  block->counted &= ~bit;
  account_->release(use_, kSlabBytes);
  bytes_ -= kSlabBytes;
}

Status SlabBlocks::validate() const {
  const Block* before = nullptr;
  for (const Block* block = with_room_; block != nullptr; before = block, block = block->next) {
    if (block->previous != before) return broken(2, "the list is torn");
    if (block->used == 0) return broken(2, "a block without a slab");
    if (block->used == UINT32_MAX) return broken(2, "a full block is in the list");
    if ((block->used & ~block->counted) != 0) return broken(3, "a slab is not counted");
  }
  return Status::ok();
}

}  // namespace omen
