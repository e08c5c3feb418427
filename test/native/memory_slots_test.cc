// Slot pages and the slot allocator: stable addresses, memory as promised, the lowest slot first.
#include <cstdio>
#include <memory>
#include <set>

#include "memory/slot_allocator.h"
#include "memory/slot_pages.h"
#include "test.h"

#if defined(__linux__)
#include <unistd.h>
#endif

using namespace omen;

namespace {

// Resident bytes of this process; 0 where there is no /proc.
uint64_t resident_bytes() {
#if defined(__linux__)
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  unsigned long long total = 0;
  unsigned long long resident = 0;
  const int got = std::fscanf(file, "%llu %llu", &total, &resident);
  std::fclose(file);
  return got == 2 ? resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
#else
  return 0;
#endif
}

void fill_row(std::byte* row, size_t stride, uint32_t slot) {
  for (size_t i = 0; i < stride; i += 61) row[i] = static_cast<std::byte>(mix64(slot + i));
  row[stride - 1] = static_cast<std::byte>(mix64(slot));
}

bool row_is_filled(const std::byte* row, size_t stride, uint32_t slot) {
  for (size_t i = 0; i + 1 < stride; i += 61) {
    if (row[i] != static_cast<std::byte>(mix64(slot + i))) return false;
  }
  return row[stride - 1] == static_cast<std::byte>(mix64(slot));
}

bool row_is_zero(const std::byte* row, size_t stride) {
  for (size_t i = 0; i < stride; ++i) {
    if (row[i] != std::byte{0}) return false;
  }
  return true;
}

}  // namespace

// Rows of any stride must start as zero, keep their address and contents while the array grows,
// and not overlap; a view taken before the growth must reach rows added after it.
TEST(rows_keep_address_and_contents) {
  Random random(test_seed());
  for (const size_t stride : {1, 4, 12, 64, 100, 128, 132, 512, 3136, 16384, 1 << 20, 5 << 20}) {
    MemoryBudget budget;
    MemoryAccount account(&budget);
    SlotPages pages(&account, Use::kVectors, stride);
    CHECK_OK(pages.validate());
    CHECK_OK(pages.ensure(1));
    const SlotPages::View view = pages.view();
    const auto rows_max = static_cast<uint32_t>((36u << 20) / stride);
    const uint32_t sampled = std::max(1u, rows_max / 5003);  // Every so many rows.
    std::vector<std::pair<uint32_t, std::byte*>> written;
    for (uint32_t rows = 1;;) {
      const uint32_t first = written.empty() ? 0 : written.back().first + sampled;
      for (uint32_t slot = first; slot < rows; slot += sampled) {
        CHECK(row_is_zero(pages.row(slot), stride));
        fill_row(pages.row(slot), stride, slot);
        written.emplace_back(slot, pages.row(slot));
      }
      CHECK_OK(pages.validate());
      CHECK_EQ(account.used(Use::kVectors), pages.bytes());
      if (rows == rows_max) break;
      rows += static_cast<uint32_t>(1 + random.below(random.below(2) == 0 ? rows_max / 2 : 30));
      rows = std::min(rows, rows_max);
      CHECK_OK(pages.ensure(rows));
      CHECK(pages.rows() >= rows);
    }
    for (const auto& [slot, address] : written) {
      CHECK(pages.row(slot) == address && view.row(slot) == address);
      CHECK(row_is_filled(address, stride, slot));
    }
    pages.release_all();
    CHECK_EQ(budget.used(), 0);
    CHECK_OK(pages.validate());
    CHECK_OK(pages.ensure(1));  // Usable again, and zero again.
    CHECK(row_is_zero(pages.row(0), stride));
  }
}

// Rows whose stride is a multiple of 64 must be cache-line aligned: kernels and edge rows count on
// it.
TEST(rows_are_aligned) {
  MemoryBudget budget;
  MemoryAccount account(&budget);
  SlotPages pages(&account, Use::kGraph, 192);
  CHECK_OK(pages.ensure(200000));
  size_t unaligned = 0;
  for (uint32_t slot = 0; slot < 200000; ++slot) {
    unaligned += reinterpret_cast<uintptr_t>(pages.row(slot)) % kCacheLineBytes != 0;
  }
  CHECK_EQ(unaligned, 0);
}

// bytes_to_ensure() must tell exactly what ensure() reserves, and waste must be one step.
TEST(growth_is_predicted_and_tight) {
  Random random(test_seed());
  for (const size_t stride : {4, 132, 512, 3136}) {
    MemoryBudget budget;
    MemoryAccount account(&budget);
    SlotPages pages(&account, Use::kCodes, stride);
    uint32_t rows = 0;
    for (int step = 0; step < 400; ++step) {
      rows += static_cast<uint32_t>(random.below((200 << 20) / stride / 400) + 1);
      const uint64_t predicted = pages.bytes() + pages.bytes_to_ensure(rows);
      CHECK_OK(pages.ensure(rows));
      CHECK_EQ(pages.bytes(), predicted);
      const uint64_t needed = uint64_t{rows} * stride;
      const bool is_small = needed <= kHugePageBytes / 4 * 3;
      const uint64_t slack = is_small ? 2 * std::max<size_t>(16384, page_bytes())
                                      : kHugePageBytes + needed / 100 + 65536;
      CHECK(pages.bytes() >= needed && pages.bytes() <= needed + slack);
      CHECK_OK(pages.validate());
    }
  }
}

// A refused growth must leave rows, contents and the account as they were.
TEST(refused_growth_changes_nothing) {
  MemoryBudget budget(8 << 20);
  MemoryAccount account(&budget);
  SlotPages pages(&account, Use::kVectors, 512);
  CHECK(pages.ensure(1 << 20).code() == ErrorCode::kMemory);
  CHECK_EQ(budget.used(), 0);
  CHECK_OK(pages.validate());
  CHECK_OK(pages.ensure(1000));
  const uint64_t used = budget.used();
  const uint32_t rows = pages.rows();
  fill_row(pages.row(999), 512, 999);
  CHECK(pages.ensure(1 << 20).code() == ErrorCode::kMemory);
  CHECK(pages.ensure(kSlotLimit).code() == ErrorCode::kMemory);
  CHECK(pages.ensure(kNoSlot).code() == ErrorCode::kLimit);
  CHECK_EQ(budget.used(), used);
  CHECK_EQ(pages.rows(), rows);
  CHECK(row_is_filled(pages.row(999), 512, 999));
  CHECK_OK(pages.validate());
}

// What is counted must be what the process grew by, within 5 %, for big arrays of any stride.
TEST(accounting_matches_resident_memory) {
  for (const size_t stride : {128, 132, 260, 3136}) {
    MemoryBudget budget;
    MemoryAccount account(&budget);
    SlotPages pages(&account, Use::kVectors, stride);
    const auto rows = static_cast<uint32_t>((100u << 20) / stride);
    const uint64_t before = resident_bytes();
    for (uint32_t slot = 0; slot < rows; ++slot) {
      if (!pages.ensure(slot + 1).is_ok()) break;
      std::memset(pages.row(slot), 1, stride);
    }
    CHECK(pages.rows() >= rows);
    const auto grown = static_cast<double>(resident_bytes()) - static_cast<double>(before);
    const auto counted = static_cast<double>(pages.bytes());
    // A sanitizer's shadow memory drowns ours.
    if (before != 0 && !test::kSanitized) CHECK_NEAR(counted / grown, 1.0, 0.05);
  }
}

// Thousands of tiny arrays must cost kilobytes each, in the account and in truth.
TEST(small_arrays_stay_small) {
  MemoryBudget budget;
  MemoryAccount account(&budget);
  std::vector<std::unique_ptr<SlotPages>> arrays;
  const uint64_t before = resident_bytes();
  for (int i = 0; i < 2000; ++i) {
    arrays.push_back(std::make_unique<SlotPages>(&account, Use::kVectors, 512));
    CHECK_OK(arrays.back()->ensure(10));
    for (uint32_t slot = 0; slot < 10; ++slot) fill_row(arrays.back()->row(slot), 512, slot);
  }
  const uint64_t step = std::max<size_t>(16384, page_bytes());
  CHECK(budget.used() <= 2000 * (step + page_bytes()));
  if (before != 0 && !test::kSanitized && page_bytes() == 4096) {
    CHECK(resident_bytes() - before < 2000 * 24576);
  }
}

// The allocator must give the lowest free slot, keep its counts, and agree with a set.
TEST(slot_allocator_agrees_with_a_set) {
  Random random(test_seed());
  MemoryBudget budget;
  MemoryAccount account(&budget);
  SlotAllocator slots(&account);
  std::set<uint32_t> free;
  std::set<uint32_t> used;
  uint32_t high = 0;
  const auto take_from_model = [&] {
    uint32_t slot = high;
    if (free.empty()) {
      ++high;
    } else {
      slot = *free.begin();
      free.erase(free.begin());
    }
    used.insert(slot);
    return slot;
  };
  for (int step = 0; step < 30000; ++step) {
    const bool growing = (step / 5000) % 2 == 0;
    const uint64_t choice = random.below(10);
    if (choice == 0) {
      uint32_t out[200];
      const auto n = static_cast<uint32_t>(random.below(200));
      CHECK_OK(slots.allocate_many(n, out));
      for (uint32_t i = 0; i < n; ++i) CHECK_EQ(out[i], take_from_model());
    } else if (choice < (growing ? 5u : 2u)) {
      Result<uint32_t> slot = slots.allocate();
      REQUIRE_OK(slot);
      CHECK_EQ(slot.value(), take_from_model());
    } else if (!used.empty()) {
      for (int i = 0; i < (growing ? 1 : 30) && !used.empty(); ++i) {
        auto it = used.lower_bound(static_cast<uint32_t>(random.below(high)));
        if (it == used.end()) it = used.begin();
        slots.release(*it);
        free.insert(*it);
        used.erase(it);
      }
    }
    if (step % 1000 == 0) {
      CHECK_OK(slots.validate());
      CHECK_EQ(slots.high_water(), high);
      CHECK_EQ(slots.free_count(), free.size());
      CHECK_EQ(slots.used_count(), used.size());
      size_t wrong = 0;
      for (uint32_t slot = 0; slot < high + 70; slot += 1 + slot / 64) {
        wrong += slots.is_free(slot) != (free.count(slot) == 1);
      }
      CHECK_EQ(wrong, 0);
    }
  }
  slots.clear();
  CHECK_EQ(slots.high_water(), 0);
  CHECK_EQ(budget.used(), 0);
  CHECK_OK(slots.validate());
}

// At its limit the allocator must refuse and take nothing, and give again after a release.
TEST(slot_allocator_keeps_its_limit) {
  MemoryBudget budget;
  MemoryAccount account(&budget);
  SlotAllocator slots(&account, Use::kIds, 100);
  uint32_t out[100];
  CHECK_OK(slots.allocate_many(90, out));
  CHECK(slots.allocate_many(11, out).code() == ErrorCode::kLimit);
  CHECK_EQ(slots.high_water(), 90);
  CHECK_OK(slots.allocate_many(10, out));
  CHECK(slots.allocate().status().code() == ErrorCode::kLimit);
  slots.release(42);
  Result<uint32_t> slot = slots.allocate();
  REQUIRE_OK(slot);
  CHECK_EQ(slot.value(), 42);
  CHECK_OK(slots.validate());
}

// Memory that ends between two levels of the bitmap leaves each word its bit above: validate()
// reads there. The limits stop growth at every level.
TEST(slot_allocator_bears_refused_levels) {
  MemoryBudget unlimited;
  MemoryAccount own(&unlimited);
  Array<uint32_t> out(&own, Use::kScratch);
  REQUIRE_OK(out.resize(300000));
  for (uint64_t limit = 0; limit < 60000; limit += 64) {
    MemoryBudget budget(limit + 1);
    MemoryAccount account(&budget);
    SlotAllocator slots(&account);
    const bool has_some = slots.allocate_many(70, out.data()).is_ok();
    const Status more = slots.allocate_many(300000 - 70, out.data() + 70);
    CHECK_OK(slots.validate());
    if (!more.is_ok()) CHECK_EQ(slots.high_water(), has_some ? 70u : 0u);
    if (!has_some) continue;
    slots.release(3);
    CHECK_OK(slots.validate());
  }
}

// The bitmap must cost what the header says: little more than a bit a slot.
TEST(slot_allocator_is_compact) {
  MemoryBudget budget;
  MemoryAccount account(&budget);
  SlotAllocator slots(&account);
  Array<uint32_t> out(&account, Use::kScratch);
  CHECK_OK(out.resize(1000000));
  CHECK_OK(slots.allocate_many(1000000, out.data()));
  CHECK(account.used(Use::kIds) < 130000);
  for (const uint32_t slot : out) slots.release(slot);
  CHECK_EQ(slots.free_count(), 1000000);
  CHECK_OK(slots.validate());
}

// Moving filled rows to huge pages keeps every row's address and bytes, whatever was filled when.
// What shrinking gives back is not counted any more, what it keeps stays, and what comes again is
// zero.
TEST(shrinking_gives_back_and_keeps) {
  Random random(test_seed());
  for (const size_t stride : {size_t{1}, size_t{36}, size_t{512}, size_t{3136}}) {
    MemoryBudget budget;
    MemoryAccount account(&budget);
    SlotPages pages(&account, Use::kVectors, stride);
    uint32_t kept = 0;
    for (int step = 0; step < 20; ++step) {
      const auto rows = static_cast<uint32_t>(1 + random.below((40u << 20) / stride));
      CHECK_OK(pages.ensure(rows));
      for (uint32_t slot = kept; slot < rows; slot += 97) {
        CHECK_EQ(static_cast<int>(*pages.row(slot)), 0);
        *pages.row(slot) = static_cast<std::byte>(1 + slot % 200);
      }
      const uint32_t to = kept + (rows > kept ? 97 * ((rows - kept) / 97 / 2) : 0);
      pages.shrink(to);
      CHECK_OK(pages.validate());
      CHECK_EQ(account.total(), pages.bytes());
      if (to > kept) kept = to;
      for (uint32_t slot = 0; slot < kept; slot += 97) {
        CHECK_EQ(static_cast<int>(*pages.row(slot)), static_cast<int>(1 + slot % 200));
      }
      if (kept == 0 || kept % 97 != 0) break;
    }
  }
}

// A collapsed row stays where it is.
TEST(collapsed_rows_keep_address_and_contents) {
  MemoryBudget budget;
  MemoryAccount account(&budget);
  SlotPages pages(&account, Use::kVectors, 784, SlotPages::Paging::kAtCollapse);
  std::vector<std::byte*> addresses;
  for (uint32_t rows = 1; rows < 30000; rows = rows * 3 + 1000) {
    CHECK_OK(pages.ensure(rows));
    for (auto slot = static_cast<uint32_t>(addresses.size()); slot < rows; ++slot) {
      addresses.push_back(pages.row(slot));
      std::memset(pages.row(slot), static_cast<int>(slot % 251), 784);
    }
    pages.collapse(rows);
    CHECK_OK(pages.validate());
    for (uint32_t slot = 0; slot < rows; ++slot) {
      CHECK(pages.row(slot) == addresses[slot]);
      CHECK_EQ(static_cast<int>(pages.row(slot)[783]), static_cast<int>(slot % 251));
    }
  }
}
