// merge_metadata: the top-level merge of update().
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace omen {

// The old record with the change's top-level keys replacing or joining its own, then without
// `unset` (a key in both is an error). Values are taken over as written. `old_json` empty means {}.
// ERR_METADATA for what is not an object, and past 1 MiB.
Result<std::string> merge_metadata(std::string_view old_json, std::string_view change_json,
                                   std::span<const std::string> unset);

}  // namespace omen
