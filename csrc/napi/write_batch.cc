// The class WriteBatch: made, committed, aborted. Its rows come in by batch_rows.cc.
#include "napi/write_batch.h"

#include <vector>

#include "napi/batch_object.h"
#include "napi/output.h"

namespace omen::napi {
namespace {

class BatchCommit final : public Request {
 public:
  Status read(const Call&, const Subject&) override { return Status::ok(); }
  Status run(const Target&) override { return Status::ok(); }
  Commit* commit() override { return &commit_; }
  Result<napi_value> answer(Environment& environment) override {
    ObjectOut out(environment.env());
    out.count("count", commit_.count);
    out.set("firstGeneratedId", make_integer(environment.env(), commit_.first_generated_id));
    return out.value();
  }

  // Takes the batch out of its object.
  Status take(const Call& call, Started* how) {
    auto* object = unwrap_self<BatchObject>(call);
    if (object == nullptr) return not_ours();
    OMEN_TRY(object->handle->check_open());
    OMEN_TRY(check_usable(*object));
    how->handle = object->handle;
    how->target.database = object->handle->database();
    how->target.collection = std::move(object->collection);
    how->operation = call.arguments[0];
    commit_.kind = object->kind;
    commit_.batch = std::move(object->batch);
    object->over = true;
    object->leave_handle();
    return Status::ok();
  }

 private:
  Commit commit_;
};

napi_value commit_async(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  const SliceTimer timer(*call.environment);
  Started how;
  auto request = std::make_unique<BatchCommit>();
  if (Status status = request->take(call, &how); !status.is_ok()) {
    return call.environment->rejected(status);
  }
  return start_request(*call.environment, std::move(request), std::move(how));
}

Result<napi_value> commit_now(const Call& call) {
  Started how;
  BatchCommit request;
  OMEN_TRY(request.take(call, &how));
  how.target.collection->run(request.commit());
  OMEN_TRY(request.commit()->status);
  return request.answer(*call.environment);
}

napi_value commit_sync(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  Result<napi_value> result = commit_now(call);
  call.environment->report_memory();
  if (result.is_ok()) return result.value();
  call.environment->throw_status(result.status());
  return nullptr;
}

napi_value abort_batch(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  if (auto* object = unwrap_self<BatchObject>(call); object != nullptr) {
    object->drop();
  } else {
    call.environment->throw_status(not_ours());
  }
  return nullptr;
}

template <bool wants_rows>
napi_value size_getter(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  const auto* object = unwrap_self<BatchObject>(call);
  napi_value value = nullptr;
  if (object == nullptr) {
    call.environment->throw_status(not_ours());
    return value;
  }
  const auto size = wants_rows ? static_cast<double>(object->rows) : object->dimensions;
  napi_create_double(env, size, &value);
  return value;
}

void finalize(napi_env, void* data, void*) {
  const std::unique_ptr<BatchObject> object(static_cast<BatchObject*>(data));
  object->drop();
}

napi_value construct(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  std::unique_ptr<BatchObject> object(static_cast<BatchObject*>(call.environment->take_seed()));
  if (object != nullptr && wrap_self(call, object.get(), finalize)) {
    object.release();
  } else {
    call.environment->throw_status(argument_error("a WriteBatch comes from beginWrite alone"));
  }
  return call.self;
}

}  // namespace

Status check_usable(const BatchObject& object) {
  if (object.batch == nullptr) {
    return argument_error("this batch is used up: it was committed or aborted, or is in use");
  }
  if (!object.failed) return Status::ok();
  return argument_error("an earlier call on this batch failed; abort it and start again");
}

Status Staging::claim(StagedKind kind, uint64_t row, uint64_t count) {
  size_t& staged = object_->staged[static_cast<size_t>(kind)];
  if (row != staged || count > object_->rows - staged) {
    return argument_error("rows " + std::to_string(row) + " to " + std::to_string(row + count) +
                          " are not the next of the batch's " + std::to_string(object_->rows) +
                          ", which are staged up to " + std::to_string(staged));
  }
  staged += count;
  object_->failed = true;  // Until done().
  return Status::ok();
}

bool define_write_batch(Environment& environment) {
  std::vector<Member> members = {
      {"rows", nullptr, size_getter<true>},
      {"dimensions", nullptr, size_getter<false>},
      {"commitSync", commit_sync},
      {"commit", commit_async},
      {"abort", abort_batch},
  };
  members.insert(members.end(), stage_methods().begin(), stage_methods().end());
  napi_value made = define_class(environment, "WriteBatch", construct, members);
  if (made != nullptr) environment.set_class(Environment::kWriteBatch, made);
  return made != nullptr;
}

Result<napi_value> make_write_batch(const Subject& subject, std::unique_ptr<WriteBatch> batch,
                                    Commit::Kind kind) {
  Environment& environment = *subject.environment;
  napi_value made = environment.construct(Environment::kWriteBatch,
                                          new BatchObject(subject, std::move(batch), kind));
  if (made != nullptr) return made;
  delete static_cast<BatchObject*>(environment.take_seed());
  return Status::error(ErrorCode::kMemory, "cannot make a WriteBatch object");
}

}  // namespace omen::napi
