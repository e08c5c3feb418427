// RowCache: the row sets of recent filters, valid for one version of the store.
//
// Why: the same filter comes again and again, and evaluating it costs a pass over the columns.
// Invariants: an entry answers only for the (generation, version, filter text) it was made for.
// Threads: any; a reader that finds the mutex taken goes without the cache, so no search waits.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>

#include "meta/row_set.h"

namespace omen {

struct CachedRows {
  explicit CachedRows(MemoryAccount* account) : rows(account) {}
  RowSet rows;  // Live slots that match.
  uint64_t matches = 0;
};

class RowCache {
 public:
  struct Key {
    uint32_t generation = 0;
    uint64_t version = 0;
    std::string_view text;
  };
  std::shared_ptr<const CachedRows> find(const Key& key);
  void put(const Key& key, std::shared_ptr<const CachedRows> rows);
  void clear();

 private:
  static constexpr size_t kEntries = 8;
  struct Entry {
    uint32_t generation = 0;
    uint64_t version = 0;
    uint64_t used = 0;
    std::string text;
    std::shared_ptr<const CachedRows> rows;
  };
  std::mutex mutex_;
  uint64_t clock_ = 0;
  std::array<Entry, kEntries> entries_;
};

}  // namespace omen
