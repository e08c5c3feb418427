// RowCache: the row sets of recent filters.
//
// Why: the same filter comes again and again, and evaluating it costs a pass over the columns.
// Invariants:
//   1. A set is what its filter gave at one even Store::version of one generation, and never
//      changes; what was written since is patched into a copy (filter_rows()).
//   2. A set is replaced by a newer one alone.
// Threads: any; a reader that finds the mutex taken goes without the cache, so no search waits.
#pragma once

#include <array>
#include <memory>
#include <mutex>

#include "meta/filter.h"
#include "meta/row_set.h"

namespace omen {

struct CachedRows {
  explicit CachedRows(MemoryAccount* account) : rows(account) {}
  RowSet rows;  // Live slots that match.
  uint64_t matches = 0;
  uint32_t generation = 0;  // Of the store, with its version when the set was made,
  uint64_t version = 0;
  uint64_t changes = 0;  // and how many slots had changed.
};

class RowCache {
 public:
  // The filter's last set in that generation, which may be older than the store's version; or
  // nullptr.
  std::shared_ptr<const CachedRows> find(uint32_t generation, const Filter& filter);
  void put(std::shared_ptr<const Filter> filter, std::shared_ptr<const CachedRows> rows);
  void clear();

 private:
  static constexpr size_t kEntries = 8;
  struct Entry {
    uint64_t used = 0;
    std::shared_ptr<const Filter> filter;
    std::shared_ptr<const CachedRows> rows;
    bool is_of(const Filter& other) const {
      return filter != nullptr && (filter.get() == &other || filter->text() == other.text());
    }
  };
  std::mutex mutex_;
  uint64_t clock_ = 0;
  std::array<Entry, kEntries> entries_;
};

}  // namespace omen
