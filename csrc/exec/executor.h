// Executor: where work runs. Tasks are intrusive, so submitting cannot fail.
//
// Contract: a submitted task runs exactly once, on some thread, perhaps before submit() returns
// (InlineExecutor). Its memory belongs to the submitter; once run() has been entered the executor
// does not touch it again, so run() may free it.
// Threads: submit() and width() from any thread, from inside tasks too, unless said otherwise.
#pragma once

#include "base/random.h"

namespace omen {

struct Task {
  Task* next = nullptr;
  void (*run)(Task* self) = nullptr;
};

class Executor {
 public:
  virtual ~Executor() = default;
  virtual void submit(Task* task) = 0;
  // How many tasks may run at once.
  virtual unsigned width() const = 0;
};

// First in, first out, through Task::next. Not synchronised.
class TaskQueue {
 public:
  bool empty() const { return first_ == nullptr; }
  size_t size() const { return size_; }
  void push(Task* task);
  Task* pop();                // Null if empty.
  Task* take(size_t position);  // Counted from the front; position < size().

 private:
  Task* first_ = nullptr;
  Task* last_ = nullptr;
  size_t size_ = 0;
};

// Runs everything on the calling thread: for tests, simulation and reproducible builds.
// Threads: one.
class InlineExecutor final : public Executor {
 public:
  // Runs each task inside submit().
  InlineExecutor() : queued_(false), random_(0) {}
  // Keeps tasks until run_one() or run_all(), which draw them in an order told by the seed.
  explicit InlineExecutor(uint64_t seed) : queued_(true), random_(seed) {}
  ~InlineExecutor() override;

  void submit(Task* task) override;
  unsigned width() const override { return 1; }
  bool run_one();  // False if nothing was queued.
  void run_all();  // Also what the tasks submit.

 private:
  const bool queued_;
  Random random_;
  TaskQueue queue_;
};

}  // namespace omen
