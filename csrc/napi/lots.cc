// Lots: the queue, and the tasks that empty it.
#include "napi/lots.h"

#include <new>
#include <utility>

namespace omen::napi {
namespace {

// About what a wake-up takes: who waits for the first of a lot waits so much longer at most.
constexpr uint64_t kLotNs = 50'000;
constexpr uint64_t kTaskNs = 50'000;
constexpr uint64_t kTurnNs = 1'000'000;

}  // namespace

void Lots::push(PoolOp* op, uint64_t expected_ns, Executor& executor) {
  std::unique_ptr<Drain> drain;
  bool is_queued = true;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const uint64_t waiting_ns = waiting_ns_ + expected_ns;
    if (tasks_ == 0 || (tasks_ < executor.width() && waiting_ns > tasks_ * kTaskNs)) {
      drain.reset(new (std::nothrow) Drain);
      if (drain != nullptr) ++tasks_;
      is_queued = tasks_ > 0;
    }
    if (is_queued) {
      op->lot_next_ = nullptr;
      op->expected_ns_ = expected_ns;
      (last_ == nullptr ? first_ : last_->lot_next_) = op;
      last_ = op;
      waiting_ns_ = waiting_ns;
    }
  }
  if (!is_queued) return op->launch(executor);
  if (drain == nullptr) return;
  drain->lots = shared_from_this();
  drain->executor = &executor;
  drain->Task::run = run;
  executor.submit(drain.release());
}

PoolOp* Lots::pop() {
  const std::lock_guard<std::mutex> lock(mutex_);
  PoolOp* const op = first_;
  if (op == nullptr) {
    --tasks_;
    return nullptr;
  }
  first_ = op->lot_next_;
  if (first_ == nullptr) last_ = nullptr;
  waiting_ns_ -= op->expected_ns_;
  return op;
}

void Lots::run(Task* task) {
  std::unique_ptr<Drain> drain(static_cast<Drain*>(task));
  const uint64_t start_ns = system_clock().now_ns();
  uint64_t now_ns = start_ns;
  uint64_t lot_ns = start_ns;  // When the first of the lot was finished.
  MailList lot;
  while (now_ns - start_ns < kTurnNs) {
    PoolOp* const op = drain->lots->pop();
    if (op == nullptr) return Mailbox::post_all(lot);
    op->run_now();
    now_ns = system_clock().now_ns();
    if (lot.is_empty()) lot_ns = now_ns;
    lot.add(op);
    if (now_ns - lot_ns >= kLotNs) Mailbox::post_all(std::exchange(lot, {}));
  }
  Mailbox::post_all(lot);
  Executor& executor = *drain->executor;
  executor.submit(drain.release());
}

}  // namespace omen::napi
