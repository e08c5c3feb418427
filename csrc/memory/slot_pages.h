// SlotPages: fixed-stride rows addressed by slot, whose addresses never move.
//
// Why: readers walk vectors, codes and edge rows without locks while a writer adds rows, so a row
// may never be copied elsewhere. Rows lie in extents: mapped blocks of 8 to 16 MiB of address
// space, 2 MiB-aligned, with a power of two of rows, so that a row's address is one table read
// and one multiplication. The extent table is address space for every slot that can exist, of
// which only the touched page costs memory: it never moves either, so a reader's View stays valid
// while slots appear that did not exist when it was taken.
// Memory is reserved before it is used: in steps of 16 KiB on small pages while the array is
// below 1.5 MiB (a thousand small collections stay small), beyond in huge pages of 2 MiB. The last
// part of an extent that fills no huge page stays on small pages.
// Invariants (validate() checks them):
//   1. row(slot) is stable until release_all(), and aligned to the largest power of two (at most
//      64) that divides the stride.
//   2. Every row below rows() lies in committed memory and was zero before its first write.
//   3. bytes() is what the account holds: the committed steps and the touched page of the table.
// Threads: one writer at a time (the caller's lock) for ensure(), shrink() and release_all(); row()
// and views from any thread, for slots that were published to it after ensure() returned. No reader
// may be left when release_all() is called.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "memory/blocks.h"
#include "memory/budget.h"

namespace omen {

// Slots are below this; 2^31 - 1 itself is no slot.
inline constexpr uint32_t kSlotLimit = 0x7FFFFFFFu;
// "No such slot", in every structure.
inline constexpr uint32_t kNoSlot = 0xFFFFFFFFu;

inline void prefetch_read(const void* address) {
#if defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(address, 0, 3);
#else
  (void)address;
#endif
}

class SlotPages {
 public:
  // What a reader needs, to keep in registers or hand to a kernel. Usable until release_all().
  struct View {
    std::byte* const* extents = nullptr;
    uint32_t shift = 0;
    uint32_t mask = 0;
    size_t stride = 0;

    std::byte* row(uint32_t slot) const {
      return extents[slot >> shift] + static_cast<size_t>(slot & mask) * stride;
    }
    template <class T>
    T* row_as(uint32_t slot) const {
      return reinterpret_cast<T*>(row(slot));
    }
    // Of `n` slots. One by one: compilers would have vectors do it, which multiply 64 bits in many
    // steps.
    template <class T>
    void rows(const uint32_t* slots, size_t n, const T** out) const {
      for (size_t i = 0; i < n; ++i) {
        out[i] = row_as<const T>(slots[i]);
#if defined(__GNUC__) || defined(__clang__)
        __asm__ volatile("" ::: );
#endif
      }
    }
    // The first `bytes` of a row, a line at a time.
    void prefetch(uint32_t slot, size_t bytes) const {
      const std::byte* p = row(slot);
      for (size_t i = 0; i < bytes; i += kCacheLineBytes) prefetch_read(p + i);
    }
  };

  // When rows come to lie in huge pages. At their first touch is best for who reads them, but that
  // touch clears 2 MiB at once, milliseconds on some machines: rows that a thread fills which must
  // not stall (the host's event loop) take small pages first, and collapse() moves them. Before a
  // touch collapse() is the same at once, and what fills no whole page takes no more than it needs:
  // a large part of the memory of some hundred thousand rows.
  enum class Paging : uint8_t { kAtTouch, kAtCollapse };

  // `stride` bytes a row: 1 to 8 MiB. Allocates nothing.
  SlotPages(MemoryAccount* account, Use use, size_t stride, Paging paging = Paging::kAtTouch);
  ~SlotPages() { release_all(); }
  SlotPages(const SlotPages&) = delete;
  SlotPages& operator=(const SlotPages&) = delete;

  // Makes rows 0 to `rows` - 1 usable. All or nothing: ERR_MEMORY leaves everything as it was.
  Status ensure(uint32_t rows);
  // Moves the whole huge pages below `rows` that are not huge yet; for kAtCollapse. One caller at a
  // time, beside readers and ensure().
  void collapse(uint32_t rows);
  // Where the next collapse() begins.
  uint32_t collapsed_rows() const { return collapsed_rows_; }
  // Asks that `count` rows from `first` on, usable and about to be filled for the first time, be
  // there in one go. Any thread.
  void populate(uint32_t first, uint32_t count) const;
  // Asks that whole huge pages come as such when they are touched, whatever the paging: for who may
  // stall meanwhile.
  void expect_huge(uint32_t first, uint32_t count) const;
  // Gives back what lies beyond `rows`. No reader may hold a row there, or look for one; the writer
  // excludes ensure() and collapse() beyond it.
  void shrink(uint32_t rows);
  // Gives everything back; the object can be used again.
  void release_all();

  // Only after the first ensure(): a collection calls ensure(1) before it is shown to readers.
  View view() const { return {table(), shift_, mask_, stride_}; }
  std::byte* row(uint32_t slot) const {
    return table()[slot >> shift_] + static_cast<size_t>(slot & mask_) * stride_;
  }
  template <class T>
  T* row_as(uint32_t slot) const {
    return reinterpret_cast<T*>(row(slot));
  }

  // Rows usable now: at least what ensure() was asked for.
  uint32_t rows() const { return rows_.load(std::memory_order_relaxed); }
  size_t stride() const { return stride_; }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  // What ensure(rows) would reserve beyond bytes(): to reserve several arrays at once.
  uint64_t bytes_to_ensure(uint32_t rows) const;
  MemoryAccount* account() const { return account_; }
  Use use() const { return use_; }
  Status validate() const;

 private:
  std::byte** table() const { return extents_.load(std::memory_order_acquire); }
  uint32_t extent_rows() const { return mask_ + 1; }
  size_t extent_bytes() const { return static_cast<size_t>(extent_rows()) * stride_; }
  size_t table_bytes() const;
  uint32_t extents_for(uint32_t rows) const;
  // Committed bytes of an extent whose first `row_bytes` bytes must be usable.
  size_t committed_in(uint32_t extent, size_t row_bytes) const;
  // The same for the last extent of an array of `rows` > 0 rows.
  size_t committed_in_last(uint32_t rows) const;
  // All bytes of an array of `rows` rows: committed steps and the touched part of the table.
  uint64_t bytes_for(uint32_t rows) const;
  uint32_t usable_rows(uint32_t rows) const;
  template <class Fn>
  void each_part(uint32_t first, uint32_t count, const Fn& fn) const;
  Status make_table();
  Status grow(uint32_t rows);
  Status add_extents(uint32_t first, uint32_t rows);
  Status use_extent(std::byte* extent, uint32_t index, size_t committed);

  MemoryAccount* const account_;
  const Use use_;
  const size_t stride_;
  const Paging paging_;
  uint32_t collapsed_rows_ = 0;  // collapse()'s own.
  uint32_t shift_ = 0;
  uint32_t mask_ = 0;
  uint32_t asked_rows_ = 0;  // The largest ensure() that succeeded.
  std::atomic<std::byte**> extents_{nullptr};
  std::atomic<uint32_t> rows_{0};
  std::atomic<uint64_t> bytes_{0};
};

}  // namespace omen
