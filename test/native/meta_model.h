// A model of metadata and filters: random documents and filters, and one way to evaluate them that
// shares no code with the engine.
#pragma once

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "base/random.h"

namespace omen::test {

// A value as the model keeps it. Objects only as fields of a document, one level of nesting.
struct Member;

struct Value {
  enum Kind { kMissing, kNull, kBool, kNumber, kString, kDate, kArray, kObject } kind = kMissing;
  bool boolean = false;
  double number = 0;
  std::string text;     // kString: UTF-8. kDate: ISO.
  int64_t ms = 0;       // kDate
  std::vector<Value> elements;  // kArray
  std::vector<Member> members;  // kObject

  bool is_scalar() const { return kind >= kNull && kind <= kDate; }
};

struct Member {
  std::string name;
  Value value;
};

inline Value empty_value(Value::Kind kind) {
  Value v;
  v.kind = kind;
  return v;
}

inline std::string json_of(const Value& v) {
  switch (v.kind) {
    case Value::kMissing:
    case Value::kNull: return "null";
    case Value::kBool: return v.boolean ? "true" : "false";
    case Value::kNumber: {
      char text[40];
      std::snprintf(text, sizeof(text), "%.17g", v.number);
      return text;
    }
    case Value::kString: {
      std::string out = "\"";
      for (const char c : v.text) {
        if (c == '"' || c == '\\') out += '\\';
        if (c == '\n') out += "\\n";
        else out += c;
      }
      return out + "\"";
    }
    case Value::kDate: return "{\"$date\":\"" + v.text + "\"}";
    case Value::kArray: {
      std::string out = "[";
      for (size_t i = 0; i < v.elements.size(); ++i) out += (i ? "," : "") + json_of(v.elements[i]);
      return out + "]";
    }
    case Value::kObject: {
      std::string out = "{";
      for (size_t i = 0; i < v.members.size(); ++i) {
        if (i > 0) out += ",";
        out += "\"" + v.members[i].name + "\":" + json_of(v.members[i].value);
      }
      return out + "}";
    }
  }
  return "null";
}

inline const Value& member(const Value& object, const std::string& name) {
  static const Value kNone;
  if (object.kind != Value::kObject) return kNone;
  for (const Member& m : object.members) {
    if (m.name == name) return m.value;
  }
  return kNone;
}

inline const Value& at_path(const Value& document, const std::string& path) {
  const size_t dot = path.find('.');
  if (dot == std::string::npos) return member(document, path);
  return at_path(member(document, path.substr(0, dot)), path.substr(dot + 1));
}

// Few values of each type, so that filters hit; some near the edges of the representation.
inline Value random_scalar(Random* r) {
  static const std::pair<const char*, int64_t> kDates[] = {
      {"1970-01-01T00:00:00.000Z", 0},
      {"2020-01-01T00:00:00.000Z", 1577836800000},
      {"1969-12-31T23:59:59.999Z", -1},
      {"+275760-09-13T00:00:00.000Z", 8640000000000000},
      {"-271821-04-20T00:00:00.000Z", -8640000000000000},
      {"+100000-01-01T00:00:00.000Z", 3093527980800000},
  };
  static const double kNumbers[] = {0, -1, 1, 2, 3, 1.5, 1e300, -1e300, 5e-324, 9007199254740991.0};
  static const char* kStrings[] = {"", "a", "b", "sf", "drama", "\xC3\xA9", "\xE2\x82\xAC",
                                   "\xF0\x9F\x98\x80", "\xEF\xBF\xBD", "x\"\\y\n"};
  Value v;
  switch (r->below(8)) {
    case 0: v.kind = Value::kNull; break;
    case 1:
      v.kind = Value::kBool;
      v.boolean = r->below(2) == 1;
      break;
    case 2:
    case 3:
    case 4:
      v.kind = Value::kNumber;
      v.number = kNumbers[r->below(std::size(kNumbers))];
      break;
    case 5:
    case 6:
      v.kind = Value::kString;
      v.text = kStrings[r->below(std::size(kStrings))];
      break;
    default: {
      const auto& d = kDates[r->below(std::size(kDates))];
      v.kind = Value::kDate;
      v.text = d.first;
      v.ms = d.second;
    }
  }
  return v;
}

inline Value random_value(Random* r, int depth) {
  const uint64_t shape = r->below(10);
  Value v;
  if (shape < 2) {
    v.kind = Value::kArray;
    const uint64_t n = r->below(5);
    for (uint64_t i = 0; i < n; ++i) {
      Value e = random_scalar(r);
      if (r->below(8) == 0) e = empty_value(r->below(2) ? Value::kArray : Value::kObject);
      v.elements.push_back(e);
    }
    return v;
  }
  if (shape == 2 && depth > 0) {
    v.kind = Value::kObject;
    for (const char* name : {"x", "y"}) {
      if (r->below(2)) v.members.push_back({name, random_value(r, depth - 1)});
    }
    return v;
  }
  return random_scalar(r);
}

inline Value random_document(Random* r) {
  Value v;
  v.kind = Value::kObject;
  for (const char* name : {"a", "b", "c", "rare"}) {
    if (r->below(std::string(name) == "rare" ? 40 : 4) != 0) {
      if (std::string(name) == "rare") continue;
      v.members.push_back({name, random_value(r, 2)});
    } else if (std::string(name) == "rare") {
      v.members.push_back({name, random_scalar(r)});
    }
  }
  return v;
}

// An id of the model: record i has integer i, or for odd i the string "s<i>".
inline bool id_is_integer(uint32_t i) { return i % 2 == 0; }
inline std::string id_text(uint32_t i) { return "s" + std::to_string(i); }

// A filter as JSON together with its meaning.
struct ModelFilter {
  enum Kind { kAll, kAnd, kOr, kNot, kField, kId } kind = kAll;
  std::vector<ModelFilter> children;
  std::string path;
  std::string op;
  std::vector<Value> operands;
  bool exists = false;
  std::vector<uint32_t> ids;  // kId: $in of these records' ids, or one with an order.
};

inline bool scalars_same(const Value& a, const Value& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Value::kNull: return true;
    case Value::kBool: return a.boolean == b.boolean;
    case Value::kNumber: return a.number == b.number;
    case Value::kString: return a.text == b.text;
    case Value::kDate: return a.ms == b.ms;
    default: return false;
  }
}

// -1, 0, 1; 2 where there is no order.
inline int order_of(const Value& a, const Value& b) {
  if (a.kind != b.kind) return 2;
  if (a.kind == Value::kNumber) return a.number < b.number ? -1 : a.number > b.number;
  if (a.kind == Value::kDate) return a.ms < b.ms ? -1 : a.ms > b.ms;
  if (a.kind == Value::kString) {
    const int c = a.text.compare(b.text);
    return c < 0 ? -1 : c > 0;
  }
  return 2;
}

inline bool order_holds(const std::string& op, int order) {
  if (order == 2) return false;
  if (op == "$lt") return order < 0;
  if (op == "$lte") return order <= 0;
  if (op == "$gt") return order > 0;
  return order >= 0;
}

inline bool scalar_satisfies(const ModelFilter& f, const Value& v) {
  if (f.op == "$eq" || f.op == "$in" || f.op == "$ne" || f.op == "$nin") {
    for (const Value& o : f.operands) {
      if (scalars_same(v, o)) return true;
    }
    return false;
  }
  return order_holds(f.op, order_of(v, f.operands[0]));
}

inline bool field_satisfies(const ModelFilter& f, const Value& v) {
  if (f.op == "$exists") return (v.kind != Value::kMissing) == f.exists;
  if (f.op == "$contains") {
    if (v.kind != Value::kArray) return false;
    for (const Value& o : f.operands) {
      bool found = false;
      for (const Value& e : v.elements) found |= scalars_same(e, o);
      if (!found) return false;
    }
    return true;
  }
  bool any = false;
  if (v.kind == Value::kArray) {
    for (const Value& e : v.elements) any |= e.is_scalar() && scalar_satisfies(f, e);
  } else {
    any = v.is_scalar() && scalar_satisfies(f, v);
  }
  return f.op == "$ne" || f.op == "$nin" ? !any : any;
}

inline bool id_satisfies(const ModelFilter& f, uint32_t i) {
  if (f.op == "$in" || f.op == "$nin") {
    bool any = false;
    for (const uint32_t other : f.ids) any |= other == i;
    return any == (f.op == "$in");
  }
  const uint32_t other = f.ids[0];
  if (id_is_integer(i) != id_is_integer(other)) return false;
  if (id_is_integer(i)) return order_holds(f.op, i < other ? -1 : i > other);
  const int c = id_text(i).compare(id_text(other));
  return order_holds(f.op, c < 0 ? -1 : c > 0);
}

inline bool satisfies(const ModelFilter& f, const Value& document, uint32_t i) {
  switch (f.kind) {
    case ModelFilter::kAll: return true;
    case ModelFilter::kNot: return !satisfies(f.children[0], document, i);
    case ModelFilter::kAnd:
      for (const ModelFilter& c : f.children) {
        if (!satisfies(c, document, i)) return false;
      }
      return true;
    case ModelFilter::kOr:
      for (const ModelFilter& c : f.children) {
        if (satisfies(c, document, i)) return true;
      }
      return false;
    case ModelFilter::kField: return field_satisfies(f, at_path(document, f.path));
    case ModelFilter::kId: return id_satisfies(f, i);
  }
  return false;
}

inline std::string id_json(uint32_t i) {
  if (!id_is_integer(i)) return "\"" + id_text(i) + "\"";
  return i % 4 == 0 ? std::to_string(i) : "{\"$int\":\"" + std::to_string(i) + "\"}";
}

inline std::string condition_json(const ModelFilter& f) {
  std::string list;
  if (f.kind == ModelFilter::kId) {
    for (const uint32_t i : f.ids) list += (list.empty() ? "" : ",") + id_json(i);
  }
  for (const Value& o : f.operands) list += (list.empty() ? "" : ",") + json_of(o);
  if (f.op == "$exists") return std::string("{\"$exists\":") + (f.exists ? "true" : "false") + "}";
  const bool is_list = f.op == "$in" || f.op == "$nin" || f.op == "$contains";
  return "{\"" + f.op + "\":" + (is_list ? "[" + list + "]" : list) + "}";
}

inline std::string json_of(const ModelFilter& f) {
  switch (f.kind) {
    case ModelFilter::kAll: return "{}";
    case ModelFilter::kNot: return "{\"$not\":" + json_of(f.children[0]) + "}";
    case ModelFilter::kAnd:
    case ModelFilter::kOr: {
      std::string out = f.kind == ModelFilter::kAnd ? "{\"$and\":[" : "{\"$or\":[";
      for (size_t i = 0; i < f.children.size(); ++i) out += (i ? "," : "") + json_of(f.children[i]);
      return out + "]}";
    }
    case ModelFilter::kField: return "{\"" + f.path + "\":" + condition_json(f) + "}";
    case ModelFilter::kId: return "{\"$id\":" + condition_json(f) + "}";
  }
  return "{}";
}

inline ModelFilter random_filter(Random* r, int depth, uint32_t record_count) {
  ModelFilter f;
  const uint64_t shape = r->below(depth > 0 ? 12 : 8);
  if (shape >= 8) {
    f.kind = shape == 8 ? ModelFilter::kNot : shape < 11 ? ModelFilter::kAnd : ModelFilter::kOr;
    const uint64_t n = f.kind == ModelFilter::kNot ? 1 : 1 + r->below(3);
    for (uint64_t i = 0; i < n; ++i) {
      f.children.push_back(random_filter(r, depth - 1, record_count));
    }
    return f;
  }
  if (shape == 7 && r->below(4) == 0) return f;
  static const char* kOps[] = {"$eq", "$ne", "$in", "$nin", "$lt", "$lte", "$gt", "$gte",
                               "$exists", "$contains"};
  if (shape == 6) {
    static const char* kIdOps[] = {"$in", "$nin", "$lt", "$gte"};
    f.kind = ModelFilter::kId;
    f.op = kIdOps[r->below(4)];
    const uint64_t n = f.op[1] == 'i' || f.op[1] == 'n' ? r->below(20) : 1;
    for (uint64_t i = 0; i < n; ++i) {
      f.ids.push_back(static_cast<uint32_t>(r->below(record_count + 5)));
    }
    return f;
  }
  static const char* kPaths[] = {"a", "b", "c", "rare", "a.x", "b.y", "a.x.y", "never"};
  f.kind = ModelFilter::kField;
  f.path = kPaths[r->below(std::size(kPaths))];
  f.op = kOps[r->below(std::size(kOps))];
  if (f.op == "$exists") {
    f.exists = r->below(2) == 1;
    return f;
  }
  const bool is_list = f.op == "$in" || f.op == "$nin" || f.op == "$contains";
  const bool is_order = f.op[1] == 'l' || f.op[1] == 'g';
  const uint64_t n = is_list ? r->below(f.op == "$contains" ? 3 : 14) : 1;
  while (f.operands.size() < n) {
    Value v = random_scalar(r);
    if (is_order && (v.kind == Value::kNull || v.kind == Value::kBool)) continue;
    f.operands.push_back(v);
  }
  return f;
}

}  // namespace omen::test
