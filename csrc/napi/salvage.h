// The function salvage. Threads: the JS thread.
#pragma once

#include "napi/environment.h"

namespace omen::napi {

// Puts it on the exports.
bool define_salvage(Environment& environment, napi_value exports);

}  // namespace omen::napi
