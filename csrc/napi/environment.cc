// One environment's life, its errors, its operations, its bytes.
#include "napi/environment.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>

#include "napi/handle.h"

namespace omen::napi {
namespace {

// Bytes that all environments together have told V8 of (invariant 3).
std::atomic<int64_t> reported_by_all{0};
// Smaller changes are not worth telling.
constexpr int64_t kReportStep = int64_t{64} << 10;

napi_value make_string(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value string_or_undefined(napi_env env, const std::string& text) {
  if (!text.empty()) return make_string(env, text);
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

napi_value referenced(napi_env env, napi_ref reference) {
  napi_value value = nullptr;
  if (reference != nullptr) napi_get_reference_value(env, reference, &value);
  return value;
}

}  // namespace

Environment* Environment::attach(napi_env env) {
  // Private constructor: make_shared cannot.
  std::shared_ptr<Environment> made(new (std::nothrow) Environment(env));
  if (made == nullptr) return nullptr;
  Environment* self = made.get();
  // First of all references, so that Node finalizes it after all wraps.
  const napi_status set = napi_set_instance_data(
      env, self,
      [](napi_env, void* data, void*) {
        std::shared_ptr<Environment> last = std::move(static_cast<Environment*>(data)->self_);
      },
      nullptr);
  if (set != napi_ok) return nullptr;
  self->self_ = std::move(made);
  self->mailbox_ = std::make_shared<Mailbox>();
  self->lots_ = std::make_shared<Lots>();
  if (!self->create_wakeup()) return nullptr;
  // After the wake-up function, whose own hook must run later: hooks run last in, first out.
  if (napi_add_env_cleanup_hook(env, on_cleanup, self) != napi_ok) return nullptr;
  return self;
}

bool Environment::create_wakeup() {
  napi_value name = make_string(env_, "omendb");
  napi_threadsafe_function wakeup = nullptr;
  if (napi_create_threadsafe_function(env_, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this,
                                      on_wakeup, &wakeup) != napi_ok) {
    return false;
  }
  napi_unref_threadsafe_function(env_, wakeup);
  mailbox_->open(wakeup);
  // Taken now: a test of the caller's may replace the global by a fake clock later. If one has
  // already, lib/ gives the true one by set_immediate().
  napi_value global = nullptr, set_immediate = nullptr, callback = nullptr;
  return napi_get_global(env_, &global) == napi_ok &&
         napi_get_named_property(env_, global, "setImmediate", &set_immediate) == napi_ok &&
         napi_create_reference(env_, set_immediate, 1, &set_immediate_) == napi_ok &&
         napi_create_function(env_, "drain", NAPI_AUTO_LENGTH, on_immediate, this, &callback) ==
             napi_ok &&
         napi_create_reference(env_, callback, 1, &on_immediate_) == napi_ok;
}

void Environment::on_cleanup(void* environment) {
  auto* self = static_cast<Environment*>(environment);
  self->alive_ = false;
  // While the mailbox is open, operations are deleted by this thread only: the list is sound.
  for (AsyncOp* op = self->first_op_; op != nullptr; op = op->list_next_) {
    op->operation->token.cancel();
  }
  self->first_op_ = nullptr;
  Mailbox::delete_all(std::exchange(self->mail_, nullptr));
  self->mailbox_->close();
  reported_by_all.fetch_sub(std::exchange(self->reported_bytes_, 0));
  // Aborting, for no thread will use it again; Node frees it in its own hook.
  napi_release_threadsafe_function(self->mailbox_->wakeup(), napi_tsfn_abort);
}

Result<Executor*> Environment::executor() {
  if (executor_ == nullptr) {
    OMEN_ASSIGN(executor_, process_executor());
  }
  return executor_;
}

// --- Errors --------------------------------------------------------------------------------------

void Environment::set_error_factory(napi_value function) {
  if (error_factory_ != nullptr) napi_delete_reference(env_, error_factory_);
  error_factory_ = nullptr;
  napi_create_reference(env_, function, 1, &error_factory_);
}

void Environment::set_immediate(napi_value function) {
  if (set_immediate_ != nullptr) napi_delete_reference(env_, set_immediate_);
  set_immediate_ = nullptr;
  napi_create_reference(env_, function, 1, &set_immediate_);
}

napi_value Environment::make_error(const Status& status) {
  napi_value undefined = nullptr;
  napi_get_undefined(env_, &undefined);
  napi_value row = undefined;
  if (status.row() != Status::kNoRow) napi_create_int64(env_, status.row(), &row);
  napi_value arguments[] = {
      make_string(env_, error_code_name(status.code())), make_string(env_, status.message()), row,
      string_or_undefined(env_, status.path()), string_or_undefined(env_, status.id())};
  napi_value error = nullptr;
  if (napi_value factory = referenced(env_, error_factory_); factory != nullptr) {
    if (napi_call_function(env_, undefined, factory, 5, arguments, &error) == napi_ok &&
        error != nullptr) {
      return error;
    }
    napi_value thrown = nullptr;  // A factory that fails must not hide the error.
    napi_get_and_clear_last_exception(env_, &thrown);
  }
  if (napi_create_error(env_, arguments[0], arguments[1], &error) != napi_ok) return nullptr;
  const char* const names[] = {"row", "path", "id"};
  for (size_t i = 0; i < 3; ++i) {
    if (arguments[i + 2] != undefined) {
      napi_set_named_property(env_, error, names[i], arguments[i + 2]);
    }
  }
  return error;
}

void Environment::throw_status(const Status& status) {
  bool pending = false;
  if (napi_is_exception_pending(env_, &pending) != napi_ok || pending) return;
  if (napi_value error = make_error(status); error != nullptr) napi_throw(env_, error);
}

napi_value Environment::rejected(const Status& status) {
  napi_value error = nullptr;
  bool pending = false;
  napi_is_exception_pending(env_, &pending);
  if (pending) {
    napi_get_and_clear_last_exception(env_, &error);
  } else {
    error = make_error(status);
  }
  napi_deferred deferred = nullptr;
  napi_value promise = nullptr;
  if (napi_create_promise(env_, &deferred, &promise) != napi_ok) return nullptr;
  napi_reject_deferred(env_, deferred, error);
  return promise;
}

// --- Operations ----------------------------------------------------------------------------------

void Environment::link(AsyncOp* op) {
  op->list_next_ = first_op_;
  op->list_link_ = &first_op_;
  if (first_op_ != nullptr) first_op_->list_link_ = &op->list_next_;
  first_op_ = op;
  op->mailbox_ = mailbox_;
  if (op->operation == nullptr) op->operation = std::make_shared<OperationState>();
  if (op->handle != nullptr) {
    ++op->handle->unsettled;
    op->handle->work_started();
  }
}

napi_value Environment::start(std::unique_ptr<AsyncOp> op) {
  napi_value promise = nullptr;
  if (napi_create_promise(env_, &op->deferred_, &promise) != napi_ok) return nullptr;
  link(op.get());
  op->keeps_alive_ = true;
  if (waiting_++ == 0) napi_ref_threadsafe_function(env_, mailbox_->wakeup());
  op.release()->launch(*executor_);
  return promise;
}

void Environment::start_detached(std::unique_ptr<AsyncOp> op) {
  link(op.get());
  // After the cleanup hook nobody would take it out again.
  if (!alive_) first_op_ = nullptr;
  op.release()->launch(*executor_);
}

void Environment::settle(AsyncOp* raw) {
  const std::unique_ptr<AsyncOp> op(raw);
  *op->list_link_ = op->list_next_;
  if (op->list_next_ != nullptr) op->list_next_->list_link_ = op->list_link_;
  napi_handle_scope scope = nullptr;
  napi_open_handle_scope(env_, &scope);
  if (op->deferred_ != nullptr) {
    Result<napi_value> answer =
        op->status.is_ok() ? op->answer(*this) : Result<napi_value>(op->status);
    if (answer.is_ok()) {
      napi_resolve_deferred(env_, op->deferred_, answer.value());
    } else {
      napi_reject_deferred(env_, op->deferred_, make_error(answer.status()));
    }
  }
  op->settled(*this);
  if (op->handle != nullptr) {
    op->handle->op_settled(*this);
    // Its last owner, of a handle that nobody closed: the engine is not freed on this thread.
    if (op->handle.use_count() == 1 && !op->handle->is_closed()) {
      auto disposal = std::make_unique<Disposal>();
      disposal->handle = std::move(op->handle);
      dispose(*this, std::move(disposal));
    }
  }
  if (op->keeps_alive_ && --waiting_ == 0) {
    napi_unref_threadsafe_function(env_, mailbox_->wakeup());
  }
  napi_close_handle_scope(env_, scope);
}

void Environment::gather(const Handle& handle, Disposal* out) {
  for (AsyncOp* op = first_op_; op != nullptr; op = op->list_next_) {
    if (op->handle.get() == &handle) op->give_back(out);
  }
}

void Environment::drain() {
  if (!alive_) return;
  const SliceTimer timer(*this);
  for (;;) {
    if (mail_ == nullptr) mail_ = mailbox_->take_all();
    if (mail_ == nullptr) break;
    AsyncOp* op = mail_;
    mail_ = op->mail_next_;
    settle(op);
    // The mailbox still counts as woken: nobody else asks for the drain that comes.
    if (timer.elapsed_ns() > kDrainNs && drain_later()) break;
  }
  report_memory();
}

bool Environment::drain_later() {
  napi_value global = nullptr, result = nullptr;
  napi_get_global(env_, &global);
  napi_value callback = referenced(env_, on_immediate_);
  return napi_call_function(env_, global, referenced(env_, set_immediate_), 1, &callback,
                            &result) == napi_ok;
}

void Environment::on_wakeup(napi_env env, napi_value, void* context, void*) {
  auto* self = static_cast<Environment*>(context);
  if (env == nullptr || !self->alive_) return;
  // Not here: a caller who searches again at once may find that answered before this returns, and
  // Node would come back without a turn of the event loop, many times.
  if (!self->drain_later()) self->drain();
}

napi_value Environment::on_immediate(napi_env env, napi_callback_info info) {
  void* self = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &self);
  static_cast<Environment*>(self)->drain();
  return nullptr;
}

// --- Bytes, scratch, classes ---------------------------------------------------------------------

void Environment::report_memory() {
  if (!alive_) return;
  const auto held = static_cast<int64_t>(process_memory_bytes());
  int64_t change = held - reported_by_all.load(std::memory_order_relaxed);
  change = std::max(change, -reported_bytes_);
  if (change > -kReportStep && change < kReportStep) return;
  reported_by_all.fetch_add(change);
  reported_bytes_ += change;
  int64_t total = 0;
  napi_adjust_external_memory(env_, change, &total);
}

Result<napi_value> Environment::grow_scratch(size_t hits) {
  if (scratch().capacity >= hits) return referenced(env_, scratch_);
  size_t capacity = 64;
  while (capacity < hits) capacity *= 2;
  void* data = nullptr;
  napi_value buffer = nullptr;
  napi_ref reference = nullptr;
  if (napi_create_arraybuffer(env_, 8 + 12 * capacity, &data, &buffer) != napi_ok ||
      napi_create_reference(env_, buffer, 1, &reference) != napi_ok) {
    return Status::error(ErrorCode::kMemory,
                         "cannot allocate a buffer for " + std::to_string(hits) + " hits");
  }
  if (scratch_ != nullptr) napi_delete_reference(env_, scratch_);
  scratch_ = reference;
  return buffer;
}

Environment::Scratch Environment::scratch() const {
  // Asked anew each time: the buffer is JavaScript's, and it may have been detached.
  napi_value buffer = referenced(env_, scratch_);
  void* data = nullptr;
  size_t length = 0;
  if (buffer == nullptr || napi_get_arraybuffer_info(env_, buffer, &data, &length) != napi_ok ||
      length < 8) {
    return {nullptr, 0};
  }
  return {static_cast<std::byte*>(data), (length - 8) / 12};
}

uint64_t Environment::slice_ns_max(bool reset) {
  const uint64_t max = slice_ns_max_;
  if (reset) slice_ns_max_ = 0;
  return max;
}

void Environment::set_class(Class which, napi_value constructor) {
  napi_create_reference(env_, constructor, 1, &classes_[which]);
}

napi_value Environment::construct(Class which, void* seed) {
  napi_value object = nullptr;
  seed_ = seed;
  napi_new_instance(env_, referenced(env_, classes_[which]), 0, nullptr, &object);
  return object;
}

SliceTimer::SliceTimer(Environment& environment)
    : environment_(environment), start_ns_(system_clock().now_ns()) {}

SliceTimer::~SliceTimer() { environment_.count_slice_ns(elapsed_ns()); }

uint64_t SliceTimer::elapsed_ns() const { return system_clock().now_ns() - start_ns_; }

}  // namespace omen::napi
