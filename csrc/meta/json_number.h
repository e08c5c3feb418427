// JSON numbers to doubles: exactly rounded, the same under every locale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace omen {

// Length of the JSON number at the start of `text`; 0 if none is there.
size_t json_number_length(std::string_view text);

// `text` is one JSON number. False if its magnitude is past the largest double. What is too small
// becomes 0, and negative zero becomes 0: equal numbers have equal bits.
bool read_json_number(std::string_view text, double* out);

// Reads digits as an unsigned 64-bit number: at least one, no sign, no leading zeros, no overflow.
bool read_uint64(std::string_view text, uint64_t* out);

}  // namespace omen
