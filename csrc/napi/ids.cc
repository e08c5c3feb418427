// Reading and writing ids.
#include "napi/ids.h"

#include <algorithm>

#include "meta/json.h"
#include "napi/call.h"

namespace omen::napi {
namespace {

// Handles made in a loop over an array live until the scope closes.
constexpr uint64_t kScopeElements = 256;

Status bad_id(napi_env env, napi_value value) {
  return Status::error(ErrorCode::kId,
                       "an id must be a string of 1 to 512 bytes, an integer from 0 to 2^53-1, or "
                       "a bigint from 0 to 2^64-1, not " +
                           describe(env, value));
}

Status id_of_number(double number, uint64_t* out) {
  if (number >= 0 && number <= static_cast<double>(kSafeIntegerMax)) {
    const auto integer = static_cast<uint64_t>(number);
    if (static_cast<double>(integer) == number) {
      *out = integer;
      return Status::ok();
    }
  }
  return Status::error(
      ErrorCode::kId,
      "a number as an id must be an integer from 0 to 2^53-1, not " + std::to_string(number));
}

// Whether a string of JavaScript's is not well-formed UTF-16.
bool has_lone_surrogate(napi_env env, napi_value value) {
  char16_t units[kIdBytesMax + 2];
  size_t length = 0;
  napi_get_value_string_utf16(env, value, units, sizeof units / sizeof units[0], &length);
  for (size_t i = 0; i < length; ++i) {
    if (units[i] < 0xD800 || units[i] > 0xDFFF) continue;
    const bool paired =
        units[i] < 0xDC00 && i + 1 < length && units[i + 1] >= 0xDC00 && units[i + 1] <= 0xDFFF;
    if (!paired) return true;
    ++i;
  }
  return false;
}

Status read_string_id(napi_env env, napi_value value, IdIn* out) {
  size_t length = 0;
  napi_get_value_string_utf8(env, value, out->buffer, IdIn::kBufferBytes, &length);
  if (length == 0 || length > kIdBytesMax) return bad_id(env, value);
  out->is_string = true;
  out->text = std::string_view(out->buffer, length);
  // A lone surrogate arrives as U+FFFD, which may also stand there by right.
  if (out->text.find("\xEF\xBF\xBD") != std::string_view::npos && has_lone_surrogate(env, value)) {
    return Status::error(ErrorCode::kId, "an id must be well-formed; this has a lone surrogate");
  }
  return Status::ok();
}

Status read_typed_id(const TypedArray& array, uint64_t index, IdIn* out) {
  // Each element is read once: shared memory may change meanwhile.
  switch (array.type) {
    case napi_uint32_array:
      out->integer = static_cast<const uint32_t*>(array.data)[index];
      return Status::ok();
    case napi_biguint64_array:
      out->integer = static_cast<const uint64_t*>(array.data)[index];
      return Status::ok();
    default:
      return id_of_number(static_cast<const double*>(array.data)[index], &out->integer);
  }
}

Status with_row(Status status, int64_t row) {
  if (status.row() != Status::kNoRow || row < 0) return status;
  return std::move(status).with_row(row);
}

Status read_typed_ids(const TypedArray& array, const IdRange& range, IdSink* sink) {
  if (array.type != napi_uint32_array && array.type != napi_biguint64_array &&
      array.type != napi_float64_array) {
    return Status::error(ErrorCode::kId,
                         "typed ids must be a Uint32Array, a Float64Array or a BigUint64Array");
  }
  if (range.to > array.length) {
    return Status::error(ErrorCode::kDetached,
                         "the ids' buffer was detached or shrank while a call used it");
  }
  IdIn id;
  for (uint64_t i = range.from; i < range.to; ++i) {
    const uint64_t index = i - range.from;
    const int64_t row = range.row + static_cast<int64_t>(index);
    if (Status s = read_typed_id(array, i, &id); !s.is_ok()) return with_row(std::move(s), row);
    if (Status s = sink->take(index, id); !s.is_ok()) return with_row(std::move(s), row);
  }
  return Status::ok();
}

Status read_array_ids(napi_env env, const IdRange& range, IdSink* sink) {
  IdIn id;
  for (uint64_t i = range.from; i < range.to;) {
    napi_handle_scope scope = nullptr;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return argument_error("cannot read ids");
    Status status;
    for (const uint64_t end = std::min(i + kScopeElements, range.to); i < end; ++i) {
      napi_value value = nullptr;
      if (napi_get_element(env, range.ids, static_cast<uint32_t>(i), &value) != napi_ok) {
        status = argument_error("cannot read the ids");
        break;
      }
      const uint64_t index = i - range.from;
      status = read_id(env, value, &id);
      if (status.is_ok()) status = sink->take(index, id);
      if (!status.is_ok()) {
        status = with_row(std::move(status), range.row + static_cast<int64_t>(index));
        break;
      }
    }
    napi_close_handle_scope(env, scope);
    if (!status.is_ok()) return status;
  }
  return Status::ok();
}

class StoreSink final : public IdSink {
 public:
  explicit StoreSink(IdStore* store) : store_(store) {}
  Status take(uint64_t, const IdIn& id) override {
    if (store_->ids.size() >= kIdListMax || store_->text.size() >= UINT32_MAX) {
      return Status::error(ErrorCode::kLimit, "too many ids in one call; split it");
    }
    store_->add(id);
    return Status::ok();
  }

 private:
  IdStore* store_;
};

}  // namespace

Status read_id(napi_env env, napi_value value, IdIn* out) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  out->is_string = false;
  out->text = {};
  if (type == napi_number) {
    double number = 0;
    napi_get_value_double(env, value, &number);
    if (id_of_number(number, &out->integer).is_ok()) return Status::ok();
  } else if (type == napi_string) {
    return read_string_id(env, value, out);
  } else if (type == napi_bigint) {
    bool lossless = false;
    napi_get_value_bigint_uint64(env, value, &out->integer, &lossless);
    if (lossless) return Status::ok();
  }
  return bad_id(env, value);
}

void IdStore::add(const IdIn& id) {
  IdOut out;
  out.is_string = id.is_string;
  if (id.is_string) {
    out.value = text.size();
    out.length = static_cast<uint32_t>(id.text.size());
    text.append(id.text);
  } else {
    out.value = id.integer;
  }
  ids.push_back(out);
}

std::vector<IdView> IdStore::views() const {
  std::vector<IdView> views(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    views[i].is_string = ids[i].is_string;
    if (ids[i].is_string) {
      views[i].text = std::string_view(text).substr(ids[i].value, ids[i].length);
    } else {
      views[i].integer = ids[i].value;
    }
  }
  return views;
}

Status read_ids(napi_env env, const IdRange& range, IdSink* sink) {
  if (range.from > range.to) return argument_error("the range of ids ends before it starts");
  TypedArray array;
  if (read_typed_array(env, range.ids, &array)) return read_typed_ids(array, range, sink);
  bool is_array = false;
  if (napi_is_array(env, range.ids, &is_array) == napi_ok && is_array) {
    if (range.to > UINT32_MAX) return argument_error("the range of ids is past the array's end");
    return read_array_ids(env, range, sink);
  }
  return Status::error(ErrorCode::kId,
                       "ids must be an array or a typed array, not " + describe(env, range.ids));
}

Status append_ids(napi_env env, const IdRange& range, IdStore* out) {
  const size_t ids = out->ids.size();
  const size_t bytes = out->text.size();
  StoreSink sink(out);
  Status status = read_ids(env, range, &sink);
  // A getter may have called in and changed the list meanwhile.
  if (!status.is_ok() && out->ids.size() >= ids && out->text.size() >= bytes) {
    out->ids.resize(ids);
    out->text.resize(bytes);
  }
  return status;
}

Status read_all_ids(napi_env env, napi_value ids, IdStore* out) {
  TypedArray array;
  uint32_t length = 0;
  uint64_t to = 0;
  if (read_typed_array(env, ids, &array)) {
    if (array.length == 0 && is_detached(env, ids)) {
      return Status::error(ErrorCode::kDetached, "the ids' buffer is detached");
    }
    to = array.length;
  } else if (napi_get_array_length(env, ids, &length) == napi_ok) {
    to = length;
  }
  return append_ids(env, {ids, 0, to, 0}, out);
}

void append_id_json(const IdOut& id, std::string_view text, std::string* out) {
  if (id.is_string) return append_json_string(text.substr(id.value, id.length), out);
  if (id.value <= kSafeIntegerMax) {
    out->append(std::to_string(id.value));
    return;
  }
  out->append("{\"$int\":\"").append(std::to_string(id.value)).append("\"}");
}

}  // namespace omen::napi
