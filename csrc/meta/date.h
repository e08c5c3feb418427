// Dates: int64 milliseconds since 1970-01-01T00:00:00Z, within the range of JavaScript's Date.
//
// Why: a Date travels as {"$date": ISO} in metadata and filters; the engine orders the
// milliseconds.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "meta/json.h"

namespace omen {

inline constexpr int64_t kDateMsMax = 8'640'000'000'000'000;  // ECMA-262, time values.

// Reads ECMA-262's date-time format: YYYY-MM-DD, or with THH:mm[:ss[.fraction]] and a zone (Z or
// +-HH:mm), year also +-YYYYYY. A time without a zone is refused: it would mean another instant on
// another machine.
bool parse_iso_date(std::string_view text, int64_t* ms);

// True if the node is an object with the one key "$date"; *valid tells whether it holds a date.
bool is_date_object(const JsonNode& node, bool* valid, int64_t* ms);

}  // namespace omen
