// UTF-8: length of a valid sequence, and writing a code point (Unicode 15, table 3-7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace omen {

// Bytes of the code point at the start of `text`; 0 if it is not valid UTF-8 (overlong, a
// surrogate, past U+10FFFF, cut off).
inline size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto is_tail = [&](size_t i) { return i < text.size() && (at(i) & 0xC0) == 0x80; };
  const unsigned char c = at(0);
  if (c < 0x80) return 1;
  if (c < 0xC2) return 0;
  if (c < 0xE0) return is_tail(1) ? 2 : 0;
  if (c < 0xF0) {
    if (!is_tail(1) || !is_tail(2)) return 0;
    if (c == 0xE0 && at(1) < 0xA0) return 0;
    if (c == 0xED && at(1) >= 0xA0) return 0;
    return 3;
  }
  if (c > 0xF4 || !is_tail(1) || !is_tail(2) || !is_tail(3)) return 0;
  if (c == 0xF0 && at(1) < 0x90) return 0;
  if (c == 0xF4 && at(1) >= 0x90) return 0;
  return 4;
}

// Writes 1 to 4 bytes. A surrogate becomes the three bytes of its number (WTF-8): the order of
// bytes stays the order of code points.
inline size_t utf8_write(uint32_t code, char* to) {
  if (code < 0x80) {
    to[0] = static_cast<char>(code);
    return 1;
  }
  if (code < 0x800) {
    to[0] = static_cast<char>(0xC0 | code >> 6);
    to[1] = static_cast<char>(0x80 | (code & 63));
    return 2;
  }
  if (code < 0x10000) {
    to[0] = static_cast<char>(0xE0 | code >> 12);
    to[1] = static_cast<char>(0x80 | (code >> 6 & 63));
    to[2] = static_cast<char>(0x80 | (code & 63));
    return 3;
  }
  to[0] = static_cast<char>(0xF0 | code >> 18);
  to[1] = static_cast<char>(0x80 | (code >> 12 & 63));
  to[2] = static_cast<char>(0x80 | (code >> 6 & 63));
  to[3] = static_cast<char>(0x80 | (code & 63));
  return 4;
}

}  // namespace omen
