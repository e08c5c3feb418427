// Operation: the JavaScript object that cancels one call and tells its progress.
// Threads: the JS thread.
#pragma once

#include <node_api.h>

#include <memory>

#include "napi/environment.h"

namespace omen::napi {

// Defines the class and puts it on the exports.
bool define_operation(Environment& environment, napi_value exports);

// The state of an Operation given to a call, marked as used; a fresh one for undefined.
// ERR_ARGUMENT for anything else, or one that served a call already.
Result<std::shared_ptr<OperationState>> use_operation(napi_env env, napi_value value);

}  // namespace omen::napi
