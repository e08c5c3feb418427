// The slot index against std::unordered_map, with good hashes and with terrible ones.
#include <unordered_map>

#include "memory/array.h"
#include "memory/slot_index.h"
#include "test.h"

using namespace omen;

namespace {

// Keys by slot, as the engine keeps ids, and a hash that keeps only some of its bits.
struct Ids {
  std::vector<uint64_t> key_of_slot;
  uint64_t hash_mask = UINT64_MAX;

  uint64_t hash(uint64_t key) const { return mix64(key) & hash_mask; }
  uint64_t hash_of(uint32_t slot) const { return hash(key_of_slot[slot]); }
};

uint32_t find(const SlotIndex& index, const Ids& ids, uint64_t key) {
  return index.find(ids.hash(key), [&](uint32_t slot) { return ids.key_of_slot[slot] == key; });
}

void run_model(uint64_t seed, uint64_t hash_mask, uint64_t keys, int steps) {
  Random random(seed);
  MemoryBudget budget;
  MemoryAccount account(&budget);
  EpochDomain epochs;
  {
    SlotIndex index(&account, Use::kIds, &epochs);
    Ids ids;
    ids.hash_mask = hash_mask;
    const auto hash_of = [&](uint32_t slot) { return ids.hash_of(slot); };
    std::unordered_map<uint64_t, uint32_t> model;
    for (int step = 0; step < steps; ++step) {
      const uint64_t key = random.below(keys);
      const auto it = model.find(key);
      CHECK_EQ(find(index, ids, key), it == model.end() ? kNoSlot : it->second);
      const uint64_t choice = random.below(100);
      const bool growing = step < steps / 2;
      if (it == model.end()) {
        if (choice < (growing ? 90u : 20u)) {
          CHECK_OK(index.reserve(1, hash_of));
          const auto slot = static_cast<uint32_t>(ids.key_of_slot.size());
          ids.key_of_slot.push_back(key);
          index.insert(ids.hash(key), slot);
          model[key] = slot;
        }
      } else if (choice < 30) {
        const auto slot = static_cast<uint32_t>(ids.key_of_slot.size());
        ids.key_of_slot.push_back(key);
        index.replace(ids.hash(key), it->second, slot);
        it->second = slot;
      } else if (choice < (growing ? 50u : 90u)) {
        CHECK(index.erase(ids.hash(key), it->second));
        CHECK(!index.erase(ids.hash(key), it->second));
        model.erase(it);
      }
      CHECK_EQ(index.live(), model.size());
      if (step % (steps / 20) == 0) {
        CHECK_OK(index.validate(hash_of));
        if (step % (steps / 5) == 0) CHECK_OK(index.shrink(0, hash_of));
        epochs.collect();
        CHECK_EQ(account.used(Use::kIds), index.bytes());
        CHECK_EQ(account.used(Use::kRetired), 0);
      }
    }
    for (const auto& [key, slot] : model) CHECK_EQ(find(index, ids, key), slot);
    CHECK_OK(index.validate(hash_of));
    index.clear();
    CHECK_EQ(index.live(), 0);
    CHECK_EQ(find(index, ids, 0), kNoSlot);
    CHECK_OK(index.validate(hash_of));
  }
  epochs.collect();
  CHECK_EQ(budget.used(), 0);
}

}  // namespace

// Any sequence of calls must agree with a map, whatever the size.
TEST(index_agrees_with_a_map) {
  const uint64_t seed = test_seed();
  run_model(seed, UINT64_MAX, 3, 2000);
  run_model(seed + 1, UINT64_MAX, 100, 20000);
  run_model(seed + 2, UINT64_MAX, 20000, 200000);
}

// Colliding hashes must cost time only: all equal, equal buckets, equal tags.
TEST(index_survives_colliding_hashes) {
  const uint64_t seed = test_seed();
  run_model(seed, 0, 300, 6000);
  run_model(seed + 1, 0xFF, 1000, 20000);
  run_model(seed + 2, 0xF00000000ull | 1, 500, 10000);
  run_model(seed + 3, ~uint64_t{0xFF}, 3000, 40000);
}

// After reserve(n), n inserts must succeed without another allocation, also after erasures.
TEST(reserved_inserts_need_no_memory) {
  Random random(test_seed());
  MemoryBudget budget(1 << 20);
  MemoryAccount account(&budget);
  EpochDomain epochs;
  SlotIndex index(&account, Use::kIds, &epochs);
  const auto hash_of = [](uint32_t slot) { return mix64(slot); };
  uint32_t slots = 0;
  while (slots < 100000) {
    const auto n = static_cast<uint32_t>(random.below(3000));
    if (Status s = index.reserve(n, hash_of); !s.is_ok()) {
      CHECK(s.code() == ErrorCode::kMemory);
      break;
    }
    const uint64_t bytes = index.bytes();
    for (uint32_t i = 0; i < n; ++i) {
      index.insert(mix64(slots), slots);
      ++slots;
      if (i % 3 == 0) CHECK(index.erase(mix64(slots - 1), slots - 1));
    }
    CHECK_EQ(index.bytes(), bytes);
    epochs.collect();
  }
  CHECK(slots > 50000);
  CHECK_OK(index.validate(hash_of));  // A refused growth changes nothing.
}

// The id index is allowed 8 bytes a record, averaged over a growing collection.
TEST(index_takes_eight_bytes_a_slot) {
  MemoryBudget budget;
  MemoryAccount account(&budget);
  EpochDomain epochs;
  SlotIndex index(&account, Use::kIds, &epochs);
  const auto hash_of = [](uint32_t slot) { return mix64(slot); };
  double sum = 0;
  double samples = 0;
  double worst = 0;
  for (uint32_t slot = 0; slot < 300000; ++slot) {
    CHECK_OK(index.reserve(1, hash_of));
    index.insert(mix64(slot), slot);
    if (slot < 20000 || slot % 16 != 0) continue;
    const double bytes = static_cast<double>(index.bytes()) / (slot + 1);
    sum += bytes;
    ++samples;
    worst = std::max(worst, bytes);
  }
  CHECK(sum / samples <= 8.0);
  CHECK(worst < 10.0);
}

// Endless replacement of records must neither grow the table nor fill it with graves.
TEST(churn_keeps_the_table_small) {
  MemoryBudget budget;
  MemoryAccount account(&budget);
  EpochDomain epochs;
  SlotIndex index(&account, Use::kIds, &epochs);
  const auto hash_of = [](uint32_t slot) { return mix64(slot); };
  constexpr uint32_t kLive = 5000;
  for (uint32_t slot = 0; slot < 500000; ++slot) {
    if (slot >= kLive) CHECK(index.erase(mix64(slot - kLive), slot - kLive));
    CHECK_OK(index.reserve(1, hash_of));
    index.insert(mix64(slot), slot);
    epochs.collect();
  }
  CHECK_EQ(index.live(), kLive);
  CHECK(index.bytes() < kLive * 12);
  CHECK_OK(index.validate(hash_of));
}
