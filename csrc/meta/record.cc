// RecordReader: from JSON text to the block and the fields to index.
#include "meta/record.h"

#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "base/random.h"
#include "memory/blocks.h"
#include "memory/budget.h"
#include "meta/bump.h"
#include "meta/column.h"
#include "meta/date.h"
#include "meta/json.h"
#include "meta/retiring_pool.h"
#include "meta/schema.h"

namespace omen {

namespace {

Status fault(std::string_view path, const std::string& what) {
  path = path.substr(0, kPathBytesMax);
  return Status::error(ErrorCode::kMetadata, "metadata" +
                                                 (path.empty() ? std::string() :
                                                  " field '" + std::string(path) + "'") +
                                                 ": " + what)
      .with_path(std::string(path));
}

Status no_memory() {
  return Status::error(ErrorCode::kMemory, "cannot allocate memory to read metadata");
}

// The fields of one record, in a tree's bump memory. `next` chains them.
struct Found {
  RecordField field;
  Found* next = nullptr;
};

class FieldFinder {
 public:
  FieldFinder(const Schema* schema, Bump* bump) : schema_(schema), bump_(bump) {}

  Status walk(const JsonNode& object, std::string_view prefix) {
    for (const JsonNode* m = object.first; m != nullptr; m = m->next) {
      OMEN_TRY(check_key(*m, prefix));
      std::string_view path;
      OMEN_TRY(join(prefix, m->key, &path));
      OMEN_TRY(member(*m, path));
    }
    return Status::ok();
  }

  Found* first() const { return first_; }
  uint32_t count() const { return count_; }
  bool has_date() const { return has_date_; }

 private:
  static std::string shown(std::string_view prefix, std::string_view key) {
    return prefix.empty() ? std::string(key) : std::string(prefix) + "." + std::string(key);
  }

  static Status check_key(const JsonNode& m, std::string_view prefix) {
    if (!m.key.empty() && m.key[0] == '$') {
      return fault(shown(prefix, m.key), "keys may not start with '$' (a date is the only key of "
                                         "its object: {\"$date\": \"2020-01-01T00:00:00.000Z\"})");
    }
    if (m.key.find('.') != std::string_view::npos) {
      return fault(shown(prefix, m.key),
                   "keys may not hold '.'; nest objects, filters address them with dots");
    }
    return Status::ok();
  }

  Status join(std::string_view prefix, std::string_view key, std::string_view* path) {
    if (!has_prefix_) {
      *path = key;
      return Status::ok();
    }
    const size_t length = prefix.size() + 1 + key.size();
    if (length > kPathBytesMax) return Status::ok();  // `member` refuses it by the empty path.
    auto* p = static_cast<char*>(bump_->allocate(length));
    if (p == nullptr) return no_memory();
    if (!prefix.empty()) std::memcpy(p, prefix.data(), prefix.size());
    p[prefix.size()] = '.';
    if (!key.empty()) std::memcpy(p + prefix.size() + 1, key.data(), key.size());
    *path = {p, length};
    return Status::ok();
  }

  Status member(const JsonNode& m, std::string_view path) {
    if (path.size() > kPathBytesMax || (has_prefix_ && path.empty())) {
      return fault(m.key.substr(0, 64), "its dotted path is longer than " +
                                            std::to_string(kPathBytesMax) + " bytes");
    }
    bool is_valid_date = false;
    int64_t date_ms = 0;
    const bool is_date = is_date_object(m, &is_valid_date, &date_ms);
    if (is_date && !is_valid_date) {
      return fault(path, "\"$date\" wants ISO text such as \"2020-01-01T00:00:00.000Z\"");
    }
    has_date_ |= is_date;
    bool is_indexed = true;
    if (schema_ != nullptr) {
      const SchemaField* known = schema_->find(path);
      if (known != nullptr) OMEN_TRY(check_type(m, is_date, *known, path));
      is_indexed = known != nullptr ? known->is_indexed : schema_->is_prefix(path);
    }
    if (is_indexed) OMEN_TRY(add_field(m, path));
    if (m.kind == JsonKind::kObject && !is_date) {
      const bool had_prefix = std::exchange(has_prefix_, true);
      OMEN_TRY(walk(m, path));
      has_prefix_ = had_prefix;
    } else if (m.kind == JsonKind::kArray) {
      OMEN_TRY(check_elements(m, path));
    }
    return Status::ok();
  }

  // What stands in arrays is stored whole, but its keys and dates must be valid too.
  Status check_elements(const JsonNode& array, std::string_view path) {
    uint32_t position = 0;
    for (const JsonNode* e = array.first; e != nullptr; e = e->next, ++position) {
      if (e->is_scalar()) continue;
      bool is_valid_date = false;
      int64_t ms = 0;
      // Built only where something nests: a plain array costs nothing.
      const std::string at = std::string(path) + "[" + std::to_string(position) + "]";
      if (is_date_object(*e, &is_valid_date, &ms)) {
        if (!is_valid_date) return fault(at, "\"$date\" wants ISO text");
        has_date_ = true;
      } else if (e->kind == JsonKind::kArray) {
        OMEN_TRY(check_elements(*e, at));
      } else {
        for (const JsonNode* m = e->first; m != nullptr; m = m->next) {
          OMEN_TRY(check_key(*m, at));
          OMEN_TRY(check_unindexed(*m, shown(at, m->key)));
        }
      }
    }
    return Status::ok();
  }

  Status check_unindexed(const JsonNode& m, const std::string& path) {
    bool is_valid_date = false;
    int64_t ms = 0;
    if (is_date_object(m, &is_valid_date, &ms)) {
      if (!is_valid_date) return fault(path, "\"$date\" wants ISO text");
      has_date_ = true;
    } else if (m.kind == JsonKind::kObject) {
      for (const JsonNode* inner = m.first; inner != nullptr; inner = inner->next) {
        OMEN_TRY(check_key(*inner, path));
        OMEN_TRY(check_unindexed(*inner, shown(path, inner->key)));
      }
    } else if (m.kind == JsonKind::kArray) {
      OMEN_TRY(check_elements(m, path));
    }
    return Status::ok();
  }

  static bool is_of_type(const JsonNode& node, bool is_date, FieldType type) {
    switch (type) {
      case FieldType::kString: return node.kind == JsonKind::kString;
      case FieldType::kNumber: return node.kind == JsonKind::kNumber;
      case FieldType::kBoolean:
        return node.kind == JsonKind::kTrue || node.kind == JsonKind::kFalse;
      case FieldType::kDate: return is_date;
    }
    return false;
  }

  static Status check_type(const JsonNode& node, bool is_date, const SchemaField& wanted,
                           std::string_view path) {
    if (node.kind == JsonKind::kNull) return Status::ok();
    const std::string name = field_type_name(wanted.type);
    if (!wanted.is_array) {
      if (is_of_type(node, is_date, wanted.type)) return Status::ok();
      return fault(path, "the schema wants a " + name + ", not " +
                             (is_date ? "a date" : json_kind_name(node.kind)));
    }
    if (node.kind != JsonKind::kArray) {
      return fault(path, "the schema wants an array of " + name + "s, not " +
                             (is_date ? "a date" : json_kind_name(node.kind)));
    }
    uint32_t position = 0;
    for (const JsonNode* e = node.first; e != nullptr; e = e->next, ++position) {
      bool valid = false;
      int64_t ms = 0;
      if (!is_of_type(*e, is_date_object(*e, &valid, &ms), wanted.type)) {
        return fault(std::string(path) + "[" + std::to_string(position) + "]",
                     "the schema wants a " + name + ", not " + json_kind_name(e->kind));
      }
    }
    return Status::ok();
  }

  Status add_field(const JsonNode& m, std::string_view path) {
    if (++count_ > kIndexedFieldsMax) {
      return fault(path, "the record has more than " + std::to_string(kIndexedFieldsMax) +
                             " indexed fields; put keys that vary into an array, or give a schema");
    }
    auto* found = bump_->make<Found>();
    if (found == nullptr) return no_memory();
    RecordField& f = found->field;
    f.path = path;
    f.path_hash = hash_bytes(path.data(), path.size());
    if (read_scalar(m, &f.value)) {
      f.shape = RecordField::Shape::kScalar;
    } else if (m.kind == JsonKind::kObject) {
      f.shape = RecordField::Shape::kObject;
    } else {
      f.shape = RecordField::Shape::kArray;
      f.elements = bump_->make_array<Scalar>(m.count);
      if (f.elements == nullptr) return no_memory();
      for (const JsonNode* e = m.first; e != nullptr; e = e->next) {
        if (read_scalar(*e, &f.elements[f.element_count])) ++f.element_count;
      }
    }
    *tail_ = found;
    tail_ = &found->next;
    return Status::ok();
  }

  const Schema* schema_;
  Bump* bump_;
  Found* first_ = nullptr;
  Found** tail_ = &first_;
  uint32_t count_ = 0;
  bool has_date_ = false;
  bool has_prefix_ = false;  // Within a nested object: an empty prefix is a key too.
};

// Copies the fields out of the tree's memory into one allocation. Texts that lie in the block stay
// there; what had escapes, and dotted paths, are copied.
class FieldPacker {
 public:
  FieldPacker(const MetadataBlock* block, const Found* first, uint32_t count)
      : block_(block), first_(first), count_(count) {}

  uint64_t bytes() const {
    uint64_t total = uint64_t{count_} * sizeof(RecordField);
    for (const Found* f = first_; f != nullptr; f = f->next) {
      total += uint64_t{f->field.element_count} * sizeof(Scalar);
      total += bytes_to_copy(f->field.path) + bytes_to_copy(f->field.value.text);
      for (uint32_t i = 0; i < f->field.element_count; ++i) {
        total += bytes_to_copy(f->field.elements[i].text);
      }
    }
    return total;
  }

  void pack(RecordField* to) {
    auto* scalars = reinterpret_cast<Scalar*>(to + count_);
    uint64_t scalar_count = 0;
    for (const Found* f = first_; f != nullptr; f = f->next) scalar_count += f->field.element_count;
    text_ = reinterpret_cast<char*>(scalars + scalar_count);
    for (const Found* f = first_; f != nullptr; f = f->next, ++to) {
      new (to) RecordField(f->field);
      to->elements = scalars;
      to->path = copied(to->path);
      to->value.text = copied(to->value.text);
      for (uint32_t i = 0; i < f->field.element_count; ++i, ++scalars) {
        new (scalars) Scalar(f->field.elements[i]);
        scalars->text = copied(scalars->text);
      }
    }
  }

 private:
  bool is_in_block(std::string_view text) const {
    const auto at = reinterpret_cast<uintptr_t>(text.data());
    const auto begin = reinterpret_cast<uintptr_t>(block_->text());
    return at >= begin && at + text.size() <= begin + block_->length;
  }
  uint64_t bytes_to_copy(std::string_view text) const {
    return is_in_block(text) ? 0 : text.size();
  }
  std::string_view copied(std::string_view text) {
    if (text.empty() || is_in_block(text)) return text;
    std::memcpy(text_, text.data(), text.size());
    const std::string_view copy(text_, text.size());
    text_ += text.size();
    return copy;
  }

  const MetadataBlock* block_;
  const Found* first_;
  uint32_t count_;
  char* text_ = nullptr;
};

}  // namespace

ParsedRecord::~ParsedRecord() {
  OMEN_ASSERT(!is_reserved_);  // Columns::apply() or cancel() was forgotten.
  if (block_ != nullptr && pool_ != nullptr) pool_->release(block_, block_->bytes());
  if (fields_ != nullptr) {
    free_bytes(fields_, fields_bytes_);
    account_->release(Use::kScratch, fields_bytes_);
  }
}

void ParsedRecord::swap(ParsedRecord& other) noexcept {
  std::swap(block_, other.block_);
  std::swap(pool_, other.pool_);
  std::swap(account_, other.account_);
  std::swap(fields_, other.fields_);
  std::swap(fields_bytes_, other.fields_bytes_);
  std::swap(field_count_, other.field_count_);
  std::swap(slot_, other.slot_);
  std::swap(is_reserved_, other.is_reserved_);
}

namespace {

Status check_size(std::string_view json) {
  if (json.size() <= kRecordBytesMax) return Status::ok();
  return fault("", std::to_string(json.size()) + " bytes of JSON are past the limit of " +
                       std::to_string(kRecordBytesMax) + " a record");
}

}  // namespace

MetadataBlock* RecordReader::make_block(void* memory, std::string_view json) {
  auto* block = new (memory) MetadataBlock{static_cast<uint32_t>(json.size()), 0};
  std::memcpy(block->text(), json.data(), json.size());
  // An escape may spell the key.
  const bool may_have_date = json.find("$date") != std::string_view::npos ||
                             json.find("\\u") != std::string_view::npos;
  if (may_have_date) block->flags |= MetadataBlock::kHasDate;
  return block;
}

Result<ParsedRecord> RecordReader::read(std::string_view json, const Schema* schema,
                                        RetiringPool* pool, MemoryAccount* account) {
  ParsedRecord record;
  if (json.empty() || json == "{}") return record;
  OMEN_TRY(check_size(json));
  record.pool_ = pool;
  record.account_ = account;
  OMEN_ASSIGN(void* memory, pool->allocate(sizeof(MetadataBlock) + json.size()));
  record.block_ = make_block(memory, json);
  record.block_->flags = 0;
  bool has_date = false;
  OMEN_ASSIGN(const bool has_keys, find_fields(schema, &record, &has_date));
  if (has_date) record.block_->flags |= MetadataBlock::kHasDate;
  if (!has_keys) {
    pool->release(record.block_, record.block_->bytes());
    record.block_ = nullptr;
  }
  return record;
}

Result<ParsedRecord> RecordReader::read_stored(MetadataBlock* block, const Schema* schema,
                                               MemoryAccount* account) {
  ParsedRecord record;
  record.account_ = account;
  record.block_ = block;
  OMEN_TRY(check_size(block->json()));
  bool has_date = false;
  OMEN_TRY(find_fields(schema, &record, &has_date).status());
  return record;
}

// Fills the record's fields out of its block. false: the record is {}.
Result<bool> RecordReader::find_fields(const Schema* schema, ParsedRecord* record,
                                       bool* has_date) {
  Bump bump;
  OMEN_ASSIGN(const JsonNode* root,
              parse_json(record->json(), kRecordDepthMax, ErrorCode::kMetadata, &bump));
  if (root->kind != JsonKind::kObject) {
    return fault("", std::string("a record's metadata is an object, not ") +
                         json_kind_name(root->kind));
  }
  FieldFinder finder(schema, &bump);
  OMEN_TRY(finder.walk(*root, ""));
  *has_date = finder.has_date();
  if (root->count == 0) return false;
  FieldPacker packer(record->block_, finder.first(), finder.count());
  const uint64_t bytes = packer.bytes();
  if (bytes == 0) return true;
  OMEN_TRY(record->account_->reserve(Use::kScratch, bytes));
  Result<std::byte*> fields = allocate_bytes(static_cast<size_t>(bytes));
  if (!fields.is_ok()) {
    record->account_->release(Use::kScratch, bytes);
    return fields.status();
  }
  record->fields_ = reinterpret_cast<RecordField*>(fields.value());
  record->fields_bytes_ = bytes;
  record->field_count_ = finder.count();
  packer.pack(record->fields_);
  return true;
}

}  // namespace omen
