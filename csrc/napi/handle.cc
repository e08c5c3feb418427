// Opening, closing and giving back.
#include "napi/handle.h"

#include "napi/environment.h"

namespace omen::napi {
namespace {

class DisposeOp final : public PoolOp {
 public:
  explicit DisposeOp(std::unique_ptr<Disposal> disposal) : disposal_(std::move(disposal)) {}
  ~DisposeOp() override { disposal_->drop(); }

  // A handle's own disposal reports back to it.
  bool reports = false;

  Result<napi_value> answer(Environment&) override { return napi_value{nullptr}; }
  void settled(Environment& environment) override {
    if (reports) handle->disposed(environment, closed_);
  }

 protected:
  Status run() override {
    if (reports) closed_ = disposal_->prepare_close();
    disposal_->drop();
    return Status::ok();
  }

 private:
  Status closed_;  // Its own status goes to nobody.
  std::unique_ptr<Disposal> disposal_;
};

// Whether others plainly hold all of it too, so that dropping it frees nothing.
bool is_shared(const Disposal& disposal) {
  if (!disposal.batches.empty()) return false;
  if (disposal.database != nullptr && disposal.database.use_count() < 2) return false;
  for (const auto& collection : disposal.collections) {
    if (collection.use_count() < 2) return false;
  }
  return disposal.handle == nullptr || disposal.handle.use_count() > 1;
}

}  // namespace

void Disposal::drop() {
  batches.clear();
  collections.clear();
  database.reset();
  handle.reset();
}

void HandleMember::join(Handle& handle) {
  OMEN_ASSERT(link_ == nullptr);
  next_ = handle.members_;
  if (next_ != nullptr) next_->link_ = &next_;
  handle.members_ = this;
  link_ = &handle.members_;
}

void HandleMember::leave() {
  if (link_ == nullptr) return;
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  link_ = nullptr;
}

Status Handle::check_open() const {
  if (!closed_) [[likely]]
    return Status::ok();
  return Status::error(ErrorCode::kClosed, "the database is closed; open it again to go on");
}

void Handle::work_started() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++in_flight_;
}

void Handle::work_ended() {
  const std::lock_guard<std::mutex> lock(mutex_);
  OMEN_ASSERT(in_flight_ > 0);
  // Under the mutex: the waiter may destroy the handle's last owner as soon as it sees zero.
  if (--in_flight_ == 0) idle_.notify_all();
}

void Handle::wait_until_idle() {
  std::unique_lock<std::mutex> lock(mutex_);
  idle_.wait(lock, [this] { return in_flight_ == 0; });
}

void Handle::refuse() {
  if (closed_) return;
  closed_ = true;
  disposal_ = std::make_unique<Disposal>();
  while (members_ != nullptr) {
    HandleMember* member = members_;
    member->leave();
    member->give_back(disposal_.get());
  }
  disposal_->database = std::move(database_);
}

napi_value Handle::close(Environment& environment) {
  refuse();
  napi_deferred deferred = nullptr;
  napi_value promise = nullptr;
  if (napi_create_promise(environment.env(), &deferred, &promise) != napi_ok) return nullptr;
  closing_.push_back(deferred);
  dispose_if_idle(environment);
  return promise;
}

void Handle::dispose_if_idle(Environment& environment) {
  if (closing_.empty() || unsettled > 0 || disposing_) return;
  if (disposal_ == nullptr) return disposed(environment, Status::ok());
  disposing_ = true;
  auto op = std::make_unique<DisposeOp>(std::move(disposal_));
  op->handle = shared_from_this();
  op->reports = true;
  // Its promise goes to nobody; those of close() wait for disposed().
  environment.start(std::move(op));
}

Status Handle::close_sync(Environment& environment) {
  refuse();
  wait_until_idle();
  // Operations that are over, and whose promises wait for the event loop, hold the engine too.
  Disposal held;
  environment.gather(*this, &held);
  held.drop();
  Status status;
  if (disposal_ != nullptr) {
    status = disposal_->prepare_close();
    std::exchange(disposal_, nullptr)->drop();
  }
  environment.report_memory();
  return status;
}

void Handle::op_settled(Environment& environment) {
  OMEN_ASSERT(unsettled > 0);
  --unsettled;
  if (closed_) dispose_if_idle(environment);
}

void Handle::disposed(Environment& environment, const Status& status) {
  disposing_ = false;
  environment.report_memory();
  napi_value undefined = nullptr;
  napi_get_undefined(environment.env(), &undefined);
  for (napi_deferred deferred : std::exchange(closing_, {})) {
    if (status.is_ok()) {
      napi_resolve_deferred(environment.env(), deferred, undefined);
    } else {
      napi_reject_deferred(environment.env(), deferred, environment.make_error(status));
    }
  }
}

void dispose(Environment& environment, std::unique_ptr<Disposal> disposal,
             const std::shared_ptr<Handle>& closer) {
  OMEN_ASSERT(disposal->database == nullptr || closer != nullptr);
  if (is_shared(*disposal)) return disposal->drop();
  auto op = std::make_unique<DisposeOp>(std::move(disposal));
  op->handle = closer;
  // Keeps the process alive, for a close() that is awaited may wait for it.
  if (closer != nullptr) return (void)environment.start(std::move(op));
  environment.start_detached(std::move(op));
}

}  // namespace omen::napi
