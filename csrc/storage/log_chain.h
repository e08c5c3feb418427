// LogChain: the logs that a manifest names, read as one.
//
// Why: a checkpoint begins a new log before it writes the snapshot, and the old one goes only when
// the snapshot is valid. Until then, and after checkpoints that failed, what is stored lies in
// several logs, one after the other.
// How they follow: each but the first says in its header that it goes on after the one before
// (first_sequence 0), and gets its first record when all of that one is on the device
// (Wal::rotate). So a valid record in a later log proves that all the earlier ones were whole: if
// one is not, that is damage. Only behind the last valid record of all may a tail be torn.
// Invariants:
//   1. Sequences rise by one from record to record, across files.
//   2. Nothing is written but by resume().
// Threads: one at a time.
#pragma once

#include <string>
#include <vector>

#include "storage/log.h"
#include "storage/manifest.h"

namespace omen {

class LogChain {
 public:
  LogChain(Env* env, std::string directory, MemoryAccount* account)
      : env_(env), directory_(std::move(directory)), account_(account) {}

  // Reads all of it once. ERR_CORRUPT with file and offset; ERR_FORMAT, ERR_IO.
  Status open(const Manifest& manifest, bool read_only);
  // Where it ends, as one log: `offset` is that of the last log with records, or of the first.
  const LogEnd& end() const { return end_; }
  uint64_t bytes() const { return bytes_; }  // Of its records.

  // Its records, from the first one on after start(). False at the end.
  void start();
  Result<bool> next(LogRecord* record);
  // Of the record that next() gave last.
  const std::string& record_path() const { return logs_[at_].file->path(); }

  // Writes all its records to `log`, an empty one, and syncs that.
  Status copy_to(LogWriter* log);

  // Whether it was closed in order, so that the last log can be written on.
  bool can_resume() const { return end_.is_sealed || is_empty_; }
  // Goes on in the last log; ends the use of the chain. ERR_IO.
  struct Resumed {
    std::unique_ptr<LogWriter> log;
    uint64_t synced = 0;
  };
  Result<Resumed> resume();

 private:
  struct Log {
    std::unique_ptr<File> file;
    std::unique_ptr<LogReader> reader;
    LogEnd end;
  };
  Status open_log(const Manifest& manifest, uint64_t number, bool read_only);
  Status follow(Log* log);
  Status check_start(Log* log);

  Env* const env_;
  const std::string directory_;
  MemoryAccount* const account_;
  std::vector<Log> logs_;
  LogEnd end_;
  uint64_t bytes_ = 0;
  size_t last_ = 0;       // The last log with records, or the first.
  size_t at_ = 0;         // Where next() reads.
  bool is_empty_ = true;  // Not a byte behind any header.
};

}  // namespace omen
