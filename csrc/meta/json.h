// JSON: a bounded parser into a small tree.
//
// Why: metadata, filters and schemas arrive as JSON text that JSON.stringify or a network client
// wrote. RFC 8259, with these choices: strings are unescaped to UTF-8 in which a lone surrogate
// escape (well-formed JSON.stringify emits them) is kept as three bytes ED A0..BF xx, so that byte
// order is code point order; raw bytes must be valid UTF-8; of duplicate keys the last wins; a
// number beyond the range of a double is an error, as JSON has no infinity.
// Invariants:
//   1. Recursion is bounded by the depth given, memory is linear in the text, and work too, but for
//   the logarithm that sorting keys costs: no choice of keys makes it more.
//   2. `source` of a node is its exact text and points into the input, which must outlive the tree.
//   3. Numbers are finite and never negative zero.
// Threads: values; one thread per document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "meta/bump.h"

namespace omen {

enum class JsonKind : uint8_t { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };

struct JsonNode {
  JsonKind kind = JsonKind::kNull;
  uint32_t count = 0;        // Elements or members.
  double number = 0;
  std::string_view key;      // Within an object, unescaped.
  std::string_view text;     // kString: unescaped.
  std::string_view source;   // The value as written.
  std::string_view key_source;  // The key as written, with its quotes.
  const JsonNode* first = nullptr;
  const JsonNode* next = nullptr;

  bool is_scalar() const { return kind < JsonKind::kArray; }
  // The member of that name, or nullptr. Linear.
  const JsonNode* find(std::string_view name) const;
};

// Parses a whole text. Faults are `fault` with the byte offset in the message; a missing allocation
// is ERR_MEMORY. Depth counts nested arrays and objects.
Result<const JsonNode*> parse_json(std::string_view text, uint32_t depth_max, ErrorCode fault,
                                   Bump* bump);

// "number", "array" and so on, for messages.
const char* json_kind_name(JsonKind kind);

// Appends text as a JSON string, quotes included. Lone surrogates become escapes again.
void append_json_string(std::string_view text, std::string* out);

}  // namespace omen
