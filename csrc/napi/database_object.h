// The class Database: one handle. Threads: the JS thread.
#pragma once

#include "napi/environment.h"

namespace omen::napi {

// Defines the class and puts it on the exports.
bool define_database(Environment& environment, napi_value exports);

}  // namespace omen::napi
