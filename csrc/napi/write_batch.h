// WriteBatch: the JavaScript object that rows are staged into, slice by slice, and committed by.
//
// Invariants:
//   1. While a stage call runs the engine's batch is out of the object: a getter of the caller's
//      that calls back in finds it in use, and nothing can free it meanwhile.
//   2. A batch is committed at most once.
// Threads: the JS thread.
#pragma once

#include <memory>

#include "napi/request.h"

namespace omen::napi {

bool define_write_batch(Environment& environment);
Result<napi_value> make_write_batch(const Subject& subject, std::unique_ptr<WriteBatch> batch,
                                    Commit::Kind kind);

}  // namespace omen::napi
