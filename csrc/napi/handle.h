// Handle: one open Database object of JavaScript with all that was made through it.
//
// Why: close() must refuse new work of this handle at once, let running work end, and only then
// give the engine back; and freeing gigabytes must not happen on the JS thread, in a finalizer or
// not.
// Invariants:
//   1. Once closed, database() and every member's engine references are gone from the JS side; work
//      that runs holds its own.
//   2. in flight counts operations between start and the end of their engine work, whether or not
//      their promise is settled yet.
//   3. What gives references to the database back on the pool for a handle is one of its
//      operations: when close() has ended, or closeSync() has returned, none is left.
//   4. Engine references of a handle are given back in the order batches, collections, database.
// Threads: the JS thread, but for work_ended().
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "db/database.h"
#include "napi/runtime.h"

namespace omen::napi {

// Engine references on their way out, dropped on the pool.
struct Disposal {
  // Before a handle's drop(): syncs what its database has acknowledged.
  Status prepare_close() const {
    return database == nullptr ? Status::ok() : database->prepare_close();
  }
  std::vector<std::unique_ptr<WriteBatch>> batches;
  std::vector<std::shared_ptr<Collection>> collections;
  std::shared_ptr<Database> database;
  std::shared_ptr<Handle> handle;  // Perhaps its last owner.

  void drop();
};

// A collection or batch object of a handle.
class HandleMember {
 public:
  HandleMember() = default;
  HandleMember(const HandleMember&) = delete;
  HandleMember& operator=(const HandleMember&) = delete;
  virtual ~HandleMember() { leave(); }
  // Moves the engine references out.
  virtual void give_back(Disposal* disposal) = 0;

 protected:
  void join(Handle& handle);
  void leave();

 private:
  friend class Handle;
  HandleMember* next_ = nullptr;
  HandleMember** link_ = nullptr;
};

class Handle : public std::enable_shared_from_this<Handle> {
 public:
  explicit Handle(std::shared_ptr<Database> database) : database_(std::move(database)) {}

  // ERR_CLOSED after close.
  Status check_open() const;
  bool is_closed() const { return closed_; }
  const std::shared_ptr<Database>& database() const { return database_; }

  void work_started();
  // Any thread.
  void work_ended();
  void wait_until_idle();

  // Refuses all later work and gathers the engine references.
  void refuse();
  napi_value close(Environment& environment);
  // As disposed() says.
  Status close_sync(Environment& environment);
  // An operation of this handle has been settled.
  void op_settled(Environment& environment);
  // The references gathered by refuse() are gone. `status`: whether all that was acknowledged is
  // stored as it should be; close() answers it.
  void disposed(Environment& environment, const Status& status);

  size_t unsettled = 0;  // Operations whose promise waits.

 private:
  friend class HandleMember;
  void dispose_if_idle(Environment& environment);

  std::shared_ptr<Database> database_;
  bool closed_ = false;
  bool disposing_ = false;              // On the pool now.
  std::unique_ptr<Disposal> disposal_;  // From refuse() until it goes to the pool.
  std::vector<napi_deferred> closing_;  // Promises of close().
  HandleMember* members_ = nullptr;
  std::mutex mutex_;  // Guards in_flight_.
  std::condition_variable idle_;
  size_t in_flight_ = 0;
};

// Drops the references on the pool; at once if it is plain that others hold them too. `closer`:
// whose close waits for that, needed where the database is among them.
void dispose(Environment& environment, std::unique_ptr<Disposal> disposal,
             const std::shared_ptr<Handle>& closer = nullptr);

}  // namespace omen::napi
