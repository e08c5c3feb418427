// The mailbox, and what operations do on the pool.
#include "napi/runtime.h"

#include <new>

#include "exec/thread_pool.h"
#include "napi/handle.h"

namespace omen::napi {

const Clock& system_clock() {
  // Leaked on purpose: pool threads read it while the process exits.
  static const Clock* const clock = new SystemClock();
  return *clock;
}

void MailList::add(AsyncOp* op) {
  op->mail_next_ = nullptr;
  (last_ == nullptr ? first_ : last_->mail_next_) = op;
  last_ = op;
}

void Mailbox::post(AsyncOp* op) {
  MailList list;
  list.add(op);
  post_all(list);
}

void Mailbox::post_all(const MailList& list) {
  if (list.is_empty()) return;
  // The operations may be deleted by the other thread as soon as they are posted, with the
  // mailbox's last owner in them.
  const std::shared_ptr<Mailbox> mailbox = list.first_->mailbox_;
  mailbox->post_list(list);
}

void Mailbox::post_list(const MailList& list) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!closed_.load(std::memory_order_relaxed)) {
      (mail_.is_empty() ? mail_.first_ : mail_.last_->mail_next_) = list.first_;
      mail_.last_ = list.last_;
      // The call only signals the event loop. Under the mutex, so that close() cannot come between
      // the look at closed_ and the use of the function.
      if (!woken_)
        woken_ = napi_call_threadsafe_function(wakeup_, nullptr, napi_tsfn_nonblocking) == napi_ok;
      return;
    }
  }
  delete_on_pool(list.first_);
}

void Mailbox::delete_on_pool(AsyncOp* first) {
  struct Deletion : Task {
    AsyncOp* first = nullptr;
  };
  const Result<ThreadPool*> pool = ThreadPool::process();
  OMEN_ASSERT(pool.is_ok());  // It is there: the operation ran by it.
  auto* deletion = new (std::nothrow) Deletion;
  if (deletion == nullptr) return;  // Without memory it is kept rather than freed in a wrong place.
  deletion->first = first;
  deletion->run = [](Task* task) {
    const std::unique_ptr<Deletion> own(static_cast<Deletion*>(task));
    delete_all(own->first);
  };
  pool.value()->submit(deletion);
}

AsyncOp* Mailbox::take_all() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const MailList all = std::exchange(mail_, {});
  if (all.is_empty()) woken_ = false;
  return all.first_;
}

void Mailbox::close() {
  MailList left;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_.store(true, std::memory_order_relaxed);
    left = std::exchange(mail_, {});
  }
  delete_all(left.first_);
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
  Mailbox::post(this);
}

void PoolOp::run_now() {
  Status told = token()->check(system_clock());
  // What nobody waits for any more is not begun.
  if (told.is_ok() && !is_abandoned()) told = run();
  status = std::move(told);
  if (handle != nullptr) handle->work_ended();
}

void PoolOp::launch(Executor& executor) {
  task_.op = this;
  task_.run = [](Task* task) {
    PoolOp* op = static_cast<RunTask*>(task)->op;
    op->run_now();
    Mailbox::post(op);
  };
  executor.submit(&task_);
}

}  // namespace omen::napi
