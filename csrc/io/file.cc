// File: loops over short calls, and the words of their errors.
#include "io/file.h"

#include <cerrno>
#include <cstring>

namespace omen {

static_assert(EINTR == 4);

namespace {

struct Meaning {
  int64_t error;
  ErrorCode code;
  const char* text;
};

constexpr Meaning kMeanings[] = {
    {ENOSPC, ErrorCode::kNoSpace, "no space is left on the disk; free some, then try again"},
    {EFBIG, ErrorCode::kNoSpace, "the file system allows no larger file"},
    {ENOENT, ErrorCode::kNotFound, "it does not exist; check the path"},
    {ENOTDIR, ErrorCode::kIo, "a part of the path is a file, not a directory"},
    {EISDIR, ErrorCode::kIo, "it is a directory"},
    {EACCES, ErrorCode::kIo, "permission denied; change the permissions or the path"},
    {EPERM, ErrorCode::kIo, "the operation is not permitted; change the permissions or the path"},
    {EROFS, ErrorCode::kReadOnly, "the file system is read-only; open with readOnly: true"},
    // No fault of the files: what was asked may be asked again.
    {EMFILE, ErrorCode::kBusy,
     "the process has too many open files; close some or raise ulimit -n"},
    {ENFILE, ErrorCode::kBusy, "the system has too many open files; close some"},
    {ENAMETOOLONG, ErrorCode::kIo, "the path is too long"},
    {EIO, ErrorCode::kIo, "the device failed to read or write; check the disk"},
    {ENOMEM, ErrorCode::kMemory, "the system has no memory left"},
};

}  // namespace

Status io_error(int64_t result, const std::string& doing, const std::string& path) {
  const std::string start = "cannot " + doing + " " + path + ": ";
  for (const Meaning& m : kMeanings) {
    if (m.error == -result) return Status::error(m.code, start + m.text).with_path(path);
  }
  return Status::error(ErrorCode::kIo, start + "system error " + std::to_string(-result) +
                                           "; check the disk and the path")
      .with_path(path);
}

Result<std::unique_ptr<File>> File::open(Env* env, const std::string& path, uint32_t flags) {
  const int64_t number = uninterrupted([&] { return env->open(path, flags); });
  if (number < 0) return io_error(number, (flags & Env::kCreate) != 0 ? "create" : "open", path);
  return std::unique_ptr<File>(new File(env, path, number));
}

// Nothing is known from a close that fails; what must be on the device was synced before.
File::~File() { (void)env_->close(number_); }

Result<size_t> File::read_at(uint64_t offset, void* data, size_t size) const {
  auto* out = static_cast<std::byte*>(data);
  size_t done = 0;
  while (done < size) {
    const int64_t got =
        uninterrupted([&] { return env_->read(number_, out + done, size - done, offset + done); });
    if (got < 0) return io_error(got, "read", path_);
    if (got == 0) break;
    done += static_cast<size_t>(got);
    if (OMEN_PLANTED("short-read-is-the-end")) break;
  }
  return done;
}

Status File::read_exactly(uint64_t offset, void* data, size_t size) const {
  OMEN_ASSIGN(const size_t got, read_at(offset, data, size));
  if (got == size) return Status::ok();
  return Status::error(ErrorCode::kCorrupt,
                       path_ + " ends at byte " + std::to_string(offset + got) + ", within data")
      .with_path(path_);
}

Status File::write_at(uint64_t offset, const void* data, size_t size) {
  const auto* in = static_cast<const std::byte*>(data);
  size_t done = 0;
  while (done < size) {
    const int64_t put =
        uninterrupted([&] { return env_->write(number_, in + done, size - done, offset + done); });
    if (put < 0) return io_error(put, "write to", path_);
    if (put == 0) return io_error(-EIO, "write to", path_);
    done += static_cast<size_t>(put);
    if (OMEN_PLANTED("short-write-is-whole")) break;
  }
  return Status::ok();
}

// An interrupted sync may have dropped what it could not write: it is no success and not repeated.
Status File::sync() {
  if (OMEN_PLANTED("no-sync")) return Status::ok();
  int64_t result = env_->sync(number_);
  if (result < 0 && OMEN_PLANTED("failed-sync-repeated")) result = env_->sync(number_);
  return result < 0 ? io_error(result, "sync", path_) : Status::ok();
}

Status File::truncate(uint64_t size) {
  const int64_t result = uninterrupted([&] { return env_->truncate(number_, size); });
  return result < 0 ? io_error(result, "truncate", path_) : Status::ok();
}

Status File::allocate(uint64_t size) {
  const int64_t result = uninterrupted([&] { return env_->allocate(number_, size); });
  return result < 0 ? io_error(result, "allocate room for", path_) : Status::ok();
}

Result<FileStat> File::stat() const {
  FileStat found;
  const int64_t result = uninterrupted([&] { return env_->stat_open(number_, &found); });
  if (result < 0) return io_error(result, "look at", path_);
  return found;
}

Result<std::unique_ptr<FileMapping>> File::map(uint64_t size) const {
  const std::byte* data = nullptr;
  const int64_t result = uninterrupted([&] { return env_->map(number_, size, &data); });
  if (result < 0) return io_error(result, "map", path_);
  return std::make_unique<FileMapping>(env_, data, size);
}

Status File::lock() {
  if (OMEN_PLANTED("no-lock")) return Status::ok();
  const int64_t result = uninterrupted([&] { return env_->lock(number_); });
  if (result >= 0) return Status::ok();
  if (result != -EAGAIN) return io_error(result, "lock", path_);
  return Status::error(ErrorCode::kLocked,
                       path_ + " is locked: another process has the database open for writing; " +
                           "close it there, or open with readOnly: true")
      .with_path(path_);
}

Status rename_file(Env* env, const std::string& from, const std::string& to) {
  const int64_t result = uninterrupted([&] { return env->rename(from, to); });
  return result < 0 ? io_error(result, "put in place", to) : Status::ok();
}

Status remove_file(Env* env, const std::string& path) {
  const int64_t result = uninterrupted([&] { return env->remove(path); });
  return result < 0 && result != -ENOENT ? io_error(result, "remove", path) : Status::ok();
}

Status sync_directory(Env* env, const std::string& path) {
  Status ignored;
  return sync_directory(env, path, &ignored);
}

Status sync_directory(Env* env, const std::string& path, Status* kept) {
  if (OMEN_PLANTED("no-directory-sync")) return Status::ok();
  const int64_t result = env->sync_directory(path);
  if (result >= 0) return Status::ok();
  Status status = io_error(result, "sync the directory", path);
  // Of opening it: no sync fails for want of file descriptors.
  if (result != -EMFILE && result != -ENFILE) *kept = status;
  return status;
}

Result<std::vector<std::string>> list_directory(Env* env, const std::string& path) {
  std::vector<std::string> names;
  const int64_t result = uninterrupted([&] { return env->list(path, &names); });
  if (result < 0) return io_error(result, "list the directory", path);
  return names;
}

Result<bool> stat_path(Env* env, const std::string& path, FileStat* out) {
  const int64_t result = uninterrupted([&] { return env->stat(path, out); });
  if (result == -ENOENT) return false;
  if (result < 0) return io_error(result, "look at", path);
  return true;
}

}  // namespace omen
