// References, codes and their return after a grace period.
#include "meta/dictionary.h"

#include <cstring>
#include <new>

namespace omen {

Dictionary::Dictionary(RetiringPool* pool)
    : pool_(pool), codes_(pool->account(), pool->use()),
      rows_(pool->account(), pool->use(), sizeof(std::atomic<Entry*>)),
      index_(pool->account(), pool->use(), pool->epochs()) {}

Dictionary::~Dictionary() {
  pool_->drain();  // Retired entries give their codes back here.
  for (uint32_t code = 0; code < codes_.high_water(); ++code) {
    if (codes_.is_free(code)) continue;
    Entry* e = entry(code);
    pool_->release(e, e->bytes());
  }
}

uint32_t Dictionary::find(std::string_view text) const {
  return index_.find(hash_of(text), [&](uint32_t code) { return entry(code)->view() == text; });
}

Result<Dictionary::Entry*> Dictionary::make_entry(std::string_view text) {
  OMEN_TRY(index_.reserve(1, [&](uint32_t code) { return hash_of(entry(code)->view()); }));
  OMEN_ASSIGN(const uint32_t code, codes_.allocate());
  if (Status s = rows_.ensure(code + 1); !s.is_ok()) {
    codes_.release(code);
    return s;
  }
  Result<void*> memory = pool_->allocate(sizeof(Entry) + text.size());
  if (!memory.is_ok()) {
    codes_.release(code);
    return memory.status();
  }
  auto* e = new (memory.value()) Entry{static_cast<uint32_t>(text.size()), code, 0};
  if (!text.empty()) std::memcpy(static_cast<void*>(e + 1), text.data(), text.size());
  return e;
}

Result<uint32_t> Dictionary::acquire(std::string_view text) {
  uint32_t code = find(text);
  if (code == kNoCode) {
    OMEN_ASSIGN(Entry * e, make_entry(text));
    code = e->code;
    row(code).store(e, std::memory_order_release);
    index_.insert(hash_of(text), code);
  }
  ++entry(code)->references;
  return code;
}

void Dictionary::release(uint32_t code) {
  Entry* e = entry(code);
  OMEN_ASSERT(e->references > 0);
  if (--e->references > 0) return;
  // The row keeps its pointer: a reader that found the code a moment ago still reads the string.
  index_.erase(hash_of(e->view()), code);
  pool_->retire_with(e, this, e->bytes(), &Dictionary::destroy_entry);
}

void Dictionary::destroy_entry(void* entry, void* dictionary) {
  auto* e = static_cast<Entry*>(entry);
  auto* d = static_cast<Dictionary*>(dictionary);
  RetiringPool* pool = d->pool_;
  const uint32_t code = e->code;
  pool->release(e, e->bytes());
  d->codes_.release(code);
  pool->count_destroyed();
}

Status Dictionary::validate() const {
  OMEN_TRY(index_.validate([&](uint32_t code) { return hash_of(entry(code)->view()); }));
  uint32_t live = 0;
  for (uint32_t code = 0; code < codes_.high_water(); ++code) {
    if (codes_.is_free(code) || entry(code)->references == 0) continue;
    ++live;
    if (find(text(code)) != code) {
      return Status::error(ErrorCode::kCorrupt, "dictionary, invariant 1: code " +
                                                    std::to_string(code) + " is not found");
    }
  }
  if (live != index_.live()) {
    return Status::error(ErrorCode::kCorrupt,
                         "dictionary, invariant 2: " + std::to_string(live) +
                             " strings in use, " + std::to_string(index_.live()) + " indexed");
  }
  return Status::ok();
}

}  // namespace omen
