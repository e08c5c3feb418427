// Directory: the directory of a database: who may write in it, what is valid in it, and how it is
// brought into order after a crash.
//
// How it opens: LOCK is locked (writers only), the manifest read, the log it names read up to its
// end. After a clean close the log goes on where it ended. Else its valid part is copied to a new
// log, synced and put in place by a new manifest: after a crash, or a sync that failed, the system
// may hold pages of the old file that it says are written and are not. Then leftovers are removed.
// Invariants:
//   1. At most one Directory that writes exists for a directory, in all processes.
//   2. Until a manifest names a new file the old ones are untouched: opening can be cut off
//      anywhere and done again.
//   3. A directory that is no database, nor empty, is never written to.
// Threads: one at a time.
#pragma once

#include <memory>
#include <string>

#include "storage/log.h"
#include "storage/manifest.h"

namespace omen {

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

  const Manifest& manifest() const { return manifest_; }
  // The log, from its first record to log_end().
  LogReader& reader() { return *reader_; }
  const LogEnd& log_end() const { return end_; }
  // Writers, once the log has been read: where to append. Ends the use of reader().
  struct Writer {
    std::unique_ptr<LogWriter> log;
    uint64_t synced = 0;  // Records up to here are on the device: a last seal perhaps not.
  };
  Result<Writer> open_writer();
  // Read-only: whether another process has put other files in place meanwhile.
  Result<bool> has_changed() const;
  // Writers, at a clean close: all up to `sequence` is on the device, and a log that ends before it
  // will be known to be damaged.
  Status note_durable(uint64_t sequence);

 private:
  Directory(Env* env, std::string path) : env_(env), path_(std::move(path)) {}
  Status load(const Options& options, MemoryAccount* account);
  Status check_foreign() const;
  Status make_database(const Options& options);
  Status open_log(bool read_only, MemoryAccount* account);
  Result<std::unique_ptr<LogWriter>> copy_log(const Manifest& next);
  Status sweep() const;

  Env* const env_;
  const std::string path_;
  std::unique_ptr<File> lock_;
  Manifest manifest_;
  std::unique_ptr<File> log_;
  std::unique_ptr<LogReader> reader_;
  LogEnd end_;
  MemoryAccount* account_ = nullptr;
};

}  // namespace omen
