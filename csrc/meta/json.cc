// The parser: one pass, recursive descent, bounded.
#include "meta/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "meta/json_number.h"
#include "meta/utf8.h"

namespace omen {

namespace {

class JsonParser {
 public:
  JsonParser(std::string_view text, ErrorCode fault, Bump* bump)
      : begin_(text.data()), p_(text.data()), end_(text.data() + text.size()), fault_(fault),
        bump_(bump) {}

  Status parse_document(uint32_t depth_max, JsonNode* root) {
    skip_space();
    OMEN_TRY(parse_value(depth_max, root));
    skip_space();
    if (p_ != end_) return fault("unexpected text after the JSON value");
    return Status::ok();
  }

 private:
  Status fault(const char* what) const {
    return Status::error(fault_, "invalid JSON at byte " + std::to_string(p_ - begin_) + ": " +
                                     what);
  }
  static Status no_memory() {
    return Status::error(ErrorCode::kMemory, "cannot allocate memory to parse JSON");
  }

  void skip_space() {
    while (p_ != end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\r' || *p_ == '\t')) ++p_;
  }

  bool take(char c) {
    if (p_ == end_ || *p_ != c) return false;
    ++p_;
    return true;
  }

  Status parse_value(uint32_t depth_left, JsonNode* node) {
    if (p_ == end_) return fault("a value is missing");
    const char* start = p_;
    Status s;
    switch (*p_) {
      case '{': s = parse_object(depth_left, node); break;
      case '[': s = parse_array(depth_left, node); break;
      case '"':
        node->kind = JsonKind::kString;
        s = parse_string(&node->text);
        break;
      case 't': s = parse_word("true", JsonKind::kTrue, node); break;
      case 'f': s = parse_word("false", JsonKind::kFalse, node); break;
      case 'n': s = parse_word("null", JsonKind::kNull, node); break;
      default: s = parse_number(node); break;
    }
    if (!s.is_ok()) return s;
    node->source = {start, static_cast<size_t>(p_ - start)};
    return Status::ok();
  }

  Status parse_word(std::string_view word, JsonKind kind, JsonNode* node) {
    if (static_cast<size_t>(end_ - p_) < word.size() ||
        std::memcmp(p_, word.data(), word.size()) != 0) {
      return fault("unexpected word");
    }
    p_ += word.size();
    node->kind = kind;
    return Status::ok();
  }

  Status parse_number(JsonNode* node) {
    const size_t length = json_number_length({p_, static_cast<size_t>(end_ - p_)});
    if (length == 0) return fault("unexpected character");
    node->kind = JsonKind::kNumber;
    if (!read_json_number({p_, length}, &node->number)) {
      return fault("a number is beyond the range of a double");
    }
    p_ += length;
    return Status::ok();
  }

  Status parse_array(uint32_t depth_left, JsonNode* node) {
    if (depth_left == 0) return fault("nested too deeply");
    ++p_;
    node->kind = JsonKind::kArray;
    skip_space();
    if (take(']')) return Status::ok();
    const JsonNode** tail = &node->first;
    for (;;) {
      auto* element = bump_->make<JsonNode>();
      if (element == nullptr) return no_memory();
      skip_space();
      OMEN_TRY(parse_value(depth_left - 1, element));
      *tail = element;
      tail = &element->next;
      ++node->count;
      skip_space();
      if (take(']')) return Status::ok();
      if (!take(',')) return fault("',' or ']' is missing");
    }
  }

  Status parse_object(uint32_t depth_left, JsonNode* node) {
    if (depth_left == 0) return fault("nested too deeply");
    ++p_;
    node->kind = JsonKind::kObject;
    skip_space();
    if (take('}')) return Status::ok();
    const JsonNode** tail = &node->first;
    for (;;) {
      auto* member = bump_->make<JsonNode>();
      if (member == nullptr) return no_memory();
      skip_space();
      if (p_ == end_ || *p_ != '"') return fault("a key is missing");
      const char* start = p_;
      OMEN_TRY(parse_string(&member->key));
      member->key_source = {start, static_cast<size_t>(p_ - start)};
      skip_space();
      if (!take(':')) return fault("':' is missing");
      skip_space();
      OMEN_TRY(parse_value(depth_left - 1, member));
      *tail = member;
      tail = &member->next;
      ++node->count;
      skip_space();
      if (take('}')) return drop_duplicates(node);
      if (!take(',')) return fault("',' or '}' is missing");
    }
  }

  // Of equal keys the last stays. Sorted rather than hashed: keys can be chosen to collide in any
  // table, and an order bounds the work whatever they are.
  Status drop_duplicates(JsonNode* object) {
    if (object->count < 2) return Status::ok();
    constexpr size_t kOnStack = 32;
    JsonNode* few[kOnStack];
    JsonNode** members = few;
    if (object->count > kOnStack) {
      members = bump_->make_array<JsonNode*>(object->count);
      if (members == nullptr) return no_memory();
    }
    size_t count = 0;
    for (const JsonNode* m = object->first; m != nullptr; m = m->next) {
      members[count++] = const_cast<JsonNode*>(m);
    }
    std::sort(members, members + count, [](const JsonNode* a, const JsonNode* b) {
      const int order = a->key.compare(b->key);
      return order != 0 ? order < 0 : a->key_source.data() < b->key_source.data();
    });
    bool has_duplicates = false;
    for (size_t i = 1; i < count; ++i) {
      if (members[i - 1]->key != members[i]->key) continue;
      members[i - 1]->key_source = {};  // Every member has one: its lack is the mark.
      has_duplicates = true;
    }
    if (has_duplicates) unlink_marked(object);
    return Status::ok();
  }

  static void unlink_marked(JsonNode* object) {
    const JsonNode** tail = &object->first;
    for (const JsonNode* m = object->first; m != nullptr; m = m->next) {
      if (m->key_source.empty()) {
        --object->count;
        continue;
      }
      *tail = m;
      tail = &const_cast<JsonNode*>(m)->next;
    }
    *tail = nullptr;
  }

  Status parse_string(std::string_view* out) {
    ++p_;
    const char* start = p_;
    bool has_escape = false;
    while (p_ != end_ && *p_ != '"') {
      const auto c = static_cast<unsigned char>(*p_);
      if (c < 0x20) return fault("a control character stands in a string");
      if (c == '\\') {
        has_escape = true;
        if (++p_ == end_) break;
        ++p_;
        continue;
      }
      if (c < 0x80) {
        ++p_;
        continue;
      }
      const size_t length = utf8_length({p_, static_cast<size_t>(end_ - p_)});
      if (length == 0) return fault("invalid UTF-8");
      p_ += length;
    }
    if (p_ == end_) return fault("a string does not end");
    const char* stop = p_;
    if (!has_escape) {
      ++p_;
      *out = {start, static_cast<size_t>(stop - start)};
      return Status::ok();
    }
    // An escape is never shorter than what it stands for, so the source's length is enough.
    auto* text = static_cast<char*>(bump_->allocate(static_cast<size_t>(stop - start)));
    if (text == nullptr) return no_memory();
    p_ = start;
    char* to = text;
    while (p_ != stop) {
      if (*p_ != '\\') {
        *to++ = *p_++;
        continue;
      }
      OMEN_TRY(parse_escape(stop, &to));
    }
    ++p_;
    *out = {text, static_cast<size_t>(to - text)};
    return Status::ok();
  }

  // p_ is at a backslash that some character follows before `stop`.
  Status parse_escape(const char* stop, char** to) {
    ++p_;
    switch (*p_) {
      case '"': case '\\': case '/': *(*to)++ = *p_++; return Status::ok();
      case 'b': *(*to)++ = '\b'; ++p_; return Status::ok();
      case 'f': *(*to)++ = '\f'; ++p_; return Status::ok();
      case 'n': *(*to)++ = '\n'; ++p_; return Status::ok();
      case 'r': *(*to)++ = '\r'; ++p_; return Status::ok();
      case 't': *(*to)++ = '\t'; ++p_; return Status::ok();
      case 'u': break;
      default: return fault("an unknown escape stands in a string");
    }
    uint32_t code = 0;
    if (!read_hex(p_ + 1, stop, &code)) return fault("\\u needs four hexadecimal digits");
    p_ += 5;
    uint32_t low = 0;
    if (code >= 0xD800 && code < 0xDC00 && stop - p_ >= 6 && p_[0] == '\\' && p_[1] == 'u' &&
        read_hex(p_ + 2, stop, &low) && low >= 0xDC00 && low < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      p_ += 6;
    }
    *to += utf8_write(code, *to);  // A lone surrogate: its three bytes.
    return Status::ok();
  }

  static bool read_hex(const char* p, const char* stop, uint32_t* out) {
    if (stop - p < 4) return false;
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = p[i];
      uint32_t digit;
      if (c >= '0' && c <= '9') digit = static_cast<uint32_t>(c - '0');
      else if (c >= 'a' && c <= 'f') digit = static_cast<uint32_t>(c - 'a') + 10;
      else if (c >= 'A' && c <= 'F') digit = static_cast<uint32_t>(c - 'A') + 10;
      else return false;
      value = value * 16 + digit;
    }
    *out = value;
    return true;
  }

  const char* begin_;
  const char* p_;
  const char* end_;
  ErrorCode fault_;
  Bump* bump_;
};

}  // namespace

const JsonNode* JsonNode::find(std::string_view name) const {
  for (const JsonNode* m = first; m != nullptr; m = m->next) {
    if (m->key == name) return m;
  }
  return nullptr;
}

Result<const JsonNode*> parse_json(std::string_view text, uint32_t depth_max, ErrorCode fault,
                                   Bump* bump) {
  auto* root = bump->make<JsonNode>();
  if (root == nullptr) {
    return Status::error(ErrorCode::kMemory, "cannot allocate memory to parse JSON");
  }
  JsonParser parser(text, fault, bump);
  OMEN_TRY(parser.parse_document(depth_max, root));
  return static_cast<const JsonNode*>(root);
}

const char* json_kind_name(JsonKind kind) {
  switch (kind) {
    case JsonKind::kNull: return "null";
    case JsonKind::kFalse:
    case JsonKind::kTrue: return "a boolean";
    case JsonKind::kNumber: return "a number";
    case JsonKind::kString: return "a string";
    case JsonKind::kArray: return "an array";
    case JsonKind::kObject: return "an object";
  }
  return "a value";
}

void append_json_string(std::string_view text, std::string* out) {
  static const char kHex[] = "0123456789abcdef";
  out->push_back('"');
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(static_cast<char>(c));
    } else if (c < 0x20) {
      const char escape[] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
      out->append(escape, sizeof(escape));
    } else if (c == 0xED && i + 2 < text.size() &&
               static_cast<unsigned char>(text[i + 1]) >= 0xA0) {
      const uint32_t low = static_cast<unsigned char>(text[i + 2]) & 63u;
      const uint32_t code =
          0xD000u | (static_cast<unsigned char>(text[i + 1]) & 63u) << 6 | low;
      const char escape[] = {'\\', 'u', 'd', kHex[code >> 8 & 15], kHex[code >> 4 & 15],
                             kHex[code & 15]};
      out->append(escape, sizeof(escape));
      i += 2;
    } else {
      out->push_back(static_cast<char>(c));
    }
  }
  out->push_back('"');
}

}  // namespace omen
