// Works on the texts: values that the change does not touch keep their very bytes.
#include "meta/merge.h"

#include <algorithm>

#include "meta/json.h"
#include "meta/record.h"

namespace omen {

namespace {

Result<const JsonNode*> parse_record_object(std::string_view json, const char* what, Bump* bump) {
  if (json.empty()) json = "{}";
  if (json.size() > kRecordBytesMax) {
    return Status::error(ErrorCode::kMetadata, std::string(what) + " is longer than " +
                                                   std::to_string(kRecordBytesMax) + " bytes");
  }
  OMEN_ASSIGN(const JsonNode* root,
              parse_json(json, kRecordDepthMax, ErrorCode::kMetadata, bump));
  if (root->kind != JsonKind::kObject) {
    return Status::error(ErrorCode::kMetadata, std::string(what) + " is an object, not " +
                                                   json_kind_name(root->kind));
  }
  return root;
}

void append_member(const JsonNode& m, std::string* out) {
  if (out->size() > 1) out->push_back(',');
  out->append(m.key_source).append(":").append(m.source);
}

// Whether sorted names hold one.
bool has_name(std::span<const std::string_view> sorted, std::string_view name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

}  // namespace

Result<std::string> merge_metadata(std::string_view old_json, std::string_view change_json,
                                   std::span<const std::string> unset) {
  Bump bump;
  OMEN_ASSIGN(const JsonNode* old, parse_record_object(old_json, "the record's metadata", &bump));
  OMEN_ASSIGN(const JsonNode* change,
              parse_record_object(change_json, "the change of metadata", &bump));
  auto* changed = bump.make_array<std::string_view>(change->count);
  auto* removed = bump.make_array<std::string_view>(unset.size());
  if (changed == nullptr || removed == nullptr) {
    return Status::error(ErrorCode::kMemory, "cannot allocate memory to merge metadata");
  }
  size_t changed_count = 0;
  for (const JsonNode* m = change->first; m != nullptr; m = m->next) {
    changed[changed_count++] = m->key;
  }
  std::sort(changed, changed + changed_count);
  std::copy(unset.begin(), unset.end(), removed);
  std::sort(removed, removed + unset.size());
  const std::span<const std::string_view> changed_names(changed, changed_count);
  const std::span<const std::string_view> removed_names(removed, unset.size());
  for (const std::string_view name : removed_names) {
    if (has_name(changed_names, name)) {
      return Status::error(ErrorCode::kMetadata, "the field '" + std::string(name) +
                                                     "' is both changed and unset; choose one")
          .with_path(std::string(name));
    }
  }
  std::string merged = "{";
  for (const JsonNode* m = old->first; m != nullptr; m = m->next) {
    if (!has_name(changed_names, m->key) && !has_name(removed_names, m->key)) {
      append_member(*m, &merged);
    }
  }
  for (const JsonNode* m = change->first; m != nullptr; m = m->next) append_member(*m, &merged);
  merged.push_back('}');
  if (merged.size() > kRecordBytesMax) {
    return Status::error(ErrorCode::kMetadata, "the merged metadata is longer than " +
                                                   std::to_string(kRecordBytesMax) + " bytes");
  }
  return merged;
}

}  // namespace omen
