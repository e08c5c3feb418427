// Database: named collections under one memory limit, and the process-wide registry of databases.
//
// Why: several handles, also of several worker threads, may share one in-memory engine by name; an
// unnamed one belongs to its handle alone. A handle holds a shared_ptr; the last one to go frees
// all.
// Invariants:
//   1. A registered name maps to at most one living engine.
//   2. Collection names are unique and match [A-Za-z0-9_-]{1,64}.
// Threads: every method from any thread. The registry's mutex is never held while an engine is
// built up or torn down by another thread's work.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "db/collection.h"

namespace omen {

struct DatabaseOptions {
  std::string name;               // Empty: private to the handle.
  uint64_t max_memory_bytes = 0;  // 0: no limit.
  bool given_max_memory_bytes = false;
  uint64_t seed = 0;
  bool given_seed = false;
};

enum class OpenMode : uint8_t { kOpenOrCreate, kCreate, kOpen };

class Database : public std::enable_shared_from_this<Database> {
 public:
  // A named engine that lives already must agree with given options (ERR_OPTIONS).
  static Result<std::shared_ptr<Database>> open_memory(const DatabaseOptions& options);
  ~Database();

  // kCreate: ERR_EXISTS if there; kOpen: ERR_NOT_FOUND if not; ERR_ARGUMENT for a bad name;
  // ERR_UNSUPPORTED, ERR_ARGUMENT for bad options; ERR_OPTIONS where given options differ.
  Result<std::shared_ptr<Collection>> collection(std::string_view name,
                                                 const CollectionOptions& options, OpenMode mode);
  std::vector<std::string> list_collections() const;
  // Returns whether it existed.
  bool drop_collection(std::string_view name);
  DatabaseStats stats() const;
  std::vector<CheckReport> check();

  struct Impl;

 private:
  explicit Database(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Bytes held by all engines of this process: what N-API reports to V8.
uint64_t process_memory_bytes();
// The process's pool, or why it cannot start (a bad OMENDB_THREADS); also fails on a bad
// OMENDB_SIMD.
Result<Executor*> process_executor();

}  // namespace omen
