// Collection: records of one name (ids, vectors, metadata) with their graph, codes and columns.
//
// Why: this is where the rooms of the second floor meet. It decides; quant/, graph/ and meta/
// compute.
// How a write goes: the caller stages rows into uncommitted slots (WriteBatch, no lock
// held), then queues a Commit. One committer at a time takes all queued commits in order, validates
// each, applies ids, metadata and codes, links all new slots into the graph in parallel, and
// answers.
// Invariants (validate() checks them):
//   1. The id index names exactly the live slots, each id once.
//   2. A live slot has a finite vector, its code (when trained), and columns equal to its metadata.
//   3. Every live slot is in the graph; no edge names a free slot.
//   4. count() is the number of live slots; live, marked, free and uncommitted slots partition
//      [0, high water).
//   5. Without keepVectors no floats are held once codes are trained.
// Threads: every method from any thread. Reads pin an epoch and wait for no lock; count_matching()
// waits for a commit that is just showing its changes. Commits are
// serialised by one mutex; parallelism is inside a commit.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "db/types.h"
#include "exec/executor.h"
#include "memory/budget.h"
#include "storage/records.h"
#include "storage/wal.h"

namespace omen {

class Collection;
class SegmentFiles;
struct CollectionSnapshot;
enum class SaveKind : uint8_t;
struct Cut;
struct SaveTarget;
class SegmentFiles;

// Rows on their way in. Made by Collection::begin_write, filled by one thread at a time (which has
// the pool help with many rows in one call), handed to a Commit.
// Destroying it uncommitted gives everything back.
class WriteBatch {
 public:
  ~WriteBatch();
  WriteBatch(const WriteBatch&) = delete;
  WriteBatch& operator=(const WriteBatch&) = delete;

  size_t rows() const;
  uint32_t dimensions() const;
  // Copies `count` vectors (row-major) into the slots of rows [first, first + count) and checks
  // them: ERR_VECTOR with the row for NaN, Infinity, a squared norm past float32, or (cosine) zero.
  Status stage_vectors(size_t first, size_t count, const float* vectors);
  // The slot's own memory for one row, to convert other element types into; finish_vector checks
  // it.
  float* vector_of(size_t row);
  Status finish_vector(size_t row);
  // Ids: every row exactly one, or none at all (generated at commit). ERR_ID, ERR_DUPLICATE come at
  // commit for text ids over the limit and for repeats.
  Status stage_integer_id(size_t row, uint64_t id);
  Status stage_string_id(size_t row, std::string_view id);
  // JSON object text as meta/columns.h defines it. Rows without one get {}.
  Status stage_metadata(size_t row, std::string_view json);
  // It will not be committed: from now on it no longer fixes the collection's dimensions, though
  // its slots are given back by the destructor alone. Idempotent; nothing may be staged after it.
  void abandon();

 private:
  friend class Collection;
  struct Rep;
  explicit WriteBatch(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

// One write waiting for its turn. Fill the inputs of its kind; outputs are valid once it is done.
struct Commit {
  enum class Kind : uint8_t {
    kAdd,
    kUpsert,
    kUpdate,
    kDeleteIds,
    kDeleteFilter,
    kClear,
    kOptimize,
    kDrop,  // Frees everything; submitted by mark_dropped().
  };
  Kind kind = Kind::kAdd;

  // Inputs. kAdd, kUpsert:
  std::unique_ptr<WriteBatch> batch;
  // kUpdate (one id), kDeleteIds (any number; repeats count once):
  std::vector<IdOut> ids;
  std::string id_text;             // Bytes of string ids in `ids`.
  std::vector<float> vector;       // kUpdate: empty, or the new vector.
  std::string metadata;            // kUpdate: empty, or the JSON object to merge at the top level.
  std::vector<std::string> unset;  // kUpdate: top-level keys to remove.
  // kDeleteFilter:
  std::shared_ptr<const Filter> filter;
  bool replaces = false;  // kUpdate: `metadata` is not merged but the record's from now on.
  const CancelToken* cancel = nullptr;  // Checked before anything is applied.
  // With a tag: on disk, what the commit came to is logged with it, and kept (db/receipts.h).
  std::optional<Receipt> receipt;

  // Called once, after the outputs are set, on the committing thread or by the committer of the
  // log, which the last owner of the database joins: it must not give back what may be the last
  // reference, but may have the pool do so. May be nullptr with run().
  void (*on_done)(Commit* commit, void* context) = nullptr;
  void* context = nullptr;

  // Progress in rows; readable from any thread while it runs.
  std::atomic<uint64_t> done{0};
  std::atomic<uint64_t> total{0};

  // Outputs.
  Status status;
  uint64_t count = 0;               // Records added, replaced, updated or deleted.
  uint64_t first_generated_id = 0;  // kAdd, kUpsert without ids: rows got first, first + 1, ...

  Commit* next = nullptr;  // The queue's link.
  size_t first_link = 0;   // The committer's: its part of what is to be linked.
  size_t link_count = 0;
  uint64_t sequence = 0;  // In the log; 0: nothing of it is there.
  DurableWaiter durable;
};

class Collection : public std::enable_shared_from_this<Collection> {
 public:
  struct Env;  // What it takes from its database: executor, budget, seed. See collection_impl.h.
  static Result<std::shared_ptr<Collection>> create(std::string name,
                                                    const CollectionOptions& options,
                                                    const Env& env);
  ~Collection();

  const std::string& name() const;
  uint64_t journal_id() const;  // Its number in the database's log; 0 in memory.
  CollectionOptions options() const;
  // ERR_OPTIONS naming the first given option that differs from the stored one. Dimensions that
  // nothing fixed yet are fixed by the given ones.
  Status agree_on(const CollectionOptions& given);
  // 0 while no vector has fixed them.
  uint32_t dimensions() const;
  uint64_t count() const;

  // Reserves slots and memory for `rows` rows of `dimensions` floats (rows may be 0).
  // ERR_DIMENSIONS if they differ from the collection's, ERR_MEMORY if the limit refuses them.
  Result<std::unique_ptr<WriteBatch>> begin_write(size_t rows, uint32_t dimensions);
  // Queues a commit; on_done is called when it is over, whatever its status. The commit must live
  // until then. Commits apply in the order of their submission.
  void submit(Commit* commit);
  // Submits and waits, taking part in the work: for Sync calls.
  void run(Commit* commit);

  // `query` has dimensions() floats, is finite, not zero under cosine: checked here
  // (ERR_DIMENSIONS, ERR_VECTOR). k, ef beyond their limits: ERR_ARGUMENT.
  Status search(const float* query, size_t length, const SearchOptions& options, Rows* out,
                Plan* plan = nullptr);
  // Allocation-free form for integer ids: ids[i], distances[i]; ERR_ID if a hit has a string id.
  Status search_into(const float* query, size_t length, const SearchOptions& options, uint64_t* ids,
                     float* distances, size_t* count);
  // `count` queries, row-major; distances[i * k ...] NaN-padded, counts[i] hits each; ids in
  // `out->ids` at i * k + j (padding has is_string = false, value 0). Runs on all threads of the
  // pool.
  Status search_batch(const float* queries, size_t count, size_t dimensions,
                      const SearchOptions& options, Rows* out, uint32_t* counts);
  // ids in order; out->found says which exist.
  Status get(const IdView* ids, size_t count, uint32_t include, Rows* out);
  bool has(const IdView& id);
  Result<uint64_t> count_matching(const std::shared_ptr<const Filter>& filter,
                                  const CancelToken* cancel = nullptr);
  // Rows in the order in which records came, from *cursor on; *cursor becomes where the next ones
  // begin, or 0 at the end.
  Status scroll(uint64_t* cursor, size_t limit, const std::shared_ptr<const Filter>& filter,
                uint32_t include, Rows* out);
  CollectionStats stats() const;
  CheckReport check();
  // For checkpoints, one at a time (db/saved.h). cut() notes what is there now; until end_cut()
  // upkeep waits, at most while save() copies. save() writes what changed, and whatever lies in
  // segments that are to go, and completes the cut's snapshot. ERR_MEMORY, ERR_NO_SPACE, ERR_IO.
  // `kind`: how much is written.
  Status cut(const Wal& wal, SaveKind kind, Cut* out);
  Status save(Cut* cut, const SaveTarget& target);
  void end_cut(Cut* cut, bool is_saved);
  // After the switch: vectors that lie in files which are no more are found in `files`.
  void follow(const SegmentFiles& files);
  // What is on disk of it.
  const CollectionSnapshot* saved() const;
  // Takes its records, and graph and codes if they are whole, from a snapshot. Before anybody else
  // knows it. Returns whether graph and codes were taken. ERR_CORRUPT, ERR_MEMORY, ERR_IO.
  Result<bool> load(CollectionSnapshot snapshot, const SegmentFiles& files);
  // How many records are still to be linked into the graph.
  uint64_t to_link() const;
  // Links them, and trains codes if they are due. Before anybody else knows the collection.
  // `progress`, unless it is null, is told how many are done.
  Status finish_replay(OpenProgress* progress);
  // Fills the columns of what load() brought, on the pool. Whoever needs them waits for that.
  void start_indexing();
  // The schema's view for Filter::parse; nullptr if there is no schema.
  const Schema* schema() const;
  // Every later call answers ERR_NOT_FOUND, but for has, stats and check, whose callers ask
  // check_alive(); and the memory goes back although handles may live.
  void mark_dropped();
  Status check_alive() const;

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  explicit Collection(std::unique_ptr<Impl> impl);
  void prepare_update(Commit* commit);
  std::unique_ptr<Impl> impl_;
};

}  // namespace omen
