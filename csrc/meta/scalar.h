// Scalar: null, a boolean, a number, a string or a date: what fields hold and operands are.
//
// Threads: values; the text is borrowed.
#pragma once

#include <cstdint>
#include <string_view>

#include "meta/date.h"
#include "meta/json.h"

namespace omen {

enum class ScalarKind : uint8_t { kNull, kFalse, kTrue, kNumber, kString, kDate, kInteger };

struct Scalar {
  ScalarKind kind = ScalarKind::kNull;
  union {
    double number = 0;  // kNumber: finite, never negative zero.
    int64_t date_ms;    // kDate
    uint64_t integer;   // kInteger: only ids.
  };
  std::string_view text;  // kString
};

// False for what is no scalar: arrays, and objects but {"$date": ISO}.
inline bool read_scalar(const JsonNode& node, Scalar* out) {
  switch (node.kind) {
    case JsonKind::kNull: out->kind = ScalarKind::kNull; return true;
    case JsonKind::kFalse: out->kind = ScalarKind::kFalse; return true;
    case JsonKind::kTrue: out->kind = ScalarKind::kTrue; return true;
    case JsonKind::kNumber:
      out->kind = ScalarKind::kNumber;
      out->number = node.number;
      return true;
    case JsonKind::kString:
      out->kind = ScalarKind::kString;
      out->text = node.text;
      return true;
    case JsonKind::kArray: return false;
    case JsonKind::kObject: break;
  }
  bool is_valid = false;
  int64_t ms = 0;
  if (!is_date_object(node, &is_valid, &ms) || !is_valid) return false;
  out->kind = ScalarKind::kDate;
  out->date_ms = ms;
  return true;
}

// Values of different kinds are never equal.
inline bool scalars_equal(const Scalar& a, const Scalar& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case ScalarKind::kNull:
    case ScalarKind::kFalse:
    case ScalarKind::kTrue: return true;
    case ScalarKind::kNumber: return a.number == b.number;
    case ScalarKind::kString: return a.text == b.text;
    case ScalarKind::kDate: return a.date_ms == b.date_ms;
    case ScalarKind::kInteger: return a.integer == b.integer;
  }
  return false;
}

}  // namespace omen
