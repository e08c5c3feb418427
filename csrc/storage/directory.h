// Directory: the directory of a database: who may write in it, what is valid in it, and how it is
// brought into order after a crash.
//
// How it opens: LOCK is locked (writers only), the manifest read, the segments that it names
// opened, the chain of logs that it names read up to its end. After a clean close the last log goes
// on where it ended. Else the valid part of the chain is copied to one new log, synced and put in
// place by a new manifest: after a crash, or a sync that failed, the system may hold pages of the
// old files that it says are written and are not. Then leftovers are removed.
// How a checkpoint goes: begin_log() makes a log and names it behind the others; Wal::rotate() goes
// on in it; segments are written (take_number()); install() makes them valid, with the chain from
// that log on, by one switch of the manifest. When any of it fails, the chain stays as it is, and
// the next one tries again.
// Invariants:
//   1. At most one Directory that writes exists for a directory, in all processes.
//   2. Until a manifest names a new file the old ones are untouched: opening, or a checkpoint, can
//      be cut off anywhere and done again.
//   3. A directory that is no database, nor empty, is never written to.
//   4. A number of a file is never given twice, not even that of a leftover.
//   5. After a switch that may or may not have happened, all that either manifest names is there.
// Threads: opening and reading the logs: one at a time, before others know it. After open_writer():
// all public methods from any thread; one checkpoint at a time.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/log_chain.h"
#include "storage/reserve.h"
#include "storage/room.h"
#include "storage/snapshot.h"

namespace omen {

// What a checkpoint makes valid.
struct SnapshotFiles {
  std::vector<ManifestFile> segments;  // All that the table names, older ones included.
  BlobPlace table;                     // In one of them.
  uint64_t sequence = 0;               // What Wal::rotate() gave: the log goes on behind it,
  uint64_t log_number = 0;             // in this one, which begin_log() made.
};

class Directory {
 public:
  struct Options {
    bool read_only = false;
    bool create_if_missing = true;
    uint64_t seed = 0;  // Of a new database.
  };

  // Makes the directory if it is missing and that is wanted, and tells which one it is.
  // ERR_NOT_FOUND; ERR_FORMAT for a path that is a file.
  static Result<FileStat> prepare(Env* env, const std::string& path, const Options& options);
  // ERR_LOCKED, ERR_NOT_FOUND (no database and none is to be made), ERR_FORMAT (something else is
  // there, or a newer version's), ERR_CORRUPT, ERR_READ_ONLY (the medium), ERR_IO, ERR_NO_SPACE.
  static Result<std::unique_ptr<Directory>> open(Env* env, const std::string& path,
                                                 const Options& options, MemoryAccount* account);

  Manifest manifest() const;
  const std::string& path() const { return path_; }

  // The chain of logs as one, behind the snapshot if there is one: from its first record on after
  // start(); false at the end. Until open_writer().
  void start() { chain_->start(); }
  Result<bool> next(LogRecord* record) { return chain_->next(record); }
  const std::string& record_path() const { return chain_->record_path(); }  // Of the last one.
  const LogEnd& log_end() const { return end_; }

  // The snapshot. Its places are within segments that exist.
  bool has_snapshot() const;
  Result<Snapshot> read_snapshot() const;
  // The segments that the manifest names.
  std::vector<ManifestFile> segments() const;
  // One of them, to read from. It stays readable after it was removed.
  Result<std::shared_ptr<const SegmentReader>> segment(uint64_t number) const;

  // Writers, once the log has been read: where to append. Ends the use of the chain.
  struct Writer {
    std::unique_ptr<LogWriter> log;
    uint64_t synced = 0;  // Records up to here are on the device: a last seal perhaps not.
    uint64_t bytes = 0;   // Of the chain's records: for Wal::Options::log_bytes.
  };
  Result<Writer> open_writer();

  // Writers, after open_writer().
  Reserve& reserve() { return *reserve_; }
  Room& room() { return *room_; }
  // So that the reserve has the size that fits what is stored, if there is room for it.
  void renew_reserve(uint64_t log_bytes);
  // Of a new segment.
  uint64_t take_number();
  // A log behind the chain, on the device and named; for Wal::rotate(). Its number is the
  // log_number of install().
  Result<std::unique_ptr<LogWriter>> begin_log(uint64_t* number);
  // Finished segments become the snapshot, and logs before files.log_number are dropped. What is
  // named no more is removed, if it can be. After an error the database goes on with the old
  // snapshot, but the device may have the new one: its new segments stay until a later switch
  // works, are removed then, and must not be given to another install().
  Status install(const SnapshotFiles& files);

  // Read-only: whether another process has put other files in place meanwhile.
  Result<bool> has_changed() const;
  // Writers, at a clean close: all up to `sequence` is on the device, and a log that ends before it
  // will be known to be damaged.
  Status note_durable(uint64_t sequence);

 private:
  Directory(Env* env, std::string path) : env_(env), path_(std::move(path)) {}
  Status load(const Options& options, MemoryAccount* account);
  Status check_foreign() const;
  Result<Manifest> look_again() const;
  Status make_database(const Options& options);
  Status open_files(bool read_only);
  Status count_leftovers();
  Result<std::unique_ptr<LogWriter>> copy_chain(const Manifest& next);
  Status switch_to_copy(const Manifest& next, std::unique_ptr<LogWriter>* log);
  Status sweep() const;
  // With mutex_ held.
  uint64_t next_number() { return ++last_number_; }
  Status switch_to(Manifest next);
  void remove_doubtful();
  Status undo_doubtful(size_t known, const Status& cause);
  Result<std::shared_ptr<const SegmentReader>> open_segment(uint64_t number) const;
  Status check_places(const Snapshot& snapshot, const std::string& table_path) const;

  Env* const env_;
  const std::string path_;
  MemoryAccount* account_ = nullptr;
  std::unique_ptr<File> lock_;
  std::unique_ptr<LogChain> chain_;
  LogEnd end_;
  std::unique_ptr<Reserve> reserve_;
  std::unique_ptr<Room> room_;

  mutable std::mutex mutex_;  // Guards all below.
  Manifest manifest_;
  uint64_t last_number_ = 0;  // At least the manifest's.
  Status failed_;             // A sync of the directory that is not to be repeated.
  // Files of switches that may have failed: removed after the next that works, unless named.
  std::vector<std::string> doubtful_;
  mutable std::map<uint64_t, std::shared_ptr<const SegmentReader>> segments_;
};

}  // namespace omen
