// Database: named collections under one memory limit, and the process-wide registry of databases.
//
// Why: several handles, also of several worker threads, may share one in-memory engine by name; an
// unnamed one belongs to its handle alone. A handle holds a shared_ptr; the last one to go frees
// all.
// A database on disk logs every change before it is applied (db/journal.h), brings the log into
// snapshots (db/checkpoint.h), and comes back from both (db/recovery.h); handles of one directory
// share one engine.
// Invariants:
//   1. A registered name, and a directory, maps to at most one living engine.
//   2. Collection names are unique and match [A-Za-z0-9_-]{1,64}.
// Threads: every method from any thread. The registry's mutex is never held while an engine is
// built up or torn down by another thread's work.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "db/collection.h"
#include "db/journal.h"
#include "io/env.h"

namespace omen {

struct DatabaseOptions {
  std::string name;               // Empty: private to the handle.
  uint64_t max_memory_bytes = 0;  // 0: no limit.
  bool given_max_memory_bytes = false;
  uint64_t seed = 0;
  bool given_seed = false;

  // On disk alone:
  std::string path;  // UTF-8.
  Durability durability = Durability::kSync;
  bool given_durability = false;
  Residency residency = Residency::kAuto;
  bool given_residency = false;
  bool read_only = false;
  bool create_if_missing = true;
  uint64_t checkpoint_bytes = 0;  // Of the log, that make a checkpoint due; 0: by what is stored.
  OpenProgress* progress = nullptr;  // Is told how far opening is; not touched after it.
  // For tests: nullptr is the system and the process's pool.
  Env* env = nullptr;
  Executor* executor = nullptr;
  bool has_committer = true;
  size_t record_bytes = Journal::kRecordBytes;
};

struct SalvageReport;

enum class OpenMode : uint8_t { kOpenOrCreate, kCreate, kOpen };

class Database : public std::enable_shared_from_this<Database> {
 public:
  // A named engine that lives already must agree with given options (ERR_OPTIONS).
  static Result<std::shared_ptr<Database>> open_memory(const DatabaseOptions& options);
  // The database in the directory `path`, made if it is missing. Blocks, also while another thread
  // opens or closes it. ERR_NOT_FOUND, ERR_LOCKED, ERR_FORMAT, ERR_CORRUPT, ERR_READ_ONLY,
  // ERR_OPTIONS, ERR_MEMORY, ERR_IO, ERR_NO_SPACE, ERR_UNSUPPORTED; each names the path.
  static Result<std::shared_ptr<Database>> open(const DatabaseOptions& options);
  // Brings what is readable of the database in `options.path`, however damaged, into a new one in
  // the directory `to`, which must not exist or be empty; see db/salvage.h. Nothing is written to
  // the damaged one. ERR_NOT_FOUND, ERR_EXISTS, ERR_ARGUMENT (`to` lies within), ERR_MEMORY,
  // ERR_NO_SPACE, ERR_IO: nothing is left in `to`.
  static Result<SalvageReport> salvage(const DatabaseOptions& options, const std::string& to);
  ~Database();

  bool is_on_disk() const;
  // kPromised: all that was written is as durable as the option says; kDevice: it is on the device.
  enum class Extent : uint8_t { kPromised, kDevice };
  Status flush(Extent extent);
  // The same without blocking: the waiter is answered on the pool.
  void flush(Extent extent, DurableWaiter* waiter);
  // Brings all that was written into a snapshot, so that opening need not replay it. On disk alone.
  // ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO, ERR_IO_POISONED, ERR_MEMORY: nothing changed.
  Status checkpoint();
  // A copy of the database in the directory `to`, which must not exist or be empty: of what was
  // written before the call, and perhaps some of what is written meanwhile. ERR_EXISTS,
  // ERR_NO_SPACE, ERR_IO, ERR_READ_ONLY, ERR_UNSUPPORTED in memory; nothing is left of a copy that
  // failed.
  Status backup(const std::string& to);
  // The same without blocking.
  void backup(const std::string& to, DurableWaiter* waiter);
  // Before the last handle goes: ERR_IO_POISONED, ERR_IO if something acknowledged is not durable.
  Status prepare_close();

  // kCreate: ERR_EXISTS if there; kOpen: ERR_NOT_FOUND if not; ERR_ARGUMENT for a bad name;
  // ERR_UNSUPPORTED, ERR_ARGUMENT for bad options; ERR_OPTIONS where given options differ.
  // `tag`: on disk, that the collection was made is kept as a receipt.
  Result<std::shared_ptr<Collection>> collection(std::string_view name,
                                                 const CollectionOptions& options, OpenMode mode,
                                                 const ReceiptTag* tag = nullptr);
  std::vector<std::string> list_collections() const;
  // Returns whether it existed. ERR_READ_ONLY, ERR_NO_SPACE, ERR_IO, ERR_IO_POISONED.
  Result<bool> drop_collection(std::string_view name, const ReceiptTag* tag = nullptr);
  // What commits with tags came to, in their order (db/receipts.h). Empty in memory.
  std::vector<Receipt> receipts() const;
  // Drawn when the database was made; its copies have the same. 0 in memory.
  uint64_t id() const;
  DatabaseStats stats() const;
  // The invariants of what is in memory; of a database on disk also all that its snapshot has there
  // now, while checkpoints wait.
  std::vector<CheckReport> check();

  struct Impl;

 private:
  explicit Database(std::unique_ptr<Impl> impl);
  static Result<std::shared_ptr<Database>> make(const DatabaseOptions& options);
  static Result<std::shared_ptr<Database>> open_read_only(Env* env, const DatabaseOptions& options);
  Status agree_on(const DatabaseOptions& given) const;
  Status load(Env* env);
  Status open_directory(Env* env);  // The first step of load(),
  Status start();                   // and the last.
  void close_on_disk();
  std::unique_ptr<Impl> impl_;
};

// Bytes held by all engines of this process: what N-API reports to V8.
uint64_t process_memory_bytes();
// The process's pool, or why it cannot start (a bad OMENDB_THREADS); also fails on a bad
// OMENDB_SIMD.
Result<Executor*> process_executor();

}  // namespace omen
