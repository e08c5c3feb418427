// Reads the schema option, strictly: a typing error in it would silently index nothing.
#include "meta/schema.h"

#include <algorithm>
#include <cstring>

#include "meta/json.h"
#include "meta/record.h"

namespace omen {

namespace {

constexpr size_t kSchemaBytesMax = size_t{1} << 20;

Status fault(std::string_view path, const std::string& what) {
  return Status::error(ErrorCode::kArgument,
                       "schema" + (path.empty() ? std::string() : "." + std::string(path)) + ": " +
                           what)
      .with_path(std::string(path));
}

// "number", "string[]"; false for what is no type.
bool read_type(std::string_view text, SchemaField* field) {
  static constexpr std::string_view kSuffix = "[]";
  field->is_array = text.size() > 2 && text.substr(text.size() - 2) == kSuffix;
  if (field->is_array) text.remove_suffix(2);
  for (const FieldType type :
       {FieldType::kString, FieldType::kNumber, FieldType::kBoolean, FieldType::kDate}) {
    if (text == field_type_name(type)) {
      field->type = type;
      return true;
    }
  }
  return false;
}

Status read_field(const JsonNode& node, SchemaField* field) {
  static const char kTypes[] =
      "the type is one of string, number, boolean, date, or one of them followed by []";
  if (node.kind == JsonKind::kString) {
    return read_type(node.text, field) ? Status::ok() : fault(field->path, kTypes);
  }
  if (node.kind != JsonKind::kObject) {
    return fault(field->path, "expected a type's name or { type, index }");
  }
  const JsonNode* type = node.find("type");
  if (type == nullptr || type->kind != JsonKind::kString || !read_type(type->text, field)) {
    return fault(field->path, kTypes);
  }
  for (const JsonNode* m = node.first; m != nullptr; m = m->next) {
    if (m == type) continue;
    if (m->key != "index") {
      return fault(field->path, "unknown key '" + std::string(m->key) + "'; there are type, index");
    }
    if (m->kind != JsonKind::kTrue && m->kind != JsonKind::kFalse) {
      return fault(field->path, "index is true or false");
    }
    field->is_indexed = m->kind == JsonKind::kTrue;
  }
  return Status::ok();
}

Status check_path(std::string_view path) {
  if (path.size() > kPathBytesMax) {
    return fault(path.substr(0, 64), "a path is longer than " + std::to_string(kPathBytesMax) +
                                         " bytes");
  }
  if (path[0] == '$' || path.find(".$") != std::string_view::npos) {
    return fault(path, "a key may not start with '$'");
  }
  return Status::ok();
}

}  // namespace

const char* field_type_name(FieldType type) {
  switch (type) {
    case FieldType::kString: return "string";
    case FieldType::kNumber: return "number";
    case FieldType::kBoolean: return "boolean";
    case FieldType::kDate: return "date";
  }
  return "string";
}

Result<std::shared_ptr<const Schema>> Schema::parse(std::string_view json) {
  if (json.size() > kSchemaBytesMax) return fault("", "its JSON is longer than 1 MiB");
  Bump tree;
  OMEN_ASSIGN(const JsonNode* root, parse_json(json, 4, ErrorCode::kArgument, &tree));
  if (root->kind != JsonKind::kObject) {
    return fault("", "expected an object such as { \"year\": \"number\", \"tags\": \"string[]\" }");
  }
  std::shared_ptr<Schema> schema(new (std::nothrow) Schema());
  if (schema == nullptr) return Status::error(ErrorCode::kMemory, "cannot allocate a schema");
  schema->fields_ = schema->bump_.make_array<SchemaField>(root->count);
  if (schema->fields_ == nullptr) {
    return Status::error(ErrorCode::kMemory, "cannot allocate a schema");
  }
  uint32_t indexed = 0;
  for (const JsonNode* m = root->first; m != nullptr; m = m->next) {
    SchemaField* field = &schema->fields_[schema->count_++];
    if (m->key.empty()) return fault("", "a field's name is empty");
    OMEN_TRY(check_path(m->key));
    if (!schema->bump_.copy(m->key, &field->path)) {
      return Status::error(ErrorCode::kMemory, "cannot allocate a schema");
    }
    OMEN_TRY(read_field(*m, field));
    indexed += field->is_indexed;
  }
  if (indexed > kIndexedFieldsMax) {
    return fault("", "more than " + std::to_string(kIndexedFieldsMax) + " indexed fields");
  }
  std::sort(schema->fields_, schema->fields_ + schema->count_,
            [](const SchemaField& a, const SchemaField& b) { return a.path < b.path; });
  OMEN_TRY(schema->finish());
  return std::shared_ptr<const Schema>(std::move(schema));
}

Status Schema::finish() {
  text_ = "{";
  for (size_t i = 0; i < count_; ++i) {
    const SchemaField& f = fields_[i];
    if (is_prefix(f.path)) {
      return fault(f.path, "it cannot be a " + std::string(field_type_name(f.type)) +
                               " and hold fields of its own");
    }
    if (i > 0) text_ += ",";
    append_json_string(f.path, &text_);
    text_ += std::string(":{\"type\":\"") + field_type_name(f.type) + (f.is_array ? "[]" : "") +
             "\",\"index\":" + (f.is_indexed ? "true" : "false") + "}";
  }
  text_ += "}";
  return Status::ok();
}

const SchemaField* Schema::find(std::string_view path) const {
  const SchemaField* begin = fields_;
  const SchemaField* end = begin + count_;
  const SchemaField* at = std::lower_bound(
      begin, end, path, [](const SchemaField& f, std::string_view p) { return f.path < p; });
  return at != end && at->path == path ? at : nullptr;
}

bool Schema::is_prefix(std::string_view path) const {
  // The first field not below "path." has that prefix if any has; '/' follows '.' in bytes.
  const SchemaField* begin = fields_;
  const SchemaField* end = begin + count_;
  const SchemaField* at =
      std::lower_bound(begin, end, path, [](const SchemaField& f, std::string_view p) {
        const int order = f.path.substr(0, p.size()).compare(p);
        if (order != 0) return order < 0;
        return f.path.size() == p.size() || f.path[p.size()] < '.';
      });
  return at != end && at->path.size() > path.size() && at->path.substr(0, path.size()) == path &&
         at->path[path.size()] == '.';
}

}  // namespace omen
