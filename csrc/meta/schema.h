// Schema: what a collection's `schema` option says of its fields.
//
// JSON form: { "year": "number", "tags": "string[]", "author.born": "date",
//              "body": { "type": "string", "index": false } }
// Types: string, number, boolean, date, and arrays of one of them. Null and missing are always
// allowed. With a schema only its fields are indexed: others are stored and read back, and a filter
// on one is ERR_FILTER. A field with "index": false is checked and stored, and not indexed.
// Threads: immutable after parse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "meta/bump.h"

namespace omen {

enum class FieldType : uint8_t { kString, kNumber, kBoolean, kDate };

struct SchemaField {
  std::string_view path;
  FieldType type = FieldType::kString;
  bool is_array = false;
  bool is_indexed = true;
};

class Schema {
 public:
  // ERR_ARGUMENT with the path of the fault.
  static Result<std::shared_ptr<const Schema>> parse(std::string_view json);

  // nullptr if the schema does not name the path.
  const SchemaField* find(std::string_view path) const;
  // True if the path is an object on the way to a field: "author" where "author.born" is one.
  bool is_prefix(std::string_view path) const;
  size_t size() const { return count_; }
  // Canonical text: fields sorted by path. Two schemas are equal if their texts are.
  const std::string& text() const { return text_; }

 private:
  Schema() = default;
  Status finish();  // Checks that no field is within another, and writes text_.
  Bump bump_;
  SchemaField* fields_ = nullptr;  // Sorted by path.
  size_t count_ = 0;
  std::string text_;
};

const char* field_type_name(FieldType type);

}  // namespace omen
