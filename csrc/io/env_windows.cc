// Env on Windows: one system call a function, as far as there is one; UTF-8 becomes UTF-16.
//
// Files are opened so that others may read, write, rename and remove them meanwhile, as on POSIX
// systems: what an opening excludes, lock() says. Reads and writes name their offset, which leaves
// no position between threads. There is no sure flush of a directory: NTFS writes names through a
// journal of its own, in order, and a rename is asked to be written through.
#if defined(_WIN32)

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/random.h"
#include "base/windows.h"
#include "io/env.h"

namespace omen {

namespace {

constexpr size_t kTransferBytesMax = size_t{1} << 30;
constexpr DWORD kShareAll = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

// The numbers of <cerrno> for what files answer; all else is an error of the device.
int64_t failure() {
  switch (GetLastError()) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME:
      return -ENOENT;
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS:
      return -EEXIST;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
      return -EACCES;
    case ERROR_LOCK_VIOLATION:
    case ERROR_IO_PENDING:  // A lock that would have to wait.
      return -EAGAIN;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL:
    case 1295:  // ERROR_DISK_QUOTA_EXCEEDED, which MinGW does not name.
      return -ENOSPC;
    case ERROR_FILE_TOO_LARGE:
      return -EFBIG;
    case ERROR_WRITE_PROTECT:
      return -EROFS;
    case ERROR_TOO_MANY_OPEN_FILES:
      return -EMFILE;
    case ERROR_FILENAME_EXCED_RANGE:
      return -ENAMETOOLONG;
    case ERROR_DIRECTORY:
      return -ENOTDIR;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
      return -ENOMEM;
    case ERROR_INVALID_HANDLE:
      return -EBADF;
    default:
      return -EIO;
  }
}

int64_t answer(BOOL worked) { return worked ? 0 : failure(); }

HANDLE handle_of(int64_t file) { return reinterpret_cast<HANDLE>(static_cast<intptr_t>(file)); }

std::wstring wide(const std::string& text) {
  const int size = static_cast<int>(text.size());
  const int length = MultiByteToWideChar(CP_UTF8, 0, text.data(), size, nullptr, 0);
  std::wstring out(static_cast<size_t>(length), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, text.data(), size, out.data(), length);
  return out;
}

std::string narrow(const wchar_t* text) {
  const int length = WideCharToMultiByte(CP_UTF8, 0, text, -1, nullptr, 0, nullptr, nullptr);
  if (length <= 1) return {};
  std::string out(static_cast<size_t>(length), '\0');
  WideCharToMultiByte(CP_UTF8, 0, text, -1, out.data(), length, nullptr, nullptr);
  out.pop_back();  // The zero at its end.
  return out;
}

// Of an absolute path, in the form that has no limit of 260 characters.
std::wstring long_path(const std::string& path) {
  std::wstring out = wide(path);
  for (wchar_t& c : out) {
    if (c == L'/') c = L'\\';
  }
  if (out.size() == 2 && out[1] == L':') out += L'\\';  // The root, not where the drive stands.
  const bool has_drive = out.size() > 2 && out[1] == L':' && out[2] == L'\\';
  return has_drive ? L"\\\\?\\" + out : out;
}

uint64_t join(DWORD high, DWORD low) { return uint64_t{high} << 32 | low; }

OVERLAPPED place_of(uint64_t offset) {
  OVERLAPPED place{};
  place.Offset = static_cast<DWORD>(offset);
  place.OffsetHigh = static_cast<DWORD>(offset >> 32);
  return place;
}

int64_t stat_handle(HANDLE handle, FileStat* out) {
  BY_HANDLE_FILE_INFORMATION found;
  if (!GetFileInformationByHandle(handle, &found)) return failure();
  out->device = found.dwVolumeSerialNumber;
  out->inode = join(found.nFileIndexHigh, found.nFileIndexLow);
  out->size = join(found.nFileSizeHigh, found.nFileSizeLow);
  out->is_directory = (found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
  return 0;
}

class WindowsEnv final : public Env {
 public:
  int64_t open(const std::string& path, uint32_t flags) override {
    const DWORD access = GENERIC_READ | ((flags & kWrite) != 0 ? GENERIC_WRITE : 0);
    DWORD how = OPEN_EXISTING;
    if ((flags & kCreate) != 0) {
      how = (flags & kExclusive) != 0   ? CREATE_NEW
            : (flags & kTruncate) != 0  ? CREATE_ALWAYS
                                        : OPEN_ALWAYS;
    } else if ((flags & kTruncate) != 0) {
      how = TRUNCATE_EXISTING;
    }
    const HANDLE handle = CreateFileW(long_path(path).c_str(), access, kShareAll, nullptr, how,
                                      FILE_ATTRIBUTE_NORMAL, nullptr);
    if (handle == INVALID_HANDLE_VALUE) return failure();
    return static_cast<int64_t>(reinterpret_cast<intptr_t>(handle));
  }
  int64_t close(int64_t file) override { return answer(CloseHandle(handle_of(file))); }
  int64_t read(int64_t file, void* data, size_t size, uint64_t offset) override {
    if (size > kTransferBytesMax) size = kTransferBytesMax;
    OVERLAPPED place = place_of(offset);
    DWORD done = 0;
    if (ReadFile(handle_of(file), data, static_cast<DWORD>(size), &done, &place)) return done;
    return GetLastError() == ERROR_HANDLE_EOF ? 0 : failure();
  }
  int64_t write(int64_t file, const void* data, size_t size, uint64_t offset) override {
    if (size > kTransferBytesMax) size = kTransferBytesMax;
    OVERLAPPED place = place_of(offset);
    DWORD done = 0;
    if (WriteFile(handle_of(file), data, static_cast<DWORD>(size), &done, &place)) return done;
    return failure();
  }
  int64_t sync(int64_t file) override { return answer(FlushFileBuffers(handle_of(file))); }
  int64_t truncate(int64_t file, uint64_t size) override {
    FILE_END_OF_FILE_INFO end;
    end.EndOfFile.QuadPart = static_cast<LONGLONG>(size);
    return answer(
        SetFileInformationByHandle(handle_of(file), FileEndOfFileInfo, &end, sizeof(end)));
  }
  // NTFS allocates what the end of a file comes to.
  int64_t allocate(int64_t file, uint64_t size) override { return truncate(file, size); }
  int64_t map(int64_t file, uint64_t size, const std::byte** out) override {
    const HANDLE section = CreateFileMappingW(handle_of(file), nullptr, PAGE_READONLY,
                                              static_cast<DWORD>(size >> 32),
                                              static_cast<DWORD>(size), nullptr);
    if (section == nullptr) return failure();
    void* const data = MapViewOfFile(section, FILE_MAP_READ, 0, 0, static_cast<SIZE_T>(size));
    const int64_t result = data == nullptr ? failure() : 0;
    CloseHandle(section);  // The view keeps it.
    *out = static_cast<const std::byte*>(data);
    return result;
  }
  void unmap(const std::byte* data, uint64_t) override { (void)UnmapViewOfFile(data); }
  int64_t stat_open(int64_t file, FileStat* out) override {
    return stat_handle(handle_of(file), out);
  }
  int64_t lock(int64_t file) override {
    OVERLAPPED place = place_of(0);
    const DWORD how = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
    return answer(LockFileEx(handle_of(file), how, 0, MAXDWORD, MAXDWORD, &place));
  }
  int64_t stat(const std::string& path, FileStat* out) override {
    // With backup semantics a directory can be opened too.
    const HANDLE handle = CreateFileW(long_path(path).c_str(), FILE_READ_ATTRIBUTES, kShareAll,
                                      nullptr, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, nullptr);
    if (handle == INVALID_HANDLE_VALUE) return failure();
    const int64_t result = stat_handle(handle, out);
    CloseHandle(handle);
    return result;
  }
  int64_t rename(const std::string& from, const std::string& to) override {
    constexpr DWORD kHow = MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH;
    return answer(MoveFileExW(long_path(from).c_str(), long_path(to).c_str(), kHow));
  }
  int64_t remove(const std::string& path) override {
    return answer(DeleteFileW(long_path(path).c_str()));
  }
  int64_t make_directory(const std::string& path) override {
    return answer(CreateDirectoryW(long_path(path).c_str(), nullptr));
  }
  // What Windows has: a directory opened for writing can be flushed on NTFS by some versions, and
  // is refused by others and other file systems. Their journal keeps names in order anyway.
  int64_t sync_directory(const std::string& path) override {
    const HANDLE handle = CreateFileW(long_path(path).c_str(), GENERIC_WRITE, kShareAll, nullptr,
                                      OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, nullptr);
    if (handle == INVALID_HANDLE_VALUE) {
      const int64_t result = failure();
      return result == -EACCES ? 0 : result;
    }
    const int64_t result = answer(FlushFileBuffers(handle));
    const bool is_refused = result == -EACCES || GetLastError() == ERROR_INVALID_FUNCTION;
    CloseHandle(handle);
    return is_refused ? 0 : result;
  }
  int64_t list(const std::string& path, std::vector<std::string>* names) override {
    WIN32_FIND_DATAW found;
    const HANDLE search = FindFirstFileW((long_path(path) + L"\\*").c_str(), &found);
    if (search == INVALID_HANDLE_VALUE) return failure();
    names->clear();
    do {
      std::string name = narrow(found.cFileName);
      if (name != "." && name != "..") names->push_back(std::move(name));
    } while (FindNextFileW(search, &found));
    const int64_t result = GetLastError() == ERROR_NO_MORE_FILES ? 0 : failure();
    FindClose(search);
    return result;
  }
  int64_t free_bytes(const std::string& path) override {
    ULARGE_INTEGER bytes;
    if (!GetDiskFreeSpaceExW(long_path(path).c_str(), &bytes, nullptr, nullptr)) return failure();
    return static_cast<int64_t>(std::min<uint64_t>(bytes.QuadPart, INT64_MAX));
  }
  int64_t absolute(const std::string& path, std::string* out) override {
    const std::wstring given = wide(path);
    const DWORD needed = GetFullPathNameW(given.c_str(), 0, nullptr, nullptr);
    if (needed == 0) return failure();
    std::wstring full(needed, L'\0');
    const DWORD length = GetFullPathNameW(given.c_str(), needed, full.data(), nullptr);
    if (length == 0 || length >= needed) return failure();
    *out = narrow(full.c_str());
    for (char& c : *out) {
      if (c == '\\') c = '/';  // As the engine joins and splits paths.
    }
    return 0;
  }
  uint64_t now_ns() override {
    LARGE_INTEGER ticks;
    LARGE_INTEGER per_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&per_second);
    const auto now = static_cast<uint64_t>(ticks.QuadPart);
    const auto rate = static_cast<uint64_t>(per_second.QuadPart);
    constexpr uint64_t kSecond = 1'000'000'000;
    return now / rate * kSecond + now % rate * kSecond / rate;
  }
  uint64_t random() override {
    return mix64(process_seed() ^ mix64(now_ns()) ^ mix64(drawn_.fetch_add(1)));
  }

 private:
  std::atomic<uint64_t> drawn_{0};
};

}  // namespace

Env* system_env() {
  static WindowsEnv* env = new WindowsEnv;  // Never destroyed: threads may outlive main().
  return env;
}

}  // namespace omen

#endif
