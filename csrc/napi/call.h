// Call: one call from JavaScript and its arguments, read with checks.
//
// Why: this is the only argument checker of the native side. lib/ checks too, for its messages;
// here nothing is believed, for whoever holds the addon may call it with anything.
// Invariants:
//   1. No function here converts: a number must be a number. So none runs code of the caller's,
//      but for elements of arrays and properties of objects, which may be getters.
//   2. An error names the argument and shows what was given.
// Threads: the JS thread.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/status.h"
#include "db/types.h"
#include "napi/environment.h"

namespace omen::napi {

inline constexpr uint64_t kSafeIntegerMax = (uint64_t{1} << 53) - 1;

struct Call {
  static constexpr size_t kArgumentsMax = 9;

  Call(napi_env e, napi_callback_info info) : env(e) {
    size_t count = kArgumentsMax;  // Those left out are filled with undefined.
    void* data = nullptr;
    napi_get_cb_info(e, info, &count, arguments, &self, &data);
    environment = static_cast<Environment*>(data);
  }

  const napi_env env;
  Environment* environment = nullptr;
  napi_value self = nullptr;
  napi_value arguments[kArgumentsMax] = {};
  bool copies = false;  // Arguments outlive the call: read them into own memory.
};

// "1.5", "\"abc\"", "an object": for messages. Runs no code of the caller's.
std::string describe(napi_env env, napi_value value);
Status argument_error(const std::string& message);
bool is_undefined(napi_env env, napi_value value);

struct IntegerRange {
  const char* name;
  uint64_t min;
  uint64_t max;
};
Status read_integer(napi_env env, napi_value value, const IntegerRange& range, uint64_t* out);
// Any number but NaN.
Status read_number(napi_env env, napi_value value, const char* name, double* out);

struct TextRange {
  const char* name;
  size_t bytes_max;
  ErrorCode too_long;
};
Status read_text(napi_env env, napi_value value, const TextRange& range, std::string* out);

// A typed array's memory as it is now. Valid until code of the caller's runs.
struct TypedArray {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
};
// False if it is none.
bool read_typed_array(napi_env env, napi_value value, TypedArray* out);
// Whether the typed array's buffer was detached: it shows length 0 then.
bool is_detached(napi_env env, napi_value typed_array);
// A Float32Array, not detached.
Status read_floats(napi_env env, napi_value value, const char* name, TypedArray* out);

// The arguments that all searches have, from `first` on: k, ef, mode, maxDistance. The filter comes
// after them and is the request's business.
Status read_search_options(const Call& call, size_t first, SearchOptions* out);
inline constexpr size_t kSearchOptionArguments = 4;
Status read_include(napi_env env, napi_value value, uint32_t max, uint32_t* out);

// Marks objects of one native class, so that one passed as an argument is known for what it is.
Status tag_object(napi_env env, napi_value object, const napi_type_tag& tag);
// Its native side, or nullptr if the value is no such object.
void* unwrap_tagged(napi_env env, napi_value value, const napi_type_tag& tag);

// The native side of `this`; nullptr if it has none. V8 has checked its class (by signature).
template <class T>
T* unwrap_self(const Call& call) {
  void* data = nullptr;
  if (napi_unwrap(call.env, call.self, &data) != napi_ok) return nullptr;
  return static_cast<T*>(data);
}
Status not_ours();

}  // namespace omen::napi
