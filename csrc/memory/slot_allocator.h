// SlotAllocator: which slots of a collection are free.
//
// Why: the lowest free slot is given first, so that rows stay dense and what grew shrinks back
// towards the front. Where slots are stored in groups (the extents of a snapshot), whose rewriting
// costs as much for one slot as for all, new ones are given while few are free, and then those of
// the emptiest group first: a small change stays in few groups. The free set is a bitmap with
// summary levels of 64 (a bit says that the word below has a set bit), so finding the lowest takes
// one word a level: 1.02 bits a slot.
// Invariants (validate() checks them):
//   1. A slot is below high_water(), and either free (its bit is set) or in use, never both.
//   2. free_count() is the number of set bits; a summary bit is set exactly if its word is not 0.
//   3. release() cannot fail: the bitmap covers every slot ever handed out.
// Threads: all calls, from any thread (one mutex).
#pragma once

#include <cstdint>
#include <mutex>

#include "memory/array.h"
#include "memory/slot_pages.h"

namespace omen {

class SlotAllocator {
 public:
  // `limit` slots at most; smaller ones are for tests.
  explicit SlotAllocator(MemoryAccount* account, Use use = Use::kIds, uint32_t limit = kSlotLimit);

  // From now on slots are stored in groups of so many, a power of two. Before the first slot.
  void set_group(uint32_t slots);
  // Slots below `high_water` are in use where their bit is set, else free. Instead of the first
  // allocation. ERR_MEMORY.
  Status restore(uint32_t high_water, const uint64_t* used);

  // The lowest free slot (without groups), or a new one. ERR_MEMORY; ERR_LIMIT when every slot is
  // in use.
  Result<uint32_t> allocate();
  // `n` slots in rising order. All or nothing.
  Status allocate_many(uint32_t n, uint32_t* out);
  // The slot must be in use.
  void release(uint32_t slot);
  // Forgets the free slots at the end, down to `floor` at most; returns the new high_water().
  uint32_t trim(uint32_t floor);
  // Everything is free and forgotten: high_water() is 0 again.
  void clear();

  uint32_t high_water() const;  // One more than the largest slot ever handed out.
  uint32_t free_count() const;  // Free slots below high_water().
  uint32_t used_count() const;  // high_water() - free_count().
  bool is_free(uint32_t slot) const;
  Status validate() const;

 private:
  static constexpr uint32_t kLevels = 6;  // 64^6 slots: more than kSlotLimit.

  Status cover(uint32_t slots);
  void set_free(uint32_t slot);
  uint32_t take_lowest();
  void set_used(uint32_t slot);
  uint32_t take_from_emptiest();

  mutable std::mutex mutex_;
  const uint32_t limit_;
  uint32_t high_water_ = 0;
  uint32_t free_count_ = 0;
  Array<uint64_t> level_[kLevels];  // level_[0] has a bit a slot.
  uint32_t group_shift_ = 0;        // Of groups, if there are some.
  bool has_groups_ = false;
  Array<uint16_t> group_free_;  // Free slots of each.
  uint32_t group_ = 0;          // The one that slots are taken from.
};

}  // namespace omen
