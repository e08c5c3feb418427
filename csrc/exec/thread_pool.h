// ThreadPool: a fixed number of threads that run tasks in the order of submission.
//
// Why: one pool for the whole process, never libuv's: four long searches there would stop the
// host's file system and DNS. Threads start when there is work for them, up to width().
// A thread that runs out of tasks watches the queue for some microseconds before it sleeps: to wake
// a sleeping processor takes longer than a small search. One thread watches at a time, and a pool
// of one never does: it shares its processor with whoever submits.
// Invariants:
//   1. At least one thread exists from create() on, so every submitted task runs.
//   2. The process-wide pool is never destroyed: the host may unload an addon or exit while
//      threads run. Other pools finish all submitted tasks, then join their threads.
//   3. No task is forgotten: a thread sleeps only if it saw the queue empty under the mutex, and a
//      task that finds sleepers wakes one, unless the thread that watches will take it.
// Threads: submit() and width() from any thread. The destructor: when no one submits any more, not
// from a task.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "base/status.h"
#include "exec/executor.h"
#include "exec/thread.h"

namespace omen {

class ThreadPool final : public Executor {
 public:
  // `width` threads at most: 1 to kThreadsMax. ERR_MEMORY when not even one starts.
  static Result<std::unique_ptr<ThreadPool>> create(unsigned width);
  // The pool of the process, made at the first call, hardware_threads() wide. A failure is not
  // remembered: the next call tries again.
  static Result<ThreadPool*> process();

  ~ThreadPool() override;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void submit(Task* task) override;
  unsigned width() const override { return width_; }
  unsigned threads() const;  // Started so far.

 private:
  explicit ThreadPool(unsigned width) : width_(width) {}
  Status start_one();  // With mutex_ held.
  static void run_thread(void* pool);
  void run_loop();
  // Until something is queued, or for kWatchRounds. The lock is given up meanwhile.
  void watch(std::unique_lock<std::mutex>& lock);

  const unsigned width_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  TaskQueue queue_;
  std::atomic<bool> has_tasks_{false};  // For who watches: whether queue_ holds any.
  bool closing_ = false;
  unsigned started_ = 0;
  unsigned idle_ = 0;      // Asleep or watching.
  unsigned watching_ = 0;  // 0 or 1.
  Thread threads_[kThreadsMax];
};

}  // namespace omen
