// Defining classes and methods on the JavaScript side.
// Threads: the JS thread.
#pragma once

#include <node_api.h>

#include <span>

#include "napi/call.h"

namespace omen::napi {

struct Member {
  const char* name;
  napi_callback method;
  napi_callback getter = nullptr;
};

// The constructor, or nullptr with an exception pending.
napi_value define_class(Environment& environment, const char* name, napi_callback constructor,
                        std::span<const Member> members);
bool define_functions(Environment& environment, napi_value object,
                      std::span<const Member> functions);

// Whether the callback was called by `new`.
bool is_construction(const Call& call, napi_callback_info info);

// Binds the native side to `this`, which `finalize` frees with the object. False: not bound, nor
// taken over.
bool wrap_self(const Call& call, void* native, napi_finalize finalize);

}  // namespace omen::napi
