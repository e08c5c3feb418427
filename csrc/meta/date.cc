// Civil days after Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
#include "meta/date.h"

namespace omen {

namespace {

class DateReader {
 public:
  explicit DateReader(std::string_view text) : p_(text.data()), end_(p_ + text.size()) {}

  bool at_end() const { return p_ == end_; }
  bool take(char c) {
    if (p_ == end_ || *p_ != c) return false;
    ++p_;
    return true;
  }
  bool digits(int count, int64_t* out) {
    int64_t value = 0;
    for (int i = 0; i < count; ++i, ++p_) {
      if (p_ == end_ || *p_ < '0' || *p_ > '9') return false;
      value = value * 10 + (*p_ - '0');
    }
    *out = value;
    return true;
  }
  // Milliseconds of a fraction of one or more digits; what is finer is cut off, as Date does.
  bool fraction(int64_t* ms) {
    int64_t value = 0;
    int count = 0;
    for (; p_ != end_ && *p_ >= '0' && *p_ <= '9'; ++p_, ++count) {
      if (count < 3) value = value * 10 + (*p_ - '0');
    }
    for (int i = count; i < 3; ++i) value *= 10;
    *ms = value;
    return count > 0 && count <= 9;
  }

 private:
  const char* p_;
  const char* end_;
};

bool is_leap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

int64_t days_of_month(int64_t year, int64_t month) {
  static const int64_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : kDays[month - 1];
}

int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t day_of_era =
      year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

bool read_year(DateReader* r, int64_t* year) {
  if (r->take('+')) return r->digits(6, year);
  if (r->take('-')) {
    if (!r->digits(6, year) || *year == 0) return false;  // -000000 is no year.
    *year = -*year;
    return true;
  }
  return r->digits(4, year);
}

// Milliseconds of "THH:mm[:ss[.fraction]]zone".
bool read_time(DateReader* r, int64_t* ms) {
  int64_t hour = 0, minute = 0, second = 0, fraction = 0;
  if (!r->digits(2, &hour) || !r->take(':') || !r->digits(2, &minute)) return false;
  if (r->take(':')) {
    if (!r->digits(2, &second)) return false;
    if (r->take('.') && !r->fraction(&fraction)) return false;
  }
  if (hour > 24 || minute > 59 || second > 59) return false;
  if (hour == 24 && (minute | second | fraction) != 0) return false;
  int64_t zone_minutes = 0;
  if (!r->take('Z')) {
    const bool negative = r->take('-');
    if (!negative && !r->take('+')) return false;
    int64_t h = 0, m = 0;
    if (!r->digits(2, &h) || !r->take(':') || !r->digits(2, &m) || h > 23 || m > 59) return false;
    zone_minutes = negative ? -(h * 60 + m) : h * 60 + m;
  }
  *ms = ((hour * 60 + minute - zone_minutes) * 60 + second) * 1000 + fraction;
  return true;
}

}  // namespace

bool parse_iso_date(std::string_view text, int64_t* ms) {
  DateReader r(text);
  int64_t year = 0, month = 0, day = 0;
  if (!read_year(&r, &year) || !r.take('-') || !r.digits(2, &month) || !r.take('-') ||
      !r.digits(2, &day)) {
    return false;
  }
  if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month)) return false;
  int64_t time_ms = 0;
  if (r.take('T') && !read_time(&r, &time_ms)) return false;
  if (!r.at_end()) return false;
  const int64_t value = days_from_civil(year, month, day) * 86'400'000 + time_ms;
  if (value < -kDateMsMax || value > kDateMsMax) return false;
  *ms = value;
  return true;
}

bool is_date_object(const JsonNode& node, bool* valid, int64_t* ms) {
  if (node.kind != JsonKind::kObject || node.count != 1 || node.first->key != "$date") return false;
  *valid = node.first->kind == JsonKind::kString && parse_iso_date(node.first->text, ms);
  return true;
}

}  // namespace omen
