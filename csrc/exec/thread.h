// Threads whose start can fail, and how many are worth starting.
//
// Why: std::thread throws, and the engine has no exceptions; in a container of two processors the
// machine's processor count is the wrong number.
// Invariants:
//   1. A started thread is joined or detached exactly once, by its owner, before a Thread dies.
//   2. A thread of ours takes no signals (POSIX): they stay with the host's own threads.
// Threads: a Thread is used by one thread at a time.
#pragma once

#include <cstdint>
#include <utility>

#include "base/status.h"

namespace omen {

class Thread {
 public:
  Thread() = default;
  // Runs `run(argument)` on a new thread. `name` is copied, at most 15 bytes of it. ERR_MEMORY when
  // the system has no thread to give.
  static Result<Thread> start(const char* name, void (*run)(void*), void* argument);

  Thread(Thread&& other) noexcept : handle_(std::exchange(other.handle_, 0)) {}
  Thread& operator=(Thread&& other) noexcept {
    OMEN_ASSERT(handle_ == 0);
    handle_ = std::exchange(other.handle_, 0);
    return *this;
  }
  ~Thread() { OMEN_ASSERT(handle_ == 0); }

  bool is_running() const { return handle_ != 0; }  // Neither joined nor detached yet.
  void join();
  void detach();

 private:
  explicit Thread(uintptr_t handle) : handle_(handle) {}
  uintptr_t handle_ = 0;
};

inline constexpr unsigned kThreadsMax = 256;

// Threads to compute with: OMENDB_THREADS (1 to 256) if it is set, else the processors that this
// process may use by its affinity and its cgroup's quota. ERR_ARGUMENT for any other
// OMENDB_THREADS.
Result<unsigned> hardware_threads();

// `text` as OMENDB_THREADS: exposed for tests.
Result<unsigned> parse_thread_count(const char* text);

}  // namespace omen
