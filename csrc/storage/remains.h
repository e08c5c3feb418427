// Remains: the files of a database that cannot be opened, as far as they can be read.
//
// Why: salvage must trust nothing, not even which files there are. The manifest says it if it is
// whole, else every file that has the name of one counts. A file whose header is damaged is read
// all the same: what is whole in it has checksums of its own.
// Invariants:
//   1. Nothing is written, locked or removed.
//   2. What is not given out is told in the Loss.
// Threads: one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "storage/log.h"
#include "storage/snapshot.h"

namespace omen {

// What could not be read.
struct Loss {
  uint64_t files = 0;    // Missing, foreign, or without a header that is needed.
  uint64_t extents = 0;  // Groups of records of the snapshot.
  uint64_t records = 0;  // Entries of the log.
  uint64_t rows = 0;     // Updates of records that were lost themselves.
  uint64_t bytes = 0;
  uint64_t tables = 0;  // Of a snapshot: which of its records still lived is not known then.
  // In words, the first kToldMax of them.
  static constexpr size_t kToldMax = 1000;
  std::vector<std::string> told;

  void tell(const Status& status);
  bool is_nothing() const {
    return files == 0 && extents == 0 && records == 0 && rows == 0 && tables == 0;
  }
};

class Remains {
 public:
  // ERR_NOT_FOUND: nothing of a database is there; ERR_IO, ERR_MEMORY, ERR_BUSY (no descriptor).
  static Result<std::unique_ptr<Remains>> open(Env* env, const std::string& path,
                                               MemoryAccount* account, Loss* loss);

  const Manifest* manifest() const { return has_manifest_ ? &manifest_ : nullptr; }
  // By number.
  const std::map<uint64_t, std::unique_ptr<SegmentReader>>& segments() const { return segments_; }
  struct Log {
    std::unique_ptr<File> file;
    std::unique_ptr<LogReader> reader;
    bool has_header = true;  // One that is whole.
  };
  // The log's records cannot be made out. Its header was on the device before a manifest named it,
  // so what has none is no torn tail.
  void lose_log(const Log& log);
  std::vector<Log>& logs() { return logs_; }

  // The table of the snapshot. ERR_CORRUPT, ERR_NOT_FOUND (there is no snapshot), ERR_MEMORY.
  Result<Snapshot> read_table() const;
  // Any table that a segment ends with, to learn of collections from. ERR_CORRUPT, ERR_MEMORY.
  Result<Snapshot> read_table_of(const SegmentReader& segment) const;

 private:
  Remains(Env* env, std::string path, MemoryAccount* account, Loss* loss)
      : env_(env), path_(std::move(path)), account_(account), loss_(*loss) {}
  Status find_files();
  Status open_segment(uint64_t number);
  Status open_log(uint64_t number);
  bool is_ours(uint64_t database_id, const std::string& path);
  void lose_file(const std::string& path, const Status& status);
  Result<Snapshot> read_blob(const SegmentReader& segment, const BlobPlace& place) const;

  Env* const env_;
  const std::string path_;
  MemoryAccount* const account_;
  Loss& loss_;
  bool has_manifest_ = false;
  Manifest manifest_;
  uint64_t database_id_ = 0;  // Of the manifest, else of the first file whose header is whole.
  bool knows_id_ = false;
  std::vector<uint64_t> segment_numbers_;  // That there should be, rising.
  std::vector<uint64_t> log_numbers_;
  std::map<uint64_t, std::unique_ptr<SegmentReader>> segments_;
  std::vector<Log> logs_;
};

}  // namespace omen
