// Operands become cells, and chunks are scanned for them.
#include "meta/compiled_leaf.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "memory/slot_pages.h"

namespace omen {

namespace {

// Columns that nobody asked for lately are in no cache.
constexpr uint32_t kChunksAhead = 2;

template <class T>
bool is_ordered(FilterOp op, const T& value, const T& operand) {
  switch (op) {
    case FilterOp::kLess: return value < operand;
    case FilterOp::kLessEqual: return value <= operand;
    case FilterOp::kGreater: return value > operand;
    default: return value >= operand;
  }
}

// kMissing if the dictionary does not know the value: then no cell holds it.
Cell cell_of(const Scalar& value, const Dictionary& dictionary) {
  switch (value.kind) {
    case ScalarKind::kNull: return cell::kNull;
    case ScalarKind::kFalse: return cell::kFalse;
    case ScalarKind::kTrue: return cell::kTrue;
    case ScalarKind::kNumber: return cell::from_number(value.number);
    case ScalarKind::kString: {
      const uint32_t code = dictionary.find(value.text);
      return code == Dictionary::kNoCode ? cell::kMissing : cell::from_string_code(code);
    }
    case ScalarKind::kDate: {
      if (cell::is_near(value.date_ms)) return cell::from_near_date(value.date_ms);
      char bytes[cell::kFarDateBytes];
      const uint32_t code = dictionary.find(cell::far_date_text(value.date_ms, bytes));
      return code == Dictionary::kNoCode ? cell::kMissing : cell::from_far_date_code(code);
    }
    case ScalarKind::kInteger: break;
  }
  return cell::kMissing;
}

}  // namespace

bool CellSet::build(Cell* cells, uint32_t count, Bump* bump) {
  std::sort(cells, cells + count);
  count = static_cast<uint32_t>(std::unique(cells, cells + count) - cells);
  cells_ = cells;
  count_ = count;
  if (count <= kLinearMax) return true;
  const uint64_t capacity = std::bit_ceil(uint64_t{count} * 2);
  table_ = bump->make_array<Cell>(capacity);
  if (table_ == nullptr) return false;
  std::fill(table_, table_ + capacity, cell::kMissing);
  mask_ = capacity - 1;
  for (uint32_t k = 0; k < count; ++k) {
    uint64_t i = mix64(cells[k]) & mask_;
    while (table_[i] != cell::kMissing) i = (i + 1) & mask_;
    table_[i] = cells[k];
  }
  return true;
}

bool ColumnLeaf::compile(const FilterNode& node, const Column* column,
                         const Dictionary& dictionary, Bump* bump) {
  column_ = column;
  dictionary_ = &dictionary;
  if (column == nullptr) return true;
  if (node.op == FilterOp::kExists) {
    test_ = Test::kExists;
    return true;
  }
  if (node.op == FilterOp::kIn || node.op == FilterOp::kContains) {
    return compile_cells(node, bump);
  }
  compile_order(node);
  return true;
}

bool ColumnLeaf::compile_cells(const FilterNode& node, Bump* bump) {
  auto* cells = bump->make_array<Cell>(node.operand_count);
  if (cells == nullptr) return false;
  uint32_t known = 0;
  for (uint32_t i = 0; i < node.operand_count; ++i) {
    const Cell c = cell_of(node.operands[i], *dictionary_);
    if (c != cell::kMissing) cells[known++] = c;
  }
  if (node.op == FilterOp::kContains) {
    if (known < node.operand_count) return true;  // No array holds a value that nobody has.
    test_ = Test::kContains;
  } else if (known == 0) {
    return true;
  } else {
    test_ = known == 1 ? Test::kEqual : Test::kIn;
    equal_ = cells[0];
  }
  return set_.build(cells, known, bump);
}

void ColumnLeaf::compile_order(const FilterNode& node) {
  const Scalar& operand = node.operands[0];
  order_ = node.op;
  if (operand.kind == ScalarKind::kNumber) {
    test_ = Test::kNumber;
    number_ = operand.number;
    return;
  }
  if (operand.kind == ScalarKind::kString) {
    test_ = Test::kString;
    text_ = operand.text;
    return;
  }
  test_ = Test::kDate;
  date_ms_ = operand.date_ms;
  const bool is_below = order_ == FilterOp::kLess || order_ == FilterOp::kLessEqual;
  if (!cell::is_near(date_ms_)) {
    // All near dates lie on one side of a far one.
    if (is_below != (date_ms_ > 0)) return;
    date_first_ = cell::kDateFirst;
    date_last_ = cell::kDateLast;
    return;
  }
  const Cell at = cell::from_near_date(date_ms_);
  date_first_ = is_below ? cell::kDateFirst : at + (order_ == FilterOp::kGreater);
  date_last_ = is_below ? at - (order_ == FilterOp::kLess) : cell::kDateLast;
}

bool ColumnLeaf::test_far_date(Cell c) const {
  const int64_t ms = cell::far_date_of(dictionary_->text(cell::code_of(c)));
  return is_ordered(order_, ms, date_ms_);
}

bool ColumnLeaf::test_scalar(Cell c) const {
  switch (test_) {
    case Test::kNever: return false;
    case Test::kEqual: return c == equal_;
    case Test::kIn: return set_.contains(c);
    case Test::kNumber: return is_ordered(order_, cell::number_of(c), number_);
    case Test::kDate:
      if (cell::is_far_date(c)) return test_far_date(c);
      return c >= date_first_ && c <= date_last_;
    case Test::kString:
      return cell::is_string(c) &&
             is_ordered(order_, dictionary_->text(cell::code_of(c)), text_);
    case Test::kExists: return c != cell::kMissing;
    case Test::kContains: return false;
  }
  return false;
}

bool ColumnLeaf::test_array(const ArrayCells& array) const {
  if (test_ == Test::kExists) return true;
  const Cell* end = array.cells() + array.count;
  if (test_ != Test::kContains) {
    return std::any_of(array.cells(), end, [&](Cell c) { return test_scalar(c); });
  }
  for (uint32_t i = 0; i < set_.count(); ++i) {
    if (std::find(array.cells(), end, set_.cells()[i]) == end) return false;
  }
  return true;
}

bool ColumnLeaf::test_cell(Cell c) const {
  return cell::is_array(c) ? test_array(*cell::array_of(c)) : test_scalar(c);
}

// Tests all cells by test(64 cells), which gives simd::Kernels::CellBits; the few that are arrays,
// or whose test reads the dictionary, are left to the slow way.
template <class F>
void ColumnLeaf::scan(const Chunks& chunks, ChunkMask* mask, F test) const {
  const Chunk& chunk = *chunks.now;
  const Chunk* const ahead = chunks.ahead;
  for (uint32_t w = 0; w < ChunkMask::kWords; ++w) {
    for (uint32_t i = 0; ahead != nullptr && i < 64; i += kCacheLineBytes / sizeof(Cell)) {
      prefetch_read(ahead->cells + 64 * w + i);
    }
    const uint64_t wanted = mask->words[w];
    if (wanted == 0) continue;
    const std::atomic<Cell>* cells = chunk.cells + 64 * w;
    Cell now[64];
    for (uint32_t i = 0; i < 64; ++i) now[i] = cells[i].load(std::memory_order_relaxed);
    auto [hits, slow] = test(now);
    for (slow &= wanted; slow != 0; slow &= slow - 1) {
      const int i = std::countr_zero(slow);
      // Read again, acquiring what the cell points to.
      const bool hit = test_cell(cells[i].load(std::memory_order_acquire));
      hits = (hits & ~(uint64_t{1} << i)) | static_cast<uint64_t>(hit) << i;
    }
    mask->words[w] = wanted & hits;
  }
}
static_assert(cell::kArrayTag == cell::kFarDateTag + 1);

void ColumnLeaf::narrow(const simd::Kernels& kernels, uint32_t index, ChunkMask* mask) const {
  const Chunk* chunk = column_ == nullptr ? nullptr : column_->chunk(index);
  if (chunk == nullptr || test_ == Test::kNever) {
    *mask = ChunkMask();
    return;
  }
  // Read once: a writer may take a chunk away meanwhile.
  const Chunks chunks{chunk, column_->chunk(index + kChunksAhead)};
  const auto words = [&](Cell low, Cell high) {
    return [&kernels, range = simd::Kernels::WordRange{low, high, cell::kFarDateTag}](
               const Cell* cells) { return kernels.cells_of_words(cells, range); };
  };
  switch (test_) {
    case Test::kEqual: return scan(chunks, mask, words(equal_, equal_));
    case Test::kDate: return scan(chunks, mask, words(date_first_, date_last_));
    case Test::kExists:
      return scan(chunks, mask, [&](const Cell* cells) {
        const auto missing = words(cell::kMissing, cell::kMissing)(cells);
        return simd::Kernels::CellBits{~missing.hits, 0};
      });
    case Test::kIn:
      return scan(chunks, mask, [this](const Cell* cells) { return test_set(cells); });
    case Test::kNumber: break;
    default:
      return narrow_slowly(*chunk, mask);
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const bool is_below = order_ == FilterOp::kLess || order_ == FilterOp::kLessEqual;
  const simd::Kernels::NumberRange range{
      .low = is_below ? -kInfinity : number_,
      .high = is_below ? number_ : kInfinity,
      .strict = order_ == FilterOp::kLess || order_ == FilterOp::kGreater,
      .tag = cell::kFarDateTag,
  };
  scan(chunks, mask, [&](const Cell* cells) { return kernels.cells_of_numbers(cells, range); });
}

simd::Kernels::CellBits ColumnLeaf::test_set(const Cell* cells) const {
  simd::Kernels::CellBits bits = {0, 0};
  for (uint32_t i = 0; i < 64; ++i) {
    bits.hits |= static_cast<uint64_t>(set_.contains(cells[i])) << i;
    bits.tagged |= static_cast<uint64_t>(cell::tag_of(cells[i]) - cell::kFarDateTag <= 1) << i;
  }
  return bits;
}

// Only the candidates, one by one.
void ColumnLeaf::narrow_slowly(const Chunk& chunk, ChunkMask* mask) const {
  for (uint32_t w = 0; w < ChunkMask::kWords; ++w) {
    for (uint64_t bits = mask->words[w]; bits != 0; bits &= bits - 1) {
      const auto i = static_cast<uint32_t>(std::countr_zero(bits));
      const Cell c = chunk.cells[64 * w + i].load(std::memory_order_acquire);
      if (!test_cell(c)) mask->words[w] &= ~(uint64_t{1} << i);
    }
  }
}

bool IdLeaf::compile(const FilterNode& node, Bump* bump) {
  node_ = &node;
  if (node.op != FilterOp::kIn) return true;
  integers_ = bump->make_array<uint64_t>(node.operand_count);
  strings_ = bump->make_array<std::string_view>(node.operand_count);
  if (integers_ == nullptr || strings_ == nullptr) return false;
  for (uint32_t i = 0; i < node.operand_count; ++i) {
    const Scalar& s = node.operands[i];
    if (s.kind == ScalarKind::kInteger) integers_[integer_count_++] = s.integer;
    else strings_[string_count_++] = s.text;
  }
  std::sort(integers_, integers_ + integer_count_);
  std::sort(strings_, strings_ + string_count_);
  return true;
}

bool IdLeaf::matches(const FilterId& id) const {
  if (node_->op != FilterOp::kIn) return filter_matches_id(*node_, id);
  if (id.is_integer) return std::binary_search(integers_, integers_ + integer_count_, id.integer);
  return std::binary_search(strings_, strings_ + string_count_, id.string);
}

}  // namespace omen
