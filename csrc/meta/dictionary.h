// Dictionary: the strings of a collection's columns, each once, with a code.
//
// Why: a cell holds a 32-bit code in place of a string, equality becomes equality of words, and a
// string that many records share is stored once. Entries count their references: when the last
// cell lets go of a string it leaves the index, and its code is given out again after a grace
// period: a code seen under a pin means one string for as long as the pin is held.
// Invariants (validate() checks them):
//   1. Equal strings have equal codes; two codes never stand for one string.
//   2. An entry is in the index exactly if its count of references is above zero.
// Threads: find() and text() from any thread under a pin of the epoch domain; all else by one
// writer at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "base/random.h"
#include "base/status.h"
#include "memory/slot_allocator.h"
#include "memory/slot_index.h"
#include "memory/slot_pages.h"
#include "meta/retiring_pool.h"

namespace omen {

class Dictionary {
 public:
  static constexpr uint32_t kNoCode = kNoSlot;

  explicit Dictionary(RetiringPool* pool);
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;
  ~Dictionary();

  // The code of a string, or kNoCode.
  uint32_t find(std::string_view text) const;
  std::string_view text(uint32_t code) const { return entry(code)->view(); }

  // The string's code, with one reference more. ERR_MEMORY.
  Result<uint32_t> acquire(std::string_view text);
  // One reference less.
  void release(uint32_t code);

  // The writer's: references of a code below code_end(), 0 for a free one.
  uint64_t references(uint32_t code) const {
    return codes_.is_free(code) ? 0 : entry(code)->references;
  }
  uint32_t code_end() const { return codes_.high_water(); }
  uint32_t count() const { return index_.live(); }
  Status validate() const;

 private:
  struct Entry {
    uint32_t length;
    uint32_t code;
    uint64_t references;  // Only the writer looks at it.

    uint64_t bytes() const { return sizeof(Entry) + length; }
    std::string_view view() const { return {reinterpret_cast<const char*>(this + 1), length}; }
  };

  uint64_t hash_of(std::string_view text) const {
    return hash_bytes(text.data(), text.size(), hash_seed_);
  }
  std::atomic<Entry*>& row(uint32_t code) const {
    return *rows_.row_as<std::atomic<Entry*>>(code);
  }
  Entry* entry(uint32_t code) const { return row(code).load(std::memory_order_acquire); }
  Result<Entry*> make_entry(std::string_view text);
  static void destroy_entry(void* entry, void* dictionary);

  RetiringPool* const pool_;
  const uint64_t hash_seed_ = process_seed();
  SlotAllocator codes_;
  SlotPages rows_;
  SlotIndex index_;
};

}  // namespace omen
