// Receipts: what commits came to, by the tags that their callers gave them.
//
// Why: whoever sends a write over a network may not hear what became of it, and ask again, also
// after the process was replaced by another. A receipt is logged in the commit that it tells of, so
// that either both are there or neither.
// The engine only keeps them: it compares no tags, since a repetition may meet its original at
// work, of which nothing is known here.
// Invariants:
//   1. Sequences rise: receipts stand in the order of the log.
//   2. One that is older than kKeptNs, or than that since the database was opened, may go.
// Threads: reserve() and note() under the lock of the log, or by who opens the database; list()
// from any thread.
#pragma once

#include <mutex>
#include <vector>

#include "exec/clock.h"
#include "storage/records.h"

namespace omen {

class Receipts {
 public:
  static constexpr uint64_t kKeptNs = uint64_t{600} * 1'000'000'000;

  Receipts(MemoryAccount* account, const Clock* clock)
      : clock_(clock), entries_(account, Use::kScratch) {}

  // Room for one more. ERR_MEMORY.
  Status reserve();
  // After reserve(): cannot fail. `sequence`: of the commit's last record.
  void note(const Receipt& receipt, uint64_t sequence);
  // Those of commits up to `sequence`, in their order.
  std::vector<Receipt> list(uint64_t sequence) const;
  bool validate() const;

 private:
  struct Entry {
    Receipt receipt;
    uint64_t sequence;
    uint64_t noted_ns;
  };
  bool is_kept(const Entry& entry, uint64_t now_ns) const;

  const Clock* const clock_;
  mutable std::mutex mutex_;
  Array<Entry> entries_;
  size_t first_ = 0;  // Those before it have gone.
};

}  // namespace omen
