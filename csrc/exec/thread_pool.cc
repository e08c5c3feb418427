// The thread pool; see thread_pool.h.
#include "exec/thread_pool.h"

#include <new>

#include "exec/relax.h"

namespace omen {

namespace {

// 10 to 20 microseconds, by processor: a submitter who is awake has come back by then, and one who
// sleeps takes longer than is worth waiting for.
constexpr int kWatchRounds = 400;

}  // namespace

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(unsigned width) {
  OMEN_ASSERT(width >= 1 && width <= kThreadsMax);
  std::unique_ptr<ThreadPool> pool(new (std::nothrow) ThreadPool(width));
  if (pool == nullptr) {
    return Status::error(ErrorCode::kMemory, "no memory for a thread pool");
  }
  {
    const std::lock_guard lock(pool->mutex_);
    OMEN_TRY(pool->start_one());
  }
  return pool;
}

Result<ThreadPool*> ThreadPool::process() {
  // Both live for ever: threads may still use them while the process exits.
  static std::mutex& mutex = *new std::mutex;
  static ThreadPool* pool = nullptr;
  const std::lock_guard lock(mutex);
  if (pool == nullptr) {
    OMEN_ASSIGN(const unsigned width, hardware_threads());
    OMEN_ASSIGN(std::unique_ptr<ThreadPool> made, create(width));
    pool = made.release();
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_.notify_all();
  for (unsigned i = 0; i < started_; ++i) threads_[i].join();
}

Status ThreadPool::start_one() {
  OMEN_ASSIGN(threads_[started_], Thread::start("omendb", run_thread, this));
  ++started_;
  return Status::ok();
}

unsigned ThreadPool::threads() const {
  const std::lock_guard lock(mutex_);
  return started_;
}

void ThreadPool::submit(Task* task) {
  bool must_wake;
  {
    const std::lock_guard lock(mutex_);
    queue_.push(task);
    has_tasks_.store(true, std::memory_order_relaxed);
    // One thread fewer than wished is no failure: those that run take the task.
    if (queue_.size() > idle_ && started_ < width_ && !closing_) (void)start_one().is_ok();
    // Who watches takes one without being told.
    must_wake = queue_.size() > watching_ && idle_ > watching_;
  }
  if (must_wake) work_.notify_one();
}

void ThreadPool::run_thread(void* pool) { static_cast<ThreadPool*>(pool)->run_loop(); }

void ThreadPool::watch(std::unique_lock<std::mutex>& lock) {
  ++watching_;
  lock.unlock();
  for (int i = 0; i < kWatchRounds && !has_tasks_.load(std::memory_order_relaxed); ++i) relax();
  lock.lock();
  --watching_;
}

void ThreadPool::run_loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (queue_.empty() && !closing_) {
      ++idle_;
      if (width_ > 1 && watching_ == 0) watch(lock);
      while (queue_.empty() && !closing_) work_.wait(lock);
      --idle_;
    }
    Task* task = queue_.pop();
    if (task == nullptr) return;  // Closing, and nothing is left.
    has_tasks_.store(!queue_.empty(), std::memory_order_relaxed);
    lock.unlock();
    task->run(task);
    lock.lock();
  }
}

}  // namespace omen
