// The mailbox, and what operations do on the pool.
#include "napi/runtime.h"

#include "napi/handle.h"

namespace omen::napi {

const Clock& system_clock() {
  // Leaked on purpose: pool threads read it while the process exits.
  static const Clock* const clock = new SystemClock();
  return *clock;
}

void Mailbox::post(AsyncOp* op) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!closed_.load(std::memory_order_relaxed)) {
      op->mail_next_ = nullptr;
      (last_ == nullptr ? first_ : last_->mail_next_) = op;
      last_ = op;
      // The call only signals the event loop. Under the mutex, so that close() cannot come between
      // the look at closed_ and the use of the function.
      if (!woken_)
        woken_ = napi_call_threadsafe_function(wakeup_, nullptr, napi_tsfn_nonblocking) == napi_ok;
      return;
    }
  }
  delete op;
}

AsyncOp* Mailbox::take_all() {
  const std::lock_guard<std::mutex> lock(mutex_);
  AsyncOp* all = std::exchange(first_, nullptr);
  last_ = nullptr;
  if (all == nullptr) woken_ = false;
  return all;
}

void Mailbox::close() {
  AsyncOp* left;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_.store(true, std::memory_order_relaxed);
    left = std::exchange(first_, nullptr);
    last_ = nullptr;
  }
  delete_all(left);
}

void Mailbox::delete_all(AsyncOp* first) {
  while (first != nullptr) {
    AsyncOp* op = first;
    first = op->mail_next_;
    delete op;
  }
}

void AsyncOp::finished() {
  if (handle != nullptr) handle->work_ended();
  // The operation may be deleted by the other thread as soon as it is posted, with the mailbox's
  // last owner in it.
  const std::shared_ptr<Mailbox> mailbox = mailbox_;
  mailbox->post(this);
}

void PoolOp::launch(Executor& executor) {
  task_.op = this;
  task_.run = [](Task* task) {
    PoolOp* op = static_cast<RunTask*>(task)->op;
    Status status = op->token()->check(system_clock());
    // What nobody waits for any more is not begun.
    if (status.is_ok() && !op->is_abandoned()) status = op->run();
    op->status = std::move(status);
    op->finished();
  };
  executor.submit(&task_);
}

}  // namespace omen::napi
