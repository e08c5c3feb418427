// JSON and dates: what is accepted, what is refused, and that texts keep their meaning.
#include <chrono>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "meta/date.h"
#include "meta/json.h"
#include "meta/json_number.h"
#include "meta/utf8.h"
#include "test.h"

using namespace omen;
using namespace omen::test;

namespace {

bool is_accepted(std::string_view text, uint32_t depth = 8) {
  Bump bump;
  return parse_json(text, depth, ErrorCode::kMetadata, &bump).is_ok();
}

// Builds random JSON and, beside it, the text that a canonical writer gives for it.
void write_random(Random* r, int depth, std::string* messy, std::string* canonical);

std::string space(Random* r) {
  static const char* kSpaces[] = {"", "", "", " ", "\n", "\t\r "};
  return kSpaces[r->below(6)];
}

void write_random_string(Random* r, std::string* messy, std::string* canonical) {
  std::string text;
  *messy += '"';
  for (uint64_t n = r->below(6); n > 0; --n) {
    uint32_t code = 0;
    switch (r->below(4)) {
      case 0: code = 1 + static_cast<uint32_t>(r->below(127)); break;
      case 1: code = 0x80 + static_cast<uint32_t>(r->below(0x780)); break;
      case 2: code = 0xE000 + static_cast<uint32_t>(r->below(0x2000)); break;
      default: code = 0x10000 + static_cast<uint32_t>(r->below(0x100000)); break;
    }
    char bytes[4];
    const size_t length = utf8_write(code, bytes);
    text.append(bytes, length);
    if (r->below(2) == 0 || code < 0x20 || code == '"' || code == '\\') {
      char escape[16];
      if (code >= 0x10000) {
        std::snprintf(escape, sizeof(escape), "\\u%04X\\u%04x", 0xD800 + ((code - 0x10000) >> 10),
                      0xDC00 + ((code - 0x10000) & 0x3FF));
      } else {
        std::snprintf(escape, sizeof(escape), "\\u%04x", code);
      }
      *messy += escape;
    } else {
      messy->append(bytes, length);
    }
  }
  *messy += '"';
  append_json_string(text, canonical);
}

void write_random(Random* r, int depth, std::string* messy, std::string* canonical) {
  *messy += space(r);
  const uint64_t shape = r->below(depth > 0 ? 7 : 5);
  if (shape == 0) {
    const char* words[] = {"null", "true", "false"};
    const char* word = words[r->below(3)];
    *messy += word;
    *canonical += word;
  } else if (shape < 3) {
    const std::string number = std::to_string(static_cast<int64_t>(r->below(2000)) - 1000);
    *messy += number + (r->below(2) ? ".0" : "e0");
    *canonical += number;
  } else if (shape < 5) {
    write_random_string(r, messy, canonical);
  } else {
    const bool is_array = shape == 5;
    *messy += is_array ? '[' : '{';
    *canonical += is_array ? '[' : '{';
    const uint64_t n = r->below(5);
    for (uint64_t i = 0; i < n; ++i) {
      if (i > 0) {
        *messy += space(r) + ",";
        *canonical += ',';
      }
      if (!is_array) {
        const std::string key = "\"k" + std::to_string(i) + "\"";
        *messy += space(r) + key + space(r) + ":";
        *canonical += key + ":";
      }
      write_random(r, depth - 1, messy, canonical);
    }
    *messy += space(r) + (is_array ? "]" : "}");
    *canonical += is_array ? ']' : '}';
  }
  *messy += space(r);
}

void write_node(const JsonNode& node, std::string* out) {
  switch (node.kind) {
    case JsonKind::kNull: *out += "null"; return;
    case JsonKind::kFalse: *out += "false"; return;
    case JsonKind::kTrue: *out += "true"; return;
    case JsonKind::kNumber: *out += std::to_string(static_cast<int64_t>(node.number)); return;
    case JsonKind::kString: append_json_string(node.text, out); return;
    default: break;
  }
  const bool is_array = node.kind == JsonKind::kArray;
  *out += is_array ? '[' : '{';
  for (const JsonNode* m = node.first; m != nullptr; m = m->next) {
    if (m != node.first) *out += ',';
    if (!is_array) {
      append_json_string(m->key, out);
      *out += ':';
    }
    write_node(*m, out);
  }
  *out += is_array ? ']' : '}';
}

}  // namespace

// Any way of writing a document gives the same tree, and the tree writes the document back.
TEST(random_documents_round_trip) {
  Random r(test_seed());
  for (int i = 0; i < 3000; ++i) {
    std::string messy, canonical;
    write_random(&r, 5, &messy, &canonical);
    Bump bump;
    auto root = parse_json(messy, 8, ErrorCode::kMetadata, &bump);
    CHECK_OK(root.status());
    REQUIRE(root.is_ok());
    std::string written;
    write_node(*root.value(), &written);
    CHECK_EQ(written, canonical);
  }
}

// No prefix of a document, and no document with one byte changed, crashes or reads past its end; a
// proper prefix of an object is never a document.
TEST(damaged_documents_are_refused_or_read_whole) {
  Random r(test_seed());
  for (int i = 0; i < 60; ++i) {
    std::string messy = "{\"a\":", canonical;
    write_random(&r, 4, &messy, &canonical);
    messy += "}";
    for (size_t cut = 0; cut < messy.size(); ++cut) {
      // A copy of exact size, so that a sanitizer sees a read past the end.
      const std::vector<char> exact(messy.begin(), messy.begin() + static_cast<long>(cut));
      CHECK(!is_accepted({exact.data(), exact.size()}));
      std::vector<char> changed(messy.begin(), messy.end());
      changed[cut] = static_cast<char>(r.next());
      is_accepted({changed.data(), changed.size()});
    }
  }
}

// RFC 8259's edges.
TEST(grammar) {
  for (const char* good :
       {"0", "-0", "1e5", "1E+5", "-1.25e-3", "\"\"", "[]", "{}", " [ ] ", "\"\\ud800\"",
        "\"\\udc00\\ud800\"", "\"\\/\"", "1e-999", "0e999999999999",
        "\"\x7F\"", "[[[[[[[[]]]]]]]]"}) {
    CHECK(is_accepted(good));
  }
  for (const char* bad :
       {"", " ", "01", "+1", "1.", ".5", "1e", "1e+", "-", "--1", "nul", "True", "NaN", "Infinity",
        "'a'", "\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\t\"", "\"\\", "[1,]", "[,1]",
        "[1 2]",
        "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "1 2", "[", "{", "1e999", "-1e999", "[1}",
        "[[[[[[[[[]]]]]]]]]", "\"\x80\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"",
        "\"\xE2\x82\"", "\xEF\xBB\xBF{}"}) {
    CHECK(!is_accepted(bad));
  }
}

// Numbers have one representation, under any size of exponent.
TEST(numbers) {
  const auto read = [](const char* text) {
    double value = -1;
    CHECK(read_json_number(text, &value));
    return value;
  };
  CHECK(!std::signbit(read("-0")));
  CHECK(!std::signbit(read("-1e-99999")));
  CHECK_EQ(read("0.1"), 0.1);
  CHECK_EQ(read("1.7976931348623157e308"), 1.7976931348623157e308);
  CHECK_EQ(read("5e-324"), 5e-324);
  CHECK_EQ(read("0.00000001e8"), 1.0);
  double value = 0;
  for (const char* text : {"1e309", "-1e99999999999999999999", "17976931348623159e292"}) {
    CHECK(!read_json_number(text, &value));
  }
  uint64_t integer = 0;
  CHECK(read_uint64("18446744073709551615", &integer));
  CHECK_EQ(integer, UINT64_MAX);
  for (const char* text : {"", "18446744073709551616", "99999999999999999999", "01", "-1", "1 "}) {
    CHECK(!read_uint64(text, &integer));
  }
}

// Of equal keys the last wins, in small objects and large ones, and stays linear.
TEST(duplicate_keys) {
  for (const int count : {1, 2, 3, 100, 20000}) {
    std::string json = "{";
    for (int i = 0; i < count; ++i) {
      json += (i ? "," : "") + ("\"k" + std::to_string(i % 50)) + "\":" + std::to_string(i);
    }
    json += "}";
    Bump bump;
    auto root = parse_json(json, 2, ErrorCode::kMetadata, &bump);
    REQUIRE(root.is_ok());
    CHECK_EQ(root.value()->count, count < 50 ? count : 50);
    uint32_t listed = 0;
    for (const JsonNode* m = root.value()->first; m != nullptr; m = m->next) ++listed;
    CHECK_EQ(listed, root.value()->count);
    const JsonNode* last = root.value()->find("k" + std::to_string((count - 1) % 50));
    REQUIRE(last != nullptr);
    CHECK_EQ(last->number, count - 1.0);
  }
}

// Keys that all collide in hash_bytes cost no more than others.
TEST(colliding_keys) {
  const auto unmix = [](uint64_t x) {  // The inverse of mix64.
    x = (x ^ (x >> 31) ^ (x >> 62)) * 0x319642B2D24D8EC3ull;
    x = (x ^ (x >> 27) ^ (x >> 54)) * 0x96DE1B173F119089ull;
    return (x ^ (x >> 30) ^ (x >> 60)) - 0x9E3779B97F4A7C15ull;
  };
  CHECK_EQ(unmix(mix64(12345)), 12345);
  std::string json = "{";
  uint32_t count = 0;
  for (uint64_t hash = 0; count < 40000; hash += uint64_t{1} << 20) {
    const uint64_t word = mix64(8) ^ unmix(unmix(hash));
    if ((word & 0x8080808080808080ull) != 0) continue;  // ASCII is enough.
    char key[8];
    std::memcpy(key, &word, 8);
    if (count == 0) CHECK_EQ(hash_bytes(key, 8), hash);
    json += count++ > 0 ? "," : "";
    append_json_string({key, 8}, &json);
    json += ":1";
  }
  json += "}";
  Bump bump;
  const auto start = std::chrono::steady_clock::now();
  auto root = parse_json(json, 2, ErrorCode::kMetadata, &bump);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  REQUIRE(root.is_ok());
  CHECK_EQ(root.value()->count, count);
  CHECK(seconds < 2);  // Some milliseconds; a table took 12 s.
}

// Escaped lone surrogates keep their text; pairs join; byte order is code point order.
TEST(surrogates) {
  Bump bump;
  auto root = parse_json("[\"\\ud83d\\ude00\",\"\\ud83d\",\"\\ude00\\ud83d\",\"\\uffff\"]", 2,
                         ErrorCode::kMetadata, &bump);
  REQUIRE(root.is_ok());
  const JsonNode* e = root.value()->first;
  CHECK_EQ(e->text, std::string_view("\xF0\x9F\x98\x80"));
  CHECK(e->text > e->next->next->next->text);
  e = e->next;
  CHECK_EQ(e->text, std::string_view("\xED\xA0\xBD"));
  std::string written;
  append_json_string(e->next->text, &written);
  CHECK_EQ(written, std::string("\"\\ude00\\ud83d\""));
}

// Dates against an independent calendar walk, and the edges of the format.
TEST(dates) {
  int64_t ms = 0;
  static const int kMonths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int64_t day_number = -719528;  // 0000-01-01 before 1970-01-01.
  for (int year = 0; year < 2800; ++year) {
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    for (int month = 0; month < 12; ++month) {
      const int days = kMonths[month] + (month == 1 && leap);
      for (const int day : {1, days}) {
        char text[40];
        std::snprintf(text, sizeof(text), "%04d-%02d-%02dT23:59:59.999Z", year, month + 1, day);
        CHECK(parse_iso_date(text, &ms));
        CHECK_EQ(ms, (day_number + day) * 86400000 - 1);
      }
      char text[40];
      std::snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month + 1, days + 1);
      CHECK(!parse_iso_date(text, &ms));
      day_number += days;
    }
  }
  CHECK(parse_iso_date("+275760-09-13T00:00:00.000Z", &ms));
  CHECK_EQ(ms, kDateMsMax);
  CHECK(parse_iso_date("-271821-04-20T00:00:00.000Z", &ms));
  CHECK_EQ(ms, -kDateMsMax);
  CHECK(parse_iso_date("2020-01-01T24:00:00Z", &ms));
  CHECK(parse_iso_date("2020-01-01T00:00-05:30", &ms));
  CHECK_EQ(ms, 1577836800000 + 330 * 60000);
  for (const char* bad :
       {"", "2020", "2020-1-1", "2020-13-01", "2020-00-01", "2020-01-00", "2020-01-01T", "now",
        "2020-01-01T00:00:00", "2020-01-01T25:00Z", "2020-01-01T24:01Z", "2020-01-01T00:60Z",
        "2020-01-01T00:00:60Z", "2020-01-01T00:00:00.Z", "2020-01-01T00:00+24:00", "-000000-01-01",
        "+275760-09-13T00:00:00.001Z", "-271821-04-19T23:59:59.999Z", "2020-01-01Z", "2021-02-29",
        "2020-01-01T00:00:00.000Z "}) {
    CHECK(!parse_iso_date(bad, &ms));
  }
}
