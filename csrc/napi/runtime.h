// Async operations: from the JS thread to the pool and back.
//
// Why: an operation started by JavaScript outlives many things: its arguments, its handle, even its
// environment. So it owns all it needs, and comes home through a mailbox that knows whether home
// still stands.
// How one goes: Environment::start makes the promise and hands the operation to the engine; a pool
// thread works and calls finished(); the mailbox wakes the JS thread once for all that lie there;
// once a turn of the event loop it settles promises, for at most kDrainNs.
// Invariants:
//   1. Between start() and finished() only the engine's threads touch the operation's inputs and
//      outputs; no JS memory is among them.
//   2. After Mailbox::close() nothing dereferences the environment or its wake-up function. An
//      operation that finishes later is deleted on the pool: with it may go the last reference to a
//      database, which joins the committer, and that may be the thread that it finishes on.
//   3. An operation is settled or deleted exactly once.
// Threads: as each function says.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "base/status.h"
#include "db/collection.h"
#include "exec/cancel.h"
#include "exec/executor.h"

namespace omen::napi {

class AsyncOp;
class Environment;
class Handle;
struct Disposal;

// Longest stretch of settling promises in one turn of the event loop.
inline constexpr uint64_t kDrainNs = 2'000'000;

const Clock& system_clock();

// What Operation (the JS class) and the running call share. JS thread, but for the token.
struct OperationState {
  CancelToken token;
  bool used = false;
  std::optional<ReceiptTag> receipt;      // What a write comes to is kept under it.
  const Commit* commit = nullptr;         // While it runs: where to read progress,
  const OpenProgress* opening = nullptr;  // or this.
  uint64_t done = 0;               // After it ran.
  uint64_t total = 0;
};

// Operations that have finished, linked for the mailbox.
class MailList {
 public:
  bool is_empty() const { return first_ == nullptr; }
  void add(AsyncOp* op);

 private:
  friend class Mailbox;
  AsyncOp* first_ = nullptr;
  AsyncOp* last_ = nullptr;
};

// Where finished operations wait for the JS thread. Shared by the environment and its operations.
class Mailbox {
 public:
  // JS thread, once: what wakes it.
  void open(napi_threadsafe_function wakeup) { wakeup_ = wakeup; }
  napi_threadsafe_function wakeup() const { return wakeup_; }
  // Any thread. Takes the operation over, for the mailbox of its environment.
  static void post(AsyncOp* op);
  // The same for some of one environment, none included, with one wake-up.
  static void post_all(const MailList& list);
  // JS thread. All that lie here, oldest first, linked by mail_next_. nullptr if none is left; the
  // next post wakes again.
  AsyncOp* take_all();
  // JS thread, at the end of the environment.
  void close();
  // A list of take_all() that will not be settled. JS thread.
  static void delete_all(AsyncOp* first);
  // Any thread: a hint, to skip work that nobody waits for.
  bool is_closed() const { return closed_.load(std::memory_order_relaxed); }

 private:
  void post_list(const MailList& list);
  static void delete_on_pool(AsyncOp* first);

  std::mutex mutex_;
  std::atomic<bool> closed_{false};
  napi_threadsafe_function wakeup_ = nullptr;
  MailList mail_;
  bool woken_ = false;
};

class AsyncOp {
 public:
  AsyncOp() = default;
  virtual ~AsyncOp() = default;
  AsyncOp(const AsyncOp&) = delete;
  AsyncOp& operator=(const AsyncOp&) = delete;

  // JS thread. Hands the work to the engine; leads to one call of finished(), perhaps before it
  // returns.
  virtual void launch(Executor& executor) = 0;
  // JS thread, after finished(): the value of the promise. Not called when status is an error.
  virtual Result<napi_value> answer(Environment& environment) = 0;
  // JS thread, when the promise is settled and before the operation is deleted.
  virtual void settled(Environment&) {}
  // JS thread, after finished(): moves out what it still holds of the engine.
  virtual void give_back(Disposal*) {}

  const CancelToken* token() const { return &operation->token; }

  Status status;
  std::shared_ptr<OperationState> operation;  // Never null once started.
  std::shared_ptr<Handle> handle;             // Null: belongs to none.

 protected:
  // The thread that did the work; `this` may be gone when it returns.
  void finished();
  bool is_abandoned() const { return mailbox_->is_closed(); }

 private:
  friend class Environment;
  friend class Mailbox;
  friend class MailList;
  std::shared_ptr<Mailbox> mailbox_;
  napi_deferred deferred_ = nullptr;
  bool keeps_alive_ = false;
  AsyncOp* list_next_ = nullptr;
  AsyncOp** list_link_ = nullptr;  // The pointer that points to this one.
  AsyncOp* mail_next_ = nullptr;
};

// An operation that is one task on the pool.
class PoolOp : public AsyncOp {
 public:
  void launch(Executor& executor) override;
  // The work of that task on this thread, but for finished(): ready for the mailbox.
  void run_now();

 protected:
  // A pool thread. Also releases what the engine need not keep.
  virtual Status run() = 0;

 private:
  struct RunTask : Task {
    PoolOp* op = nullptr;
  };
  friend class Lots;
  RunTask task_;
  PoolOp* lot_next_ = nullptr;
  uint64_t expected_ns_ = 0;
};

}  // namespace omen::napi
