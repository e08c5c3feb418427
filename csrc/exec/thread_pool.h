// ThreadPool: a fixed number of threads that run tasks in the order of submission.
//
// Why: one pool for the whole process, never libuv's: four long searches there would stop the
// host's file system and DNS. Threads start when there is work for them, up to width().
// Invariants:
//   1. At least one thread exists from create() on, so every submitted task runs.
//   2. The process-wide pool is never destroyed: the host may unload an addon or exit while
//      threads run. Other pools finish all submitted tasks, then join their threads.
// Threads: submit() and width() from any thread. The destructor: when no one submits any more, not
// from a task.
#pragma once

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

  const unsigned width_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  TaskQueue queue_;
  bool closing_ = false;
  unsigned started_ = 0;
  unsigned idle_ = 0;
  Thread threads_[kThreadsMax];
};

}  // namespace omen
