// File: an open file whose reads and writes are whole, and whose errors say what to do.
//
// Why: a system call may be interrupted or do less than was asked, and an error number tells a user
// nothing. Here both are dealt with, once.
// Invariants:
//   1. write_at() and read_at() return OK only when all bytes went through.
//   2. A message names the path, what failed and what to do.
//   3. A failed sync() is never repeated: the caller must not trust the file any more.
// Threads: reads from any thread; writes, truncate and sync as the owner orders them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/planted.h"
#include "base/status.h"
#include "io/env.h"

namespace omen {

// What a failed call on `path` means: ERR_NO_SPACE, ERR_NOT_FOUND, ERR_READ_ONLY (the medium),
// ERR_IO for all else. `result` is -errno; `doing` completes "cannot ...".
Status io_error(int64_t result, const std::string& doing, const std::string& path);

// Repeats a call that a signal interrupted.
template <class Call>
int64_t uninterrupted(const Call& call) {
  constexpr int64_t kInterrupted = -4;  // EINTR, everywhere.
  for (;;) {
    const int64_t result = call();
    if (result != kInterrupted || OMEN_PLANTED("interrupted-is-failed")) return result;
  }
}

// The bytes of a file, read-only. They stay when the File is gone, and when the file is removed.
class FileMapping {
 public:
  FileMapping(Env* env, const std::byte* data, uint64_t size)
      : env_(env), data_(data), size_(size) {}
  ~FileMapping() { env_->unmap(data_, size_); }
  FileMapping(const FileMapping&) = delete;
  FileMapping& operator=(const FileMapping&) = delete;
  const std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }

 private:
  Env* const env_;
  const std::byte* const data_;
  const uint64_t size_;
};

class File {
 public:
  // `flags`: Env::Open.
  static Result<std::unique_ptr<File>> open(Env* env, const std::string& path, uint32_t flags);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // Bytes [offset, offset + size), or up to the file's end: the number of bytes read.
  Result<size_t> read_at(uint64_t offset, void* data, size_t size) const;
  // ERR_CORRUPT if the file ends before.
  Status read_exactly(uint64_t offset, void* data, size_t size) const;
  Status write_at(uint64_t offset, const void* data, size_t size);
  Status sync();
  Status truncate(uint64_t size);
  // At least `size` bytes, with room for them on the device. ERR_NO_SPACE; ERR_IO where the file
  // system cannot.
  Status allocate(uint64_t size);
  Result<FileStat> stat() const;
  // The first `size` bytes, which the file must have.
  Result<std::unique_ptr<FileMapping>> map(uint64_t size) const;
  // ERR_LOCKED if another opening holds it. Until the file is closed.
  Status lock();
  const std::string& path() const { return path_; }

 private:
  File(Env* env, std::string path, int64_t number)
      : env_(env), path_(std::move(path)), number_(number) {}
  Env* const env_;
  const std::string path_;
  const int64_t number_;
};

// The calls on paths, with messages. Absence of what is to be removed is no fault.
Status rename_file(Env* env, const std::string& from, const std::string& to);
Status remove_file(Env* env, const std::string& path);
Status sync_directory(Env* env, const std::string& path);
// As above. *kept is what forbids another try: not set where the directory could not even be
// opened, since then nothing was dropped.
Status sync_directory(Env* env, const std::string& path, Status* kept);
Result<std::vector<std::string>> list_directory(Env* env, const std::string& path);
// Whether something is there.
Result<bool> stat_path(Env* env, const std::string& path, FileStat* out);

}  // namespace omen
