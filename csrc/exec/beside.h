// Beside: one piece of work that runs on the pool beside what its caller does meanwhile.
//
// Why: what cannot be split may still be done while something else is. join() does not wait for a
// thread that has not come to it: it does the work itself then, so that this may be used from a
// task of the same pool.
// Invariants:
//   1. fn() is called exactly once, and has returned when join() or the destructor returns; what it
//      wrote is visible to the caller then.
//   2. fn is not touched after that, though its task may still wait in the queue.
// Threads: one; fn runs on any.
#pragma once

#include <atomic>
#include <new>
#include <utility>

#include "base/status.h"
#include "exec/executor.h"

namespace omen {

template <class F>
class Beside {
 public:
  // fn() gives a Status.
  Beside(Executor& executor, F fn) : fn_(std::move(fn)) {
    control_ = new (std::nothrow) Control;
    if (control_ == nullptr) return;  // join() does it.
    control_->owner = this;
    control_->run = run_task;
    executor.submit(control_);
  }
  ~Beside() { (void)join().is_ok(); }
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;

  // What fn() gave.
  const Status& join() {
    if (is_joined_) return status_;
    is_joined_ = true;
    if (control_ == nullptr || control_->claim()) {
      status_ = fn_();
    } else {
      control_->state.wait(kRunning, std::memory_order_acquire);
    }
    if (control_ != nullptr) control_->drop();
    return status_;
  }

 private:
  enum State : int { kWaiting, kRunning, kDone };
  // Shared by the caller and the task; the last one frees it.
  struct Control : Task {
    Beside* owner;
    std::atomic<int> state{kWaiting};
    std::atomic<int> references{2};
    bool claim() {
      int waiting = kWaiting;
      return state.compare_exchange_strong(waiting, kRunning, std::memory_order_acquire);
    }
    void drop() {
      if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }
  };

  static void run_task(Task* task) {
    auto* const control = static_cast<Control*>(task);
    if (control->claim()) {
      control->owner->status_ = control->owner->fn_();
      control->state.store(kDone, std::memory_order_release);
      control->state.notify_all();
    }
    control->drop();
  }

  F fn_;
  Status status_;
  Control* control_ = nullptr;
  bool is_joined_ = false;
};

}  // namespace omen
