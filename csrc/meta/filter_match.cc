// The meaning of filters, evaluated on a record's JSON: the reference.
//
// Why: it re-checks every hit on the one immutable block, and is what tests compare the columns
// with.
// Written for clarity: it looks fields up by name, one leaf at a time.
#include "meta/filter.h"
#include "meta/record.h"

namespace omen {

namespace {

// The value at a dotted path; nullptr if some step is missing or no object. Keys hold no dots.
const JsonNode* value_at(const JsonNode& root, std::string_view path) {
  const JsonNode* node = &root;
  for (;;) {
    if (node->kind != JsonKind::kObject) return nullptr;
    const size_t dot = path.find('.');
    node = node->find(path.substr(0, dot));
    if (node == nullptr || dot == std::string_view::npos) return node;
    bool is_valid = false;
    int64_t ms = 0;
    if (is_date_object(*node, &is_valid, &ms)) return nullptr;  // A date has no fields.
    path.remove_prefix(dot + 1);
  }
}

template <class T>
bool is_ordered(FilterOp op, const T& value, const T& operand) {
  switch (op) {
    case FilterOp::kLess: return value < operand;
    case FilterOp::kLessEqual: return value <= operand;
    case FilterOp::kGreater: return value > operand;
    case FilterOp::kGreaterEqual: return value >= operand;
    default: return false;
  }
}

// $eq, $in and the orders on one scalar.
bool scalar_matches(const FilterNode& leaf, const Scalar& value) {
  if (leaf.op == FilterOp::kIn) {
    for (uint32_t i = 0; i < leaf.operand_count; ++i) {
      if (scalars_equal(value, leaf.operands[i])) return true;
    }
    return false;
  }
  const Scalar& operand = leaf.operands[0];
  if (value.kind != operand.kind) return false;
  switch (value.kind) {
    case ScalarKind::kNumber: return is_ordered(leaf.op, value.number, operand.number);
    case ScalarKind::kString: return is_ordered(leaf.op, value.text, operand.text);
    case ScalarKind::kDate: return is_ordered(leaf.op, value.date_ms, operand.date_ms);
    case ScalarKind::kInteger: return is_ordered(leaf.op, value.integer, operand.integer);
    default: return false;
  }
}

bool contains(const JsonNode& array, const Scalar& wanted) {
  for (const JsonNode* e = array.first; e != nullptr; e = e->next) {
    Scalar value;
    if (read_scalar(*e, &value) && scalars_equal(value, wanted)) return true;
  }
  return false;
}

bool leaf_matches(const FilterNode& leaf, const JsonNode& record) {
  const JsonNode* node = value_at(record, leaf.path);
  if (node == nullptr) return false;
  if (leaf.op == FilterOp::kExists) return true;
  if (leaf.op == FilterOp::kContains) {
    if (node->kind != JsonKind::kArray) return false;
    for (uint32_t i = 0; i < leaf.operand_count; ++i) {
      if (!contains(*node, leaf.operands[i])) return false;
    }
    return true;
  }
  Scalar value;
  if (node->kind != JsonKind::kArray) {
    return read_scalar(*node, &value) && scalar_matches(leaf, value);
  }
  for (const JsonNode* e = node->first; e != nullptr; e = e->next) {
    if (read_scalar(*e, &value) && scalar_matches(leaf, value)) return true;
  }
  return false;
}

bool node_matches(const FilterNode& node, const JsonNode& record, const FilterId& id) {
  switch (node.op) {
    case FilterOp::kTrue: return true;
    case FilterOp::kFalse: return false;
    case FilterOp::kNot: return !node_matches(*node.first, record, id);
    case FilterOp::kAnd:
      for (const FilterNode* c = node.first; c != nullptr; c = c->next) {
        if (!node_matches(*c, record, id)) return false;
      }
      return true;
    case FilterOp::kOr:
      for (const FilterNode* c = node.first; c != nullptr; c = c->next) {
        if (node_matches(*c, record, id)) return true;
      }
      return false;
    default: return node.is_id ? filter_matches_id(node, id) : leaf_matches(node, record);
  }
}

}  // namespace

bool filter_matches_id(const FilterNode& leaf, const FilterId& id) {
  Scalar value;
  value.kind = id.is_integer ? ScalarKind::kInteger : ScalarKind::kString;
  if (id.is_integer) value.integer = id.integer;
  else value.text = id.string;
  return scalar_matches(leaf, value);
}

bool Filter::matches_json(std::string_view json, const FilterId& id) const {
  if (matches_all()) return true;
  Bump bump;
  if (json.empty()) json = "{}";
  Result<const JsonNode*> root =
      parse_json(json, kRecordDepthMax, ErrorCode::kMetadata, &bump);
  // Stored text was parsed before; only memory can be missing, and then nothing is claimed to
  // match.
  return root.is_ok() && node_matches(*root_, *root.value(), id);
}

}  // namespace omen
