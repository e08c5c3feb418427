// IdList: the JavaScript object that gathers ids in slices, for calls on many of them.
// Threads: the JS thread.
#pragma once

#include "napi/environment.h"
#include "napi/ids.h"

namespace omen::napi {

// Defines the class and puts it on the exports.
bool define_id_list(Environment& environment, napi_value exports);

// All ids of an array, a typed array, or an IdList (whose content is copied).
Status read_ids_or_list(napi_env env, napi_value value, IdStore* out);

}  // namespace omen::napi
