// Receipts as JavaScript gives and gets them: tags as bytes in, as hexadecimal text out.
// Threads: the JS thread.
#pragma once

#include <node_api.h>

#include <optional>

#include "napi/call.h"
#include "storage/records.h"

namespace omen::napi {

// Left empty by undefined.
Status read_tag(napi_env env, napi_value value, std::optional<ReceiptTag>* out);
Result<napi_value> make_receipts(napi_env env, const std::vector<Receipt>& receipts);
// The id of a database, of 16 digits.
Result<napi_value> make_database_id(napi_env env, uint64_t id);

}  // namespace omen::napi
