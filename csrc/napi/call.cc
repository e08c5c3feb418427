// Reading arguments.
#include "napi/call.h"

#include <cmath>
#include <cstdio>

namespace omen::napi {
namespace {

constexpr size_t kShownBytes = 40;

std::string describe_number(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", number);
  return text;
}

std::string describe_object(napi_env env, napi_value value) {
  bool is = false;
  if (napi_is_array(env, value, &is) == napi_ok && is) return "an array";
  if (napi_is_typedarray(env, value, &is) == napi_ok && is) {
    TypedArray array;
    static const char* const kNames[] = {"Int8Array",     "Uint8Array",    "Uint8ClampedArray",
                                         "Int16Array",    "Uint16Array",   "Int32Array",
                                         "Uint32Array",   "Float32Array",  "Float64Array",
                                         "BigInt64Array", "BigUint64Array"};
    if (read_typed_array(env, value, &array) && static_cast<size_t>(array.type) < 11) {
      return std::string("a ") + kNames[array.type];
    }
    return "a typed array";
  }
  return "an object";
}

}  // namespace

std::string describe(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  if (value == nullptr || napi_typeof(env, value, &type) != napi_ok) return "nothing";
  switch (type) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_symbol:
      return "a symbol";
    case napi_function:
      return "a function";
    case napi_external:
      return "an external";
    case napi_object:
      return describe_object(env, value);
    case napi_boolean: {
      bool flag = false;
      napi_get_value_bool(env, value, &flag);
      return flag ? "true" : "false";
    }
    case napi_number: {
      double number = 0;
      napi_get_value_double(env, value, &number);
      return describe_number(number);
    }
    case napi_string: {
      char text[kShownBytes + 1];
      size_t length = 0;
      napi_get_value_string_utf8(env, value, text, sizeof text, &length);
      const char* more = length + 4 > kShownBytes ? "..." : "";
      return "\"" + std::string(text, length) + more + "\"";
    }
    case napi_bigint: {
      uint64_t number = 0;
      bool lossless = false;
      napi_get_value_bigint_uint64(env, value, &number, &lossless);
      return lossless ? std::to_string(number) + "n" : "a bigint out of range";
    }
  }
  return "something unknown";
}

Status argument_error(const std::string& message) {
  return Status::error(ErrorCode::kArgument, message);
}

bool is_undefined(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  return napi_typeof(env, value, &type) == napi_ok && type == napi_undefined;
}

Status read_integer(napi_env env, napi_value value, const IntegerRange& range, uint64_t* out) {
  double number = -1;
  if (napi_get_value_double(env, value, &number) == napi_ok) [[likely]] {
    // The comparison comes first: the cast of a number out of range is undefined.
    if (number >= static_cast<double>(range.min) && number <= static_cast<double>(range.max)) {
      const auto integer = static_cast<uint64_t>(number);
      if (static_cast<double>(integer) == number) [[likely]] {
        *out = integer;
        return Status::ok();
      }
    }
  }
  return argument_error(std::string(range.name) + " must be an integer from " +
                        std::to_string(range.min) + " to " + std::to_string(range.max) + ", not " +
                        describe(env, value));
}

Status read_number(napi_env env, napi_value value, const char* name, double* out) {
  if (napi_get_value_double(env, value, out) == napi_ok && !std::isnan(*out)) return Status::ok();
  return argument_error(std::string(name) + " must be a number, not " + describe(env, value));
}

Status read_text(napi_env env, napi_value value, const TextRange& range, std::string* out) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) {
    return argument_error(std::string(range.name) + " must be a string, not " +
                          describe(env, value));
  }
  if (length > range.bytes_max) {
    return Status::error(range.too_long, std::string(range.name) + " has " +
                                             std::to_string(length) + " bytes; at most " +
                                             std::to_string(range.bytes_max) + " are taken");
  }
  out->resize(length);
  // Writes a zero past the end, where std::string has one anyway.
  napi_get_value_string_utf8(env, value, out->data(), length + 1, &length);
  return Status::ok();
}

bool read_typed_array(napi_env env, napi_value value, TypedArray* out) {
  return napi_get_typedarray_info(env, value, &out->type, &out->length, &out->data, nullptr,
                                  nullptr) == napi_ok;
}

bool is_detached(napi_env env, napi_value typed_array) {
  napi_value buffer = nullptr;
  bool detached = false;
  return napi_get_typedarray_info(env, typed_array, nullptr, nullptr, nullptr, &buffer, nullptr) ==
             napi_ok &&
         napi_is_detached_arraybuffer(env, buffer, &detached) == napi_ok && detached;
}

Status read_floats(napi_env env, napi_value value, const char* name, TypedArray* out) {
  if (!read_typed_array(env, value, out) || out->type != napi_float32_array) [[unlikely]] {
    return argument_error(std::string(name) + " must be a Float32Array, not " +
                          describe(env, value));
  }
  if (out->length == 0 && is_detached(env, value)) [[unlikely]] {
    return Status::error(ErrorCode::kDetached, std::string("the buffer of ") + name +
                                                   " is detached; do not transfer it before the "
                                                   "call is over");
  }
  return Status::ok();
}

Status read_search_options(const Call& call, size_t first, SearchOptions* out) {
  const napi_value* arguments = call.arguments + first;
  uint64_t k = 0, ef = 0, mode = 0;
  double max_distance = 0;
  OMEN_TRY(read_integer(call.env, arguments[0], {"k", 1, kHitsMax}, &k));
  OMEN_TRY(read_integer(call.env, arguments[1], {"ef", 0, kEfMax}, &ef));
  OMEN_TRY(read_integer(call.env, arguments[2], {"mode", 0, 2}, &mode));
  OMEN_TRY(read_number(call.env, arguments[3], "maxDistance", &max_distance));
  out->k = static_cast<uint32_t>(k);
  out->ef = static_cast<uint32_t>(ef);
  out->mode = static_cast<Mode>(mode);
  // Past float's range the cast is undefined; the comparison with a distance is the same.
  constexpr double kMax = std::numeric_limits<float>::max();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (max_distance > kMax) {
    out->max_distance = kInfinity;
  } else {
    out->max_distance = max_distance < -kMax ? -kInfinity : static_cast<float>(max_distance);
  }
  return Status::ok();
}

Status read_include(napi_env env, napi_value value, uint32_t max, uint32_t* out) {
  uint64_t include = 0;
  OMEN_TRY(read_integer(env, value, {"include", 0, max}, &include));
  *out = static_cast<uint32_t>(include);
  return Status::ok();
}

Status tag_object(napi_env env, napi_value object, const napi_type_tag& tag) {
  if (napi_type_tag_object(env, object, &tag) == napi_ok) return Status::ok();
  return argument_error("this object is another's already");
}

void* unwrap_tagged(napi_env env, napi_value value, const napi_type_tag& tag) {
  napi_valuetype type = napi_undefined;
  bool tagged = false;
  void* data = nullptr;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_object) return nullptr;
  if (napi_check_object_type_tag(env, value, &tag, &tagged) != napi_ok || !tagged) return nullptr;
  return napi_unwrap(env, value, &data) == napi_ok ? data : nullptr;
}

Status not_ours() { return argument_error("this method was called on an object of another kind"); }

}  // namespace omen::napi
