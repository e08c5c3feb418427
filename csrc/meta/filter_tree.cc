// Constants fold upwards as nodes are joined.
#include "meta/filter_tree.h"

#include <algorithm>

namespace omen {

namespace {

bool reads_field(const FilterNode& node) { return node.op >= FilterOp::kIn && !node.is_id; }

void count_paths(const FilterNode& node, size_t* count) {
  *count += reads_field(node);
  for (const FilterNode* c = node.first; c != nullptr; c = c->next) count_paths(*c, count);
}

void list_paths(const FilterNode& node, std::string_view** end) {
  if (reads_field(node)) *(*end)++ = node.path;
  for (const FilterNode* c = node.first; c != nullptr; c = c->next) list_paths(*c, end);
}

}  // namespace

Status filter_memory_error() {
  return Status::error(ErrorCode::kMemory, "cannot allocate memory for a filter");
}

Status negate_filter(FilterNode* inner, Bump* bump, FilterNode** out) {
  if (inner->op == FilterOp::kTrue || inner->op == FilterOp::kFalse) {
    inner->op = inner->op == FilterOp::kTrue ? FilterOp::kFalse : FilterOp::kTrue;
    *out = inner;
    return Status::ok();
  }
  if (inner->op == FilterOp::kNot) {
    *out = inner->first;
    return Status::ok();
  }
  auto* node = bump->make<FilterNode>();
  if (node == nullptr) return filter_memory_error();
  node->op = FilterOp::kNot;
  node->first = inner;
  *out = node;
  return Status::ok();
}

void FilterJoiner::add(FilterNode* node) {
  const FilterOp neutral = op_ == FilterOp::kAnd ? FilterOp::kTrue : FilterOp::kFalse;
  const FilterOp absorbing = op_ == FilterOp::kAnd ? FilterOp::kFalse : FilterOp::kTrue;
  if (node->op == neutral) return;
  is_decided_ |= node->op == absorbing;
  *tail_ = node;
  tail_ = &node->next;
  ++count_;
}

Status FilterJoiner::finish(FilterNode** out) {
  if (count_ == 1) {
    *out = first_;
    return Status::ok();
  }
  auto* node = bump_->make<FilterNode>();
  if (node == nullptr) return filter_memory_error();
  const bool is_and = op_ == FilterOp::kAnd;
  if (is_decided_) {
    node->op = is_and ? FilterOp::kFalse : FilterOp::kTrue;
  } else if (count_ == 0) {
    node->op = is_and ? FilterOp::kTrue : FilterOp::kFalse;
  } else {
    node->op = op_;
    node->first = first_;
  }
  *out = node;
  return Status::ok();
}

Status collect_filter_fields(const FilterNode& root, Bump* bump, const std::string_view** fields,
                             size_t* count) {
  size_t listed = 0;
  count_paths(root, &listed);
  auto* begin = bump->make_array<std::string_view>(listed);
  if (begin == nullptr) return filter_memory_error();
  std::string_view* end = begin;
  list_paths(root, &end);
  std::sort(begin, end);
  *fields = begin;
  *count = static_cast<size_t>(std::unique(begin, end) - begin);
  return Status::ok();
}

}  // namespace omen
