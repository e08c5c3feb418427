// MappedVectors: originals that stay in the files of the snapshot, and what was written since.
//
// Why: a database larger than the memory, and one that is opened for a few searches, must not read
// all its vectors first. Search walks on codes and asks for the originals of a few rows.
// How: a table has the address of each extent (storage/segment.h): in a mapped segment, or in
// memory of its own as soon as one of its rows is to be written. An extent is verified at its first
// touch: until then its entry has a bit set. One that turns out to be damaged is replaced by zeros,
// and the first such fault stays: whoever has read vectors asks status() before what came of them
// is given away.
// Invariants (validate() checks them):
//   1. An address that row() gave stays readable as long as the reader's pin.
//   2. Whoever fills a row has own()ed its extent, and bytes that readers may see never change.
//   3. bytes() is what the account holds: the own extents and the touched part of the table.
// Threads: row(), peek() and status() from any pinned thread, and under the commit lock; all else
// under the store's stage_mutex, which follow() takes itself, or before anybody else knows the
// store.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "memory/array.h"
#include "memory/epoch.h"
#include "memory/slot_pages.h"
#include "storage/segment.h"

namespace omen {

class SegmentFiles;
class SlotStates;
struct CollectionSnapshot;

class MappedVectors {
 public:
  struct Shape {
    uint32_t extent_rows;
    size_t stride;
    uint32_t rows;  // Of the opening.
  };
  // ERR_MEMORY.
  static Result<std::unique_ptr<MappedVectors>> create(MemoryAccount* account, EpochDomain* epochs,
                                                       const Shape& shape);
  // No reader may be left.
  ~MappedVectors();
  MappedVectors(const MappedVectors&) = delete;
  MappedVectors& operator=(const MappedVectors&) = delete;

  // Extent `index` lies at `place` of `file`, and has that checksum. Any threads at once.
  // ERR_IO, ERR_MEMORY if the system cannot map the file.
  Status map(uint32_t index, const SegmentReader& file, const ExtentPlace& place,
             uint32_t checksum);

  // Verified; zeros if it is damaged.
  std::byte* row(uint32_t slot) const {
    uintptr_t entry = table()[slot >> shift_].load(std::memory_order_acquire);
    if ((entry & kUnverified) != 0) [[unlikely]]
      entry = verify(slot >> shift_);
    return reinterpret_cast<std::byte*>(entry) + static_cast<size_t>(slot & mask_) * stride_;
  }
  // To prefetch: as it lies.
  const std::byte* peek(uint32_t slot) const {
    const uintptr_t entry = table()[slot >> shift_].load(std::memory_order_acquire);
    return reinterpret_cast<const std::byte*>(entry & ~kUnverified) +
           static_cast<size_t>(slot & mask_) * stride_;
  }
  // ERR_CORRUPT with file and byte, from the first touch of a damaged extent on.
  Status status() const {
    return is_damaged_.load(std::memory_order_acquire) ? damage() : Status::ok();
  }

  // Entries for `rows` rows. ERR_MEMORY.
  Status ensure(uint32_t rows);
  // Memory for rows that are about to be filled. ERR_MEMORY, and ERR_CORRUPT for an extent that
  // cannot be read, leave every row as it was.
  Status own(const uint32_t* slots, size_t count);
  // Gives back own extents beyond `rows`, which no reader may hold or look for.
  void shrink(uint32_t rows);
  // After a checkpoint: extents whose segment is not among `files` any more are found where
  // `snapshot` has them, or get memory of their own. What cannot be followed (no memory) stays
  // where it is, for the next time. Then let_go() unmaps the segments where none lies any more, so
  // that the disk has their space back; under the commit lock, as who holds that need not pin.
  struct Way {
    const CollectionSnapshot& snapshot;
    const SegmentFiles& files;
    const SlotStates& states;
    std::mutex& stage_mutex;  // Taken for one extent at a time: others must not stall for long.
  };
  void follow(const Way& way);
  void let_go();

  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  uint64_t mapped_bytes() const { return mapped_bytes_.load(std::memory_order_relaxed); }
  size_t stride() const { return stride_; }
  // Touches every extent.
  Status verify_all() const;
  Status validate() const;

 private:
  using Entry = std::atomic<uintptr_t>;
  static constexpr uintptr_t kUnverified = 1;

  // A mapped file, until no extent lies in it and no reader can be at it.
  struct Segment {
    RetireNode node;
    std::shared_ptr<const SegmentMapping> mapping;
  };
  // Where an extent lay at the opening: what verify() compares with.
  struct Source {
    const SegmentMapping* mapping = nullptr;
    uint64_t offset = 0;
    uint32_t checksum = 0;
  };

  MappedVectors(MemoryAccount* account, EpochDomain* epochs, const Shape& shape);
  Entry* table() const { return reinterpret_cast<Entry*>(table_); }
  size_t table_bytes() const;
  size_t extent_bytes() const { return (size_t{mask_} + 1) * stride_; }
  uint32_t extents_for(uint32_t rows) const { return (rows >> shift_) + ((rows & mask_) != 0); }
  bool is_own(uint32_t index) const { return homes_[index] == kOwn; }
  uintptr_t verify(uint32_t index) const;
  Status damage() const;
  Status own_extent(uint32_t index);
  Result<const SegmentMapping*> mapping_of(const SegmentReader& file);
  bool move(uint32_t index, const Way& way);
  static void destroy_segment(void* segment, void* context);

  // Homes that are no segment's number.
  static constexpr uint64_t kNone = 0;  // No row of it was ever filled, or what it had is zeros.
  static constexpr uint64_t kOwn = ~uint64_t{0};

  MemoryAccount* const account_;
  EpochDomain* const epochs_;
  const uint32_t shift_;
  const uint32_t mask_;
  const size_t stride_;
  std::byte* table_ = nullptr;      // Never moves: address space for every slot that can exist.
  std::byte* zeros_ = nullptr;      // An extent of them.
  uint32_t extents_ = 0;            // With entries.
  std::vector<uint64_t> homes_;     // By extent: kNone, kOwn, or the number of its segment.
  std::vector<Source> sources_;     // By extent of the opening.
  std::mutex map_mutex_;            // Guards segments_ while map() goes on.
  std::map<uint64_t, std::unique_ptr<Segment>> segments_;
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> mapped_bytes_{0};
  mutable std::atomic<bool> is_damaged_{false};
  mutable std::mutex damage_mutex_;
  mutable Status damage_;  // The first; under damage_mutex_.
};

}  // namespace omen
