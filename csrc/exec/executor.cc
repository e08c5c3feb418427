// The task queue and the inline executor; see executor.h.
#include "exec/executor.h"

#include "base/assert.h"

namespace omen {

void TaskQueue::push(Task* task) {
  task->next = nullptr;
  (last_ == nullptr ? first_ : last_->next) = task;
  last_ = task;
  ++size_;
}

Task* TaskQueue::pop() { return first_ == nullptr ? nullptr : take(0); }

Task* TaskQueue::take(size_t position) {
  OMEN_ASSERT(position < size_);
  Task* before = nullptr;
  Task* task = first_;
  for (size_t i = 0; i < position; ++i) {
    before = task;
    task = task->next;
  }
  (before == nullptr ? first_ : before->next) = task->next;
  if (last_ == task) last_ = before;
  --size_;
  task->next = nullptr;
  return task;
}

InlineExecutor::~InlineExecutor() { run_all(); }

void InlineExecutor::submit(Task* task) {
  if (queued_) {
    queue_.push(task);
  } else {
    task->run(task);
  }
}

bool InlineExecutor::run_one() {
  if (queue_.empty()) return false;
  Task* task = queue_.take(static_cast<size_t>(random_.below(queue_.size())));
  task->run(task);
  return true;
}

void InlineExecutor::run_all() {
  while (run_one()) {
  }
}

}  // namespace omen
