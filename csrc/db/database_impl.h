// Database::Impl: private parts of the database, shared by its files.
//
// Locks: mutex guards the collections. That they are made and dropped is logged within it, so that
// the log knows a collection before anybody can write to it.
#pragma once

#include <map>
#include <mutex>

#include "db/collection_impl.h"
#include "db/database.h"
#include "storage/directory.h"

namespace omen {

inline constexpr size_t kCollectionsMax = 65536;

bool is_collection_name(std::string_view name);
Status check_collection_options(const CollectionOptions& options);
// Of a collection to be made: one that exists has options that go together.
Status check_combination(const CollectionOptions& options);
const Clock& system_clock();
// ERR_ARGUMENT if it cannot be the path of a database.
Status check_path(const std::string& path);

class Checkpointer;

struct Database::Impl {
  explicit Impl(const DatabaseOptions& o);
  ~Impl();

  // A collection, not yet among the others.
  Result<std::shared_ptr<Collection>> make(std::string_view name, const CollectionOptions& given,
                                           uint64_t journal_id) const;

  DatabaseOptions options;
  const std::shared_ptr<MemoryBudget> budget;
  Executor* executor = nullptr;
  const simd::Kernels* kernels = nullptr;
  mutable std::mutex mutex;
  std::map<std::string, std::shared_ptr<Collection>, std::less<>> collections;

  // On disk; all else of it is in memory.
  std::shared_ptr<Journal> journal;  // nullptr: none.
  uint64_t next_journal_id = 1;
  std::unique_ptr<MemoryAccount> account;          // Of reading and writing the directory.
  std::unique_ptr<Directory> directory;
  std::shared_ptr<Checkpointer> checkpointer;      // Of one that writes.
  uint64_t id = 0;                        // The database's, on disk.
  omen::Env* env = nullptr;
  std::pair<uint64_t, uint64_t> file_id;  // In the registry, if is_registered.
  bool is_registered = false;
  RecoveryStats recovery;

  Status close_files();
  Status check_copyable() const;
  // Calls on_durable, on the pool.
  void answer(DurableWaiter* waiter) const;
};

}  // namespace omen
