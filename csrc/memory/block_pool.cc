// Size classes over counted slabs; see block_pool.h.
#include "memory/block_pool.h"

#include <algorithm>
#include <bit>
#include <new>
#include <string>

namespace omen {

namespace {

constexpr size_t kSlabBytesMin = size_t{4} << 10;
constexpr size_t kSlabBytesMax = SlabBlocks::kSlabBytes;

Status broken(int invariant, const char* what) {
  return Status::error(ErrorCode::kCorrupt,
                       "block pool, invariant " + std::to_string(invariant) + ": " + what);
}

}  // namespace

size_t BlockPool::class_of(size_t bytes) {
  if (bytes <= 128) return bytes == 0 ? 0 : (bytes - 1) / 16;
  const size_t above = bytes - 1;
  const auto log = static_cast<size_t>(std::bit_width(above)) - 1;  // 7 for 129 to 256.
  return 8 + (log - 7) * 4 + ((above >> (log - 2)) & 3);
}

size_t BlockPool::class_bytes(size_t index) {
  if (index < 8) return (index + 1) * 16;
  const size_t doubling = (index - 8) / 4;
  const size_t quarter = (index - 8) % 4;
  return (size_t{32} << doubling) * (5 + quarter);
}

size_t BlockPool::block_bytes(size_t bytes) { return class_bytes(class_of(bytes)); }

void BlockPool::link(SizeClass* c, Slab* slab) {
  slab->previous = nullptr;
  slab->next = c->with_room;
  if (slab->next != nullptr) slab->next->previous = slab;
  c->with_room = slab;
}

void BlockPool::unlink(SizeClass* c, Slab* slab) {
  (slab->previous == nullptr ? c->with_room : slab->previous->next) = slab->next;
  if (slab->next != nullptr) slab->next->previous = slab->previous;
}

// Where the slab of a block stands in the table: the last that begins before it.
size_t BlockPool::place_of(const void* block) const {
  const auto after = std::upper_bound(
      slabs_.begin(), slabs_.end(), reinterpret_cast<uintptr_t>(block),
      [](uintptr_t b, const Slab* slab) { return b < reinterpret_cast<uintptr_t>(slab); });
  return static_cast<size_t>(after - slabs_.begin()) - 1;
}

void BlockPool::expect(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  expected_ = bytes;
}

Result<SlabBlocks::Piece> BlockPool::allocate_slab(size_t bytes, bool is_huge) {
  if (is_huge) return huge_.allocate();
  OMEN_TRY(account_->reserve(use_, bytes));
  Result<std::byte*> memory = allocate_bytes(bytes, Fill::kNone);
  if (!memory.is_ok()) {
    account_->release(use_, bytes);
    return memory.status();
  }
  heap_bytes_ += bytes;
  return SlabBlocks::Piece{memory.value(), bytes};
}

// A slab of a quarter of what the class has, so that its last slab wastes no more.
Status BlockPool::add_slab(SizeClass* c, size_t block_bytes) {
  static_assert(sizeof(Slab) <= kCacheLineBytes);
  const size_t wanted = std::clamp(std::bit_floor(static_cast<size_t>(c->slab_bytes / 4) | 1),
                                   kSlabBytesMin, kSlabBytesMax);
  OMEN_TRY(slabs_.push_back(nullptr));
  slabs_.pop_back();  // Room for one.
  const bool is_huge =
      wanted == kSlabBytesMax &&
      std::max(heap_bytes_ + huge_.bytes(), expected_) >= SlabBlocks::kWorthwhileBytes;
  Result<SlabBlocks::Piece> allocated = allocate_slab(wanted, is_huge);
  const bool is_small = is_huge && !allocated.is_ok();  // Near the limit less than 2 MiB may do.
  if (is_small) allocated = allocate_slab(wanted, false);
  OMEN_ASSIGN(const SlabBlocks::Piece piece, std::move(allocated));
  const auto blocks = static_cast<uint32_t>((piece.bytes - kCacheLineBytes) / block_bytes);
  auto* slab = new (piece.memory)
      Slab{nullptr, nullptr, nullptr, 0, 0, blocks, static_cast<uint32_t>(piece.bytes),
           is_huge && !is_small};
  const size_t place = place_of(slab) + 1;
  slabs_.push_back_reserved(slab);
  std::rotate(slabs_.begin() + place, slabs_.end() - 1, slabs_.end());
  c->slab_bytes += piece.bytes;
  link(c, slab);
  return Status::ok();
}

void BlockPool::free_slab(Slab* slab) {
  if (slab->is_huge) return huge_.free(slab);
  const size_t bytes = slab->bytes;
  free_bytes(slab, bytes);
  account_->release(use_, bytes);
  heap_bytes_ -= bytes;
}

Result<void*> BlockPool::allocate(size_t bytes) {
  const std::lock_guard lock(mutex_);
  return take(bytes);
}

Status BlockPool::allocate_many(std::span<const uint32_t> bytes, void** out) {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < bytes.size(); ++i) {
    Result<void*> block = take(bytes[i]);
    if (block.is_ok()) {
      out[i] = block.value();
      continue;
    }
    while (i-- > 0) give_back(out[i], bytes[i]);
    return block.status();
  }
  return Status::ok();
}

Result<void*> BlockPool::take(size_t bytes) {
  if (bytes > kBytesMax) {
    return Status::error(ErrorCode::kLimit, "a block of " + std::to_string(bytes) +
                                                " bytes exceeds the limit of " +
                                                std::to_string(kBytesMax));
  }
  const size_t index = class_of(bytes);
  const size_t size = class_bytes(index);
  SizeClass& c = classes_[index];
  if (c.with_room == nullptr) OMEN_TRY(add_slab(&c, size));
  Slab* slab = c.with_room;
  void* block = slab->free;
  if (block != nullptr) slab->free = slab->free->next;
  else block = first_block(slab) + size_t{slab->cut++} * size;
  ++slab->used;
  ++c.used_blocks;
  if (slab->is_full()) unlink(&c, slab);
  return block;
}

void BlockPool::release(void* block, size_t bytes) {
  if (block == nullptr) return;
  OMEN_ASSERT(bytes <= kBytesMax);
  const std::lock_guard lock(mutex_);
  give_back(block, bytes);
}

void BlockPool::give_back(void* block, size_t bytes) {
  SizeClass& c = classes_[class_of(bytes)];
  const size_t place = place_of(block);
  OMEN_ASSERT(place < slabs_.size());
  Slab* slab = slabs_[place];
  OMEN_ASSERT(slab->used > 0 && c.used_blocks > 0);
  if (slab->is_full()) link(&c, slab);
  slab->free = new (block) FreeBlock{slab->free};
  --slab->used;
  --c.used_blocks;
  if (slab->used > 0) return;
  unlink(&c, slab);
  c.slab_bytes -= slab->bytes;
  free_slab(slab);
  std::rotate(slabs_.begin() + place, slabs_.begin() + place + 1, slabs_.end());
  slabs_.pop_back();
  if (slabs_.empty()) slabs_.drop();
}

void BlockPool::clear() {
  const std::lock_guard lock(mutex_);
  for (SizeClass& c : classes_) c = SizeClass();
  for (Slab* slab : slabs_) free_slab(slab);
  slabs_.drop();
}

uint64_t BlockPool::used_bytes() const {
  const std::lock_guard lock(mutex_);
  uint64_t sum = 0;
  for (size_t i = 0; i < kClasses; ++i) sum += classes_[i].used_blocks * class_bytes(i);
  return sum;
}

uint64_t BlockPool::bytes_reserved() const {
  const std::lock_guard lock(mutex_);
  return slabs_.bytes() + heap_bytes_ + huge_.bytes();
}

Status BlockPool::validate_slab(Slab* slab, size_t index) const {
  uint32_t blocks = slab->used + (slab->blocks - slab->cut);
  for (const FreeBlock* b = slab->free; b != nullptr && blocks <= slab->blocks; b = b->next) {
    if (reinterpret_cast<uintptr_t>(b) % 16 != 0) return broken(1, "unaligned block");
    ++blocks;
  }
  if (blocks != slab->blocks) return broken(2, "the blocks of a slab do not add up");
  if (slab->used == 0 || slab->is_full()) return broken(3, "a full or empty slab in the list");
  const size_t place = place_of(first_block(slab));
  if (place >= slabs_.size() || slabs_[place] != slab) return broken(3, "a slab is not found");
  const auto most = (slab->bytes - kCacheLineBytes) / class_bytes(index);
  return slab->blocks == most ? Status::ok() : broken(3, "a slab of another class");
}

Status BlockPool::validate() const {
  const std::lock_guard lock(mutex_);
  OMEN_TRY(huge_.validate());
  uint64_t bytes = 0;
  uint64_t heap_bytes = 0;
  for (size_t i = 0; i < kClasses; ++i) {
    for (Slab* slab = classes_[i].with_room; slab != nullptr; slab = slab->next) {
      OMEN_TRY(validate_slab(slab, i));
    }
    bytes += classes_[i].slab_bytes;
  }
  for (size_t i = 0; i < slabs_.size(); ++i) {
    if (i > 0 && slabs_[i - 1] >= slabs_[i]) return broken(3, "the table is out of order");
    bytes -= slabs_[i]->bytes;
    if (!slabs_[i]->is_huge) heap_bytes += slabs_[i]->bytes;
  }
  if (bytes != 0 || heap_bytes != heap_bytes_) return broken(2, "the slabs do not add up");
  return Status::ok();
}

}  // namespace omen
