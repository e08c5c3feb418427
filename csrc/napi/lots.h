// Lots: short operations of one environment, many to a task of the pool, many to a wake-up.
//
// Why: to wake a thread of the pool, and the event loop for the answer, costs more processor time
// than a short search. So those of one environment wait in one queue; a task of the pool takes one
// after the other, and what it has finished within kLotNs goes home together.
// How many tasks: one for each kTaskNs of work that is waiting, as far as the pool has threads. A
// task that has gone on for kTurnNs goes to the end of the pool's queue, so that other work has its
// turn.
// Invariants:
//   1. Where the queue is not empty a task runs or is submitted, and it owns a part of this.
//   2. An operation is finished once, in the order of push() where one task runs.
// Threads: any.
#pragma once

#include <memory>
#include <mutex>

#include "napi/runtime.h"

namespace omen::napi {

class Lots : public std::enable_shared_from_this<Lots> {
 public:
  // Takes the operation over. `expected_ns`: what it will take, about. Without memory for a task it
  // is launched anew.
  void push(PoolOp* op, uint64_t expected_ns, Executor& executor);

 private:
  struct Drain : Task {
    std::shared_ptr<Lots> lots;
    Executor* executor = nullptr;
  };
  static void run(Task* task);
  PoolOp* pop();

  std::mutex mutex_;
  PoolOp* first_ = nullptr;
  PoolOp* last_ = nullptr;
  uint64_t waiting_ns_ = 0;  // Of those in the queue.
  unsigned tasks_ = 0;       // Submitted, or running.
};

}  // namespace omen::napi
