// Env: every system call that the engine makes on files, the clock and chance included.
//
// Why: what a crash, a full disk or a failing device does to a database can only be tested where
// the system can be replaced. So these are the bare calls, one virtual function each: they may be
// interrupted, may read and write less than was asked, and answer an error number. What follows
// from that (retries, messages) is File's part, above, and so is under test too.
// Contract: a result below zero is -errno (the numbers of <cerrno>, on every system). Paths are
// UTF-8, absolute or relative to the working directory.
// Threads: all calls from any thread; the calls on one file only as File allows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace omen {

struct FileStat {
  uint64_t device = 0;  // With `inode`: which file it is, whatever its path.
  uint64_t inode = 0;
  uint64_t size = 0;
  bool is_directory = false;
};

class Env {
 public:
  enum Open : uint32_t {
    kRead = 0,
    kWrite = 1,      // Read and write.
    kCreate = 2,     // If it is missing.
    kExclusive = 4,  // With kCreate: -EEXIST if it is there.
    kTruncate = 8,
  };

  virtual ~Env() = default;
  virtual int64_t open(const std::string& path, uint32_t flags) = 0;  // The file's number.
  virtual int64_t close(int64_t file) = 0;
  virtual int64_t read(int64_t file, void* data, size_t size, uint64_t offset) = 0;
  virtual int64_t write(int64_t file, const void* data, size_t size, uint64_t offset) = 0;
  // Data and what is needed to read it again (the size) are on the device when it returns.
  virtual int64_t sync(int64_t file) = 0;
  virtual int64_t truncate(int64_t file, uint64_t size) = 0;
  // The file has at least `size` bytes, zeros where nothing was written, and has room for all of
  // them on the device, whatever else is written there. -ENOSPC, and the size may have changed;
  // -EOPNOTSUPP or -ENOSYS where there is no such thing.
  virtual int64_t allocate(int64_t file, uint64_t size) = 0;
  virtual int64_t stat_open(int64_t file, FileStat* out) = 0;
  // The file's first `size` bytes, read-only, where they stay until unmap(), whether the file is
  // closed or removed meanwhile. Bytes that another process cuts off end the process that reads
  // them. -ENOSYS where a system has no such thing.
  virtual int64_t map(int64_t file, uint64_t size, const std::byte** out) = 0;
  virtual void unmap(const std::byte* data, uint64_t size) = 0;
  // Keeps every other opening of the file, in any process, from locking it, until it is closed.
  // -EAGAIN if one does.
  virtual int64_t lock(int64_t file) = 0;
  virtual int64_t stat(const std::string& path, FileStat* out) = 0;
  virtual int64_t rename(const std::string& from, const std::string& to) = 0;
  virtual int64_t remove(const std::string& path) = 0;
  virtual int64_t make_directory(const std::string& path) = 0;
  // Names that were made, renamed and removed in it are on the device when it returns.
  virtual int64_t sync_directory(const std::string& path) = 0;
  virtual int64_t list(const std::string& path, std::vector<std::string>* names) = 0;
  // What may still be written to the disk of a directory, about: others write to it as well.
  virtual int64_t free_bytes(const std::string& path) = 0;
  // Makes a path independent of the working directory. The last part need not exist.
  virtual int64_t absolute(const std::string& path, std::string* out) = 0;
  // Nanoseconds since an arbitrary start; never falls.
  virtual uint64_t now_ns() = 0;
  // Other at each call, in each process: names and seeds of files, no secrets.
  virtual uint64_t random() = 0;
};

// The system's: env_posix.cc, env_windows.cc.
Env* system_env();

}  // namespace omen
