// Columns: the metadata of a collection: per slot one immutable JSON block (the truth), and typed
// columns of its fields (derived, what filters read).
//
// Why: fields need no declaration, so a column exists per dotted path that some record had, and a
// cell carries its own type. A cell is one 64-bit word (cell.h): a reader racing an update sees the
// old value or the new one, never a type of one with a value of the other. Cells lie in chunks of
// 256 slots that exist only where some record has the field: a rare field costs little.
// Life of a write, under the collection's commit lock but for parse():
//   parse() in parallel -> reserve() the whole batch, or nothing -> apply() each, which cannot
//   fail.
// A snapshot brings blocks alone, so that opening need not parse them; until fill() has been there
// for every slot with a block, nothing but block() and json() may be asked (Store::index_metadata).
// Invariants (validate() checks them):
//   1. A cell is what parsing the slot's block gives: no field of an older version stays.
//   2. Every string code in a cell names a dictionary entry, and an entry's count of references is
//      the number of cells and array elements that hold it.
//   3. At most kIndexedFieldsMax columns. One without cells gives up its place when it is wanted.
// Threads: parse() and parse_stored() any; restore() any, each for slots of its own; reserve(),
// cancel(), apply(), clear(), cover() and fill() one at a time (the commit lock, or, for fill(),
// one that excludes it); readers any time under a pin of the epoch domain. Blocks, arrays and
// strings are retired through it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/status.h"
#include "memory/budget.h"
#include "memory/epoch.h"
#include "memory/slot_pages.h"
#include "meta/cell.h"
#include "meta/column.h"
#include "meta/dictionary.h"
#include "meta/record.h"
#include "meta/retiring_pool.h"
#include "meta/schema.h"

namespace omen {

class Columns {
 public:
  // Both must outlive the columns; bytes count as Use::kMetadata (blocks) and Use::kColumns.
  Columns(MemoryAccount* account, EpochDomain* epochs);
  ~Columns();
  Columns(const Columns&) = delete;
  Columns& operator=(const Columns&) = delete;

  // Before the first record only. nullptr: no schema.
  void set_schema(std::shared_ptr<const Schema> schema);
  const Schema* schema() const { return schema_.get(); }

  // Checks a record and finds its fields. The top level must be an object; keys hold no '.' and do
  // not start with '$' (but {"$date": ISO}). Empty text is {}. ERR_METADATA with the path of the
  // fault.
  Result<ParsedRecord> parse(std::string_view json) const;

  // What a snapshot brings: blocks of checked records, whose fields are not found yet, for slots
  // below `slots` that have none. About `text_bytes` of them come. ERR_MEMORY.
  Status cover(uint32_t slots, uint64_t text_bytes);
  Status restore(std::span<const uint32_t> slots, std::span<const std::string_view> jsons);
  // The fields of such a slot's block, which stays where it is: for fill(), and until then nobody
  // may change the slot. ERR_METADATA where the text is none that parse() takes.
  Result<ParsedRecord> parse_stored(uint32_t slot) const;
  // Fills the cells of such slots with what parsing their blocks gave. ERR_METADATA past 1 024
  // fields, ERR_MEMORY; those before records[row()] are filled then.
  Status fill(std::span<const uint32_t> slots, std::span<ParsedRecord> records);

  // Takes all that apply() will need to put records[i] into slots[i], or nothing at all: columns,
  // chunks, dictionary entries, array blocks. ERR_METADATA past 1 024 indexed fields (row() is the
  // index in `records`), ERR_MEMORY.
  Status reserve(std::span<const uint32_t> slots, std::span<ParsedRecord> records);
  // Gives back what reserve() took for a record that will not be applied.
  void cancel(ParsedRecord* record);

  // Replaces the slot's metadata. The record was reserved for this slot.
  void apply(uint32_t slot, ParsedRecord&& record);
  // The slot has no metadata any more: its record was removed. Never fails.
  void clear(uint32_t slot);

  // The slot's block; nullptr stands for {}. Valid while the caller's pin is held.
  const MetadataBlock* block(uint32_t slot) const;
  std::string_view json(uint32_t slot) const {
    const MetadataBlock* b = block(slot);
    return b == nullptr ? std::string_view("{}") : b->json();
  }

  uint32_t column_count() const;
  uint64_t string_count() const { return dictionary_.count(); }

  // What compiled filters read, valid while the caller's pin is held. nullptr: no record has the
  // path.
  const Column* find(std::string_view path) const;
  const Dictionary& dictionary() const { return dictionary_; }

  // Under the commit lock, with no reader; slots at and past `high_water` must be empty.
  Status validate(uint32_t high_water) const;

 private:
  Status replace_table(uint32_t capacity);
  Status drop_empty_columns();
  Result<Column*> column_for(const RecordField& field);
  Status hold_chunk(Column* column, uint32_t slot);
  void release_chunk(Column* column, uint32_t slot);
  void destroy_chunks(Column* column);
  Result<Cell> make_cell(const Scalar& value);
  Result<Cell> make_array(const RecordField& field);
  void drop_code(Cell c);
  void drop_cell(Cell c, bool was_readable);
  Status cover_slot(uint32_t slot);
  Status reserve_field(uint32_t slot, RecordField* field);
  Status reserve_record(uint32_t slot, ParsedRecord* record);
  void cancel_fields(ParsedRecord* record, uint32_t count);
  void store_cell(Column* column, uint32_t slot, Cell fresh);
  void store_cells(uint32_t slot, const ParsedRecord& record);
  bool is_cell_of(Cell c, const Scalar& value) const;
  bool is_cell_of(Cell c, const RecordField& field) const;
  Status validate_slot(uint32_t slot) const;
  Status validate_references() const;

  MemoryAccount* const account_;
  std::shared_ptr<const Schema> schema_;
  mutable RetiringPool blocks_;  // parse() only allocates in it, under the pool's own lock.
  RetiringPool pool_;            // Columns, chunks, arrays, strings.
  Dictionary dictionary_;
  SlotPages block_rows_;         // A pointer to each slot's block.
  std::atomic<uint32_t> block_rows_end_{0};  // Slots covered by block_rows_; those past it have {}.
  std::atomic<ColumnTable*> table_{nullptr};
};

}  // namespace omen
