// Env on POSIX systems: one system call a function.
#if !defined(_WIN32)

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>

#include "base/random.h"
#include "io/env.h"

namespace omen {

namespace {

// Of one read or write: what every system takes at once.
constexpr size_t kTransferBytesMax = size_t{1} << 30;

// EDQUOT is a full disk, and EWOULDBLOCK of flock a lock that is held, under names that not every
// system has.
int64_t failure() {
  const int error = errno;
#if defined(EDQUOT)
  if (error == EDQUOT) return -ENOSPC;
#endif
  if (error == EWOULDBLOCK) return -EAGAIN;
  return error == 0 ? -EIO : -static_cast<int64_t>(error);
}

int64_t answer(int64_t result) { return result < 0 ? failure() : result; }

int fd_of(int64_t file) { return static_cast<int>(file); }

void fill(const struct stat& from, FileStat* out) {
  out->device = static_cast<uint64_t>(from.st_dev);
  out->inode = static_cast<uint64_t>(from.st_ino);
  out->size = static_cast<uint64_t>(from.st_size);
  out->is_directory = S_ISDIR(from.st_mode);
}

class PosixEnv final : public Env {
 public:
  int64_t open(const std::string& path, uint32_t flags) override {
    int how = O_CLOEXEC | ((flags & kWrite) != 0 ? O_RDWR : O_RDONLY);
    if ((flags & kCreate) != 0) how |= O_CREAT;
    if ((flags & kExclusive) != 0) how |= O_EXCL;
    if ((flags & kTruncate) != 0) how |= O_TRUNC;
    return answer(::open(path.c_str(), how, 0666));
  }
  int64_t close(int64_t file) override { return answer(::close(fd_of(file))); }
  int64_t read(int64_t file, void* data, size_t size, uint64_t offset) override {
    if (size > kTransferBytesMax) size = kTransferBytesMax;
    return answer(::pread(fd_of(file), data, size, static_cast<off_t>(offset)));
  }
  int64_t write(int64_t file, const void* data, size_t size, uint64_t offset) override {
    if (size > kTransferBytesMax) size = kTransferBytesMax;
    return answer(::pwrite(fd_of(file), data, size, static_cast<off_t>(offset)));
  }
  int64_t sync(int64_t file) override {
#if defined(F_FULLFSYNC)
    return answer(::fcntl(fd_of(file), F_FULLFSYNC));  // fsync() leaves it in the drive's cache.
#else
    return answer(::fdatasync(fd_of(file)));
#endif
  }
  int64_t truncate(int64_t file, uint64_t size) override {
    return answer(::ftruncate(fd_of(file), static_cast<off_t>(size)));
  }
  int64_t allocate(int64_t file, uint64_t size) override {
#if defined(__linux__)
    return answer(::fallocate(fd_of(file), 0, 0, static_cast<off_t>(size)));
#elif defined(__APPLE__)
    fstore_t wanted = {F_ALLOCATEALL, F_PEOFPOSMODE, 0, static_cast<off_t>(size), 0};
    if (::fcntl(fd_of(file), F_PREALLOCATE, &wanted) < 0) return failure();
    return answer(::ftruncate(fd_of(file), static_cast<off_t>(size)));
#else
    (void)file;
    (void)size;
    return -ENOSYS;
#endif
  }
  int64_t map(int64_t file, uint64_t size, const std::byte** out) override {
    void* const data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd_of(file), 0);
    if (data == MAP_FAILED) return failure();
    *out = static_cast<const std::byte*>(data);
    return 0;
  }
  void unmap(const std::byte* data, uint64_t size) override {
    (void)::munmap(const_cast<std::byte*>(data), size);
  }
  int64_t stat_open(int64_t file, FileStat* out) override {
    struct stat found {};
    if (::fstat(fd_of(file), &found) != 0) return failure();
    fill(found, out);
    return 0;
  }
  // A lock of the opening, not of the process: the classic ones vanish when any file descriptor of
  // the file is closed, and do not exclude another opening of the same process.
  int64_t lock(int64_t file) override {
#if defined(F_OFD_SETLK)
    struct flock all {};
    all.l_type = F_WRLCK;
    all.l_whence = SEEK_SET;
    if (::fcntl(fd_of(file), F_OFD_SETLK, &all) == 0) return 0;
    return errno == EACCES ? -EAGAIN : failure();
#else
    return answer(::flock(fd_of(file), LOCK_EX | LOCK_NB));
#endif
  }
  int64_t stat(const std::string& path, FileStat* out) override {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) return failure();
    fill(found, out);
    return 0;
  }
  int64_t rename(const std::string& from, const std::string& to) override {
    return answer(::rename(from.c_str(), to.c_str()));
  }
  int64_t remove(const std::string& path) override { return answer(::unlink(path.c_str())); }
  int64_t make_directory(const std::string& path) override {
    return answer(::mkdir(path.c_str(), 0777));
  }
  int64_t sync_directory(const std::string& path) override {
    const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return failure();
    const int64_t result = answer(::fsync(directory));
    ::close(directory);
    return result;
  }
  int64_t list(const std::string& path, std::vector<std::string>* names) override {
    DIR* directory = ::opendir(path.c_str());
    if (directory == nullptr) return failure();
    names->clear();
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(directory);
      if (entry == nullptr) break;
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names->push_back(name);
    }
    const int64_t result = errno == 0 ? 0 : failure();
    ::closedir(directory);
    return result;
  }
  int64_t free_bytes(const std::string& path) override {
    struct statvfs found {};
    if (::statvfs(path.c_str(), &found) < 0) return failure();
    const uint64_t bytes = uint64_t{found.f_bavail} * found.f_frsize;
    return static_cast<int64_t>(std::min<uint64_t>(bytes, INT64_MAX));
  }
  int64_t absolute(const std::string& path, std::string* out) override {
    if (!path.empty() && path[0] == '/') {
      *out = path;
      return 0;
    }
    char here[PATH_MAX];
    if (::getcwd(here, sizeof(here)) == nullptr) return failure();
    *out = std::string(here) + "/" + path;
    return 0;
  }
  uint64_t now_ns() override {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  }
  uint64_t random() override {
    const uint64_t ticks = now_ns();
    return mix64(process_seed() ^ mix64(ticks) ^ mix64(drawn_.fetch_add(1)));
  }

 private:
  std::atomic<uint64_t> drawn_{0};
};

}  // namespace

Env* system_env() {
  static PosixEnv* env = new PosixEnv;  // Never destroyed: threads may outlive main().
  return env;
}

}  // namespace omen

#endif
