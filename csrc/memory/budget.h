// Who uses how much memory: a budget per database, an account per collection, a part per use.
//
// Why: maxMemoryBytes must refuse an allocation before anything is logged, and stats().bytes must
// tell a part per use whose sum is what the process really grew by. So memory is reserved here
// first and obtained from the system afterwards.
// Headroom: a thirty-second of the limit, 1 to 8 MiB and an eighth at most, is for kScratch alone.
// Where records have taken the rest, searching, deleting and the upkeep that makes room still work.
// Invariants:
//   1. A budget's used() never exceeds its limit() (a limit of 0 is none).
//   2. A budget's used() is the sum of its accounts' totals, outside of a running call.
//   3. An account's total() is the sum of its uses; it is zero when the account dies, and it dies
//      before its budget.
// Threads: all calls, from any thread; counters are relaxed atomics and order nothing else.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/status.h"

namespace omen {

// What memory is used for, as stats().bytes names it.
enum class Use : uint8_t {
  kVectors,   // originals, float32
  kCodes,     // quantised rows, their norms and parameters
  kGraph,     // edge rows, levels, upper layers
  kIds,       // ids, the id index, slot bookkeeping
  kMetadata,  // records' metadata blocks and strings
  kColumns,   // typed columns and their indexes
  kScratch,   // memory of running operations, cached row sets
  kRetired,   // unlinked, waiting until no reader can hold it
  kCount,
};

inline constexpr size_t kUseCount = static_cast<size_t>(Use::kCount);

// "vectors", "codes" and so on: the key in stats().bytes.
const char* use_name(Use use);

// Bytes reserved by all budgets of the process: what AdjustExternalMemory is told.
uint64_t process_memory_used();

#ifdef OMENDB_TEST_POINTS
// For tests of what a refused allocation leaves behind: from now on the reservations numbered
// [first, first + count) of the whole process are refused; count 0: none.
void test_refuse_reservations(uint64_t first, uint64_t count);
// Reservations since the last call of test_refuse_reservations().
uint64_t test_reservations();
#endif

class MemoryBudget {
 public:
  explicit MemoryBudget(uint64_t limit = 0);
  ~MemoryBudget();
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // ERR_MEMORY, with what was asked, used and allowed, when the limit would be passed; the headroom
  // counts as used for all but scratch.
  Status reserve(uint64_t bytes, Use use = Use::kScratch);
  void release(uint64_t bytes);

  uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t limit() const { return limit_; }

 private:
  const uint64_t limit_;
  const uint64_t headroom_;
  std::atomic<uint64_t> used_{0};
};

class MemoryAccount {
 public:
  explicit MemoryAccount(MemoryBudget* budget);
  ~MemoryAccount();
  MemoryAccount(const MemoryAccount&) = delete;
  MemoryAccount& operator=(const MemoryAccount&) = delete;

  Status reserve(Use use, uint64_t bytes);
  void release(Use use, uint64_t bytes);
  // The same bytes, from now on used for something else (kRetired, mostly).
  void move(Use from, Use to, uint64_t bytes);

  uint64_t used(Use use) const;
  uint64_t total() const;
  MemoryBudget* budget() const { return budget_; }

 private:
  MemoryBudget* const budget_;
  std::array<std::atomic<uint64_t>, kUseCount> used_{};
};

}  // namespace omen
