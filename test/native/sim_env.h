// SimEnv: an Env in memory, which records every call, fails calls that it is told to, and tells
// what could be on the device after a crash at any moment.
//
// What a crash may leave, as storage of today does: a write or truncation that no sync of its file
// followed may be there, or not, or in part (some of its sectors, or a prefix), each one by itself;
// a name that was made, renamed or removed may be so or not until its directory is synced, each one
// by itself; a rename is whole or not at all.
// Threads: all calls from any thread, one at a time within.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/random.h"
#include "io/env.h"

namespace omen::test {

class SimEnv final : public Env {
 public:
  using Bytes = std::vector<uint8_t>;
  enum class Call : uint8_t {
    kOpen,
    kClose,
    kRead,
    kWrite,
    kSync,
    kTruncate,
    kStat,
    kLock,
    kRename,
    kRemove,
    kMakeDirectory,
    kSyncDirectory,
    kList,
    kMap,
    kAllocate,
    kFreeBytes,
  };
  // A change, as the trace keeps it.
  struct Change {
    enum class Kind : uint8_t { kWrite, kTruncate, kSync, kLink, kUnlink, kRename, kSyncDirectory };
    Kind kind;
    uint64_t inode = 0;
    uint64_t offset = 0;  // kTruncate: the size.
    Bytes data;
    std::string path;
    std::string to;
  };
  // What a call is to answer instead of doing its work; 0: nothing special.
  struct Fault {
    int64_t result = 0;      // -errno.
    bool does_work = false;  // Although it says that it failed.
    size_t bytes_max = 0;    // Of a read or write: no more than so many; 0: no bound.
  };

  explicit SimEnv(uint64_t seed = 1) : random_(seed) {
    static std::atomic<uint64_t> next{1000};
    device_ = next.fetch_add(1);
    directories_.insert_or_assign("/", next_inode_++);
  }

  // Called before each system call with its number and kind.
  std::function<Fault(uint64_t number, Call call)> fault;
  // Bytes of the disk: what makes a file longer beyond them is -ENOSPC. Between calls.
  uint64_t capacity = UINT64_MAX;
  uint64_t used() const {
    uint64_t sum = 0;
    for (const auto& [path, inode] : names_) sum += inodes_.at(inode).size();
    return sum;
  }
  uint64_t calls() const { return calls_; }
  size_t changes() const { return trace_.size(); }
  const std::vector<Change>& trace() const { return trace_; }

  int64_t open(const std::string& path, uint32_t flags) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kOpen); f.result != 0) return f.result;
    if (directories_.count(path) > 0) return (flags & kWrite) != 0 ? -EISDIR : -EACCES;
    auto it = names_.find(path);
    if (it == names_.end()) {
      if ((flags & kCreate) == 0 || directories_.count(parent(path)) == 0) return -ENOENT;
      const uint64_t inode = next_inode_++;
      inodes_[inode];
      it = names_.emplace(path, inode).first;
      note({Change::Kind::kLink, inode, 0, {}, path, {}});
    } else if ((flags & kExclusive) != 0) {
      return -EEXIST;
    } else if ((flags & kTruncate) != 0) {
      inodes_[it->second].clear();
      note({Change::Kind::kTruncate, it->second, 0, {}, {}, {}});
    }
    files_[++next_file_] = {it->second, (flags & kWrite) != 0, false};
    return static_cast<int64_t>(next_file_);
  }
  size_t open_files() {
    const std::lock_guard<std::mutex> guard(mutex_);
    return files_.size();
  }
  int64_t close(int64_t file) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    (void)ask(Call::kClose);  // It is closed whatever it answers.
    if (files_.count(file) > 0 && files_[file].is_locked) locks_.erase(files_[file].inode);
    return files_.erase(file) > 0 ? 0 : -EBADF;
  }
  int64_t read(int64_t file, void* data, size_t size, uint64_t offset) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    const Fault f = ask(Call::kRead);
    if (f.result != 0) return f.result;
    const Bytes& bytes = inodes_[files_.at(file).inode];
    if (offset >= bytes.size()) return 0;
    size = std::min<size_t>(size, bytes.size() - offset);
    if (f.bytes_max > 0) size = std::min(size, f.bytes_max);
    std::memcpy(data, bytes.data() + offset, size);
    return static_cast<int64_t>(size);
  }
  int64_t write(int64_t file, const void* data, size_t size, uint64_t offset) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    const Fault f = ask(Call::kWrite);
    if (f.result != 0 && !f.does_work) return f.result;
    const Open& open = files_.at(file);
    if (!open.can_write) return -EBADF;
    if (f.bytes_max > 0) size = std::min(size, f.bytes_max);
    if (!has_room(inodes_[open.inode].size(), offset + size)) return -ENOSPC;
    const auto* in = static_cast<const uint8_t*>(data);
    Change change{Change::Kind::kWrite, open.inode, offset, Bytes(in, in + size), {}, {}};
    put(&inodes_[open.inode], change.offset, change.data, 0, size);
    note(std::move(change));
    return f.result != 0 ? f.result : static_cast<int64_t>(size);
  }
  int64_t sync(int64_t file) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kSync); f.result != 0) return f.result;
    note({Change::Kind::kSync, files_.at(file).inode, 0, {}, {}, {}});
    return 0;
  }
  int64_t truncate(int64_t file, uint64_t size) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kTruncate); f.result != 0) return f.result;
    inodes_[files_.at(file).inode].resize(size);
    note({Change::Kind::kTruncate, files_.at(file).inode, size, {}, {}, {}});
    return 0;
  }
  int64_t allocate(int64_t file, uint64_t size) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kAllocate); f.result != 0) return f.result;
    Bytes& bytes = inodes_[files_.at(file).inode];
    if (!has_room(bytes.size(), size)) return -ENOSPC;
    if (bytes.size() >= size) return 0;
    bytes.resize(size);
    note({Change::Kind::kTruncate, files_.at(file).inode, size, {}, {}, {}});
    return 0;
  }
  // A copy: what is written to a file after it was mapped is no part of any test.
  int64_t map(int64_t file, uint64_t size, const std::byte** out) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kMap); f.result != 0) return f.result;
    const Bytes& bytes = inodes_[files_.at(file).inode];
    if (size > bytes.size()) return -EINVAL;
    auto* const copy = new std::byte[size];
    std::memcpy(copy, bytes.data(), size);
    *out = copy;
    ++mapped_;
    return 0;
  }
  void unmap(const std::byte* data, uint64_t) override {
    delete[] data;
    --mapped_;
  }
  // Files in address space now.
  size_t mapped() const { return mapped_; }
  int64_t stat_open(int64_t file, FileStat* out) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kStat); f.result != 0) return f.result;
    const uint64_t inode = files_.at(file).inode;
    *out = {device_, inode, inodes_[inode].size(), false};
    return 0;
  }
  int64_t lock(int64_t file) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kLock); f.result != 0) return f.result;
    Open& open = files_.at(file);
    if (!locks_.emplace(open.inode, file).second) return -EAGAIN;
    open.is_locked = true;
    return 0;
  }
  int64_t stat(const std::string& path, FileStat* out) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kStat); f.result != 0) return f.result;
    if (const auto it = directories_.find(path); it != directories_.end()) {
      *out = {device_, it->second, 0, true};
      return 0;
    }
    const auto it = names_.find(path);
    if (it == names_.end()) return -ENOENT;
    *out = {device_, it->second, inodes_[it->second].size(), false};
    return 0;
  }
  int64_t rename(const std::string& from, const std::string& to) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kRename); f.result != 0) return f.result;
    const auto it = names_.find(from);
    if (it == names_.end()) return -ENOENT;
    const uint64_t inode = it->second;
    names_.erase(it);
    names_[to] = inode;
    note({Change::Kind::kRename, inode, 0, {}, from, to});
    return 0;
  }
  int64_t remove(const std::string& path) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kRemove); f.result != 0) return f.result;
    const auto it = names_.find(path);
    if (it == names_.end()) return -ENOENT;
    note({Change::Kind::kUnlink, it->second, 0, {}, path, {}});
    names_.erase(it);
    return 0;
  }
  int64_t make_directory(const std::string& path) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kMakeDirectory); f.result != 0) return f.result;
    if (names_.count(path) > 0 || directories_.count(path) > 0) return -EEXIST;
    if (directories_.count(parent(path)) == 0) return -ENOENT;
    directories_[path] = next_inode_++;
    note({Change::Kind::kLink, 0, 0, {}, path, {}});
    return 0;
  }
  int64_t sync_directory(const std::string& path) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kSyncDirectory); f.result != 0) return f.result;
    note({Change::Kind::kSyncDirectory, 0, 0, {}, path, {}});
    return 0;
  }
  int64_t list(const std::string& path, std::vector<std::string>* names) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kList); f.result != 0) return f.result;
    if (directories_.count(path) == 0) return -ENOENT;
    names->clear();
    for (const auto& [name, inode] : names_) {
      if (parent(name) == path) names->push_back(name.substr(name.find_last_of('/') + 1));
    }
    return 0;
  }
  int64_t free_bytes(const std::string&) override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (const Fault f = ask(Call::kFreeBytes); f.result != 0) return f.result;
    if (capacity == UINT64_MAX) return INT64_MAX;
    return static_cast<int64_t>(capacity - std::min(capacity, used()));
  }
  int64_t absolute(const std::string& path, std::string* out) override {
    *out = path.empty() || path[0] != '/' ? "/" + path : path;
    return 0;
  }
  uint64_t now_ns() override { return calls_; }
  uint64_t random() override { return random_.next(); }

  // The bytes of a file, for tests that damage it. nullptr if there is none.
  Bytes* bytes(const std::string& path) {
    const auto it = names_.find(path);
    return it == names_.end() ? nullptr : &inodes_[it->second];
  }
  std::vector<std::string> paths() const {
    std::vector<std::string> all;
    for (const auto& [name, inode] : names_) all.push_back(name);
    return all;
  }
  // A copy without open files and locks: what another process would find now.
  std::unique_ptr<SimEnv> copy(uint64_t seed) const {
    auto out = std::make_unique<SimEnv>(seed);
    out->names_ = names_;
    out->directories_ = directories_;
    out->inodes_ = inodes_;
    out->next_inode_ = next_inode_;
    return out;
  }

  // How much of what was not synced a crash keeps.
  enum class Keep : uint8_t { kAll, kNothing, kSome, kTorn };

  // What is on the device as a run goes on: what syncs covered for certain, and what waits for one.
  // The state at the start is that of `start`, all on the device.
  class Device {
   public:
    Device(const SimEnv& run, const SimEnv& start) : run_(run), settled_(start.copy(1)) {}
    // To the moment after the first `count` changes; never back.
    void advance(size_t count) {
      for (; at_ < count; ++at_) {
        const Change& c = run_.trace_[at_];
        if (c.kind == Change::Kind::kSync) {
          settle([&](const Change& w) { return is_data(w) && w.inode == c.inode; });
        } else if (c.kind == Change::Kind::kSyncDirectory) {
          settle([&](const Change& w) { return !is_data(w) && parent(w.path) == c.path; });
        } else {
          waiting_.push_back(at_);
        }
      }
    }
    size_t waiting() const { return waiting_.size(); }
    // What a crash now may leave.
    std::unique_ptr<SimEnv> crash(Keep keep, uint64_t seed) const {
      auto out = settled_->copy(seed);
      Random random(seed);
      for (const size_t i : waiting_) {
        const bool is_drawn =
            keep != Keep::kNothing && random.below(keep == Keep::kTorn ? 4 : 2) > 0;
        const bool keeps = keep == Keep::kAll || is_drawn;
        if (keeps) out->redo(run_.trace_[i], keep, random);
      }
      out->next_inode_ = run_.next_inode_;
      return out;
    }

   private:
    template <class IsCovered>
    void settle(const IsCovered& is_covered) {
      Random random(1);
      std::vector<size_t> left;
      for (const size_t i : waiting_) {
        if (is_covered(run_.trace_[i]))
          settled_->redo(run_.trace_[i], Keep::kAll, random);
        else
          left.push_back(i);
      }
      waiting_.swap(left);
    }
    const SimEnv& run_;
    std::unique_ptr<SimEnv> settled_;
    std::vector<size_t> waiting_;  // Changes that no sync has covered.
    size_t at_ = 0;
  };
  // What a crash after the first `count` changes may leave.
  std::unique_ptr<SimEnv> after_crash(const SimEnv& start, size_t count, Keep keep,
                                      uint64_t seed) const {
    Device device(*this, start);
    device.advance(count);
    return device.crash(keep, seed);
  }
  // Of all names and all that their files hold: the same for states that nobody can tell apart.
  uint64_t fingerprint() const {
    uint64_t hash = names_.size();
    const auto add = [&](const void* bytes, size_t size) {
      hash = mix64(hash ^ hash_bytes(bytes, size) ^ mix64(size));
    };
    for (const auto& [path, inode] : directories_) add(path.data(), path.size());
    for (const auto& [path, inode] : names_) {
      const Bytes& bytes = inodes_.at(inode);
      add(path.data(), path.size());
      add(bytes.data(), bytes.size());
    }
    return hash;
  }

 private:
  struct Open {
    uint64_t inode;
    bool can_write;
    bool is_locked;
  };
  static bool is_data(const Change& c) {
    return c.kind == Change::Kind::kWrite || c.kind == Change::Kind::kTruncate;
  }
  bool has_room(uint64_t had, uint64_t wanted) const {
    return capacity == UINT64_MAX || wanted <= had || used() + (wanted - had) <= capacity;
  }
  static std::string parent(const std::string& path) {
    const size_t slash = path.find_last_of('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
  }
  static void put(Bytes* bytes, uint64_t offset, const Bytes& data, size_t from, size_t to) {
    if (bytes->size() < offset + to) bytes->resize(offset + to);
    std::copy(data.begin() + from, data.begin() + to, bytes->begin() + offset + from);
  }
  Fault ask(Call call) {
    const uint64_t number = calls_++;
    return fault ? fault(number, call) : Fault();
  }
  void note(Change change) { trace_.push_back(std::move(change)); }

  // Applies a change to what is on the device.
  void redo(const Change& c, Keep keep, Random& random) {
    switch (c.kind) {
      case Change::Kind::kWrite:
        if (keep != Keep::kTorn || c.data.empty())
          return put(&inodes_[c.inode], c.offset, c.data, 0, c.data.size());
        return tear(c, random);
      case Change::Kind::kTruncate:
        inodes_[c.inode].resize(c.offset);
        return;
      case Change::Kind::kLink:
        if (c.inode == 0)
          directories_.emplace(c.path, next_inode_ + 100000 + directories_.size());
        else
          names_[c.path] = c.inode, inodes_[c.inode];
        return;
      case Change::Kind::kUnlink:
        names_.erase(c.path);
        return;
      case Change::Kind::kRename:
        // Its source's name may not have reached the device: the file comes with the new one.
        names_.erase(c.path);
        names_[c.to] = c.inode;
        inodes_[c.inode];
        return;
      default:
        return;
    }
  }
  // A prefix of any length, or some of the sectors of 512 or 4096 bytes.
  void tear(const Change& c, Random& random) {
    const size_t size = c.data.size();
    Bytes* bytes = &inodes_[c.inode];
    const uint64_t how = random.below(4);
    if (how < 2) return put(bytes, c.offset, c.data, 0, random.below(size + 1));
    const uint64_t sector = how == 2 ? 512 : 4096;
    for (size_t at = 0; at < size;) {
      const size_t end = std::min<size_t>(size, ((c.offset + at) / sector + 1) * sector - c.offset);
      if (random.below(2) == 0) put(bytes, c.offset, c.data, at, end);
      at = end;
    }
  }

  std::mutex mutex_;
  Random random_;
  uint64_t device_ = 0;
  std::atomic<uint64_t> calls_{0};
  std::atomic<size_t> mapped_{0};
  uint64_t next_inode_ = 1;
  int64_t next_file_ = 0;
  std::map<std::string, uint64_t> names_;
  std::map<std::string, uint64_t> directories_;
  std::map<uint64_t, Bytes> inodes_;
  std::map<int64_t, Open> files_;
  std::map<uint64_t, int64_t> locks_;
  std::vector<Change> trace_;
};

}  // namespace omen::test
