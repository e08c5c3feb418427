// Uses std::from_chars where the library has it for doubles, else strtod in the C locale.
#include "meta/json_number.h"

#include <charconv>
#include <cmath>
#include <version>

#if !defined(__cpp_lib_to_chars)
#include <cstdlib>
#include <locale.h>
#include <string>
#if defined(__APPLE__)
#include <xlocale.h>
#endif
#endif

namespace omen {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

size_t digits_from(std::string_view text, size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

#if !defined(__cpp_lib_to_chars)
// Apple's libc++ reads integers only. strtod_l takes the locale as an argument; the host's own may
// write decimals with a comma.
double read_in_c_locale(std::string_view text) {
  static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", static_cast<locale_t>(nullptr));
  const std::string copy(text);
  return strtod_l(copy.c_str(), nullptr, c_locale);
}
#endif

// Decimal exponent of the first significant digit: says whether from_chars' "out of range" means
// too large or too small. Saturates, so that an exponent of any length is safe.
bool is_below_one(std::string_view text) {
  constexpr int64_t kCap = 1'000'000'000;
  int64_t exponent = 0;
  size_t e = text.find_first_of("eE");
  if (e != std::string_view::npos) {
    size_t at = e + 1;
    const bool negative = text[at] == '-';
    if (text[at] == '-' || text[at] == '+') ++at;
    for (; at < text.size(); ++at) {
      if (exponent < kCap) exponent = exponent * 10 + (text[at] - '0');
    }
    if (negative) exponent = -exponent;
  } else {
    e = text.size();
  }
  const std::string_view mantissa = text.substr(0, e);
  const size_t point = mantissa.find('.');
  const size_t whole = point == std::string_view::npos ? mantissa.size() : point;
  size_t first = 0;
  while (first < mantissa.size() && !(mantissa[first] >= '1' && mantissa[first] <= '9')) ++first;
  if (first == mantissa.size()) return true;  // Zero.
  const int64_t place = first < whole ? static_cast<int64_t>(whole - first) - 1
                                      : static_cast<int64_t>(whole) - static_cast<int64_t>(first);
  return exponent + place < 0;
}

}  // namespace

size_t json_number_length(std::string_view text) {
  size_t at = 0;
  if (at < text.size() && text[at] == '-') ++at;
  if (at == text.size() || !is_digit(text[at])) return 0;
  at = text[at] == '0' ? at + 1 : digits_from(text, at);
  if (at < text.size() && text[at] == '.') {
    const size_t stop = digits_from(text, at + 1);
    if (stop == at + 1) return 0;
    at = stop;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    size_t digits = at + 1;
    if (digits < text.size() && (text[digits] == '+' || text[digits] == '-')) ++digits;
    const size_t stop = digits_from(text, digits);
    if (stop == digits) return 0;
    at = stop;
  }
  // "01" is not two numbers but a fault.
  return at < text.size() && is_digit(text[at]) ? 0 : at;
}

bool read_json_number(std::string_view text, double* out) {
  double value = 0;
#if defined(__cpp_lib_to_chars)
  const auto r = std::from_chars(text.data(), text.data() + text.size(), value);
  if (r.ec == std::errc::result_out_of_range) {
    if (!is_below_one(text)) return false;
    value = 0;
  }
#else
  value = read_in_c_locale(text);
  if (std::isinf(value)) return false;
#endif
  *out = value == 0 ? 0.0 : value;
  return true;
}

bool read_uint64(std::string_view text, uint64_t* out) {
  if (text.empty() || text.size() > 20 || (text.size() > 1 && text[0] == '0')) return false;
  uint64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    const auto digit = static_cast<uint64_t>(c - '0');
    if (value > (UINT64_MAX - digit) / 10) return false;
    value = value * 10 + digit;
  }
  *out = value;
  return true;
}

}  // namespace omen
