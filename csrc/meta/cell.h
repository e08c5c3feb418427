// Cell: one field of one record in 64 bits, type and value together.
//
// Why: a column without a declared type holds any, and a reader racing a writer must never pair a
// type with another's value: a single atomic word cannot tear. Doubles stand as they are; all other
// values lie among the NaNs, which JSON does not have (NaN boxing).
//
//   a finite double                  a number; never negative zero
//   0x7FF0... + (ms + 2^51)          a date within 71 000 years of 1970, in order
//   0xFFF1, 48 bits                  missing, null, false, true, an object (or nested array)
//   0xFFF2, 32-bit code              a string in the dictionary
//   0xFFF3, 32-bit code              a date farther off: its 8 bytes in the dictionary
//   0xFFF4, address / 16             an ArrayCells
//
// So equal scalars are equal words, numbers compare as doubles (false for everything else), and
// near dates as integers.
// Threads: pure functions.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/assert.h"

namespace omen {

using Cell = uint64_t;

// The scalars of an array; nested arrays and objects within it are left out.
struct ArrayCells {
  uint32_t count;
  uint32_t padding;

  uint64_t bytes() const { return sizeof(ArrayCells) + uint64_t{count} * sizeof(Cell); }
  Cell* cells() { return reinterpret_cast<Cell*>(this + 1); }
  const Cell* cells() const { return reinterpret_cast<const Cell*>(this + 1); }
};

namespace cell {

inline constexpr Cell kMissing = 0xFFF1'0000'0000'0000;
inline constexpr Cell kNull = kMissing + 1;
inline constexpr Cell kFalse = kMissing + 2;
inline constexpr Cell kTrue = kMissing + 3;
inline constexpr Cell kObject = kMissing + 4;
inline constexpr Cell kStringTag = 0xFFF2;
inline constexpr Cell kFarDateTag = 0xFFF3;
inline constexpr Cell kArrayTag = 0xFFF4;

inline constexpr Cell kExponent = 0x7FF0'0000'0000'0000;
inline constexpr Cell kDateBase = kExponent;
inline constexpr int64_t kDateBias = int64_t{1} << 51;
inline constexpr int64_t kNearDateMsMax = kDateBias - 1;  // Both ways: payloads 1 to 2^52 - 1.
inline constexpr Cell kDateFirst = kDateBase + 1;
inline constexpr Cell kDateLast = kDateBase + (Cell{1} << 52) - 1;

inline Cell tag_of(Cell c) { return c >> 48; }
inline bool is_number(Cell c) { return (c & kExponent) != kExponent; }
inline bool is_near_date(Cell c) { return c - kDateFirst <= kDateLast - kDateFirst; }
inline bool is_string(Cell c) { return tag_of(c) == kStringTag; }
inline bool is_far_date(Cell c) { return tag_of(c) == kFarDateTag; }
inline bool is_array(Cell c) { return tag_of(c) == kArrayTag; }
inline bool has_code(Cell c) { return is_string(c) || is_far_date(c); }

inline Cell from_number(double value) {
  const Cell c = std::bit_cast<Cell>(value == 0 ? 0.0 : value);
  OMEN_ASSERT(is_number(c));
  return c;
}
inline double number_of(Cell c) { return std::bit_cast<double>(c); }

inline bool is_near(int64_t ms) { return ms >= -kNearDateMsMax && ms <= kNearDateMsMax; }
inline Cell from_near_date(int64_t ms) { return kDateBase + static_cast<Cell>(ms + kDateBias); }
inline int64_t near_date_of(Cell c) { return static_cast<int64_t>(c - kDateBase) - kDateBias; }

inline Cell from_string_code(uint32_t code) { return kStringTag << 48 | code; }
inline Cell from_far_date_code(uint32_t code) { return kFarDateTag << 48 | code; }
inline uint32_t code_of(Cell c) { return static_cast<uint32_t>(c); }

// A far date's entry in the dictionary: its bytes after 0xFF, which no UTF-8 text begins with.
inline constexpr size_t kFarDateBytes = 1 + sizeof(int64_t);
inline std::string_view far_date_text(int64_t ms, char* bytes) {
  bytes[0] = static_cast<char>(0xFF);
  std::memcpy(bytes + 1, &ms, sizeof(ms));
  return {bytes, kFarDateBytes};
}
inline int64_t far_date_of(std::string_view text) {
  int64_t ms = 0;
  std::memcpy(&ms, text.data() + 1, sizeof(ms));
  return ms;
}

// Addresses up to 2^52: pool blocks are 16-byte aligned.
inline Cell from_array(const ArrayCells* array) {
  const auto address = reinterpret_cast<uintptr_t>(array);
  OMEN_ASSERT((address & 15) == 0 && uint64_t{address} >> 52 == 0);
  return kArrayTag << 48 | uint64_t{address} >> 4;
}
inline const ArrayCells* array_of(Cell c) {
  return reinterpret_cast<const ArrayCells*>(
      static_cast<uintptr_t>((c & 0x0000'FFFF'FFFF'FFFF) << 4));
}

}  // namespace cell

}  // namespace omen
