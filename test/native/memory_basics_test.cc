// Budgets, blocks, arrays, arenas and permutations: what is counted is what was asked for, and a
// refusal changes nothing.
#include <algorithm>
#include <vector>

#include "base/random.h"
#include "memory/arena.h"
#include "memory/array.h"
#include "memory/blocks.h"
#include "memory/budget.h"
#include "memory/permutation.h"
#include "test.h"

using namespace omen;

// A budget must refuse exactly what would pass its limit, less the headroom if it is no scratch,
// and say what was asked, used, allowed.
TEST(budget_refuses_past_its_limit) {
  MemoryBudget budget(1142);  // Of which 142 are headroom.
  MemoryAccount a(&budget);
  MemoryAccount b(&budget);
  const uint64_t process_before = process_memory_used();
  CHECK_OK(a.reserve(Use::kVectors, 600));
  CHECK_OK(b.reserve(Use::kGraph, 400));
  CHECK_EQ(budget.used(), 1000);
  CHECK_EQ(process_memory_used() - process_before, 1000);
  for (const uint64_t bytes : {uint64_t{1}, UINT64_MAX, UINT64_MAX - 500}) {
    const Status s = a.reserve(Use::kVectors, bytes);
    CHECK(s.code() == ErrorCode::kMemory);
    CHECK(s.message().find(std::to_string(bytes)) != std::string::npos);
    CHECK(s.message().find("1142") != std::string::npos);
  }
  CHECK(a.reserve(Use::kScratch, 143).code() == ErrorCode::kMemory);
  CHECK_OK(a.reserve(Use::kScratch, 142));
  CHECK(b.reserve(Use::kScratch, 1).code() == ErrorCode::kMemory);
  a.release(Use::kScratch, 142);
  CHECK_EQ(a.used(Use::kVectors), 600);
  a.move(Use::kVectors, Use::kRetired, 100);
  CHECK_EQ(a.used(Use::kVectors), 500);
  CHECK_EQ(a.used(Use::kRetired), 100);
  CHECK_EQ(a.total(), 600);
  a.release(Use::kVectors, 500);
  a.release(Use::kRetired, 100);
  CHECK_OK(b.reserve(Use::kGraph, 600));
  b.release(Use::kGraph, 1000);
  CHECK_EQ(budget.used(), 0);
  CHECK_EQ(process_memory_used(), process_before);
}

// A limit of 0 must mean none, and still not let the counter wrap.
TEST(budget_without_limit) {
  MemoryBudget budget;
  MemoryAccount account(&budget);
  CHECK_OK(account.reserve(Use::kIds, uint64_t{1} << 60));
  CHECK(account.reserve(Use::kIds, UINT64_MAX).code() == ErrorCode::kMemory);
  account.release(Use::kIds, uint64_t{1} << 60);
}

// stats().bytes needs a distinct name for each use.
TEST(every_use_has_a_name) {
  for (size_t i = 0; i < kUseCount; ++i) {
    for (size_t j = 0; j < i; ++j) {
      CHECK(std::strcmp(use_name(static_cast<Use>(i)), use_name(static_cast<Use>(j))) != 0);
    }
  }
  CHECK_EQ(std::string(use_name(Use::kRetired)), "retired");
}

// Blocks must be aligned for huge pages and zero, whatever their size; refusals must be statuses.
TEST(blocks_are_aligned_and_zero) {
  for (const size_t bytes :
       {size_t{1}, kHugePageBytes - 1, kHugePageBytes, 3 * kHugePageBytes + 1}) {
    Result<std::byte*> block = map_block(bytes);
    REQUIRE_OK(block);
    std::byte* p = block.value();
    CHECK_EQ(reinterpret_cast<uintptr_t>(p) % kHugePageBytes, 0);
    CHECK_OK(commit_block(p, round_up(bytes, kHugePageBytes)));
    CHECK(p[0] == std::byte{0} && p[bytes - 1] == std::byte{0});
    p[0] = p[bytes - 1] = std::byte{1};
    unmap_block(p, bytes);
  }
  CHECK(map_block(0).status().code() == ErrorCode::kMemory);
  CHECK(map_block(SIZE_MAX).status().code() == ErrorCode::kMemory);
  CHECK(map_block(SIZE_MAX / 4).status().code() == ErrorCode::kMemory);
}

// Plain allocations must be aligned and zero on both sides of the mapping threshold.
TEST(allocations_are_aligned_and_zero) {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{65}, size_t{100000}, kHugePageBytes - 1,
                             kHugePageBytes, 2 * kHugePageBytes + 4097}) {
    for (int round = 0; round < 2; ++round) {  // The second time from what was freed, dirty.
      Result<std::byte*> memory = allocate_bytes(bytes);
      REQUIRE_OK(memory);
      std::byte* p = memory.value();
      CHECK_EQ(reinterpret_cast<uintptr_t>(p) % kCacheLineBytes, 0);
      size_t dirty = 0;
      for (size_t i = 0; i < bytes; ++i) dirty += p[i] != std::byte{0};
      CHECK_EQ(dirty, 0);
      std::memset(p, 0xAB, bytes);
      free_bytes(p, bytes);
    }
  }
  free_bytes(nullptr, 5);
}

// An array must behave as std::vector does under any sequence of calls, and count its capacity.
TEST(array_agrees_with_vector) {
  Random random(test_seed());
  MemoryBudget budget;
  MemoryAccount account(&budget);
  {
    Array<uint32_t> array(&account, Use::kScratch);
    std::vector<uint32_t> model;
    for (int step = 0; step < 20000; ++step) {
      const auto value = static_cast<uint32_t>(random.next());
      switch (random.below(9)) {
        case 0: {
          const size_t n = random.below(2000);
          CHECK_OK(array.resize(n));
          model.resize(n);
          break;
        }
        case 1: CHECK_OK(array.reserve(random.below(3000))); break;
        case 2: {
          uint32_t some[5] = {value, 1, 2, 3, 4};
          CHECK_OK(array.append(some, value % 6));
          model.insert(model.end(), some, some + value % 6);
          break;
        }
        case 3:
          if (!model.empty()) {
            array.pop_back();
            model.pop_back();
          }
          break;
        case 4:
          if (random.below(20) == 0) CHECK_OK(array.shrink_to_fit());
          break;
        case 5:
          if (!model.empty()) {  // A value inside the array, which moves.
            CHECK_OK(array.push_back(array[value % array.size()]));
            model.push_back(model[value % model.size()]);
          }
          break;
        default:
          CHECK_OK(array.push_back(value));
          model.push_back(value);
      }
      CHECK_EQ(array.size(), model.size());
      CHECK_EQ(account.used(Use::kScratch), array.bytes());
      if (step % 64 == 0) CHECK(std::equal(array.begin(), array.end(), model.begin(), model.end()));
    }
    Array<uint32_t> moved = std::move(array);
    CHECK(std::equal(moved.begin(), moved.end(), model.begin(), model.end()));
    CHECK_EQ(array.size(), 0);  // NOLINT: a moved-from array is empty.
    moved.truncate(0);
    CHECK_OK(moved.shrink_to_fit());
    CHECK_EQ(account.total(), 0);
  }
  CHECK_EQ(budget.used(), 0);
}

// Growth must cost linear time in all: capacity grows by half at least.
TEST(array_growth_is_amortised) {
  MemoryBudget budget;
  MemoryAccount account(&budget);
  Array<uint64_t> array(&account, Use::kScratch);
  size_t moves = 0;
  for (uint64_t i = 0; i < 100000; ++i) {
    const uint64_t* before = array.data();
    CHECK_OK(array.push_back(i));
    moves += array.data() != before;
  }
  CHECK(moves < 30);
  CHECK_EQ(array[99999], 99999);
}

// A refused growth must leave contents, capacity and counters untouched.
TEST(array_refusal_changes_nothing) {
  MemoryBudget budget(1 << 20);
  MemoryAccount account(&budget);
  Array<uint64_t> array(&account, Use::kScratch);
  CHECK_OK(array.resize(1000));
  array[999] = 7;
  const uint64_t* data = array.data();
  const uint64_t used = budget.used();
  CHECK(array.reserve(200000).code() == ErrorCode::kMemory);
  CHECK(array.resize(SIZE_MAX / 8).code() == ErrorCode::kMemory);
  CHECK(array.data() == data && array.size() == 1000 && array[999] == 7);
  CHECK_EQ(budget.used(), used);
}

// Arena memory must be aligned, zero, disjoint, stable, and counted until it is freed at once.
TEST(arena_allocations_are_disjoint) {
  Random random(test_seed());
  MemoryBudget budget;
  MemoryAccount account(&budget);
  Arena arena(&account, Use::kMetadata);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::pair<std::byte*, size_t>> given;
    for (int i = 0; i < 3000; ++i) {
      const size_t bytes = random.below(100) == 0 ? random.below(3 << 20 >> 4) : random.below(700);
      Result<std::byte*> memory = arena.allocate(bytes);
      REQUIRE_OK(memory);
      std::byte* p = memory.value();
      CHECK_EQ(reinterpret_cast<uintptr_t>(p) % kCacheLineBytes, 0);
      bool zero = true;
      for (size_t b = 0; b < bytes; ++b) zero = zero && p[b] == std::byte{0};
      CHECK(zero);
      std::memset(p, i & 0xFF, bytes);
      given.emplace_back(p, bytes);
      CHECK_EQ(account.used(Use::kMetadata), arena.bytes_reserved());
    }
    CHECK_OK(arena.validate());
    for (size_t i = 0; i < given.size(); ++i) {
      bool kept = true;
      for (size_t b = 0; b < given[i].second; ++b) {
        kept = kept && given[i].first[b] == static_cast<std::byte>(i & 0xFF);
      }
      CHECK(kept);
    }
    CHECK(arena.bytes_used() <= arena.bytes_reserved());
    // Blocks of their own and abandoned ends must not waste more than a third of a big arena.
    CHECK(static_cast<double>(arena.bytes_reserved()) <
          1.5 * static_cast<double>(arena.bytes_used()) + (2 << 20));
    arena.reset();
    CHECK_EQ(budget.used(), 0);
    CHECK_OK(arena.validate());
  }
}

// A small arena must stay small, and a refusal must leave it usable.
TEST(arena_starts_small_and_refuses_cleanly) {
  MemoryBudget budget(64 << 10);
  MemoryAccount account(&budget);
  Arena arena(&account, Use::kScratch);
  Result<uint32_t*> numbers = arena.allocate_array<uint32_t>(100);
  REQUIRE_OK(numbers);
  CHECK_EQ(arena.bytes_reserved(), 16 << 10);
  CHECK(arena.allocate(100 << 10).status().code() == ErrorCode::kMemory);
  CHECK(arena.allocate(SIZE_MAX).status().code() == ErrorCode::kMemory);
  CHECK(arena.allocate_array<uint64_t>(SIZE_MAX / 4).status().code() == ErrorCode::kMemory);
  CHECK_OK(arena.allocate(1000));
  CHECK_OK(arena.validate());
  numbers.value()[99] = 1;
}

// Rows that change places in place must all end where the permutation says, and no two paths may
// touch one place: they are walked at once.
TEST(permutations_move_every_row_once) {
  Random random(41);
  MemoryBudget budget;
  MemoryAccount account(&budget);
  for (const uint32_t count : {0u, 1u, 2u, 63u, 64u, 65u, 1024u, 1025u, 2048u, 5000u}) {
    for (int kind = 0; kind < 4; ++kind) {
      std::vector<uint32_t> from(count);
      for (uint32_t i = 0; i < count; ++i) from[i] = i;
      if (kind == 1 && count > 0) std::rotate(from.begin(), from.begin() + 1, from.end());
      if (kind == 2) {
        for (uint32_t i = 0; i + 1 < count; i += 2) std::swap(from[i], from[i + 1]);
      }
      if (kind == 3) {
        for (uint32_t i = count; i > 1; --i) std::swap(from[i - 1], from[random.below(i)]);
      }
      Permutation permutation(&account);
      CHECK_OK(permutation.plan(from.data(), count));
      std::vector<uint32_t> rows(count);
      for (uint32_t i = 0; i < count; ++i) rows[i] = 7 * i;
      std::vector<uint32_t> set_aside;
      for (const uint32_t place : permutation.starts()) set_aside.push_back(rows[place]);
      const auto& places = permutation.places();
      std::vector<bool> touched(count);
      for (size_t p = permutation.paths().size(); p-- > 0;) {  // In any order.
        const auto& path = permutation.paths()[p];
        CHECK(path.end - path.begin <= Permutation::kPathMax && path.begin < path.end);
        const uint32_t last =
            path.next == Permutation::kOwn ? rows[places[path.begin]] : set_aside[path.next];
        for (uint32_t i = path.begin; i < path.end; ++i) {
          CHECK(!touched[places[i]]);
          touched[places[i]] = true;
          rows[places[i]] = i + 1 < path.end ? rows[places[i + 1]] : last;
        }
      }
      for (uint32_t i = 0; i < count; ++i) {
        CHECK_EQ(rows[i], 7 * from[i]);
        CHECK_EQ(static_cast<bool>(touched[i]), from[i] != i);
      }
      if (kind == 0) CHECK(places.empty());
    }
  }
}
