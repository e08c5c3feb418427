// Filter: a parsed filter, the reference for its meaning.
//
// The language is in docs/api.md. In short: { field: value | { $op: operand, ... }, $and: [...],
// $or: [...], $not: filter, $id: ... }; entries of one object are joined by "and". A field is
// missing, null, or a value; null matches only null; comparisons across types never match; $ne,
// $nin and $not are exact complements, so they match missing; on an array an operator holds if any
// element satisfies it, $contains wants all its operands in an array; strings order by code point.
//
// Parsing reduces every operator to And, Or, Not, True, False and six positive leaves, each false
// on a missing field but for none: what is a complement is a Not. compiled_filter.h runs the same
// tree on columns; matches_json() runs it on the JSON text, and every test compares the two.
// Invariants:
//   1. Immutable after parse: share it between threads and searches.
//   2. At most kFilterDepthMax filter objects deep, kFilterClausesMax leaves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "meta/bump.h"
#include "meta/scalar.h"

namespace omen {

class Schema;

inline constexpr uint32_t kIdBytesMax = 512;  // Of a string id.
inline constexpr uint32_t kFilterDepthMax = 32;
inline constexpr uint32_t kFilterClausesMax = 1024;
inline constexpr uint32_t kFilterInMax = 65536;             // Values of one $in, $nin or $contains.
inline constexpr size_t kFilterBytesMax = size_t{64} << 20;  // JSON text: holds $in of ids.

// A record's id as filters see it.
struct FilterId {
  bool is_integer = true;
  uint64_t integer = 0;
  std::string_view string;
};

enum class FilterOp : uint8_t {
  kTrue, kFalse, kAnd, kOr, kNot,        // Structure.
  kIn,                                   // $eq and $in: any element equals one of the operands.
  kLess, kLessEqual, kGreater, kGreaterEqual,
  kExists,
  kContains,                             // An array that holds all the operands.
};

struct FilterNode {
  FilterOp op = FilterOp::kTrue;
  bool is_id = false;            // The leaf reads the id, not a field.
  uint32_t operand_count = 0;
  std::string_view path;         // Dotted.
  const Scalar* operands = nullptr;
  FilterNode* first = nullptr;   // Children of the structure.
  FilterNode* next = nullptr;
};

// Whether an id satisfies a leaf that reads ids.
bool filter_matches_id(const FilterNode& leaf, const FilterId& id);

class Filter {
 public:
  // ERR_FILTER with the path of the fault ("$and[1].genres.$in[3]"). With a schema, a field that it
  // does not name or does not index is a fault too.
  static Result<std::shared_ptr<const Filter>> parse(std::string_view json, const Schema* schema);

  // True if every record matches by form alone: {} and what reduces to it.
  bool matches_all() const { return root_->op == FilterOp::kTrue; }
  bool reads_ids() const { return reads_ids_; }
  // Dotted paths that the filter reads, sorted, each once.
  std::span<const std::string_view> fields() const { return {fields_, field_count_}; }
  // The JSON text as given: a key for caches.
  std::string_view text() const { return text_; }
  const FilterNode& root() const { return *root_; }
  uint64_t bytes() const { return sizeof(Filter) + bump_.bytes(); }

  // Whether a record with this (valid, stored) JSON and id matches.
  bool matches_json(std::string_view json, const FilterId& id) const;

 private:
  friend class FilterParser;
  Filter() = default;

  Bump bump_;
  std::string_view text_;
  FilterNode* root_ = nullptr;
  const std::string_view* fields_ = nullptr;
  size_t field_count_ = 0;
  bool reads_ids_ = false;
};

}  // namespace omen
