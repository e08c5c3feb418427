// WriteBatch: the JavaScript object that rows are staged into, slice by slice, and committed by.
// Threads: the JS thread.
#pragma once

#include <memory>

#include "napi/request.h"

namespace omen::napi {

bool define_write_batch(Environment& environment);
Result<napi_value> make_write_batch(const Subject& subject, std::unique_ptr<WriteBatch> batch,
                                    Commit::Kind kind);

}  // namespace omen::napi
