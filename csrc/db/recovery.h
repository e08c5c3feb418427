// Replay: a database comes back from its log.
//
// Each record is applied as the commit that it was, by the same code; a commit of several records
// is applied record by record, which is the same, since the log was cut where whole commits end.
// Where there is a snapshot it is loaded first. What it has of a collection, the log may say again:
// such records are passed over.
// Threads: one; before anybody else knows the database.
#pragma once

#include "db/database_impl.h"

namespace omen {

class Replay {
 public:
  explicit Replay(Database::Impl* database) : db_(database) {}
  // The snapshot. ERR_CORRUPT with the file, ERR_MEMORY, ERR_IO.
  Status load(const Directory& directory);
  // All records of the directory's log, then codes and graphs. ERR_CORRUPT with file and offset for
  // one that cannot be what was written; ERR_MEMORY if maxMemoryBytes is too small for the data.
  Status run(Directory* directory);

  // For salvage (db/salvage.h), which has nothing but single records.
  // Applies one as if it came from the log. ERR_CORRUPT: it cannot be; ERR_MEMORY.
  Status apply(const LogRecord& record);
  // Makes a collection of which records up to `sequence` are there already.
  Status add(const CreateRecord& in, uint64_t sequence, std::shared_ptr<Collection>* out);
  bool has(uint64_t id) const { return by_id_.count(id) > 0; }
  // Counts updates of records that are not there, instead of failing.
  void count_missing(uint64_t* missing) { missing_ = missing; }

 private:
  Status create(const LogRecord& record);
  Status keep(const Receipt& receipt, uint64_t sequence);
  Status drop(uint64_t id);
  Status fix_dimensions(const DimensionsRecord& record);
  Status put(const PutRecord& record);
  Status put_vectors(Collection& collection, const PutRecord& record);
  Status put_metadata(Collection& collection, const PutRecord& record);
  Status remove(const DeleteRecord& record);
  Status clear(uint64_t id);
  Status make(const CreateRecord& in, std::shared_ptr<Collection>* out);
  // nullptr: it was dropped, or what the record says is in the snapshot. ERR_CORRUPT for one that
  // never was.
  Result<Collection*> find(uint64_t id);

  Database::Impl* const db_;
  struct Known {
    std::shared_ptr<Collection> collection;
    uint64_t sequence = 0;  // Records up to it are in the snapshot.
  };
  std::map<uint64_t, Known> by_id_;
  uint64_t snapshot_collections_ = 0;  // Numbers below it are not the log's to make.
  uint64_t sequence_ = 0;              // Of the record that is being applied.
  uint64_t* missing_ = nullptr;
};

}  // namespace omen
