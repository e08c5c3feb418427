// Tables of the slot index; see slot_index.h.
#include "memory/slot_index.h"

#include <algorithm>
#include <new>
#include <string>

namespace omen {

namespace {

Status broken(int invariant, const char* what) {
  return Status::error(ErrorCode::kCorrupt,
                       "slot index, invariant " + std::to_string(invariant) + ": " + what);
}

}  // namespace

// Only the writer changes tags, so load and store need not be one step.
void SlotIndex::Bucket::store_tag(uint32_t entry, uint8_t tag) {
  if (entry < 8) {
    const uint32_t shift = 8 * entry;
    const uint64_t kept = tags_low.load(std::memory_order_relaxed) & ~(uint64_t{0xFF} << shift);
    tags_low.store(kept | uint64_t{tag} << shift, std::memory_order_release);
  } else {
    const uint32_t shift = 8 * (entry - 8);
    const uint32_t kept = tags_high.load(std::memory_order_relaxed) & ~(0xFFu << shift);
    tags_high.store(kept | uint32_t{tag} << shift, std::memory_order_release);
  }
}

SlotIndex::~SlotIndex() {
  Table* t = table();
  if (t == nullptr) return;
  account_->move(use_, Use::kRetired, t->bytes());
  destroy_table(t, account_);
}

void SlotIndex::destroy_table(void* table, void* account) {
  const uint64_t bytes = static_cast<Table*>(table)->bytes();
  free_bytes(table, bytes);
  static_cast<MemoryAccount*>(account)->release(Use::kRetired, bytes);
}

uint64_t SlotIndex::buckets_to_hold(uint64_t entries) {
  const uint64_t buckets = (entries * 20 + kEntries * 17 - 1) / (kEntries * 17);
  return std::max<uint64_t>(buckets + (entries_max(buckets) < entries ? 1 : 0), 1);
}

bool SlotIndex::fits(uint32_t more) const {
  return uint64_t{live_} + graves_ + more <= entries_max(bucket_count());
}

// When it is graves that fill the table, a table of the same size will do, unless it would be
// nearly full at once and rehashed soon again.
uint64_t SlotIndex::buckets_for(uint32_t more) const {
  const uint64_t count = bucket_count();
  const uint64_t wanted = buckets_to_hold(uint64_t{live_} + more);
  if (wanted + wanted / 8 > count) return std::max(wanted, count + count / 2 + (count > 0 ? 1 : 0));
  return std::max(wanted + wanted / 2, std::min(count, wanted * 3));
}

Result<SlotIndex::Table*> SlotIndex::make_table(uint64_t buckets) {
  static_assert(sizeof(Table) == kCacheLineBytes);
  OMEN_ASSERT(buckets > 0 && buckets < (uint64_t{1} << 32));
  const uint64_t bytes = sizeof(Table) + buckets * sizeof(Bucket);
  OMEN_TRY(account_->reserve(use_, bytes));
  Result<std::byte*> memory = allocate_bytes(bytes);
  if (!memory.is_ok()) {
    account_->release(use_, bytes);
    return memory.status();
  }
  Table* fresh = new (memory.value()) Table;
  fresh->count = buckets;
  for (uint64_t b = 0; b < buckets; ++b) new (&fresh->buckets()[b]) Bucket();
  return fresh;
}

void SlotIndex::publish(Table* fresh) {
  Table* old = table();
  table_.store(fresh, std::memory_order_release);
  if (old == nullptr) return;
  account_->move(use_, Use::kRetired, old->bytes());
  epochs_->retire(&old->node, old, destroy_table, account_, old->bytes());
}

bool SlotIndex::insert_into(Table* table, uint64_t hash, uint32_t slot) {
  for (uint64_t b = table->bucket_of(hash);; b = table->after(b)) {
    Bucket& bucket = table->buckets()[b];
    const Tags tags = bucket.load_tags();
    const uint32_t graves = tags.match(kGrave);
    const uint32_t room = graves != 0 ? graves : tags.match(kEmpty);
    if (room == 0) continue;
    const auto entry = static_cast<uint32_t>(std::countr_zero(room));
    bucket.slots[entry].store(slot, std::memory_order_release);
    bucket.store_tag(entry, tag_of(hash));
    return graves == 0;
  }
}

void SlotIndex::insert(uint64_t hash, uint32_t slot) {
  OMEN_ASSERT(fits(1));
  if (!insert_into(table(), hash, slot)) --graves_;
  ++live_;
}

SlotIndex::Place SlotIndex::place_of(uint64_t hash, uint32_t slot) const {
  Table* t = table();
  if (t == nullptr) return {};
  for (uint64_t b = t->bucket_of(hash);; b = t->after(b)) {
    Bucket& bucket = t->buckets()[b];
    const Tags tags = bucket.load_tags();
    for (uint32_t hits = tags.match(tag_of(hash)); hits != 0; hits &= hits - 1) {
      const auto entry = static_cast<uint32_t>(std::countr_zero(hits));
      if (bucket.slots[entry].load(std::memory_order_relaxed) == slot) return {&bucket, entry};
    }
    if (tags.match(kEmpty) != 0) return {};
  }
}

void SlotIndex::replace(uint64_t hash, uint32_t old_slot, uint32_t new_slot) {
  const Place place = place_of(hash, old_slot);
  OMEN_ASSERT(place.bucket != nullptr);
  place.bucket->slots[place.entry].store(new_slot, std::memory_order_release);
}

bool SlotIndex::erase(uint64_t hash, uint32_t slot) {
  const Place place = place_of(hash, slot);
  if (place.bucket == nullptr) return false;
  // A bucket with room ends every probe already: nothing lies behind it on its account.
  const bool has_room = place.bucket->load_tags().match(kEmpty) != 0;
  place.bucket->store_tag(place.entry, has_room ? kEmpty : kGrave);
  if (!has_room) ++graves_;
  --live_;
  return true;
}

void SlotIndex::clear() {
  live_ = graves_ = 0;
  publish(nullptr);
}

uint64_t SlotIndex::bytes() const { return table() == nullptr ? 0 : table()->bytes(); }

Status SlotIndex::validate_counts() const {
  uint64_t live = 0;
  uint64_t graves = 0;
  const Table* t = table();
  for (uint64_t b = 0; b < bucket_count(); ++b) {
    const Tags tags = t->buckets()[b].load_tags();
    const uint32_t empty = tags.match(kEmpty);
    const uint32_t grave = tags.match(kGrave);
    graves += static_cast<uint64_t>(std::popcount(grave));
    live += kEntries - static_cast<uint64_t>(std::popcount(empty | grave));
  }
  if (live != live_ || graves != graves_) return broken(2, "live() or graves() is wrong");
  if (live + graves > entries_max(bucket_count())) return broken(2, "the table is too full");
  return Status::ok();
}

}  // namespace omen
