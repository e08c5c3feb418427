// SlotIndex: a hash index of slots, read without locks: the id map.
//
// Why: the id of a slot is stored once, in the slot; the index holds only slot numbers and one tag
// byte of the hash, so that a look-up reads one cache line here and (255 times in 256) no id but
// the right one. A bucket is a cache line of 12 entries; probing goes from bucket to bucket. The
// number of buckets is any integer (the hash is scaled, not masked), so that growth is by half:
// 5.33 bytes an entry at loads of 0.57 to 0.85 are 7.6 bytes a live slot on average.
// Readers pin the EpochDomain: tables replaced by growth are retired there.
// Invariants (validate() checks them):
//   1. Every slot in the index is found by its hash: all buckets before its own are full (an entry
//      erased from a full bucket leaves a grave, one from a bucket with room leaves it empty).
//   2. live() and graves() are the numbers of such entries, and their sum stays at or below 0.85
//      of the entries: some bucket always ends a probe.
//   3. An entry's slot is written before its tag; an entry changes only by one atomic store.
// Threads: find() and prefetch() from any thread that is pinned; all else by one writer at a time.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <utility>

#include "memory/blocks.h"
#include "memory/budget.h"
#include "memory/epoch.h"
#include "memory/slot_pages.h"

namespace omen {

class SlotIndex {
 public:
  SlotIndex(MemoryAccount* account, Use use, EpochDomain* epochs)
      : account_(account), use_(use), epochs_(epochs) {}
  // No reader may be left.
  ~SlotIndex();
  SlotIndex(const SlotIndex&) = delete;
  SlotIndex& operator=(const SlotIndex&) = delete;

  // The slot for which `equals(slot)` is true among those with this hash, or kNoSlot. `equals` may
  // see slots that were erased a moment ago.
  template <class Equals>
  uint32_t find(uint64_t hash, Equals&& equals) const {
    const Table* table = table_.load(std::memory_order_acquire);
    if (table == nullptr) return kNoSlot;
    const uint8_t tag = tag_of(hash);
    for (uint64_t b = table->bucket_of(hash);; b = table->after(b)) {
      const Bucket& bucket = table->buckets()[b];
      const Tags tags = bucket.load_tags();
      for (uint32_t hits = tags.match(tag); hits != 0; hits &= hits - 1) {
        const uint32_t slot = bucket.slots[std::countr_zero(hits)].load(std::memory_order_acquire);
        if (equals(slot)) return slot;
      }
      if (tags.match(kEmpty) != 0) return kNoSlot;
    }
  }

  // Brings the bucket of a coming find() or insert() into the cache.
  void prefetch(uint64_t hash) const {
    const Table* table = table_.load(std::memory_order_acquire);
    if (table != nullptr) prefetch_read(&table->buckets()[table->bucket_of(hash)]);
  }

  // Makes the next `more` inserts unable to fail, rehashing into a new table when needed;
  // `hash_of(slot)` gives the hash of a slot in the index. Growth is amortised. ERR_MEMORY leaves
  // everything as it was.
  template <class HashOf>
  Status reserve(uint32_t more, HashOf&& hash_of) {
    if (fits(more)) return Status::ok();
    return rebuild(buckets_for(more), hash_of);
  }

  // Replaces the table by the smallest that holds `more` further slots, if that saves a third.
  template <class HashOf>
  Status shrink(uint32_t more, HashOf&& hash_of) {
    const uint64_t wanted = buckets_to_hold(uint64_t{live_} + more);
    if (wanted * 3 > bucket_count() * 2) return Status::ok();
    return rebuild(wanted, hash_of);
  }

  // After reserve(). The slot must not be in the index yet.
  void insert(uint64_t hash, uint32_t slot);
  // One atomic store: a reader finds the one or the other. `old_slot` must be in the index.
  void replace(uint64_t hash, uint32_t old_slot, uint32_t new_slot);
  // False if the slot is not in the index.
  bool erase(uint64_t hash, uint32_t slot);
  // Empties the index; readers may go on with the old table.
  void clear();

  uint32_t live() const { return live_; }
  uint32_t graves() const { return graves_; }
  uint64_t bytes() const;

  template <class HashOf>
  Status validate(HashOf&& hash_of) const;

 private:
  static constexpr uint32_t kEntries = 12;  // Of a bucket.
  static constexpr uint8_t kEmpty = 0;
  static constexpr uint8_t kGrave = 1;

  // The 12 tag bytes of a bucket, as read once.
  struct Tags {
    uint64_t low;   // Entries 0 to 7.
    uint64_t high;  // Entries 8 to 11 in the lower half; the upper is masked off.
    // A bit per entry whose tag this is, exactly.
    uint32_t match(uint8_t tag) const {
      const uint64_t pattern = 0x0101010101010101ull * tag;
      return zero_bytes(low ^ pattern) | (zero_bytes(high ^ pattern) & 0xFu) << 8;
    }
    // Bit i is set exactly if byte i is zero: the carry-free form, then the bits gathered.
    static uint32_t zero_bytes(uint64_t x) {
      constexpr uint64_t kLow7 = 0x7F7F7F7F7F7F7F7Full;
      const uint64_t zero = ~(((x & kLow7) + kLow7) | x | kLow7);
      return static_cast<uint32_t>((zero >> 7) * 0x0102040810204080ull >> 56);
    }
    uint8_t tag(uint32_t entry) const {
      return static_cast<uint8_t>(entry < 8 ? low >> (8 * entry) : high >> (8 * (entry - 8)));
    }
  };

  struct alignas(kCacheLineBytes) Bucket {
    std::atomic<uint64_t> tags_low;
    std::atomic<uint32_t> tags_high;
    std::atomic<uint32_t> slots[kEntries];

    Tags load_tags() const {
      return {tags_low.load(std::memory_order_acquire), tags_high.load(std::memory_order_acquire)};
    }
    void store_tag(uint32_t entry, uint8_t tag);
  };
  static_assert(sizeof(Bucket) == kCacheLineBytes);

  struct alignas(kCacheLineBytes) Table {
    RetireNode node;
    uint64_t count = 0;  // Of buckets, which follow this header.
    Bucket* buckets() { return reinterpret_cast<Bucket*>(this + 1); }
    const Bucket* buckets() const { return reinterpret_cast<const Bucket*>(this + 1); }
    uint64_t bucket_of(uint64_t hash) const { return (hash >> 32) * count >> 32; }
    uint64_t after(uint64_t bucket) const { return bucket + 1 == count ? 0 : bucket + 1; }
    uint64_t bytes() const { return sizeof(Table) + count * sizeof(Bucket); }
  };

  struct Place {
    Bucket* bucket = nullptr;
    uint32_t entry = 0;
  };

  // Tags 0 and 1 are taken; the top bits of the hash choose the bucket.
  static uint8_t tag_of(uint64_t hash) {
    const auto tag = static_cast<uint8_t>(hash);
    return tag < 2 ? static_cast<uint8_t>(tag + 2) : tag;
  }
  // True where the entry was empty, false where it was a grave.
  static bool insert_into(Table* table, uint64_t hash, uint32_t slot);
  static void destroy_table(void* table, void* account);

  Table* table() const { return table_.load(std::memory_order_relaxed); }
  uint64_t bucket_count() const { return table() == nullptr ? 0 : table()->count; }
  static uint64_t entries_max(uint64_t buckets) { return buckets * kEntries * 17 / 20; }
  static uint64_t buckets_to_hold(uint64_t entries);
  uint64_t buckets_for(uint32_t more) const;
  bool fits(uint32_t more) const;
  Place place_of(uint64_t hash, uint32_t slot) const;
  Result<Table*> make_table(uint64_t buckets);
  void publish(Table* table);

  template <class HashOf>
  Status rebuild(uint64_t buckets, HashOf& hash_of) {
    OMEN_ASSIGN(Table * fresh, make_table(buckets));
    for_each([&](uint32_t slot) {
      insert_into(fresh, hash_of(slot), slot);
      return true;
    });
    graves_ = 0;
    publish(fresh);
    return Status::ok();
  }

  // Calls f(slot) for each live entry until it returns false.
  template <class F>
  void for_each(F&& f) const {
    const Table* t = table();
    for (uint64_t b = 0; t != nullptr && b < t->count; ++b) {
      const Tags tags = t->buckets()[b].load_tags();
      for (uint32_t e = 0; e < kEntries; ++e) {
        if (tags.tag(e) <= kGrave) continue;
        if (!f(t->buckets()[b].slots[e].load(std::memory_order_relaxed))) return;
      }
    }
  }

  Status validate_counts() const;

  MemoryAccount* const account_;
  const Use use_;
  EpochDomain* const epochs_;
  std::atomic<Table*> table_{nullptr};
  uint32_t live_ = 0;
  uint32_t graves_ = 0;
};

template <class HashOf>
Status SlotIndex::validate(HashOf&& hash_of) const {
  OMEN_TRY(validate_counts());
  uint32_t lost = kNoSlot;
  for_each([&](uint32_t slot) {
    const uint32_t found = find(hash_of(slot), [&](uint32_t other) { return other == slot; });
    if (found != slot) lost = slot;
    return found == slot;
  });
  if (lost == kNoSlot) return Status::ok();
  return Status::error(ErrorCode::kCorrupt, "slot index, invariant 1: slot " +
                                                std::to_string(lost) +
                                                " is not found by its hash; rebuild the index");
}

}  // namespace omen
