// RowCache: a few entries, the least recently used one replaced.
#include "db/row_cache.h"

#include <algorithm>

namespace omen {

std::shared_ptr<const CachedRows> RowCache::find(const Key& key) {
  const std::unique_lock<std::mutex> guard(mutex_, std::try_to_lock);
  if (!guard.owns_lock()) return nullptr;
  for (Entry& e : entries_) {
    if (e.rows == nullptr || e.version != key.version || e.generation != key.generation) continue;
    if (e.text != key.text) continue;
    e.used = ++clock_;
    return e.rows;
  }
  return nullptr;
}

void RowCache::put(const Key& key, std::shared_ptr<const CachedRows> rows) {
  const std::unique_lock<std::mutex> guard(mutex_, std::try_to_lock);
  if (!guard.owns_lock()) return;
  const auto same = [&](const Entry& e) { return e.rows != nullptr && e.text == key.text; };
  auto place = std::find_if(entries_.begin(), entries_.end(), same);
  if (place == entries_.end()) {
    place = std::min_element(entries_.begin(), entries_.end(),
                             [](const Entry& a, const Entry& b) { return a.used < b.used; });
  }
  place->generation = key.generation;
  place->version = key.version;
  place->used = ++clock_;
  place->text = key.text;
  place->rows = std::move(rows);
}

void RowCache::clear() {
  const std::lock_guard<std::mutex> guard(mutex_);
  for (Entry& e : entries_) e = Entry{};
}

}  // namespace omen
