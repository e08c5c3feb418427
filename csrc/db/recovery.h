// Replay: a database comes back from its log.
//
// Each record is applied as the commit that it was, by the same code; a commit of several records
// is applied record by record, which is the same, since the log was cut where whole commits end.
// Threads: one; before anybody else knows the database.
#pragma once

#include "db/database_impl.h"

namespace omen {

class Replay {
 public:
  explicit Replay(Database::Impl* database) : db_(database) {}
  // All records of the directory's log, then codes and graphs. ERR_CORRUPT with file and offset for
  // one that cannot be what was written; ERR_MEMORY if maxMemoryBytes is too small for the data.
  Status run(Directory* directory);

 private:
  Status apply(const LogRecord& record);
  Status create(const LogRecord& record);
  Status drop(uint64_t id);
  Status fix_dimensions(const DimensionsRecord& record);
  Status put(const PutRecord& record);
  Status put_vectors(Collection& collection, const PutRecord& record);
  Status put_metadata(Collection& collection, const PutRecord& record);
  Status remove(const DeleteRecord& record);
  Status clear(uint64_t id);
  // nullptr: it was dropped. ERR_CORRUPT for one that never was.
  Result<Collection*> find(uint64_t id);

  Database::Impl* const db_;
  std::map<uint64_t, std::shared_ptr<Collection>> by_id_;
};

}  // namespace omen
