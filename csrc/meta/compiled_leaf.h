// The leaves of a compiled filter: a column and a test of its cells.
//
// Why: a test is a comparison of words where it can be (equality, numbers, near dates), so that a
// chunk is scanned without branches; strings in order, far dates and arrays take the slow way, cell
// by cell.
// Threads: immutable once compiled.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/random.h"
#include "meta/bump.h"
#include "meta/column.h"
#include "meta/dictionary.h"
#include "meta/filter.h"
#include "simd/kernels.h"

namespace omen {

// Candidates of one chunk: bit i of word w stands for its row 64 * w + i.
struct ChunkMask {
  static constexpr uint32_t kWords = kChunkRows / 64;
  uint64_t words[kWords] = {};

  bool is_empty() const { return (words[0] | words[1] | words[2] | words[3]) == 0; }
};
static_assert(ChunkMask::kWords == 4);

// A set of cells: linear while it is small, else open addressing.
class CellSet {
 public:
  // False when there is no memory. `cells` is kept and must live in the same bump.
  bool build(Cell* cells, uint32_t count, Bump* bump);
  uint32_t count() const { return count_; }
  const Cell* cells() const { return cells_; }
  bool contains(Cell c) const {
    if (table_ == nullptr) {
      bool found = false;
      for (uint32_t i = 0; i < count_; ++i) found |= cells_[i] == c;
      return found;
    }
    for (uint64_t i = mix64(c) & mask_;; i = (i + 1) & mask_) {
      if (table_[i] == c) return c != cell::kMissing;
      if (table_[i] == cell::kMissing) return false;
    }
  }

 private:
  static constexpr uint32_t kLinearMax = 8;
  const Cell* cells_ = nullptr;
  uint32_t count_ = 0;
  Cell* table_ = nullptr;  // kMissing marks an empty place: no operand is missing.
  uint64_t mask_ = 0;
};

class ColumnLeaf {
 public:
  // False when there is no memory.
  bool compile(const FilterNode& node, const Column* column, const Dictionary& dictionary,
               Bump* bump);

  // True if no cell can match: the column or all operands are unknown.
  bool is_never() const { return test_ == Test::kNever; }
  // Whether testing a cell reads more than the cell.
  bool is_slow() const { return test_ == Test::kString || test_ == Test::kContains; }

  bool matches(uint32_t slot) const { return test_cell(column_->cell(slot)); }
  // Takes out of the mask what does not match.
  void narrow(const simd::Kernels& kernels, uint32_t chunk, ChunkMask* mask) const;

 private:
  enum class Test : uint8_t {
    kNever, kEqual, kIn, kNumber, kDate, kString, kExists, kContains,
  };

  bool compile_cells(const FilterNode& node, Bump* bump);
  void compile_order(const FilterNode& node);
  bool test_scalar(Cell c) const;
  bool test_cell(Cell c) const;
  bool test_array(const ArrayCells& array) const;
  bool test_far_date(Cell c) const;
  void narrow_slowly(const Chunk& chunk, ChunkMask* mask) const;
  simd::Kernels::CellBits test_set(const Cell* cells) const;
  struct Chunks {
    const Chunk* now;
    const Chunk* ahead;  // nullptr if there is none.
  };
  template <class F>
  void scan(const Chunks& chunks, ChunkMask* mask, F test) const;

  const Column* column_ = nullptr;
  const Dictionary* dictionary_ = nullptr;
  Test test_ = Test::kNever;
  FilterOp order_ = FilterOp::kLess;
  Cell equal_ = cell::kMissing;
  CellSet set_;
  double number_ = 0;
  Cell date_first_ = 1;  // Near dates that match; first > last: none.
  Cell date_last_ = 0;
  int64_t date_ms_ = 0;
  std::string_view text_;
};

// A leaf on $id: equality with many ids by binary search.
class IdLeaf {
 public:
  bool compile(const FilterNode& node, Bump* bump);
  bool matches(const FilterId& id) const;

 private:
  const FilterNode* node_ = nullptr;
  uint64_t* integers_ = nullptr;        // Sorted.
  uint32_t integer_count_ = 0;
  std::string_view* strings_ = nullptr;  // Sorted.
  uint32_t string_count_ = 0;
};

}  // namespace omen
