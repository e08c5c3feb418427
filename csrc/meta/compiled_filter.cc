// The tree of a compiled filter: a row at a time, or a chunk of 256.
#include "meta/compiled_filter.h"

#include <algorithm>
#include <new>

#include "meta/compiled_leaf.h"

namespace omen {

struct CompiledFilter::Node {
  FilterOp op = FilterOp::kTrue;
  bool is_id = false;
  uint8_t cost = 0;  // Cheap children of an And go first.
  ColumnLeaf column;
  IdLeaf id;
  Node* first = nullptr;
  Node* next = nullptr;
};

struct CompiledFilter::Plan {
  Bump bump;
  const Columns* columns = nullptr;
  const RowIds* ids = nullptr;
  Node* root = nullptr;

  Node* compile(const FilterNode& from);
  bool compile_leaf(const FilterNode& from, Node* to);
  bool compile_children(const FilterNode& from, Node* to);
  FilterId id_of(uint32_t slot) const;
  bool matches(const Node& node, uint32_t slot) const;
  struct Pass {
    const simd::Kernels& kernels;
    uint32_t chunk;
  };
  void narrow(const Node& node, const Pass& pass, ChunkMask* mask) const;
};

// nullptr when there is no memory.
CompiledFilter::Node* CompiledFilter::Plan::compile(const FilterNode& from) {
  Node* node = bump.make<Node>();
  if (node == nullptr) return nullptr;
  node->op = from.op;
  node->is_id = from.is_id;
  const bool done =
      from.op >= FilterOp::kIn ? compile_leaf(from, node) : compile_children(from, node);
  return done ? node : nullptr;
}

bool CompiledFilter::Plan::compile_leaf(const FilterNode& from, Node* to) {
  if (from.is_id) {
    to->cost = 2;
    return to->id.compile(from, &bump);
  }
  if (!to->column.compile(from, columns->find(from.path), columns->dictionary(), &bump)) {
    return false;
  }
  if (to->column.is_never()) to->op = FilterOp::kFalse;
  to->cost = to->column.is_slow() ? 1 : 0;
  return true;
}

bool CompiledFilter::Plan::compile_children(const FilterNode& from, Node* to) {
  for (const FilterNode* c = from.first; c != nullptr; c = c->next) {
    Node* child = compile(*c);
    if (child == nullptr) return false;
    // After its equals in cost: the order of the filter decides among them.
    Node** at = &to->first;
    while (*at != nullptr && (*at)->cost <= child->cost) at = &(*at)->next;
    child->next = *at;
    *at = child;
    to->cost = std::max(to->cost, child->cost);
  }
  return true;
}

FilterId CompiledFilter::Plan::id_of(uint32_t slot) const {
  FilterId id;
  id.is_integer = ids->id_of(slot, &id.integer, &id.string);
  return id;
}

bool CompiledFilter::Plan::matches(const Node& node, uint32_t slot) const {
  switch (node.op) {
    case FilterOp::kTrue: return true;
    case FilterOp::kFalse: return false;
    case FilterOp::kNot: return !matches(*node.first, slot);
    case FilterOp::kAnd:
      for (const Node* c = node.first; c != nullptr; c = c->next) {
        if (!matches(*c, slot)) return false;
      }
      return true;
    case FilterOp::kOr:
      for (const Node* c = node.first; c != nullptr; c = c->next) {
        if (matches(*c, slot)) return true;
      }
      return false;
    default: return node.is_id ? node.id.matches(id_of(slot)) : node.column.matches(slot);
  }
}

// Takes out of the mask what does not match. Only candidates are tested where a test is dear.
void CompiledFilter::Plan::narrow(const Node& node, const Pass& pass, ChunkMask* mask) const {
  if (mask->is_empty()) return;
  switch (node.op) {
    case FilterOp::kTrue: return;
    case FilterOp::kFalse: *mask = ChunkMask(); return;
    case FilterOp::kAnd:
      for (const Node* c = node.first; c != nullptr; c = c->next) narrow(*c, pass, mask);
      return;
    case FilterOp::kNot: {
      ChunkMask inner = *mask;
      narrow(*node.first, pass, &inner);
      for (uint32_t w = 0; w < ChunkMask::kWords; ++w) mask->words[w] &= ~inner.words[w];
      return;
    }
    case FilterOp::kOr: {
      ChunkMask found;
      for (const Node* c = node.first; c != nullptr; c = c->next) {
        ChunkMask left;
        for (uint32_t w = 0; w < ChunkMask::kWords; ++w) {
          left.words[w] = mask->words[w] & ~found.words[w];
        }
        narrow(*c, pass, &left);
        for (uint32_t w = 0; w < ChunkMask::kWords; ++w) found.words[w] |= left.words[w];
      }
      *mask = found;
      return;
    }
    default: break;
  }
  if (!node.is_id) return node.column.narrow(pass.kernels, pass.chunk, mask);
  for (uint32_t w = 0; w < ChunkMask::kWords; ++w) {
    for (uint64_t bits = mask->words[w]; bits != 0; bits &= bits - 1) {
      const auto i = static_cast<uint32_t>(std::countr_zero(bits));
      if (!node.id.matches(id_of(pass.chunk * kChunkRows + 64 * w + i))) {
        mask->words[w] &= ~(uint64_t{1} << i);
      }
    }
  }
}

CompiledFilter::CompiledFilter() = default;
CompiledFilter::~CompiledFilter() = default;
CompiledFilter::CompiledFilter(CompiledFilter&&) noexcept = default;
CompiledFilter& CompiledFilter::operator=(CompiledFilter&&) noexcept = default;

Result<CompiledFilter> CompiledFilter::compile(const Filter& filter, const Columns& columns,
                                               const RowIds& ids) {
  CompiledFilter compiled;
  compiled.filter_ = &filter;
  compiled.plan_.reset(new (std::nothrow) Plan());
  if (compiled.plan_ != nullptr) {
    compiled.plan_->columns = &columns;
    compiled.plan_->ids = &ids;
    compiled.plan_->root = compiled.plan_->compile(filter.root());
  }
  if (compiled.plan_ == nullptr || compiled.plan_->root == nullptr) {
    return Status::error(ErrorCode::kMemory, "cannot allocate memory to compile a filter");
  }
  return compiled;
}

bool CompiledFilter::matches(uint32_t slot) const { return plan_->matches(*plan_->root, slot); }

Status CompiledFilter::run(const simd::Kernels& kernels, uint32_t high_water,
                           RowSet* out) const {
  OMEN_TRY(out->resize(high_water));
  out->fill();
  const uint32_t words = out->word_count();
  for (uint32_t chunk = 0; chunk * ChunkMask::kWords < words; ++chunk) {
    const uint32_t base = chunk * ChunkMask::kWords;
    const uint32_t count = std::min(ChunkMask::kWords, words - base);
    ChunkMask mask;
    std::copy_n(out->words() + base, count, mask.words);
    plan_->narrow(*plan_->root, {kernels, chunk}, &mask);
    std::copy_n(mask.words, count, out->words() + base);
  }
  return Status::ok();
}

}  // namespace omen
