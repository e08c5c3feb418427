// Collection::Impl and WriteBatch::Rep: private parts of the collection, shared by its files.
//
// Locks, in the order they are taken: commit_mutex_ (one committer), store_mutex_ (which Store new
// batches go to), Store::stage_mutex (growth of staged memory), queue_mutex_ (the list of waiting
// commits; held for a few instructions). Reads take none of them. The log's locks come last.
#pragma once

#include <array>
#include <atomic>
#include <limits>
#include <mutex>
#include <span>

#include "db/collection.h"
#include "db/journal.h"
#include "db/row_cache.h"
#include "db/saved.h"
#include "db/staged_floats.h"
#include "db/store.h"
#include "exec/clock.h"
#include "exec/parallel_for.h"

namespace omen {

struct Collection::Env {
  Executor* executor = nullptr;
  std::shared_ptr<MemoryBudget> budget;  // Shared: a collection may outlive its database.
  const simd::Kernels* kernels = nullptr;
  const Clock* clock = nullptr;
  uint64_t seed = 0;
  Residency residency = Residency::kAuto;
  std::shared_ptr<Journal> journal;  // nullptr: in memory alone.
  uint64_t journal_id = 0;           // The collection's number in it.
};

// Scratch kept between operations; taken and put back without a lock.
template <class T, size_t N>
class ScratchCache {
 public:
  ~ScratchCache() {
    for (auto& slot : slots_) delete slot.load(std::memory_order_acquire);
  }
  std::unique_ptr<T> take() {
    for (auto& slot : slots_) {
      if (slot.load(std::memory_order_relaxed) == nullptr) continue;
      if (T* found = slot.exchange(nullptr, std::memory_order_acq_rel)) {
        return std::unique_ptr<T>(found);
      }
    }
    return nullptr;
  }
  void put(std::unique_ptr<T> scratch) {
    for (auto& slot : slots_) {
      T* empty = nullptr;
      if (slot.compare_exchange_strong(empty, scratch.get(), std::memory_order_acq_rel)) {
        scratch.release();
        return;
      }
    }
  }

 private:
  std::array<std::atomic<T*>, N> slots_{};
};

// The memory of one search: the graph's, the query's, and the hits'.
struct QueryScratch {
  explicit QueryScratch(MemoryAccount* account)
      : graph(account),
        slots(account, Use::kScratch),
        distances(account, Use::kScratch),
        nearest(account, Use::kScratch),
        edges(account) {}
  SearchScratch graph;
  PreparedQuery codes;
  PreparedQuery floats;
  Array<uint32_t> slots;  // Hits, nearest first; ties by order of insertion.
  Array<float> distances;
  Array<float> nearest;  // The k least distances while re-ranking by bounds, a heap.
  EdgeQuery edges;       // Of layout 'fast'.
};

// Rows of a batch that is about to be committed.
struct IncomingRows {
  const Store* store = nullptr;
  size_t count = 0;
  const uint32_t* slots = nullptr;
  const float* floats = nullptr;  // nullptr: the slots hold them.

  const float* vector(size_t row) const {
    return floats == nullptr ? store->vector(slots[row]) : floats + row * store->dimensions();
  }
  float scale(size_t row) const { return store->scale(slots[row]); }
};

// An id of a commit, whose text lies in commit.id_text.
inline IdView view_of(const IdOut& id, const std::string& text) {
  IdView v;
  v.is_string = id.is_string;
  if (id.is_string)
    v.text = std::string_view(text).substr(id.value, id.length);
  else
    v.integer = id.value;
  return v;
}

struct WriteBatch::Rep {
  explicit Rep(MemoryAccount* account) : placed(account, Use::kScratch) {}
  std::shared_ptr<Collection> collection;  // Keeps the engine alive while rows are staged.
  std::shared_ptr<Store> store;  // The one of begin_write(); clear() may have replaced it.
  uint32_t generation = 0;
  uint32_t dimensions = 0;
  size_t rows = 0;
  size_t ids_staged = 0;
  size_t vectors_staged = 0;
  size_t populated_rows = 0;  // Before which memory has been asked for.
  uint32_t* slots = nullptr;        // rows, rising until rows are placed.
  Array<uint32_t> placed;           // Then these are the same, rising.
  std::string* metadata = nullptr;  // rows, or nullptr while every row has {}.
  uint64_t metadata_bytes = 0;      // Of it, as the account counts them.
  StagedFloats floats;              // rows x dimensions, where no originals are kept.
  bool committed = false;
  bool abandoned = false;
  const uint32_t* rising() const { return placed.empty() ? slots : placed.data(); }
  uint32_t slots_end() const { return rising()[rows - 1] + 1; }
  Status take_slots();
  // Memory for vectors where slots have none.
  Status take_floats();
  // Where the row's vector is staged.
  float* vector(size_t row) {
    return floats.empty() ? store->vector(slots[row]) : floats.data() + row * dimensions;
  }
  // The same, before the row is filled: rows that follow get their memory along with it.
  float* vector_to_fill(size_t row) {
    if (row >= populated_rows) populate_from(row);
    return vector(row);
  }
  bool are_fresh(size_t first, size_t count) const;
  // Asks for the memory of rows that are about to be filled; of some of them, from `row` on.
  void populate(size_t first, size_t count);
  void populate_from(size_t row);
  // ERR_VECTOR, of the first row at fault.
  Status copy_vectors(size_t first, size_t count, const float* vectors);
  Status copy_many(Executor& executor, size_t first, size_t count, const float* vectors);
  IncomingRows incoming() { return {store.get(), rows, slots, floats.data()}; }
  void drop_metadata();
  ~Rep();
};

struct Collection::Impl {
  Impl(std::string name, const CollectionOptions& options, const Env& env);
  ~Impl();

  Store* store() const { return store_.load(std::memory_order_acquire); }
  // Replaces the store by an empty one; the old one is retired. Under store_mutex_.
  Status make_store(uint32_t dimensions);
  // ERR_OPTIONS: an option contradicts the stored value.
  template <class T>
  Status differs(const char* option, const T& given, const T& stored) const;
  void retire_store();
  Status check_alive() const;

  // Commits (commit.cc, apply.cc, maintain.cc); all but submit and run under commit_mutex_. Answers
  // go without it: one may drop the last reference to the database, whose closing takes the lock.
  void push(Commit* commit);
  Commit* take_all();
  bool has_waiting();
  void drain();
  void schedule_drain(std::shared_ptr<Collection> self);
  Commit* process(Commit* first);
  Status apply(Commit* commit);
  Status apply_change(Commit* commit);
  Status apply_batch(Commit* commit);
  Status restage(WriteBatch::Rep& batch);
  // Rows that lie near each other take slots near each other, if there is memory to do so.
  void place_rows(Store& s, WriteBatch::Rep& batch);
  static bool ids_rise(const Store& s, const WriteBatch::Rep& b);
  Status check_ids(Store& s, Commit* commit, uint32_t* old_slots);
  Status reserve_batch(Store& s, WriteBatch::Rep& batch, std::span<ParsedRecord> records);
  void publish_batch(Store& s, Commit* commit, const uint32_t* old_slots,
                     std::span<ParsedRecord> records);
  Status apply_update(Commit* commit);
  Status apply_delete_ids(Commit* commit);
  Status apply_delete_filter(Commit* commit);
  Status apply_clear(Commit* commit);
  void apply_drop();
  Status apply_optimize(Commit* commit);
  void replace_slot(Store& s, uint32_t old_slot, uint32_t slot, uint64_t hash);
  void remove_slot(Store& s, uint32_t slot);
  void queue_link(uint32_t slot);
  void link_queued();
  bool is_for_bulk(uint64_t in_graph) const;
  bool link_in_bulk(Store& s, uint64_t in_graph);
  bool are_equally_long(const Store& s) const;
  void forget_dead_links(const Store& s);  // Queued slots that were deleted meanwhile.
  void link_in_batches(Store& s, uint64_t in_graph);
  size_t links_at_once() const;  // In one batch of the graph.
  Status reserve_links(Store& s, const uint32_t* slots, size_t count);
  // Room for the orders of `count` new records: ERR_MEMORY.
  Status reserve_orders(Store& s, size_t count);
  // `new_records` of the incoming rows replace nothing.
  Status train_if_due(Store& s, const IncomingRows& incoming, size_t new_records);
  // `rows`: live ones with those to come.
  Status train(Store& s, const IncomingRows& incoming, uint64_t rows);
  // Encodes the batch's rows, or gives them floats of their slots.
  Status reserve_floats(Store& s, WriteBatch::Rep& batch);
  void store_vectors(Store& s, WriteBatch::Rep& batch);
  // With layout 'fast' (pack.cc): packs the rows of all nodes, or of those whose edges changed.
  void pack_all(Store& s, CodeSet& codes);
  void pack_changed(Store& s);
  // Where enough rows were chosen a few at a time. ERR_MEMORY: all are as they were.
  Status link_together(Store& s);
  bool needs_maintenance() const;
  void maintain();
  // Moves some more vectors to huge pages; false if there are none left.
  bool collapse_some(Store& s);
  void bound_marked();
  Status consolidate(Store& s);
  Status repair(Store& s);

  // The log (log_commits.cc). Each logs what the commit is about to do; an error refuses it.
  bool is_replaying() const;
  Status check_writable() const;
  struct PutRows {
    const RecordRows& rows;
    const RowsShape& shape;
    const uint32_t* slots;  // Where they go, rising.
    size_t count;
    std::span<ParsedRecord> records;  // Reserved.
  };
  Status log_put(Store& s, const PutRows& put, Commit* commit);
  Status log_batch(Store& s, Commit* commit, std::span<ParsedRecord> records);
  Status log_update(Store& s, Commit* commit, uint32_t slot, std::span<ParsedRecord> record);
  Status log_delete_ids(const Store& s, Commit* commit);
  Status log_delete_rows(const Store& s, Commit* commit, const RowSet& rows);
  Status log_delete_slots(const Store& s, Commit* commit, const Array<uint32_t>& slots);
  Status log_clear(Commit* commit);
  Status log_no_change(Commit* commit);
  bool must_wait(const Commit& commit) const;
  void answer(Commit* commit);
  void answer_all(Commit* first);
  void relieve_replay();
  Status link_replayed();

  // Checkpoints (save.cc, load.cc).
  bool wants_derived(const Store& s, bool is_closing) const;
  Status take_cut(Store& s, Cut* out);
  Status write_cut(Cut* cut, const SaveTarget& target);
  void stop_saving();
  bool stays_mapped(const Store& s) const;
  Status load_extents(Store& s, const SegmentFiles& files);
  Status load_extent(Store& s, const SegmentFiles& files, uint32_t index) const;
  Status load_codec(Store& s);
  Status load_index(Store& s, const std::vector<uint64_t>& nodes);
  // Fills the columns of a collection that was opened, once (metadata_index.cc). Whoever is about
  // to read or change columns calls it before; any thread, also under a pin or the commit lock.
  // ERR_CORRUPT, ERR_MEMORY: the next call tries again. Success without is_indexed: the records
  // were cleared meanwhile.
  Status index_metadata(Store& s) const {
    return s.is_indexed.load(std::memory_order_acquire) ? Status::ok() : fill_columns(s);
  }
  Status fill_columns(Store& s) const;
  Status load_derived(Store& s, const SegmentFiles& files);
  // Waits until no checkpoint is reading the store. Under the commit lock, unpinned.
  void wait_saved() const;

  // Reads (search.cc, rerank.cc, filter_rows.cc, plan.cc, scan.cc, settle.cc, read.cc); under a
  // pin.
  struct Query;
  Status check_query(const float* query, size_t length, const SearchOptions& options) const;
  // Fills q.rows and what the plan tells of them.
  Status find_matches(Store& s, Query& q);
  template <class Write>
  Status answer(const float* query, size_t length, const SearchOptions& options, Plan* plan,
                const Write& write);
  template <class Write>
  Status answer_prepared(Store& s, Query& q, const Write& write);
  // Some queries of a batch: search_batch.cc.
  struct QueryBatch;
  struct BatchFault;
  Status order_queries(const QueryBatch& batch, Array<uint32_t>* order);
  template <class Write>
  BatchFault answer_group(const QueryBatch& batch, std::span<const uint32_t> rows,
                          const Write& write);
  // Walks of several queries that take turns. Those that have another plan are left to find_hits().
  Status walk_group(Store& s, std::span<Query> queries) const;
  // Fills q.scratch->slots and distances.
  Status find_hits(Store& s, Query& q);
  // The records from an order on: scroll.cc.
  struct UpcomingRecords;
  Status find_upcoming(const Store& s, size_t count, UpcomingRecords* out) const;
  Result<std::shared_ptr<const UpcomingRecords>> upcoming(const Store& s, uint32_t from,
                                                          size_t count);
  void forget_upcoming();
  void choose_plan(const Store& s, Query& q) const;
  static void set_matching(Query& q, double share);
  bool scans_codes(const Store& s, const Query& q) const;
  Status scan(Store& s, Query& q);
  template <class Best>
  Status score_matches(const Store& s, Query& q, Best& best);
  Status walk(Store& s, Query& q);
  // The same where all records match, over packed codes (search_packed.cc).
  Status walk_packed(Store& s, Query& q, const CodeSet& codes);
  Status walk_packed_group(Store& s, std::span<Query* const> queries, const CodeSet& codes) const;
  Status walk_matching(Store& s, Query& q, const Scorer& scorer);
  // `codes`: those of the walk, or nullptr.
  Status rerank(Store& s, Query& q, const CodeSet* codes);
  // Both score those of scratch.slots that may be among the k nearest, and keep only them.
  static Status score_by_bounds(const Scorer& exact, uint32_t k, QueryScratch& scratch);
  struct Wanted {
    uint32_t k;
    bool spare;  // More than k, for hits that a write takes away meanwhile.
  };
  static Status score_by_errors(const Scorer& exact, const Wanted& wanted, QueryScratch& scratch);
  // In scratch.distances: of a candidate that was not met itself.
  static constexpr float kUnknown = -std::numeric_limits<float>::infinity();
  // Drops what is no hit any more, after writes that raced the search.
  Status confirm(const Store& s, Query& q);
  Status drop_former(const Store& s, QueryScratch& scratch) const;
  // Adds records that took new slots since q.moves; false if there were too many to know.
  Result<bool> add_moved(Store& s, Query& q);
  Result<bool> settle(Store& s, Query& q);
  bool still_matches(const Store& s, const Query& q, uint32_t slot) const;
  void sort_hits(const Store& s, QueryScratch& scratch) const;
  Status filter_rows(Store& s, const std::shared_ptr<const Filter>& filter,
                     std::shared_ptr<const CachedRows>* out);
  Status evaluate_rows(const Store& s, const CompiledFilter& compiled, CachedRows* out) const;
  Result<bool> patch_rows(const Store& s, const CompiledFilter& compiled, const CachedRows& old,
                          CachedRows* out) const;
  Status prepare(const Store& s, const float* query, const SearchOptions& options, Query* q);
  std::unique_ptr<QueryScratch> take_scratch();
  // ERR_LIMIT once their metadata passes kRowsTextBytesMax.
  Status write_rows(const Store& s, const uint32_t* slots, size_t count, uint32_t include,
                    Rows* out);

  const std::string name;
  CollectionOptions options;  // dimensions: 0 until fixed; under store_mutex_.
  const Env env;
  std::shared_ptr<const Schema> schema;
  MemoryAccount account;
  EpochDomain epochs;
  mutable std::mutex store_mutex_;
  std::shared_ptr<Store> owned_store_;  // What store_ points to; under store_mutex_.
  std::atomic<Store*> store_{nullptr};
  // 0 until some vector, or the options, fixed the dimensions.
  std::atomic<uint32_t> fixed_dimensions_{0};
  std::atomic<uint32_t> open_batches_{0};
  std::atomic<bool> dropped_{false};
  uint32_t next_generation_ = 1;
  std::atomic<uint64_t> next_id_{0};

  std::mutex commit_mutex_;
  std::mutex queue_mutex_;
  Commit* queue_first_ = nullptr;
  Commit* queue_last_ = nullptr;
  std::atomic<bool> drain_scheduled_{false};
  std::atomic<bool> maintenance_due_{false};
  bool collapse_due_ = false;  // Vectors lie on small pages; under commit_mutex_.
  Commit* group_ = nullptr;  // The commits that are being applied; under commit_mutex_.
  OpenProgress* opening_ = nullptr;  // Of finish_replay().
  Array<uint32_t> to_link_;  // Slots applied by this group, not linked yet.
  std::vector<std::unique_ptr<BuildScratch>> workers_;
  BatchScratch batch_links_{&account};
  uint64_t workers_serial_ = 0;      // Of the codes that the workers' scorers are bound to,
  uint32_t workers_generation_ = 0;  // and the store's generation.
  uint64_t next_serial_ = 1;
  bool replay_is_over_ = false;
  // A checkpoint is copying: no slot is freed meanwhile. Set under the
  // commit lock.
  std::atomic<bool> is_saving_{false};
  Saved saved_;  // The checkpoint's.

  ScratchCache<QueryScratch, 16> scratch_;
  RowCache row_cache_;
  std::mutex upcoming_mutex_;
  std::shared_ptr<const UpcomingRecords> upcoming_;
};

}  // namespace omen
