// WriteBatch: staging rows.
#include <limits>

#include "napi/batch_object.h"
#include "napi/ids.h"

namespace omen::napi {
namespace {

constexpr size_t kMetadataBytesMax = size_t{1} << 20;  // Of one record.
// Handles made in a loop live until the scope closes.
constexpr uint64_t kScopeRows = 64;
constexpr uint64_t kScopeElements = 256;

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
  OMEN_TRY(staging.claim(StagedKind::kVectors, row, count));
  TypedArray vectors;
  if (!read_typed_array(call.env, call.arguments[2], &vectors) ||
      vectors.type != napi_float32_array) {
    return argument_error("vectors must be a Float32Array, not " +
                          describe(call.env, call.arguments[2]));
  }
  const uint64_t wanted = count * staging.dimensions();  // Below 2^32 x 2^14.
  if (offset > vectors.length || wanted > vectors.length - offset) return detached(row);
  if (count > 0) {
    const float* first = static_cast<const float*>(vectors.data) + offset;
    OMEN_TRY(staging.batch->stage_vectors(row, count, first));
  }
  return staging.done();
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
    return Status::error(ErrorCode::kVector, "row " + std::to_string(row) +
                                                 " must be a Float32Array, a Float64Array "
                                                 "or an array of numbers, not " +
                                                 describe(env, value))
        .with_row(static_cast<int64_t>(row));
  }
  if (length != staging.dimensions()) return wrong_length(row, length, staging.dimensions());
  return stage_plain_row(env, staging, row, value);
}

// Calls stage(value, row) for the elements [from, to) of an array argument.
struct ListKind {
  StagedKind kind;
  const char* name;
};
template <class Stage>
Status for_each_element(const Call& call, Staging& staging, const ListKind& list, Stage stage) {
  uint64_t row = 0, from = 0, to = 0;
  OMEN_TRY(read_row(call, 0, "row", &row));
  OMEN_TRY(read_row(call, 2, "from", &from));
  OMEN_TRY(read_row(call, 3, "to", &to));
  bool is_array = false;
  if (napi_is_array(call.env, call.arguments[1], &is_array) != napi_ok || !is_array) {
    return argument_error(std::string(list.name) + " must be an array, not " +
                          describe(call.env, call.arguments[1]));
  }
  if (from > to) return argument_error("from must not be past to");
  OMEN_TRY(staging.claim(list.kind, row, to - from));
  while (from < to) {
    napi_handle_scope scope = nullptr;
    if (napi_open_handle_scope(call.env, &scope) != napi_ok) {
      return argument_error(std::string("cannot read ") + list.name);
    }
    Status status;
    for (const uint64_t end = from + kScopeRows; from < end && from < to && status.is_ok();) {
      napi_value value = nullptr;
      if (napi_get_element(call.env, call.arguments[1], static_cast<uint32_t>(from), &value) !=
          napi_ok) {
        status = argument_error(std::string("cannot read ") + list.name);
      } else {
        status = with_row(stage(value, row), row);
      }
      ++from;
      ++row;
    }
    napi_close_handle_scope(call.env, scope);
    if (!status.is_ok()) return status;
  }
  return staging.done();
}

Status stage_vector_list(const Call& call) {
  Staging staging(call);
  OMEN_TRY(staging.begin());
  const ListKind list{StagedKind::kVectors, "vectors"};
  return for_each_element(call, staging, list, [&](napi_value value, uint64_t row) {
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
  OMEN_TRY(staging.claim(StagedKind::kIds, row, to - from));
  StageIdSink sink(staging.batch.get(), row);
  OMEN_TRY(read_ids(call.env, {call.arguments[1], from, to, static_cast<int64_t>(row)}, &sink));
  return staging.done();
}

Status stage_metadata(const Call& call) {
  Staging staging(call);
  OMEN_TRY(staging.begin());
  std::string text;
  const ListKind list{StagedKind::kMetadata, "metadata"};
  return for_each_element(call, staging, list, [&](napi_value value, uint64_t row) {
    if (is_undefined(call.env, value)) return Status::ok();
    OMEN_TRY(
        read_text(call.env, value, {"metadata", kMetadataBytesMax, ErrorCode::kMetadata}, &text));
    return staging.batch->stage_metadata(row, text);
  });
}

template <Status (*stage)(const Call&)>
napi_value stage_method(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  if (Status status = stage(call); !status.is_ok()) call.environment->throw_status(status);
  return nullptr;
}

}  // namespace

std::span<const Member> stage_methods() {
  static constexpr Member kMethods[] = {
      {"stageVectors", stage_method<stage_vectors>},
      {"stageVectorList", stage_method<stage_vector_list>},
      {"stageIds", stage_method<stage_ids>},
      {"stageMetadata", stage_method<stage_metadata>},
  };
  return kMethods;
}

}  // namespace omen::napi
