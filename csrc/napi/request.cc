// Carrying requests out.
#include "napi/request.h"

#include <cstring>
#include <new>

#include "napi/operation.h"

namespace omen::napi {
namespace {

class RequestOp final : public PoolOp {
 public:
  RequestOp(std::unique_ptr<Request> request, Target target, std::shared_ptr<Lots> lots)
      : target_(std::move(target)), request_(std::move(request)), lots_(std::move(lots)) {}

  void launch(Executor& executor) override {
    target_.token = token();
    if (request_->is_wait()) return launch_wait();
    Commit* commit = request_->commit();
    if (commit == nullptr) {
      // The operation may be gone after it. Without: a task of its own, which push() may ask for.
      const std::shared_ptr<Lots> lots = std::move(lots_);
      const uint64_t expected_ns = lots == nullptr ? 0 : request_->expected_ns();
      if (expected_ns == 0) return PoolOp::launch(executor);
      return lots->push(this, expected_ns, executor);
    }
    operation->commit = commit;
    commit->cancel = token();
    if (operation->receipt.has_value()) commit->receipt = Receipt{.tag = *operation->receipt};
    commit->context = this;
    commit->on_done = [](Commit* done, void* context) {
      auto* self = static_cast<RequestOp*>(context);
      self->status = done->status;
      self->finished();
    };
    target_.collection->submit(commit);
  }

  Result<napi_value> answer(Environment& environment) override {
    return request_->answer(environment);
  }

  void settled(Environment& environment) override {
    if (const Commit* commit = request_->commit(); commit != nullptr) {
      operation->done = commit->done.load(std::memory_order_relaxed);
      operation->total = commit->total.load(std::memory_order_relaxed);
      operation->commit = nullptr;
    }
    if (target_.database == nullptr) return;
    auto disposal = std::make_unique<Disposal>();
    give_back(disposal.get());
    dispose(environment, std::move(disposal), handle);
  }

  void give_back(Disposal* disposal) override {
    if (target_.database == nullptr) return;
    Commit* commit = request_->commit();
    if (commit != nullptr && commit->batch != nullptr) {
      disposal->batches.push_back(std::move(commit->batch));
    }
    if (target_.collection != nullptr) {
      disposal->collections.push_back(std::move(target_.collection));
    }
    disposal->database = std::move(target_.database);
  }

 protected:
  Status run() override {
    Status status = request_->run(target_);
    // Here rather than on the JS thread: after a close this may be what frees the engine.
    target_.collection.reset();
    target_.database.reset();
    return status;
  }

 private:
  void launch_wait() {
    waiter_.context = this;
    waiter_.on_durable = [](DurableWaiter* waiter) {
      auto* self = static_cast<RequestOp*>(waiter->context);
      self->status = std::move(waiter->status);
      self->target_.collection.reset();
      self->target_.database.reset();
      self->finished();
    };
    request_->wait(target_, &waiter_);
  }

  // In this order: the request's batch must go before its collection does.
  Target target_;
  std::unique_ptr<Request> request_;
  std::shared_ptr<Lots> lots_;  // Until it is launched.
  DurableWaiter waiter_;
};

Status target_of(const Subject& subject, Target* target) {
  OMEN_TRY(subject.handle->check_open());
  target->database = subject.handle->database();
  target->collection = subject.collection;
  return Status::ok();
}

Status read_request(const Call& call, Request* request, Subject** subject) {
  *subject = unwrap_self<Subject>(call);
  if (*subject == nullptr) return not_ours();
  OMEN_TRY((*subject)->handle->check_open());
  return request->read(call, **subject);
}

Result<napi_value> carry_out(const Call& call, Request* request) {
  Subject* subject = nullptr;
  Target target;
  OMEN_TRY(read_request(call, request, &subject));
  OMEN_TRY(target_of(*subject, &target));
  if (Commit* commit = request->commit(); commit != nullptr) {
    target.collection->run(commit);
    OMEN_TRY(commit->status);
    call.environment->report_memory();
  } else {
    OMEN_TRY(request->run(target));
  }
  return request->answer(*call.environment);
}

}  // namespace

Result<std::shared_ptr<const Filter>> FilterCache::parse(std::string_view text,
                                                         const Collection& collection) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (last_ != nullptr && last_->text() == text) return last_;
  }
  OMEN_ASSIGN(std::shared_ptr<const Filter> filter, Filter::parse(text, collection.schema()));
  const std::lock_guard<std::mutex> lock(mutex_);
  last_ = filter;
  return filter;
}

void Subject::give_back(Disposal* disposal) {
  if (collection != nullptr) disposal->collections.push_back(std::move(collection));
}

void Subject::finalize(napi_env, void* data, void*) {
  std::unique_ptr<Subject> subject(static_cast<Subject*>(data));
  subject->leave();
  auto disposal = std::make_unique<Disposal>();
  subject->give_back(disposal.get());
  disposal->handle = subject->handle;
  const std::shared_ptr<Environment> environment = subject->environment;
  subject.reset();
  dispose(*environment, std::move(disposal));
}

napi_value run_sync(Call& call, Request& request) {
  Result<napi_value> answer = carry_out(call, &request);
  if (answer.is_ok()) return answer.value();
  call.environment->throw_status(answer.status());
  return nullptr;
}

napi_value run_async(Call& call, std::unique_ptr<Request> request, size_t operation_argument) {
  const SliceTimer timer(*call.environment);
  Subject* subject = nullptr;
  Started how;
  Status status = read_request(call, request.get(), &subject);
  if (status.is_ok()) status = target_of(*subject, &how.target);
  if (!status.is_ok()) return call.environment->rejected(status);
  how.handle = subject->handle;
  how.operation = call.arguments[operation_argument];
  return start_request(*call.environment, std::move(request), std::move(how));
}

napi_value start_request(Environment& environment, std::unique_ptr<Request> request, Started how) {
  auto operation = use_operation(environment.env(), how.operation);
  if (!operation.is_ok()) return environment.rejected(operation.status());
  auto op = std::make_unique<RequestOp>(std::move(request), std::move(how.target),
                                        environment.lots());
  op->operation = operation.take();
  op->handle = std::move(how.handle);
  return environment.start(std::move(op));
}

Status FilterIn::read(const Call& call, size_t index, const Subject& subject) {
  if (is_undefined(call.env, call.arguments[index])) return Status::ok();
  given_ = true;
  cache_ = subject.filters;
  return read_text(call.env, call.arguments[index], {"filter", kFilterBytesMax, ErrorCode::kFilter},
                   &text_);
}

Status FilterIn::parse(const Collection& collection) {
  if (!given_) return Status::ok();
  OMEN_ASSIGN(filter_, cache_->parse(text_, collection));
  return Status::ok();
}

Status FloatsIn::read(const Call& call, size_t index, const char* name) {
  TypedArray array;
  OMEN_TRY(read_floats(call.env, call.arguments[index], name, &array));
  data_ = static_cast<const float*>(array.data);
  length_ = array.length;
  if (!call.copies || length_ == 0) return Status::ok();
  own_.reset(new (std::nothrow) float[length_]);
  if (own_ == nullptr) {
    return Status::error(ErrorCode::kMemory, std::string("cannot copy ") + name + ": " +
                                                 std::to_string(length_) + " floats");
  }
  std::memcpy(own_.get(), data_, length_ * sizeof(float));
  data_ = own_.get();
  return Status::ok();
}

}  // namespace omen::napi
