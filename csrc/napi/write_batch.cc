// The class WriteBatch.
#include "napi/write_batch.h"

#include <cmath>
#include <limits>

#include "napi/classes.h"
#include "napi/ids.h"
#include "napi/output.h"

namespace omen::napi {
namespace {

constexpr size_t kMetadataBytesMax = size_t{1} << 20;  // Of one record.
// Handles made in a loop live until the scope closes.
constexpr uint64_t kScopeRows = 64;
constexpr uint64_t kScopeElements = 256;

struct BatchObject final : HandleMember {
  BatchObject(const Subject& subject, std::unique_ptr<WriteBatch> b, Commit::Kind k)
      : environment(subject.environment), handle(subject.handle), collection(subject.collection),
        batch(std::move(b)), rows(batch->rows()), dimensions(batch->dimensions()), kind(k) {
    join(*handle);
  }
  void give_back(Disposal* disposal) override {
    if (batch != nullptr) disposal->batches.push_back(std::move(batch));
    if (collection != nullptr) disposal->collections.push_back(std::move(collection));
    over = true;
  }
  // A commit takes it out: close() has nothing to give back any more.
  void leave_handle() { leave(); }
  // Gives all back now, on the pool.
  void drop() {
    leave();
    auto disposal = std::make_unique<Disposal>();
    give_back(disposal.get());
    if (disposal->batches.empty() && disposal->collections.empty()) return;
    disposal->handle = handle;
    dispose(*environment, std::move(disposal));
  }

  const std::shared_ptr<Environment> environment;
  const std::shared_ptr<Handle> handle;
  std::shared_ptr<Collection> collection;
  std::unique_ptr<WriteBatch> batch;
  const size_t rows;
  const uint32_t dimensions;
  const Commit::Kind kind;
  bool over = false;  // Committed, aborted or closed.
};

// The engine's batch, taken out for one stage call (invariant 1).
class Staging {
 public:
  explicit Staging(const Call& call) : timer_(*call.environment) {
    object_ = unwrap_self<BatchObject>(call);
  }
  ~Staging() {
    if (batch == nullptr) return;
    if (!object_->over) {
      object_->batch = std::move(batch);
      return;
    }
    // It was aborted or closed by a getter meanwhile.
    auto disposal = std::make_unique<Disposal>();
    disposal->batches.push_back(std::move(batch));
    disposal->collections.push_back(std::move(collection_));
    disposal->database = std::move(database_);
    dispose(*object_->environment, std::move(disposal));
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  Status begin() {
    if (object_ == nullptr) return not_ours();
    OMEN_TRY(object_->handle->check_open());
    if (object_->batch == nullptr) {
      return argument_error("this batch is used up: it was committed or aborted, or is in use");
    }
    collection_ = object_->collection;
    database_ = object_->handle->database();
    batch = std::move(object_->batch);
    return Status::ok();
  }
  // Checks that rows [row, row + count) are of this batch.
  Status check_rows(uint64_t row, uint64_t count) const {
    if (row <= object_->rows && count <= object_->rows - row) return Status::ok();
    return argument_error("rows " + std::to_string(row) + " to " + std::to_string(row + count) +
                          " are past the batch's " + std::to_string(object_->rows));
  }
  uint32_t dimensions() const { return object_->dimensions; }

  std::unique_ptr<WriteBatch> batch;

 private:
  const SliceTimer timer_;
  BatchObject* object_ = nullptr;
  // The batch may not outlive these, and a getter may close the handle.
  std::shared_ptr<Database> database_;
  std::shared_ptr<Collection> collection_;
};

Status read_row(const Call& call, size_t index, const char* name, uint64_t* out) {
  return read_integer(call.env, call.arguments[index], {name, 0, UINT32_MAX}, out);
}

Status with_row(Status status, uint64_t row) {
  if (status.is_ok() || status.row() != Status::kNoRow) return status;
  return std::move(status).with_row(static_cast<int64_t>(row));
}

Status detached(uint64_t row) {
  return Status::error(ErrorCode::kDetached,
                       "the vectors' buffer was detached or shrank before row " +
                           std::to_string(row) +
                           " was copied; leave it alone until the call is over")
      .with_row(static_cast<int64_t>(row));
}

Status stage_vectors(const Call& call) {
  Staging staging(call);
  OMEN_TRY(staging.begin());
  uint64_t row = 0, count = 0, offset = 0;
  OMEN_TRY(read_row(call, 0, "row", &row));
  OMEN_TRY(read_row(call, 1, "count", &count));
  OMEN_TRY(read_integer(call.env, call.arguments[3], {"offset", 0, kSafeIntegerMax}, &offset));
  OMEN_TRY(staging.check_rows(row, count));
  TypedArray vectors;
  if (!read_typed_array(call.env, call.arguments[2], &vectors) ||
      vectors.type != napi_float32_array) {
    return argument_error("vectors must be a Float32Array, not " +
                          describe(call.env, call.arguments[2]));
  }
  const uint64_t wanted = count * staging.dimensions();  // Below 2^32 x 2^14.
  if (offset > vectors.length || wanted > vectors.length - offset) return detached(row);
  if (count == 0) return Status::ok();
  return staging.batch->stage_vectors(row, count, static_cast<const float*>(vectors.data) + offset);
}

// --- Lists of vectors ----------------------------------------------------------------------------

Status wrong_length(uint64_t row, uint64_t length, uint32_t dimensions) {
  return Status::error(ErrorCode::kDimensions, "row " + std::to_string(row) + " has " +
                                                   std::to_string(length) + " dimensions, not " +
                                                   std::to_string(dimensions))
      .with_row(static_cast<int64_t>(row));
}

Status not_a_number(napi_env env, napi_value value, uint64_t row, uint64_t at) {
  return Status::error(ErrorCode::kVector, "row " + std::to_string(row) + ": element " +
                                               std::to_string(at) + " must be a number, not " +
                                               describe(env, value))
      .with_row(static_cast<int64_t>(row));
}

// Past float's range the cast of a double is undefined; the engine refuses infinity.
float to_float(double value) {
  constexpr double kMax = std::numeric_limits<float>::max();
  if (value > kMax) return std::numeric_limits<float>::infinity();
  if (value < -kMax) return -std::numeric_limits<float>::infinity();
  return static_cast<float>(value);
}

Status stage_typed_row(Staging& staging, uint64_t row, const TypedArray& array) {
  if (array.type == napi_float32_array) {
    return staging.batch->stage_vectors(row, 1, static_cast<const float*>(array.data));
  }
  if (array.type != napi_float64_array) {
    return Status::error(ErrorCode::kVector,
                         "row " + std::to_string(row) +
                             " must be a Float32Array, a Float64Array or an array of numbers")
        .with_row(static_cast<int64_t>(row));
  }
  float* out = staging.batch->vector_of(row);
  const auto* in = static_cast<const double*>(array.data);
  for (size_t i = 0; i < array.length; ++i) out[i] = to_float(in[i]);
  return staging.batch->finish_vector(row);
}

Status stage_plain_row(napi_env env, Staging& staging, uint64_t row, napi_value list) {
  float* out = staging.batch->vector_of(row);
  for (uint32_t i = 0; i < staging.dimensions();) {
    napi_handle_scope scope = nullptr;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return argument_error("cannot read a row");
    Status status;
    for (const uint64_t end = i + kScopeElements; i < end && i < staging.dimensions(); ++i) {
      napi_value value = nullptr;
      double number = 0;
      if (napi_get_element(env, list, i, &value) != napi_ok ||
          napi_get_value_double(env, value, &number) != napi_ok) {
        status = not_a_number(env, value, row, i);
        break;
      }
      out[i] = to_float(number);
    }
    napi_close_handle_scope(env, scope);
    if (!status.is_ok()) return status;
  }
  return staging.batch->finish_vector(row);
}

Status stage_row(napi_env env, Staging& staging, uint64_t row, napi_value value) {
  TypedArray array;
  if (read_typed_array(env, value, &array)) {
    if (array.length == staging.dimensions()) return stage_typed_row(staging, row, array);
    return array.length == 0 && is_detached(env, value)
               ? detached(row)
               : wrong_length(row, array.length, staging.dimensions());
  }
  uint32_t length = 0;
  if (napi_get_array_length(env, value, &length) != napi_ok) {
    return Status::error(ErrorCode::kVector,
                         "row " + std::to_string(row) + " must be a Float32Array, a Float64Array "
                             "or an array of numbers, not " + describe(env, value))
        .with_row(static_cast<int64_t>(row));
  }
  if (length != staging.dimensions()) return wrong_length(row, length, staging.dimensions());
  return stage_plain_row(env, staging, row, value);
}

// Calls stage(value, row) for the elements [from, to) of an array argument.
template <class Stage>
Status for_each_element(const Call& call, const Staging& staging, const char* name, Stage stage) {
  uint64_t row = 0, from = 0, to = 0;
  OMEN_TRY(read_row(call, 0, "row", &row));
  OMEN_TRY(read_row(call, 2, "from", &from));
  OMEN_TRY(read_row(call, 3, "to", &to));
  bool is_array = false;
  if (napi_is_array(call.env, call.arguments[1], &is_array) != napi_ok || !is_array) {
    return argument_error(std::string(name) + " must be an array, not " +
                          describe(call.env, call.arguments[1]));
  }
  if (from > to) return argument_error("from must not be past to");
  OMEN_TRY(staging.check_rows(row, to - from));
  while (from < to) {
    napi_handle_scope scope = nullptr;
    if (napi_open_handle_scope(call.env, &scope) != napi_ok) {
      return argument_error(std::string("cannot read ") + name);
    }
    Status status;
    for (const uint64_t end = from + kScopeRows; from < end && from < to && status.is_ok();) {
      napi_value value = nullptr;
      if (napi_get_element(call.env, call.arguments[1], static_cast<uint32_t>(from), &value) !=
          napi_ok) {
        status = argument_error(std::string("cannot read ") + name);
      } else {
        status = with_row(stage(value, row), row);
      }
      ++from;
      ++row;
    }
    napi_close_handle_scope(call.env, scope);
    if (!status.is_ok()) return status;
  }
  return Status::ok();
}

Status stage_vector_list(const Call& call) {
  Staging staging(call);
  OMEN_TRY(staging.begin());
  return for_each_element(call, staging, "vectors", [&](napi_value value, uint64_t row) {
    return stage_row(call.env, staging, row, value);
  });
}

// --- Ids and metadata ----------------------------------------------------------------------------

class StageIdSink final : public IdSink {
 public:
  StageIdSink(WriteBatch* batch, uint64_t row) : batch_(batch), row_(row) {}
  Status take(uint64_t index, const IdIn& id) override {
    return id.is_string ? batch_->stage_string_id(row_ + index, id.text)
                        : batch_->stage_integer_id(row_ + index, id.integer);
  }

 private:
  WriteBatch* batch_;
  uint64_t row_;
};

Status stage_ids(const Call& call) {
  Staging staging(call);
  OMEN_TRY(staging.begin());
  uint64_t row = 0, from = 0, to = 0;
  OMEN_TRY(read_row(call, 0, "row", &row));
  OMEN_TRY(read_row(call, 2, "from", &from));
  OMEN_TRY(read_row(call, 3, "to", &to));
  if (from > to) return argument_error("from must not be past to");
  OMEN_TRY(staging.check_rows(row, to - from));
  StageIdSink sink(staging.batch.get(), row);
  return read_ids(call.env, {call.arguments[1], from, to, static_cast<int64_t>(row)}, &sink);
}

Status stage_metadata(const Call& call) {
  Staging staging(call);
  OMEN_TRY(staging.begin());
  std::string text;
  return for_each_element(call, staging, "metadata", [&](napi_value value, uint64_t row) {
    if (is_undefined(call.env, value)) return Status::ok();
    OMEN_TRY(read_text(call.env, value, {"metadata", kMetadataBytesMax, ErrorCode::kMetadata},
                       &text));
    return staging.batch->stage_metadata(row, text);
  });
}

// --- Commit, abort -------------------------------------------------------------------------------

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
    if (object->batch == nullptr) {
      return argument_error("this batch is used up: it was committed or aborted, or is in use");
    }
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

template <Status (*stage)(const Call&)>
napi_value stage_method(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  if (Status status = stage(call); !status.is_ok()) call.environment->throw_status(status);
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

bool define_write_batch(Environment& environment) {
  static constexpr Member kMembers[] = {
      {"rows", nullptr, size_getter<true>},
      {"dimensions", nullptr, size_getter<false>},
      {"stageVectors", stage_method<stage_vectors>},
      {"stageVectorList", stage_method<stage_vector_list>},
      {"stageIds", stage_method<stage_ids>},
      {"stageMetadata", stage_method<stage_metadata>},
      {"commitSync", commit_sync},
      {"commit", commit_async},
      {"abort", abort_batch},
  };
  napi_value made = define_class(environment, "WriteBatch", construct, kMembers);
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
