// Environment: what the addon keeps per JavaScript environment (main thread, or one worker).
//
// Why: an addon is loaded once per process but used by many environments, so nothing that belongs
// to one of them may be static. Node owns this object as its instance data, and every callback
// carries it.
// Invariants:
//   1. Every member is touched on the environment's own JS thread only. What other threads need is
//      in the Mailbox (runtime.h), which outlives this.
//   2. alive is false from the cleanup hook on; after that nothing here starts work or calls JS.
//   3. The bytes reported to V8 by all environments together are at most those the process held at
//      the last report, and those of one environment never fall below zero.
// Threads: the JS thread of its environment.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "db/database.h"
#include "napi/answers.h"
#include "napi/lots.h"
#include "napi/runtime.h"

namespace omen::napi {

class Environment : public std::enable_shared_from_this<Environment> {
 public:
  // Makes the environment's object, its mailbox and its hooks. nullptr: Node refused; what it threw
  // is pending.
  static Environment* attach(napi_env env);

  napi_env env() const { return env_; }
  // The process's pool; an error if it cannot start (a bad OMENDB_THREADS, OMENDB_SIMD).
  Result<Executor*> executor();

  // The error that the factory makes of a status that is not OK.
  napi_value make_error(const Status& status);
  // Throws it; keeps an exception that is pending already (a getter of the caller's threw).
  void throw_status(const Status& status);
  void set_error_factory(napi_value function);
  // What to call, with a function, for the next turn of the event loop.
  void set_immediate(napi_value function);

  // The promise of an operation that starts now.
  napi_value start(std::unique_ptr<AsyncOp> op);
  // Starts an operation that nobody waits for. It does not keep the process alive.
  void start_detached(std::unique_ptr<AsyncOp> op);
  // A promise that is rejected already, with the pending exception if there is one.
  napi_value rejected(const Status& status);

  // Tells V8 how many bytes this environment's databases hold, if that changed noticeably.
  // After writes, closes and finalizers; what upkeep on the pool frees later is told by the next.
  void report_memory();
  int64_t reported_bytes() const { return reported_bytes_; }

  // The buffer that searchSync writes into, for at least `hits`; see types/native.ts.
  Result<napi_value> grow_scratch(size_t hits);
  // Its memory and capacity now; {nullptr, 0} if there is none or it was detached.
  struct Scratch {
    std::byte* data;
    size_t capacity;
  };
  Scratch scratch() const;

  void count_slice_ns(uint64_t ns) {
    if (ns > slice_ns_max_) slice_ns_max_ = ns;
  }
  uint64_t slice_ns_max(bool reset);

  // What operations of the handle hold of the engine, all of which have finished().
  void gather(const Handle& handle, Disposal* out);

  // Classes whose objects only native code makes.
  enum Class : uint8_t { kDatabase, kCollection, kWriteBatch, kClassCount };
  void set_class(Class which, napi_value constructor);
  // Calls the constructor, which takes `seed` over by take_seed(). nullptr: a JS exception is
  // pending; then the seed may be there still.
  napi_value construct(Class which, void* seed);
  void* take_seed() { return std::exchange(seed_, nullptr); }

  // Where short operations wait for the pool.
  const std::shared_ptr<Lots>& lots() const { return lots_; }

  Answers answers;
  // Buffers that calls reuse, so that a search allocates nothing.
  Rows rows;
  std::string text;

 private:
  explicit Environment(napi_env env) : env_(env) {}
  bool create_wakeup();
  void link(AsyncOp* op);
  void settle(AsyncOp* op);
  void drain();
  // At the next turn of the event loop. False: JavaScript cannot be called.
  bool drain_later();
  static void on_cleanup(void* environment);
  static void on_wakeup(napi_env env, napi_value callback, void* context, void* data);
  static napi_value on_immediate(napi_env env, napi_callback_info info);

  std::shared_ptr<Environment> self_;  // Until Node drops the instance data; wraps own it too.
  const napi_env env_;
  bool alive_ = true;
  Executor* executor_ = nullptr;
  std::shared_ptr<Mailbox> mailbox_;
  std::shared_ptr<Lots> lots_;
  AsyncOp* first_op_ = nullptr;  // All that are started and not settled.
  AsyncOp* mail_ = nullptr;      // Finished, taken out of the mailbox, not settled yet.
  size_t waiting_ = 0;           // Those of them that keep the process alive.
  napi_ref set_immediate_ = nullptr;
  napi_ref on_immediate_ = nullptr;
  napi_ref error_factory_ = nullptr;
  napi_ref scratch_ = nullptr;
  napi_ref classes_[kClassCount] = {};
  void* seed_ = nullptr;
  uint64_t slice_ns_max_ = 0;
  int64_t reported_bytes_ = 0;
};

// Counts the time from its making to its end as one slice of the JS thread.
class SliceTimer {
 public:
  explicit SliceTimer(Environment& environment);
  ~SliceTimer();
  SliceTimer(const SliceTimer&) = delete;
  SliceTimer& operator=(const SliceTimer&) = delete;
  uint64_t elapsed_ns() const;

 private:
  Environment& environment_;
  const uint64_t start_ns_;
};

}  // namespace omen::napi
