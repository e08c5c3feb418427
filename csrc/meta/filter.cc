// From JSON text to the tree: every fault is found here, with its path.
#include "meta/filter.h"

#include <new>
#include <string>
#include <utility>

#include "meta/filter_tree.h"
#include "meta/json_number.h"
#include "meta/schema.h"

namespace omen {

namespace {

// Far deeper than kFilterDepthMax nested $and, so that what is too deep is told with its path; what
// recurs deeper than this is told without.
constexpr uint32_t kJsonDepthMax = 256;
constexpr size_t kShownKeyBytes = 256;  // Of a key in a message.

}  // namespace

class FilterParser {
 public:
  FilterParser(Filter* filter, const Schema* schema)
      : filter_(filter), bump_(&filter->bump_), schema_(schema) {}

  Status parse(std::string_view json) {
    Bump tree;
    OMEN_ASSIGN(const JsonNode* root,
                parse_json(json, kJsonDepthMax, ErrorCode::kFilter, &tree));
    OMEN_TRY(parse_object(*root, 1, &filter_->root_));
    return collect_filter_fields(*filter_->root_, bump_, &filter_->fields_,
                                 &filter_->field_count_);
  }

 private:
  // Appends ".part" or "[3]" to the path and takes it off again.
  class Step {
   public:
    Step(std::string* path, std::string_view part) : path_(path), size_(path->size()) {
      if (!path->empty()) *path += '.';
      *path += part.substr(0, kShownKeyBytes);
    }
    Step(std::string* path, uint32_t index) : path_(path), size_(path->size()) {
      *path += '[';
      *path += std::to_string(index);
      *path += ']';
    }
    ~Step() { path_->resize(size_); }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    std::string* path_;
    size_t size_;
  };

  Status fault(const std::string& what) const {
    const std::string at = path_.empty() ? "filter: " : "filter at '" + path_ + "': ";
    return Status::error(ErrorCode::kFilter, at + what).with_path(path_);
  }

  Status count_clause() {
    if (++clauses_ <= kFilterClausesMax) return Status::ok();
    return fault("more than " + std::to_string(kFilterClausesMax) +
                 " clauses; a list of values is one clause as $in");
  }

  Status parse_object(const JsonNode& node, uint32_t depth, FilterNode** out) {
    if (depth > kFilterDepthMax) {
      return fault("nested deeper than " + std::to_string(kFilterDepthMax) + "; flatten it");
    }
    if (node.kind != JsonKind::kObject) {
      return fault(std::string("a filter is an object such as { year: { $gte: 1999 } }, not ") +
                   json_kind_name(node.kind));
    }
    if (node.count == 0 && depth > 1) OMEN_TRY(count_clause());
    FilterJoiner all(bump_, FilterOp::kAnd);
    for (const JsonNode* m = node.first; m != nullptr; m = m->next) {
      const Step step(&path_, m->key);
      FilterNode* entry = nullptr;
      OMEN_TRY(parse_entry(*m, depth, &entry));
      all.add(entry);
    }
    return all.finish(out);
  }

  Status parse_entry(const JsonNode& m, uint32_t depth, FilterNode** out) {
    if (m.key == "$and") return parse_list(m, FilterOp::kAnd, depth, out);
    if (m.key == "$or") return parse_list(m, FilterOp::kOr, depth, out);
    if (m.key == "$not") {
      FilterNode* inner = nullptr;
      OMEN_TRY(parse_object(m, depth + 1, &inner));
      return negate_filter(inner, bump_, out);
    }
    is_id_ = m.key == "$id";
    if (is_id_) {
      filter_->reads_ids_ = true;
      field_ = {};
    } else {
      if (!m.key.empty() && m.key[0] == '$') return unknown_operator(m.key, true);
      OMEN_TRY(check_field(m.key));
      if (!bump_->copy(m.key, &field_)) return filter_memory_error();
    }
    return parse_condition(m, depth, out);
  }

  Status parse_list(const JsonNode& list, FilterOp op, uint32_t depth, FilterNode** out) {
    if (list.kind != JsonKind::kArray || list.count == 0) {
      return fault("expected an array of at least one filter");
    }
    FilterJoiner joined(bump_, op);
    uint32_t position = 0;
    for (const JsonNode* e = list.first; e != nullptr; e = e->next, ++position) {
      const Step step(&path_, position);
      FilterNode* entry = nullptr;
      OMEN_TRY(parse_object(*e, depth + 1, &entry));
      joined.add(entry);
    }
    return joined.finish(out);
  }

  Status check_field(std::string_view path) const {
    if (path.find(".$") != std::string_view::npos) {
      return fault("a field's name may not start with '$'");
    }
    if (schema_ == nullptr) return Status::ok();
    const SchemaField* field = schema_->find(path);
    if (field == nullptr && !schema_->is_prefix(path)) {
      return fault("the schema has no such field; correct the name, or add it to the schema");
    }
    if (field != nullptr && !field->is_indexed) {
      return fault("the schema says index: false for this field, so filters cannot use it");
    }
    return Status::ok();
  }

  Status unknown_operator(std::string_view key, bool is_top) const {
    const std::string name(key.substr(0, kShownKeyBytes));
    if (!is_top && (key == "$and" || key == "$or")) {
      return fault("'" + name + "' joins whole filters: { " + name + ": [{ field: ... }, ...] }");
    }
    static constexpr std::string_view kFieldOperators[] = {
        "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$contains"};
    for (const std::string_view known : kFieldOperators) {
      if (is_top && key == known) {
        return fault("'" + name + "' belongs under a field: { year: { " + name + ": ... } }");
      }
    }
    return fault("unknown operator '" + name + "'; there are $eq $ne $gt $gte $lt $lte $in $nin "
                 "$exists $contains $not under a field, and $and $or $not $id beside fields");
  }

  // What stands beside a field's name: a value, or operators.
  Status parse_condition(const JsonNode& node, uint32_t depth, FilterNode** out) {
    if (node.kind == JsonKind::kArray) {
      return fault("an array is not a value to compare with; use $in for any of these values, or "
                   "$contains for arrays that hold all of them");
    }
    if (node.kind != JsonKind::kObject || is_value_object(node)) return parse_equal(node, out);
    return parse_operators(node, depth, out);
  }

  bool is_value_object(const JsonNode& node) const {
    return node.count == 1 &&
           (node.first->key == "$date" || (is_id_ && node.first->key == "$int"));
  }

  Status parse_operators(const JsonNode& node, uint32_t depth, FilterNode** out) {
    if (depth > kFilterDepthMax) {
      return fault("nested deeper than " + std::to_string(kFilterDepthMax) + "; flatten it");
    }
    if (node.count == 0) {
      return fault("an empty object is no condition; compare with a value, or use "
                   "{ $exists: true }");
    }
    FilterJoiner all(bump_, FilterOp::kAnd);
    for (const JsonNode* m = node.first; m != nullptr; m = m->next) {
      if (m->key.empty() || m->key[0] != '$') return nested_object(*m);
      const Step step(&path_, m->key);
      FilterNode* entry = nullptr;
      OMEN_TRY(parse_operator(*m, depth, &entry));
      all.add(entry);
    }
    return all.finish(out);
  }

  Status nested_object(const JsonNode& m) {
    const Step step(&path_, m.key);
    return fault("objects are not compared; address the inner field with dots: { \"" + path_ +
                 "\": ... }");
  }

  Status parse_operator(const JsonNode& m, uint32_t depth, FilterNode** out) {
    const std::string_view op = m.key;
    if (op == "$eq") return parse_equal(m, out);
    if (op == "$ne") return complement(parse_equal(m, out), out);
    if (op == "$in") return parse_in(m, out);
    if (op == "$nin") return complement(parse_in(m, out), out);
    if (op == "$lt") return parse_order(m, FilterOp::kLess, out);
    if (op == "$lte") return parse_order(m, FilterOp::kLessEqual, out);
    if (op == "$gt") return parse_order(m, FilterOp::kGreater, out);
    if (op == "$gte") return parse_order(m, FilterOp::kGreaterEqual, out);
    if (op == "$exists") return parse_exists(m, out);
    if (op == "$contains") return parse_contains(m, out);
    if (op == "$not") {
      if (m.kind != JsonKind::kObject || is_value_object(m)) {
        return fault("expected operators such as { $not: { $gt: 5 } }; for a value use $ne");
      }
      return complement(parse_operators(m, depth + 1, out), out);
    }
    return unknown_operator(op, false);
  }

  Status complement(Status status, FilterNode** node) {
    if (!status.is_ok()) return status;
    return negate_filter(*node, bump_, node);
  }

  Status make_leaf(FilterOp op, uint32_t operand_count, FilterNode** out, Scalar** operands) {
    OMEN_TRY(count_clause());
    auto* node = bump_->make<FilterNode>();
    *operands = bump_->make_array<Scalar>(operand_count);
    if (node == nullptr || *operands == nullptr) return filter_memory_error();
    node->op = op;
    node->is_id = is_id_;
    node->path = field_;
    node->operand_count = operand_count;
    node->operands = *operands;
    *out = node;
    return Status::ok();
  }

  // One operand: a scalar, or for ids a number, a string or {"$int": "..."}.
  Status read_operand(const JsonNode& node, Scalar* out) {
    if (is_id_) return read_id(node, out);
    if (read_scalar(node, out)) {
      if (out->kind == ScalarKind::kString && !bump_->copy(node.text, &out->text)) {
        return filter_memory_error();
      }
      return Status::ok();
    }
    if (node.kind == JsonKind::kArray) {
      return fault("an array is not a value to compare with; use $in or $contains");
    }
    if (is_value_object(node)) {
      return fault("\"$date\" wants ISO text such as \"2020-01-01T00:00:00.000Z\"");
    }
    return fault("objects are not compared; address the inner field with dots");
  }

  Status read_id(const JsonNode& node, Scalar* out) {
    static const char kWanted[] =
        "an id is a string of 1 to 512 bytes, an integer from 0 to 2^53 - 1, or "
        "{\"$int\": \"...\"} up to 2^64 - 1";
    out->kind = ScalarKind::kInteger;
    if (node.kind == JsonKind::kNumber) {
      constexpr double kLimit = 9007199254740992.0;  // 2^53
      if (!(node.number >= 0 && node.number < kLimit)) return fault(kWanted);
      out->integer = static_cast<uint64_t>(node.number);
      if (static_cast<double>(out->integer) != node.number) return fault(kWanted);
      return Status::ok();
    }
    if (node.kind == JsonKind::kString) {
      if (node.text.empty() || node.text.size() > kIdBytesMax) return fault(kWanted);
      out->kind = ScalarKind::kString;
      return bump_->copy(node.text, &out->text) ? Status::ok() : filter_memory_error();
    }
    if (node.kind == JsonKind::kObject && node.count == 1 && node.first->key == "$int" &&
        node.first->kind == JsonKind::kString && read_uint64(node.first->text, &out->integer)) {
      return Status::ok();
    }
    return fault(kWanted);
  }

  Status parse_equal(const JsonNode& node, FilterNode** out) {
    Scalar* operand = nullptr;
    OMEN_TRY(make_leaf(FilterOp::kIn, 1, out, &operand));
    return read_operand(node, operand);
  }

  Status read_list(const JsonNode& list, FilterOp op, FilterNode** out) {
    if (list.count > kFilterInMax) {
      return fault(std::to_string(list.count) + " values are more than " +
                   std::to_string(kFilterInMax) + "; split the query");
    }
    Scalar* operands = nullptr;
    OMEN_TRY(make_leaf(op, list.count, out, &operands));
    uint32_t position = 0;
    for (const JsonNode* e = list.first; e != nullptr; e = e->next, ++position) {
      const Step step(&path_, position);
      OMEN_TRY(read_operand(*e, &operands[position]));
    }
    return Status::ok();
  }

  Status parse_in(const JsonNode& node, FilterNode** out) {
    if (node.kind != JsonKind::kArray) {
      return fault(std::string("expected an array of values, not ") + json_kind_name(node.kind));
    }
    return read_list(node, FilterOp::kIn, out);
  }

  Status parse_order(const JsonNode& node, FilterOp op, FilterNode** out) {
    Scalar* operand = nullptr;
    OMEN_TRY(make_leaf(op, 1, out, &operand));
    OMEN_TRY(read_operand(node, operand));
    switch (operand->kind) {
      case ScalarKind::kNull: return fault("null has no order; compare with null itself");
      case ScalarKind::kFalse:
      case ScalarKind::kTrue: return fault("booleans have no order; compare with true or false");
      case ScalarKind::kNumber:
      case ScalarKind::kString:
      case ScalarKind::kDate:
      case ScalarKind::kInteger: break;
    }
    return Status::ok();
  }

  Status parse_exists(const JsonNode& node, FilterNode** out) {
    if (node.kind != JsonKind::kTrue && node.kind != JsonKind::kFalse) {
      return fault(std::string("expected true or false, not ") + json_kind_name(node.kind));
    }
    Scalar* none = nullptr;
    OMEN_TRY(make_leaf(FilterOp::kExists, 0, out, &none));
    if (is_id_) (*out)->op = FilterOp::kTrue;  // Every record has an id.
    return node.kind == JsonKind::kTrue ? Status::ok() : negate_filter(*out, bump_, out);
  }

  Status parse_contains(const JsonNode& node, FilterNode** out) {
    if (is_id_) return fault("an id is no array; use $eq or $in");
    if (node.kind == JsonKind::kArray) return read_list(node, FilterOp::kContains, out);
    Scalar* operand = nullptr;
    OMEN_TRY(make_leaf(FilterOp::kContains, 1, out, &operand));
    return read_operand(node, operand);
  }

  Filter* filter_;
  Bump* bump_;
  const Schema* schema_;
  std::string path_;
  std::string_view field_;  // The field whose condition is being read.
  bool is_id_ = false;
  uint32_t clauses_ = 0;
};

Result<std::shared_ptr<const Filter>> Filter::parse(std::string_view json, const Schema* schema) {
  if (json.size() > kFilterBytesMax) {
    return Status::error(ErrorCode::kFilter, "filter: " + std::to_string(json.size()) +
                                                 " bytes of JSON are more than " +
                                                 std::to_string(kFilterBytesMax));
  }
  std::shared_ptr<Filter> filter(new (std::nothrow) Filter());
  if (filter == nullptr) return filter_memory_error();
  if (!filter->bump_.copy(json, &filter->text_)) return filter_memory_error();
  FilterParser parser(filter.get(), schema);
  OMEN_TRY(parser.parse(filter->text_));
  return std::shared_ptr<const Filter>(std::move(filter));
}

}  // namespace omen
