// PackedRows: rows that hold a node's neighbours and what is needed to tell how far they are.
//
// Why: where a walk scores neighbours by codes that lie elsewhere, each is a read of its own. Here
// all of a node's lie behind each other. What a block of 32 neighbours holds is its codec's
// (quant/edge_codec.h); this file knows who is in which lane.
// A row: ids, a lane each, then a block for each 32 lanes. Lanes are not in the order of the edges,
// and may be empty: a neighbour keeps its lane while others come and go. As edge rows, rows are
// 64-bit atomics, copied by acquire loads before SIMD touches them; a reader may see words of two
// versions of a row, and so take one neighbour for another: an estimate that is wrong once.
// Invariants:
//   1. Memory that was never written is a row without neighbours.
// Threads: readers any time; one writer per row at a time. ensure() by one thread.
#pragma once

#include <atomic>
#include <cstring>

#include "graph/edge_rows.h"

namespace omen {

class PackedRows {
 public:
  static constexpr uint32_t kLanes = 32;

  // Rows of at least `neighbours`, with blocks of so many bytes, a multiple of 64.
  PackedRows(MemoryAccount* account, uint32_t neighbours, size_t block_bytes)
      : blocks_((neighbours + kLanes - 1) / kLanes),
        block_bytes_(block_bytes),
        pages_(account, Use::kCodes, blocks_ * (kLanes * sizeof(uint32_t) + block_bytes),
               SlotPages::Paging::kAtCollapse) {
    OMEN_ASSERT(lanes() <= kRowIdsMax && block_bytes % kCacheLineBytes == 0);
  }

  uint32_t blocks() const { return blocks_; }
  uint32_t lanes() const { return blocks_ * kLanes; }
  size_t block_bytes() const { return block_bytes_; }
  size_t row_bytes() const { return pages_.stride(); }
  uint64_t bytes() const { return pages_.bytes(); }
  // ERR_MEMORY.
  Status ensure(uint32_t rows) {
    OMEN_TRY(pages_.ensure(rows));
    pages_.collapse(rows);
    return Status::ok();
  }
  // The first `bytes` of the row; the processor asks for the rest itself.
  void prefetch(uint32_t row, size_t bytes) const { pages_.view().prefetch(row, bytes); }

  // Copies kLanes ids of a block, kNoSlot where a lane is empty.
  void read_ids(uint32_t row, uint32_t block, uint32_t* ids) const {
    const size_t bytes = kLanes * sizeof(uint32_t);
    load(row, block * bytes, bytes, ids);
    for (uint32_t i = 0; i < kLanes; ++i) ids[i] = ~ids[i];
  }
  void write_ids(uint32_t row, uint32_t block, const uint32_t* ids) {
    uint32_t inverse[kLanes];  // So that memory never written holds nobody.
    for (uint32_t i = 0; i < kLanes; ++i) inverse[i] = ~ids[i];
    store(row, block * sizeof(inverse), sizeof(inverse), inverse);
  }
  void read_block(uint32_t row, uint32_t block, uint8_t* out) const {
    load(row, block_at(block), block_bytes_, out);
  }
  void write_block(uint32_t row, uint32_t block, const uint8_t* from) {
    store(row, block_at(block), block_bytes_, from);
  }

 private:
  size_t block_at(uint32_t block) const {
    return blocks_ * kLanes * sizeof(uint32_t) + block * block_bytes_;
  }
  void load(uint32_t row, size_t at, size_t bytes, void* out) const {
    const auto* words = reinterpret_cast<const std::atomic<uint64_t>*>(pages_.row(row) + at);
    auto* to = static_cast<char*>(out);
    // By hand: compilers leave loops over atomics as they are, and this one is a tenth of a walk.
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i += 8, to += kCacheLineBytes) {
      const uint64_t line[8] = {get(words + i),     get(words + i + 1), get(words + i + 2),
                                get(words + i + 3), get(words + i + 4), get(words + i + 5),
                                get(words + i + 6), get(words + i + 7)};
      std::memcpy(to, line, sizeof(line));
    }
  }
  static uint64_t get(const std::atomic<uint64_t>* word) {
    return word->load(std::memory_order_acquire);
  }
  void store(uint32_t row, size_t at, size_t bytes, const void* from) {
    auto* words = reinterpret_cast<std::atomic<uint64_t>*>(pages_.row(row) + at);
    const auto* source = static_cast<const char*>(from);
    for (size_t i = 0; i < bytes / sizeof(uint64_t); ++i) {
      uint64_t word;
      std::memcpy(&word, source + i * sizeof(word), sizeof(word));
      words[i].store(word, std::memory_order_release);
    }
  }

  const uint32_t blocks_;
  const size_t block_bytes_;
  SlotPages pages_;
};

}  // namespace omen
