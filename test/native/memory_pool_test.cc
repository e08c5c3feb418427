// The block pool: disjoint aligned blocks of the promised size, reused, counted, given back.
#include <map>

#include "memory/block_pool.h"
#include "test.h"

using namespace omen;

// Every size must fall into the smallest class that holds it, with the waste that is promised.
TEST(size_classes_are_tight) {
  size_t last = 0;
  for (size_t bytes = 0; bytes <= BlockPool::kBytesMax; ++bytes) {
    const size_t block = BlockPool::block_bytes(bytes);
    CHECK(block >= bytes && block >= last && block % 16 == 0);
    CHECK_EQ(BlockPool::block_bytes(block), block);
    if (bytes > 128) CHECK(block - bytes <= block / 5);
    last = block;
  }
  CHECK_EQ(BlockPool::block_bytes(BlockPool::kBytesMax), BlockPool::kBytesMax);
}

// Under any sequence of allocations and releases no two blocks may overlap, contents must stay,
// and what is released must be used again.
TEST(blocks_stay_disjoint_and_are_reused) {
  Random random(test_seed());
  MemoryBudget budget;
  MemoryAccount account(&budget);
  BlockPool pool(&account, Use::kMetadata);
  struct Block {
    void* memory;
    size_t bytes;
    uint8_t fill;
  };
  std::vector<Block> blocks;
  uint64_t used = 0;
  const auto check_contents = [](const Block& b) {
    const auto* p = static_cast<const uint8_t*>(b.memory);
    for (size_t i = 0; i < b.bytes; ++i) {
      if (p[i] != b.fill) return false;
    }
    return true;
  };
  uint64_t reserved_after_first_half = 0;
  for (int step = 0; step < 40000; ++step) {
    if (step == 20000) reserved_after_first_half = pool.bytes_reserved();
    if (blocks.size() < 500 || (blocks.size() < 1500 && random.below(2) == 0)) {
      const size_t bytes = random.below(200) == 0 ? random.below(BlockPool::kBytesMax + 1)
                                                  : random.below(600);
      Result<void*> memory = pool.allocate(bytes);
      REQUIRE_OK(memory);
      CHECK_EQ(reinterpret_cast<uintptr_t>(memory.value()) % 16, 0);
      blocks.push_back({memory.value(), bytes, static_cast<uint8_t>(random.next())});
      std::memset(memory.value(), blocks.back().fill, bytes);
      used += BlockPool::block_bytes(bytes);
    } else {
      const size_t i = random.below(blocks.size());
      CHECK(check_contents(blocks[i]));
      pool.release(blocks[i].memory, blocks[i].bytes);
      used -= BlockPool::block_bytes(blocks[i].bytes);
      blocks[i] = blocks.back();
      blocks.pop_back();
    }
    CHECK_EQ(pool.used_bytes(), used);
    if (step % 1000 == 0) CHECK_OK(pool.validate());
  }
  std::map<uintptr_t, size_t> places;
  for (const Block& b : blocks) {
    CHECK(check_contents(b));
    places[reinterpret_cast<uintptr_t>(b.memory)] = BlockPool::block_bytes(b.bytes);
  }
  CHECK_EQ(places.size(), blocks.size());
  uintptr_t end = 0;
  for (const auto& [place, bytes] : places) {
    CHECK(place >= end);
    end = place + bytes;
  }
  // Steady churn must reach a plateau.
  CHECK(pool.bytes_reserved() < reserved_after_first_half * 3 / 2);
  CHECK_EQ(account.used(Use::kMetadata), pool.bytes_reserved());
  pool.clear();
  CHECK_EQ(budget.used(), 0);
  CHECK_OK(pool.validate());
}

// Bounds and budgets must be statuses, and a small pool must stay small.
TEST(pool_refuses_cleanly) {
  MemoryBudget budget(20 << 10);
  MemoryAccount account(&budget);
  BlockPool pool(&account, Use::kMetadata);
  CHECK(pool.allocate(BlockPool::kBytesMax + 1).status().code() == ErrorCode::kLimit);
  CHECK(pool.allocate(SIZE_MAX).status().code() == ErrorCode::kLimit);
  Result<void*> block = pool.allocate(100);
  REQUIRE_OK(block);
  CHECK(pool.bytes_reserved() <= 5 << 10);
  pool.release(nullptr, 10);
  Result<void*> other = pool.allocate(100);
  REQUIRE_OK(other);
  pool.release(block.value(), 100);
  CHECK_OK(pool.validate());
  Result<void*> again = pool.allocate(97);  // The same class: the same block.
  REQUIRE_OK(again);
  CHECK(again.value() == block.value());
  Status full;
  while (full.is_ok()) full = pool.allocate(BlockPool::kBytesMax).status();
  CHECK(full.code() == ErrorCode::kMemory);
  CHECK_OK(pool.validate());
  pool.clear();
  CHECK_EQ(budget.used(), 0);
}

// Sizes that change with time must not add up: what is released goes back, whatever its class.
TEST(released_slabs_go_back) {
  Random random(test_seed());
  MemoryBudget budget;
  MemoryAccount account(&budget);
  BlockPool pool(&account, Use::kMetadata);
  std::vector<std::pair<void*, size_t>> blocks;
  for (size_t round = 0; round < 20; ++round) {
    for (const auto& [block, bytes] : blocks) pool.release(block, bytes);
    CHECK_EQ(budget.used(), 0);
    blocks.clear();
    for (int i = 0; i < 2000; ++i) {
      const size_t bytes = 40 * round + random.below(100);
      Result<void*> block = pool.allocate(bytes);
      REQUIRE_OK(block);
      blocks.emplace_back(block.value(), bytes);
    }
    CHECK(pool.bytes_reserved() < pool.used_bytes() * 3 / 2 + 40000);
    CHECK_OK(pool.validate());
  }
  // All but one in a hundred: the slabs without any go.
  const uint64_t before = budget.used();
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 100 != 0) pool.release(blocks[i].first, blocks[i].second);
  }
  CHECK(budget.used() < before * 7 / 8);
  CHECK_OK(pool.validate());
}

// A large pool lies in huge pages: nothing may overlap there, all of it must be counted, and what
// is released must go back, slab by slab and block by block, whatever is allocated between.
TEST(large_pools_are_counted_and_go_back) {
  Random random(test_seed());
  MemoryBudget budget;
  MemoryAccount account(&budget);
  BlockPool pool(&account, Use::kMetadata);
  pool.expect(SlabBlocks::kWorthwhileBytes);
  struct Block {
    uint64_t* memory;
    size_t bytes;
    uint64_t mark;
  };
  std::vector<Block> blocks;
  const auto fill = [&](uint64_t bytes) {
    while (pool.used_bytes() < bytes) {
      std::vector<uint32_t> sizes(64);
      for (uint32_t& size : sizes) size = static_cast<uint32_t>(16 + random.below(100));
      void* memory[64];
      REQUIRE_OK(pool.allocate_many(sizes, memory));
      for (size_t i = 0; i < sizes.size(); ++i) {
        blocks.push_back({static_cast<uint64_t*>(memory[i]), sizes[i], random.next()});
        blocks.back().memory[0] = blocks.back().memory[sizes[i] / 8 - 1] = blocks.back().mark;
      }
    }
  };
  const auto keep_share = [&](uint64_t one_in) {
    std::vector<Block> kept;
    for (const Block& b : blocks) {
      CHECK(b.memory[0] == b.mark && b.memory[b.bytes / 8 - 1] == b.mark);
      if (one_in > 0 && random.below(one_in) == 0) {
        kept.push_back(b);
      } else {
        pool.release(b.memory, b.bytes);
      }
    }
    blocks = std::move(kept);
    CHECK_OK(pool.validate());
    CHECK_EQ(account.used(Use::kMetadata), pool.bytes_reserved());
  };
  for (const uint64_t one_in : {5000, 2, 1000, 0}) {
    fill(20 << 20);
    CHECK_OK(pool.validate());
    CHECK_EQ(account.used(Use::kMetadata), pool.bytes_reserved());
    // Slabs of each class that are not full, and a block of slabs.
    CHECK(pool.bytes_reserved() < pool.used_bytes() * 5 / 4 + (4 << 20));
    const uint64_t before = pool.bytes_reserved();
    keep_share(one_in);
    // Few enough are left that most slabs hold none.
    if (one_in >= 5000) CHECK(pool.bytes_reserved() < before * 3 / 4);
  }
  CHECK_EQ(budget.used(), 0);
  MemoryBudget small(12 << 20);
  MemoryAccount tight(&small);
  BlockPool bounded(&tight, Use::kMetadata);
  bounded.expect(SlabBlocks::kWorthwhileBytes);
  Status full;
  while (full.is_ok()) full = bounded.allocate(100).status();
  CHECK(full.code() == ErrorCode::kMemory);
  // To the last slab before the headroom, not to the last block of them.
  CHECK(bounded.bytes_reserved() > (11 << 20) - (128 << 10));
  CHECK_OK(bounded.validate());
  CHECK_EQ(tight.used(Use::kMetadata), bounded.bytes_reserved());
}
