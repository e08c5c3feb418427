// RowCache: a few entries, the least recently used one replaced.
#include "db/row_cache.h"

#include <algorithm>

namespace omen {

std::shared_ptr<const CachedRows> RowCache::find(uint32_t generation, const Filter& filter) {
  const std::unique_lock<std::mutex> guard(mutex_, std::try_to_lock);
  if (!guard.owns_lock()) return nullptr;
  for (Entry& e : entries_) {
    if (e.rows == nullptr || e.rows->generation != generation || !e.is_of(filter)) continue;
    e.used = ++clock_;
    return e.rows;
  }
  return nullptr;
}

void RowCache::put(std::shared_ptr<const Filter> filter, std::shared_ptr<const CachedRows> rows) {
  const std::unique_lock<std::mutex> guard(mutex_, std::try_to_lock);
  if (!guard.owns_lock()) return;
  auto place = std::find_if(entries_.begin(), entries_.end(),
                            [&](const Entry& e) { return e.is_of(*filter); });
  if (place == entries_.end()) {
    place = std::min_element(entries_.begin(), entries_.end(),
                             [](const Entry& a, const Entry& b) { return a.used < b.used; });
  } else if (place->rows->generation == rows->generation && place->rows->version > rows->version) {
    return;
  }
  place->used = ++clock_;
  place->filter = std::move(filter);
  place->rows = std::move(rows);
}

void RowCache::clear() {
  const std::lock_guard<std::mutex> guard(mutex_);
  for (Entry& e : entries_) e = Entry{};
}

}  // namespace omen
