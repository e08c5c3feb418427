// The shared structures of memory/ under threads; meant for ThreadSanitizer.
#include <thread>
#include <vector>

#include "memory/block_pool.h"
#include "memory/epoch.h"
#include "memory/slot_allocator.h"
#include "memory/slot_index.h"
#include "memory/slot_pages.h"
#include "test.h"

using namespace omen;

namespace {

template <class F>
void on_threads(int count, F&& f) {
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) threads.emplace_back([&f, t] { f(t); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

// Concurrent reservations must never pass the limit, and all counters must come back to zero.
TEST(budget_counts_under_threads) {
  MemoryBudget budget(10000);
  MemoryAccount account(&budget);
  std::atomic<int> refused{0};
  const uint64_t seed = test_seed();
  on_threads(4, [&](int t) {
    Random random(seed + static_cast<uint64_t>(t));
    for (int i = 0; i < 20000; ++i) {
      const uint64_t bytes = random.below(5000);
      const auto use = static_cast<Use>(random.below(kUseCount));
      if (account.reserve(use, bytes).is_ok()) {
        if (budget.used() > 10000) CHECK(false);
        account.release(use, bytes);
      } else {
        ++refused;
      }
    }
  });
  CHECK_EQ(account.total(), 0);
  CHECK_EQ(budget.used(), 0);
}

// No slot and no block may be handed to two threads at once.
TEST(slots_and_blocks_belong_to_one_thread) {
  MemoryBudget budget;
  MemoryAccount account(&budget);
  SlotAllocator slots(&account);
  BlockPool pool(&account, Use::kMetadata);
  std::vector<std::atomic<int>> owners(4000);
  const uint64_t seed = test_seed();
  on_threads(4, [&](int t) {
    Random random(seed + static_cast<uint64_t>(t));
    std::vector<uint32_t> mine;
    std::vector<std::pair<void*, size_t>> blocks;
    for (int i = 0; i < 10000; ++i) {
      if (mine.size() < 500 && random.below(2) == 0) {
        Result<uint32_t> slot = slots.allocate();
        if (!CHECK_OK(slot)) return;
        if (owners[slot.value()].fetch_add(1) != 0) CHECK(false);
        mine.push_back(slot.value());
      } else if (!mine.empty()) {
        owners[mine.back()].fetch_sub(1);
        slots.release(mine.back());
        mine.pop_back();
      }
      if (blocks.size() < 200 && random.below(2) == 0) {
        const size_t bytes = random.below(300) + 1;
        Result<void*> block = pool.allocate(bytes);
        if (!CHECK_OK(block)) return;
        std::memset(block.value(), t, bytes);  // ThreadSanitizer sees a block given twice.
        blocks.emplace_back(block.value(), bytes);
      } else if (!blocks.empty()) {
        const auto [block, bytes] = blocks.back();
        if (*static_cast<uint8_t*>(block) != t) CHECK(false);
        pool.release(block, bytes);
        blocks.pop_back();
      }
    }
    for (const uint32_t slot : mine) {
      owners[slot].fetch_sub(1);
      slots.release(slot);
    }
    for (const auto& [block, bytes] : blocks) pool.release(block, bytes);
  });
  CHECK_OK(slots.validate());
  CHECK_OK(pool.validate());
  CHECK_EQ(slots.used_count(), 0);
  CHECK_EQ(pool.used_bytes(), 0);
}

// A reader under a pin must never see an object that was destroyed, however writers race.
TEST(epochs_protect_readers) {
  struct Object {
    uint64_t a;
    uint64_t b;  // Equal to ~a while the object lives.
  };
  constexpr int kCells = 4;
  EpochDomain epochs;
  std::atomic<Object*> cells[kCells];
  std::atomic<int> alive{0};
  const auto make = [&](uint64_t a) {
    ++alive;
    return new Object{a, ~a};
  };
  for (auto& cell : cells) cell = make(1);
  static constexpr auto destroy = [](void* object, void* count) {
    auto* o = static_cast<Object*>(object);
    o->a = o->b = 0;
    delete o;
    --*static_cast<std::atomic<int>*>(count);
  };
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&, t] {
      Random random(static_cast<uint64_t>(t));
      while (!stop.load(std::memory_order_relaxed)) {
        const EpochDomain::Pin pin = epochs.pin();
        const EpochDomain::Pin nested = epochs.pin();
        for (int i = 0; i < 4; ++i) {
          const Object* o = cells[random.below(kCells)].load(std::memory_order_acquire);
          if (o->a != ~o->b) ++torn;
        }
      }
    });
  }
  on_threads(2, [&](int t) {
    Random random(100 + static_cast<uint64_t>(t));
    for (uint64_t i = 2; i < 5000; ++i) {
      // Pinned, as writers are who also read.
      const EpochDomain::Pin pin = epochs.pin();
      Object* old = cells[random.below(kCells)].exchange(make(i), std::memory_order_acq_rel);
      epochs.retire(old, +destroy, &alive, sizeof(Object));
      if (i % 16 == 0) epochs.collect();
    }
  });
  stop = true;
  for (std::thread& reader : readers) reader.join();
  CHECK_EQ(torn.load(), 0);
  epochs.collect();
  CHECK_EQ(alive.load(), kCells);
  CHECK_EQ(epochs.retired_bytes(), 0);
  for (auto& cell : cells) destroy(cell.load(), &alive);
}

// synchronize() must wait for the pins before it, and only for those: slots are reused behind it.
TEST(synchronize_waits_for_earlier_pins) {
  EpochDomain epochs;
  std::atomic<uint64_t> current{0};
  uint64_t values[2] = {7, 7};  // Plain memory: reuse without a grace period is a data race.
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
        const EpochDomain::Pin pin = epochs.pin();
        const uint64_t which = current.load(std::memory_order_acquire);
        if (values[which] % 7 != 0) ++wrong;
      }
    });
  }
  for (uint64_t i = 1; i < 300; ++i) {
    const uint64_t other = 1 - current.load(std::memory_order_relaxed);
    values[other] = 7 * i;
    current.store(other, std::memory_order_release);
    epochs.synchronize();
    values[1 - other] = 1;  // Nobody can read it any more.
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  CHECK_EQ(wrong.load(), 0);
}

// More pins than places must wait, not fail.
TEST(pins_beyond_the_slots_wait) {
  EpochDomain epochs;
  std::vector<EpochDomain::Pin> pins;
  for (uint32_t i = 0; i < EpochDomain::kPinSlots; ++i) pins.push_back(epochs.pin());
  std::atomic<bool> pinned{false};
  std::thread other([&] {
    const EpochDomain::Pin pin = epochs.pin();
    pinned = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(!pinned);
  pins.pop_back();
  other.join();
  CHECK(pinned);
}

// While one writer grows, replaces and erases, a reader must find what was there all the time, and
// never a slot of another key; slots return only after a grace period, as the engine does it.
TEST(index_readers_run_beside_a_writer) {
  constexpr uint64_t kStable = 200;
  constexpr uint64_t kVolatile = 3000;
  constexpr uint32_t kSlots = 16000;
  MemoryBudget budget;
  MemoryAccount account(&budget);
  EpochDomain epochs;
  {
    SlotIndex index(&account, Use::kIds, &epochs);
    SlotAllocator slots(&account, Use::kIds, kSlots);
    SlotPages keys(&account, Use::kIds, sizeof(uint64_t));
    REQUIRE_OK(keys.ensure(kSlots));
    const auto hash = [](uint64_t key) { return mix64(key) & ~uint64_t{0xF0}; };
    const auto key_of = [&](uint32_t slot) { return *keys.row_as<uint64_t>(slot); };
    const auto hash_of = [&](uint32_t slot) { return hash(key_of(slot)); };
    const auto find = [&](uint64_t key) {
      return index.find(hash(key), [&](uint32_t slot) { return key_of(slot) == key; });
    };
    const auto make = [&](uint64_t key) {
      Result<uint32_t> slot = slots.allocate();
      OMEN_ASSERT(slot.is_ok());
      *keys.row_as<uint64_t>(slot.value()) = key;  // Plain: races with a reader are errors.
      return slot.value();
    };
    for (uint64_t key = 0; key < kStable; ++key) {
      CHECK_OK(index.reserve(1, hash_of));
      index.insert(hash(key), make(key));
    }
    std::atomic<bool> stop{false};
    std::atomic<int> lost{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 3; ++t) {
      readers.emplace_back([&, t] {
        Random random(static_cast<uint64_t>(t));
        while (!stop.load(std::memory_order_relaxed)) {
          const EpochDomain::Pin pin = epochs.pin();
          for (int i = 0; i < 8; ++i) {
            if (find(random.below(kStable)) == kNoSlot) ++lost;
            find(kStable + random.below(kVolatile));
          }
        }
      });
    }
    Random random(test_seed());
    std::vector<uint32_t> unlinked;
    for (int step = 0; step < 30000; ++step) {
      const bool stable = random.below(10) == 0;
      const uint64_t key = stable ? random.below(kStable) : kStable + random.below(kVolatile);
      const uint32_t slot = find(key);
      if (slot == kNoSlot) {
        CHECK_OK(index.reserve(1, hash_of));
        index.insert(hash(key), make(key));
      } else if (stable || random.below(2) == 0) {
        index.replace(hash(key), slot, make(key));
        unlinked.push_back(slot);
      } else {
        CHECK(index.erase(hash(key), slot));
        unlinked.push_back(slot);
      }
      if (unlinked.size() >= 500) {
        epochs.synchronize();
        epochs.collect();
        for (const uint32_t old : unlinked) slots.release(old);
        unlinked.clear();
        CHECK_OK(index.shrink(0, hash_of));
      }
    }
    stop = true;
    for (std::thread& reader : readers) reader.join();
    CHECK_EQ(lost.load(), 0);
    CHECK_OK(index.validate(hash_of));
  }
  epochs.collect();
  CHECK_EQ(budget.used(), 0);
}

// Readers of slot pages must reach every published row through a view taken at the start.
TEST(rows_are_read_while_the_array_grows) {
  MemoryBudget budget;
  MemoryAccount account(&budget);
  SlotPages pages(&account, Use::kVectors, 3136);
  REQUIRE_OK(pages.ensure(1));
  *pages.row_as<uint64_t>(0) = mix64(0);
  std::atomic<uint32_t> published{1};
  std::atomic<int> wrong{0};
  constexpr uint32_t kRows = 12000;
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&, t] {
      const SlotPages::View view = pages.view();
      Random random(static_cast<uint64_t>(t));
      for (;;) {
        const uint32_t rows = published.load(std::memory_order_acquire);
        const auto slot = static_cast<uint32_t>(random.below(rows));
        if (*view.row_as<uint64_t>(slot) != mix64(slot)) ++wrong;
        if (rows == kRows) return;
      }
    });
  }
  for (uint32_t slot = 1; slot < kRows; ++slot) {
    if (!CHECK_OK(pages.ensure(slot + 1))) break;
    *pages.row_as<uint64_t>(slot) = mix64(slot);
    published.store(slot + 1, std::memory_order_release);
  }
  for (std::thread& reader : readers) reader.join();
  CHECK_EQ(wrong.load(), 0);
}
