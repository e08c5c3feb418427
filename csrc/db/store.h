// Store: the slots of a collection, in every structure that has a row per slot.
//
// Why: all of it lives and dies together. clear() swaps in a new Store and retires the old one
// whole; a reader under a pin keeps the Store it took.
// A slot's life: allocated and filled by a WriteBatch (state 0, invisible) -> committed (kLive:
// ids, columns, codes and order are written before) -> linked into the graph -> replaced or deleted
// (kMarked: it keeps all it holds, for readers that are still at it) -> consolidated: unlinked,
// waited for, freed (state 0).
// Invariants (Collection::check looks at them):
//   1. What a slot holds is written before its number is published anywhere, and never changed in
//      place, but for its metadata, whose block is swapped atomically.
//   2. high_water() covers every slot that any reader can meet.
//   3. With keep_vectors every slot has its floats, in memory or in a mapped file. Without, slots
//   have them until there are codes, and then none has: a reader decides by has_floats(), which
//   under one pin turns false once.
// Threads: stage_mutex guards growth of what begin_write() fills; everything else is written under
// the collection's commit mutex. Readers pin.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "db/codes.h"
#include "db/drift.h"
#include "db/orders.h"
#include "db/slot_log.h"
#include "db/types.h"
#include "db/unsaved.h"
#include "graph/graph.h"
#include "memory/block_pool.h"
#include "memory/epoch.h"
#include "memory/slot_allocator.h"
#include "memory/slot_index.h"
#include "meta/columns.h"
#include "meta/compiled_filter.h"

namespace omen {

inline Distance distance_of(Metric metric) {
  return metric == Metric::kL2    ? Distance::kL2
         : metric == Metric::kDot ? Distance::kDot
                                  : Distance::kCosine;
}

// A string id: its length, then its bytes.
struct IdBlock {
  uint32_t length;
  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  char* bytes() { return reinterpret_cast<char*>(this + 1); }
  static size_t size_of(size_t length) { return sizeof(IdBlock) + length; }
};

uint64_t hash_id(const IdView& id);
// 5, "a", or {"$int":"..."}: for messages and details.
std::string id_to_json(const IdView& id);

class Store final : public RowIds {
 public:
  Store(MemoryAccount* account, EpochDomain* epochs, const CollectionOptions& options,
        const simd::Kernels& kernels, uint64_t seed, uint32_t generation,
        std::shared_ptr<const Schema> schema);
  ~Store() override;

  uint32_t dimensions() const { return dimensions_; }
  Metric metric() const { return metric_; }
  uint32_t generation() const { return generation_; }
  uint32_t high_water() const { return high_water_.load(std::memory_order_acquire); }
  void raise_high_water(uint32_t slots) {
    if (slots > high_water_.load(std::memory_order_relaxed)) {
      high_water_.store(slots, std::memory_order_release);
    }
  }
  uint64_t live() const { return live_.load(std::memory_order_acquire); }
  uint64_t marked() const { return marked_.load(std::memory_order_acquire); }

  // Memory for the staged part of slots below `slots`; under stage_mutex.
  Status ensure_staged(uint32_t slots);
  // Changes are noted from now on. Before the first slot.
  void keep_unsaved(std::shared_ptr<UnsavedBytes> total);
  // Rows of an extent of the snapshot: as many as fill its 64 KiB of vectors.
  uint32_t extent_rows() const;
  // Asks for the memory of new rows of what is small, for whoever fills them all.
  void populate_staged(uint32_t first, uint32_t count) const;
  // Gives back what batches staged beyond every slot in use. Never more than one extent at a time
  // under stage_mutex, for which a thread may wait that must not stall.
  void trim_staged();
  // The id of an uncommitted slot. ERR_MEMORY.
  Status stage_id(uint32_t slot, const IdView& id);
  // A slot that nobody can see is free again, and its id's memory with it.
  void free_slot(uint32_t slot);
  // Only where the slot has its floats.
  float* vector(uint32_t slot) const {
    if (mapped != nullptr) return reinterpret_cast<float*>(mapped->row(slot));
    return vectors.row_as<float>(slot);
  }
  // Whether all vectors that were read so far are what was stored: asked before what came of them
  // is given away. ERR_CORRUPT.
  Status vectors_status() const { return mapped == nullptr ? Status::ok() : mapped->status(); }
  // Memory for the vectors of slots that are about to be filled; under stage_mutex. ERR_MEMORY,
  // ERR_CORRUPT.
  Status own_vectors(const uint32_t* taken, size_t count) {
    return mapped == nullptr ? Status::ok() : mapped->own(taken, count);
  }
  bool has_floats() const { return keep_vectors || codes() == nullptr; }
  // The vector as it was given, or, without floats, as its code tells it.
  void read_vector(uint32_t slot, float* out) const;
  // Inverse norm under cosine, else 1.
  float scale(uint32_t slot) const { return has_norms ? *norms.row_as<float>(slot) : 1.0f; }
  RowViews float_views() const { return {vectors.view(), norms.view(), has_norms, mapped.get()}; }
  CodeSet* codes() const { return codes_.load(std::memory_order_acquire); }

  bool is_live(uint32_t slot) const { return states.has(slot, SlotStates::kLive); }
  uint32_t order_of(uint32_t slot) const {
    return orders.of(slot);
  }
  IdView id_view(uint32_t slot) const;
  bool id_of(uint32_t slot, uint64_t* integer, std::string_view* string) const override;
  // The live slot of an id, or kNoSlot.
  uint32_t find(const IdView& id) const;
  // Whether the slot is the one of its record: one being replaced has two live slots for a moment,
  // and the index names one.
  bool is_current(uint32_t slot) const { return is_live(slot) && find(id_view(slot)) == slot; }
  // The one that the index names for the record of a slot, or kNoSlot: the record is gone.
  uint32_t current_of(uint32_t slot) const;
  uint64_t hash_of(uint32_t slot) const { return hash_id(id_view(slot)); }

  // Distances to floats, to sq8 codes where there are some, or to any codes where there are no
  // floats: what the graph builds with.
  class BuildSpace;

  MemoryAccount* const account;
  EpochDomain* const epochs;
  const simd::Kernels& kernels;
  const bool has_norms;
  const bool keep_vectors;
  std::mutex stage_mutex;
  SlotAllocator slots;
  SlotStates states;
  SlotPages vectors;  // Unless they are mapped.
  std::unique_ptr<MappedVectors> mapped;
  SlotPages norms;
  SlotPages ids;
  Orders orders;
  BlockPool id_blocks;
  SlotIndex index;
  Graph graph;
  Columns columns;
  // False after an opening, until the columns have what the blocks say: see
  // Collection::Impl::index_metadata(), which writes both under the mutex.
  std::atomic<bool> is_indexed{true};
  std::mutex index_mutex;
  std::atomic<bool> is_leaving{false};  // Then they stay as they are.
  uint32_t indexed_end = 0;  // Slots that have been seen to.
  Float32Codec floats;
  std::shared_ptr<CodeSet> owned_codes;  // What codes_ points to; under the commit lock.
  std::atomic<CodeSet*> codes_{nullptr};
  std::atomic<uint32_t> high_water_{0};
  std::atomic<uint64_t> live_{0};
  std::atomic<uint64_t> marked_{0};
  // Odd while a commit changes what readers see, even between: what row sets are valid for.
  std::atomic<uint64_t> version{0};
  class Publishing;
  Moves moves;
  Changes changes;
  // Of the next record that is new; below Orders::kMax once Collection::Impl::reserve_orders() said
  // so.
  uint32_t next_order = 0;
  Drift drift;
  // On disk alone: what the next checkpoint has to write.
  Unsaved unsaved;
  bool is_saved = false;  // Somewhere: `unsaved` is kept.
  uint64_t inserted_since_repair = 0;
  // Slots that were linked in batches, or taken out, since all rows were last chosen together.
  uint64_t linked_apart = 0;
  // How many of them are enough to choose all anew when asked to: an eighth.
  uint64_t apart_limit() const { return live() / 8 + 1; }
  bool needs_repair = false;
  std::atomic<uint64_t> consolidations{0};

 private:
  const uint32_t dimensions_;
  const Metric metric_;
  const uint32_t generation_;
};

// The scope in which a commit shows its changes, or takes records away.
class Store::Publishing {
 public:
  explicit Publishing(Store& store) : store_(store) {
    store_.version.fetch_add(1, std::memory_order_acq_rel);
  }
  ~Publishing() { store_.version.fetch_add(1, std::memory_order_acq_rel); }
  Publishing(const Publishing&) = delete;
  Publishing& operator=(const Publishing&) = delete;

 private:
  Store& store_;
};

// What the graph needs to build.
class Store::BuildSpace final : public Space {
 public:
  explicit BuildSpace(const Store& store) : store_(store), codes_(store.codes()) {}
  std::unique_ptr<SlotScorer> make_slot_scorer() const override;
  size_t dimensions() const override { return store_.dimensions(); }
  FloatRow row(uint32_t slot, float* room) const override {
    if (store_.keep_vectors || codes_ == nullptr) return {store_.vector(slot), store_.scale(slot)};
    codes_->decode(slot, room);
    return {room, 1.0f};
  }
  void prefetch(uint32_t slot) const override {
    const bool has_floats = store_.keep_vectors || codes_ == nullptr;
    if (has_floats && store_.has_norms) prefetch_read(store_.norms.row(slot));
    const auto* row =
        !has_floats                 ? reinterpret_cast<const std::byte*>(codes_->code(slot))
        : store_.mapped != nullptr ? store_.mapped->peek(slot)
                                   : reinterpret_cast<const std::byte*>(store_.vector(slot));
    const size_t bytes = has_floats ? dimensions() * sizeof(float) : dimensions();
    // The processor sees by itself how a long row goes on.
    for (size_t i = 0; i < std::min(bytes, kPrefetchMax); i += kCacheLineBytes) {
      prefetch_read(row + i);
    }
  }
  bool is_euclidean() const override { return store_.metric() != Metric::kDot; }

 private:
  static constexpr size_t kPrefetchMax = 1024;

  const Store& store_;
  const CodeSet* codes_;
};

}  // namespace omen
