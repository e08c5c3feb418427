// Collection: update, delete, clear, optimize, and the start of a batch of rows.
#include <cstring>

#include "napi/collection_object.h"
#include "napi/id_list.h"
#include "napi/output.h"
#include "napi/request.h"
#include "napi/write_batch.h"

namespace omen::napi {
namespace {

// What one text of a write may have, as metadata of a record (docs/api.md: 1 MiB).
constexpr size_t kMetadataBytesMax = size_t{1} << 20;
constexpr uint32_t kUnsetMax = 1024;

// A write that is one commit without rows.
class CommitRequest : public Request {
 public:
  Status run(const Target&) override { return Status::ok(); }  // The commit is queued instead.
  Commit* commit() override { return &commit_; }
  Result<napi_value> answer(Environment& environment) override {
    napi_value value = nullptr;
    if (answers_count_) {
      value = make_integer(environment.env(), commit_.count);
    } else {
      napi_get_undefined(environment.env(), &value);
    }
    return value;
  }

 protected:
  CommitRequest(Commit::Kind kind, bool answers_count) : answers_count_(answers_count) {
    commit_.kind = kind;
  }
  Commit commit_;

 private:
  const bool answers_count_;
};

Status read_unset(const Call& call, napi_value value, std::vector<std::string>* out) {
  if (is_undefined(call.env, value)) return Status::ok();
  uint32_t length = 0;
  if (napi_get_array_length(call.env, value, &length) != napi_ok) {
    return argument_error("unset must be an array of keys, not " + describe(call.env, value));
  }
  if (length > kUnsetMax) return argument_error("unset takes at most 1024 keys");
  for (uint32_t i = 0; i < length; ++i) {
    napi_value key = nullptr;
    std::string text;
    if (napi_get_element(call.env, value, i, &key) != napi_ok) {
      return argument_error("cannot read unset");
    }
    OMEN_TRY(read_text(call.env, key, {"a key of unset", kMetadataBytesMax, ErrorCode::kMetadata},
                       &text));
    out->push_back(std::move(text));
  }
  return Status::ok();
}

class UpdateRequest final : public CommitRequest {
 public:
  UpdateRequest() : CommitRequest(Commit::Kind::kUpdate, false) {}
  Status read(const Call& call, const Subject&) override {
    const napi_value* arguments = call.arguments;
    IdIn id;
    IdStore store;
    OMEN_TRY(read_id(call.env, arguments[0], &id));
    store.add(id);
    // Keys first: reading them may run getters of the caller's, and those may detach the vector.
    OMEN_TRY(read_unset(call, arguments[3], &commit_.unset));
    if (!is_undefined(call.env, arguments[2])) {
      OMEN_TRY(read_text(call.env, arguments[2],
                         {"metadata", kMetadataBytesMax, ErrorCode::kMetadata}, &commit_.metadata));
    }
    if (!is_undefined(call.env, arguments[1])) {
      TypedArray vector;
      OMEN_TRY(read_floats(call.env, arguments[1], "vector", &vector));
      if (vector.length == 0 || vector.length > kDimensionsMax) {
        return Status::error(ErrorCode::kDimensions, "the vector has " +
                                                         std::to_string(vector.length) +
                                                         " dimensions; 1 to 16384 are possible");
      }
      const auto* floats = static_cast<const float*>(vector.data);
      commit_.vector.assign(floats, floats + vector.length);
    }
    commit_.ids = std::move(store.ids);
    commit_.id_text = std::move(store.text);
    return Status::ok();
  }
};

class DeleteIdsRequest final : public CommitRequest {
 public:
  DeleteIdsRequest() : CommitRequest(Commit::Kind::kDeleteIds, true) {}
  Status read(const Call& call, const Subject&) override {
    IdStore store;
    OMEN_TRY(read_ids_or_list(call.env, call.arguments[0], &store));
    commit_.ids = std::move(store.ids);
    commit_.id_text = std::move(store.text);
    return Status::ok();
  }
};

class DeleteFilterRequest final : public CommitRequest {
 public:
  DeleteFilterRequest() : CommitRequest(Commit::Kind::kDeleteFilter, true) {}
  // The filter is parsed here, not on the pool: commits keep the order of their calls.
  Status read(const Call& call, const Subject& subject) override {
    FilterIn filter;
    OMEN_TRY(filter.read(call, 0, subject));
    if (!filter.is_given()) return argument_error("filter must be a string, not undefined");
    OMEN_TRY(filter.parse(*subject.collection));
    if (filter.filter()->matches_all()) {
      return Status::error(ErrorCode::kFilter,
                           "a filter without a condition would delete every record: use clear()");
    }
    commit_.filter = filter.filter();
    return Status::ok();
  }
};

class ClearRequest final : public CommitRequest {
 public:
  ClearRequest() : CommitRequest(Commit::Kind::kClear, false) {}
  Status read(const Call&, const Subject&) override { return Status::ok(); }
};

class OptimizeRequest final : public CommitRequest {
 public:
  OptimizeRequest() : CommitRequest(Commit::Kind::kOptimize, false) {}
  Status read(const Call&, const Subject&) override { return Status::ok(); }
};

Result<napi_value> begin(const Call& call) {
  auto* subject = unwrap_self<Subject>(call);
  if (subject == nullptr) return not_ours();
  OMEN_TRY(subject->handle->check_open());
  uint64_t kind = 0, rows = 0, dimensions = 0;
  OMEN_TRY(read_integer(call.env, call.arguments[0], {"kind", 0, 1}, &kind));
  OMEN_TRY(read_integer(call.env, call.arguments[1], {"rows", 0, kBatchRowsMax}, &rows));
  OMEN_TRY(read_integer(call.env, call.arguments[2], {"dimensions", 0, UINT32_MAX}, &dimensions));
  if (dimensions > kDimensionsMax || (dimensions == 0 && rows > 0)) {
    return Status::error(ErrorCode::kDimensions, "the vectors have " + std::to_string(dimensions) +
                                                     " dimensions; 1 to 16384 are possible");
  }
  const SliceTimer timer(*call.environment);
  OMEN_ASSIGN(auto batch,
              subject->collection->begin_write(rows, static_cast<uint32_t>(dimensions)));
  call.environment->report_memory();
  const auto how = kind == 0 ? Commit::Kind::kAdd : Commit::Kind::kUpsert;
  return make_write_batch(*subject, std::move(batch), how);
}

napi_value begin_write(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  Result<napi_value> batch = begin(call);
  if (batch.is_ok()) return batch.value();
  call.environment->throw_status(batch.status());
  return nullptr;
}

}  // namespace

std::span<const Member> write_methods() {
  static constexpr Member kMethods[] = {
      {"beginWrite", begin_write},
      {"updateSync", sync_method<UpdateRequest>},
      {"update", async_method<UpdateRequest, 4>},
      {"deleteIdsSync", sync_method<DeleteIdsRequest>},
      {"deleteIds", async_method<DeleteIdsRequest, 1>},
      {"deleteFilterSync", sync_method<DeleteFilterRequest>},
      {"deleteFilter", async_method<DeleteFilterRequest, 1>},
      {"clearSync", sync_method<ClearRequest>},
      {"clear", async_method<ClearRequest, 0>},
      {"optimizeSync", sync_method<OptimizeRequest>},
      {"optimize", async_method<OptimizeRequest, 0>},
  };
  return kMethods;
}

}  // namespace omen::napi
