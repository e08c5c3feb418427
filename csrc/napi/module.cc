// The addon's entry: what types/native.ts calls NativeAddon.
//
// Why so careful at load: Node unloads an addon that only workers used as soon as the last of them
// ends, while threads of the pool still run its code. So the library pins itself.
#include <node_api.h>

#include "base/test_points.h"
#include "napi/classes.h"
#include "napi/collection_object.h"
#include "napi/database_object.h"
#include "napi/id_list.h"
#include "napi/operation.h"
#include "napi/salvage.h"
#include "napi/write_batch.h"

#ifdef _WIN32
#include "base/windows.h"
#else
#include <dlfcn.h>
#endif

namespace omen::napi {
namespace {

// Linux links with -z nodelete besides; macOS has no such flag.
void pin_library() {
  static const char anchor = 0;
#ifdef _WIN32
  HMODULE module = nullptr;
  constexpr DWORD kFlags = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
  GetModuleHandleExA(kFlags, &anchor, &module);
#else
  Dl_info library{};
  if (dladdr(&anchor, &library) != 0 && library.dli_fname != nullptr) {
    dlopen(library.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  }
#endif
}

template <void (Environment::*set)(napi_value)>
napi_value set_function(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  napi_valuetype type = napi_undefined;
  napi_typeof(env, call.arguments[0], &type);
  if (type == napi_function) {
    (call.environment->*set)(call.arguments[0]);
  } else {
    call.environment->throw_status(
        argument_error("the argument must be a function, not " + describe(env, call.arguments[0])));
  }
  return nullptr;
}

napi_value scratch(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  uint64_t hits = 0;
  Status status = read_integer(env, call.arguments[0], {"k", 1, kHitsMax}, &hits);
  if (status.is_ok()) {
    const Result<napi_value> buffer = call.environment->grow_scratch(hits);
    if (buffer.is_ok()) return buffer.value();
    status = buffer.status();
  }
  call.environment->throw_status(status);
  return nullptr;
}

napi_value answers(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  const Result<napi_value> buffer = call.environment->answers.buffer(env);
  if (buffer.is_ok()) return buffer.value();
  call.environment->throw_status(buffer.status());
  return nullptr;
}

napi_value slice_ns_max(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  bool reset = false;
  if (!is_undefined(env, call.arguments[0]) &&
      napi_get_value_bool(env, call.arguments[0], &reset) != napi_ok) {
    call.environment->throw_status(
        argument_error("reset must be a boolean, not " + describe(env, call.arguments[0])));
    return nullptr;
  }
  napi_value value = nullptr;
  napi_create_double(env, static_cast<double>(call.environment->slice_ns_max(reset)), &value);
  return value;
}

napi_value threads(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  const Result<Executor*> pool = call.environment->executor();
  napi_value value = nullptr;
  if (pool.is_ok()) {
    napi_create_uint32(env, pool.value()->width(), &value);
  } else {
    call.environment->throw_status(pool.status());
  }
  return value;
}

napi_value memory_bytes(napi_env env, napi_callback_info) {
  napi_value value = nullptr;
  napi_create_double(env, static_cast<double>(process_memory_bytes()), &value);
  return value;
}

#ifdef OMENDB_TEST_POINTS
napi_value reported_bytes(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  napi_value value = nullptr;
  napi_create_int64(env, call.environment->reported_bytes(), &value);
  return value;
}

template <bool (*function)(const char*)>
napi_value test_point(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  std::string name;
  const TextRange range{"point", 31, ErrorCode::kArgument};
  const Status status = read_text(env, call.arguments[0], range, &name);
  if (!status.is_ok()) {
    call.environment->throw_status(status);
    return nullptr;
  }
  napi_value value = nullptr;
  napi_get_boolean(env, function(name.c_str()), &value);
  return value;
}
#endif

bool define_all(Environment& environment, napi_value exports) {
  static constexpr Member kFunctions[] = {
      {"setErrorFactory", set_function<&Environment::set_error_factory>},
      {"setImmediate", set_function<&Environment::set_immediate>},
      {"scratch", scratch},
      {"answers", answers},
      {"sliceNsMax", slice_ns_max},
      {"processMemoryBytes", memory_bytes},
      {"threads", threads},
#ifdef OMENDB_TEST_POINTS
      {"testArm", test_point<test_point_arm>},
      {"testPaused", test_point<test_point_paused>},
      {"testRelease", test_point<test_point_release>},
      {"testReportedBytes", reported_bytes},
#endif
  };
  return define_functions(environment, exports, kFunctions) &&
         define_database(environment, exports) && define_operation(environment, exports) &&
         define_id_list(environment, exports) && define_collection(environment) &&
         define_write_batch(environment) && define_salvage(environment, exports);
}

}  // namespace
}  // namespace omen::napi

NAPI_MODULE_INIT() {
  using omen::napi::Environment;
  omen::napi::pin_library();
  Environment* environment = Environment::attach(env);
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (environment == nullptr || !omen::napi::define_all(*environment, exports)) {
    if (!pending) napi_throw_error(env, "ERR_NATIVE", "omendb: cannot set the addon up");
    return nullptr;
  }
  return exports;
}
