// Cells: reserving, applying and clearing records. The table of columns is in column_table.cc.
#include "meta/columns.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/random.h"

namespace omen {

namespace {

// Of a slot of the block table. The table covers all slots that were ever reserved.
std::atomic<MetadataBlock*>& block_at(const SlotPages& rows, uint32_t slot) {
  return *rows.row_as<std::atomic<MetadataBlock*>>(slot);
}

}  // namespace

Columns::Columns(MemoryAccount* account, EpochDomain* epochs)
    : account_(account), blocks_(account, Use::kMetadata, epochs),
      pool_(account, Use::kColumns, epochs), dictionary_(&pool_),
      block_rows_(account, Use::kMetadata, sizeof(std::atomic<MetadataBlock*>)) {}

Columns::~Columns() {
  blocks_.drain();
  pool_.drain();
  for (uint32_t slot = 0; slot < block_rows_end_ && !blocks_.is_all_pooled(); ++slot) {
    MetadataBlock* b = block_at(block_rows_, slot).load(std::memory_order_relaxed);
    if (b != nullptr) blocks_.release(b, b->bytes());
  }
  ColumnTable* t = table_.load(std::memory_order_relaxed);
  for (uint32_t i = 0; t != nullptr && i < t->count.load(std::memory_order_relaxed); ++i) {
    Column* c = t->at(i);
    destroy_chunks(c);
    pool_.release(c, c->bytes());
  }
  if (t != nullptr) pool_.release(t, t->bytes());
}

// The dictionary frees its own entries, so only arrays and chunks go here.
void Columns::destroy_chunks(Column* column) {
  ChunkTable* chunks = column->table.load(std::memory_order_relaxed);
  if (chunks == nullptr) return;
  for (uint32_t i = 0; i < chunks->count; ++i) {
    Chunk* chunk = chunks->entries()[i].chunk.load(std::memory_order_relaxed);
    if (chunk == nullptr) continue;
    for (uint32_t r = 0; r < kChunkRows; ++r) {
      const Cell c = chunk->cells[r].load(std::memory_order_relaxed);
      if (!cell::is_array(c)) continue;
      auto* array = const_cast<ArrayCells*>(cell::array_of(c));
      pool_.release(array, array->bytes());
    }
    pool_.release(chunk, chunk->bytes());
  }
  pool_.release(chunks, chunks->bytes());
}

void Columns::set_schema(std::shared_ptr<const Schema> schema) {
  OMEN_ASSERT(block_rows_end_ == 0);
  schema_ = std::move(schema);
}

Result<ParsedRecord> Columns::parse(std::string_view json) const {
  return RecordReader::read(json, schema_.get(), &blocks_, account_);
}

Result<ParsedRecord> Columns::parse_stored(uint32_t slot) const {
  MetadataBlock* block = block_at(block_rows_, slot).load(std::memory_order_acquire);
  OMEN_ASSERT(block != nullptr);
  return RecordReader::read_stored(block, schema_.get(), account_);
}

const MetadataBlock* Columns::block(uint32_t slot) const {
  // A collection whose records have no metadata has no row for them either.
  if (slot >= block_rows_end_.load(std::memory_order_acquire)) return nullptr;
  return block_at(block_rows_, slot).load(std::memory_order_acquire);
}

uint32_t Columns::column_count() const {
  const ColumnTable* t = table_.load(std::memory_order_acquire);
  return t == nullptr ? 0 : t->count.load(std::memory_order_acquire);
}

const Column* Columns::find(std::string_view path) const {
  const ColumnTable* t = table_.load(std::memory_order_acquire);
  return t == nullptr ? nullptr : t->find(hash_bytes(path.data(), path.size()), path);
}

// The entry of the slot's chunk, with one use more. A fresh chunk is all missing.
Status Columns::hold_chunk(Column* column, uint32_t slot) {
  const uint32_t index = slot >> kChunkShift;
  ChunkTable* t = column->table.load(std::memory_order_relaxed);
  if (t == nullptr || index >= t->count) {
    const uint32_t old_count = t == nullptr ? 0 : t->count;
    const uint32_t count = std::max(index + 1, old_count + old_count / 2);
    OMEN_ASSIGN(void* memory, pool_.allocate(ChunkTable::bytes_of(count)));
    auto* fresh = new (memory) ChunkTable{count, 0};
    for (uint32_t i = 0; i < count; ++i) {
      auto* e = new (fresh->entries() + i) ChunkTable::Entry{nullptr, 0, 0};
      if (i >= old_count) continue;
      e->chunk.store(t->entries()[i].chunk.load(std::memory_order_relaxed),
                     std::memory_order_relaxed);
      e->used = t->entries()[i].used;
    }
    column->table.store(fresh, std::memory_order_release);
    if (t != nullptr) pool_.retire(t);
    t = fresh;
  }
  ChunkTable::Entry& entry = t->entries()[index];
  if (entry.chunk.load(std::memory_order_relaxed) == nullptr) {
    OMEN_ASSIGN(void* memory, pool_.allocate(sizeof(Chunk)));
    auto* chunk = static_cast<Chunk*>(memory);
    for (uint32_t i = 0; i < kChunkRows; ++i) {
      new (&chunk->cells[i]) std::atomic<Cell>(cell::kMissing);
    }
    entry.chunk.store(chunk, std::memory_order_release);
    ++column->chunk_count;
  }
  ++entry.used;
  return Status::ok();
}

void Columns::release_chunk(Column* column, uint32_t slot) {
  ChunkTable::Entry& entry =
      column->table.load(std::memory_order_relaxed)->entries()[slot >> kChunkShift];
  OMEN_ASSERT(entry.used > 0);
  if (--entry.used > 0) return;
  Chunk* chunk = entry.chunk.load(std::memory_order_relaxed);
  entry.chunk.store(nullptr, std::memory_order_release);
  --column->chunk_count;
  pool_.retire(chunk);
}

Result<Cell> Columns::make_cell(const Scalar& value) {
  switch (value.kind) {
    case ScalarKind::kNull: return cell::kNull;
    case ScalarKind::kFalse: return cell::kFalse;
    case ScalarKind::kTrue: return cell::kTrue;
    case ScalarKind::kNumber: return cell::from_number(value.number);
    case ScalarKind::kString: {
      OMEN_ASSIGN(const uint32_t code, dictionary_.acquire(value.text));
      return cell::from_string_code(code);
    }
    case ScalarKind::kDate: {
      if (cell::is_near(value.date_ms)) return cell::from_near_date(value.date_ms);
      char bytes[cell::kFarDateBytes];
      OMEN_ASSIGN(const uint32_t code,
                  dictionary_.acquire(cell::far_date_text(value.date_ms, bytes)));
      return cell::from_far_date_code(code);
    }
    case ScalarKind::kInteger: break;
  }
  OMEN_ASSERT(false);  // Only ids are integers.
  return cell::kMissing;
}

Result<Cell> Columns::make_array(const RecordField& field) {
  OMEN_ASSIGN(void* memory,
              pool_.allocate(sizeof(ArrayCells) + uint64_t{field.element_count} * sizeof(Cell)));
  auto* array = new (memory) ArrayCells{field.element_count, 0};
  for (uint32_t i = 0; i < field.element_count; ++i) {
    Result<Cell> c = make_cell(field.elements[i]);
    if (!c.is_ok()) {
      for (uint32_t made = 0; made < i; ++made) drop_code(array->cells()[made]);
      pool_.release(array, array->bytes());
      return c.status();
    }
    array->cells()[i] = c.value();
  }
  return cell::from_array(array);
}

void Columns::drop_code(Cell c) {
  if (cell::has_code(c)) dictionary_.release(cell::code_of(c));
}

// Gives up what a cell refers to. Unread cells (never stored) free their array at once.
void Columns::drop_cell(Cell c, bool was_readable) {
  if (!cell::is_array(c)) {
    drop_code(c);
    return;
  }
  auto* array = const_cast<ArrayCells*>(cell::array_of(c));
  for (uint32_t i = 0; i < array->count; ++i) drop_code(array->cells()[i]);
  if (was_readable) pool_.retire(array);
  else pool_.release(array, array->bytes());
}

Status Columns::reserve_field(uint32_t slot, RecordField* field) {
  OMEN_ASSIGN(Column * column, column_for(*field));
  Result<Cell> c = cell::kObject;
  if (field->shape == RecordField::Shape::kScalar) c = make_cell(field->value);
  if (field->shape == RecordField::Shape::kArray) c = make_array(*field);
  if (!c.is_ok()) return c.status();
  if (Status s = hold_chunk(column, slot); !s.is_ok()) {
    drop_cell(c.value(), false);
    return s;
  }
  field->column = column;
  field->cell = c.value();
  return Status::ok();
}

Status Columns::reserve_record(uint32_t slot, ParsedRecord* record) {
  OMEN_ASSERT(!record->is_reserved_);
  OMEN_TRY(cover_slot(slot));
  record->is_reserved_ = true;
  record->slot_ = slot;
  for (uint32_t i = 0; i < record->field_count_; ++i) {
    if (Status s = reserve_field(slot, &record->fields_[i]); !s.is_ok()) {
      cancel_fields(record, i);
      return s;
    }
  }
  // apply() walks columns and fields side by side.
  std::sort(record->fields_, record->fields_ + record->field_count_,
            [](const RecordField& a, const RecordField& b) {
              return a.column->number < b.column->number;
            });
  return Status::ok();
}

Status Columns::cover_slot(uint32_t slot) {
  if (slot < block_rows_end_) return Status::ok();
  OMEN_TRY(block_rows_.ensure(slot + 1));
  block_rows_end_.store(slot + 1, std::memory_order_release);
  return Status::ok();
}

Status Columns::reserve(std::span<const uint32_t> slots, std::span<ParsedRecord> records) {
  OMEN_ASSERT(slots.size() == records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    Status s = reserve_record(slots[i], &records[i]);
    if (s.is_ok()) continue;
    for (size_t done = 0; done < i; ++done) cancel(&records[done]);
    // The columns that were made for the batch go again. Where there is no memory even for that,
    // they stay empty until the next one that needs room.
    (void)drop_empty_columns();
    return std::move(s).with_row(static_cast<int64_t>(i));
  }
  return Status::ok();
}

void Columns::cancel(ParsedRecord* record) {
  if (record->is_reserved_) cancel_fields(record, record->field_count_);
}

void Columns::cancel_fields(ParsedRecord* record, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    RecordField& f = record->fields_[i];
    drop_cell(f.cell, false);
    release_chunk(f.column, record->slot_);
    f.column = nullptr;
  }
  record->is_reserved_ = false;
}

// Stores a cell whose chunk exists, and lets go of what stood there.
void Columns::store_cell(Column* column, uint32_t slot, Cell fresh) {
  Chunk* chunk = column->table.load(std::memory_order_relaxed)
                     ->entries()[slot >> kChunkShift]
                     .chunk.load(std::memory_order_relaxed);
  std::atomic<Cell>& at = chunk->cells[slot & (kChunkRows - 1)];
  const Cell old = at.load(std::memory_order_relaxed);
  at.store(fresh, std::memory_order_release);
  if (old == cell::kMissing) return;
  drop_cell(old, true);
  release_chunk(column, slot);
}

void Columns::apply(uint32_t slot, ParsedRecord&& record) {
  OMEN_ASSERT(record.is_reserved_ && record.slot_ == slot);
  OMEN_ASSERT(record.block_ == nullptr || record.pool_ != nullptr);  // Not one of parse_stored().
  MetadataBlock* old = block_at(block_rows_, slot)
                           .exchange(record.block_, std::memory_order_acq_rel);
  record.block_ = nullptr;
  if (old != nullptr) blocks_.retire(old);
  store_cells(slot, record);
  record.is_reserved_ = false;
  record = ParsedRecord();
}

void Columns::store_cells(uint32_t slot, const ParsedRecord& record) {
  uint32_t next = 0;
  const uint32_t count = column_count();
  const ColumnTable* t = table_.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < count; ++i) {
    Column* column = t->at(i);
    if (next < record.field_count_ && record.fields_[next].column == column) {
      store_cell(column, slot, record.fields_[next++].cell);
    } else if (column->cell(slot) != cell::kMissing) {
      store_cell(column, slot, cell::kMissing);
    }
  }
  OMEN_ASSERT(next == record.field_count_);
}

Status Columns::cover(uint32_t slots, uint64_t text_bytes) {
  blocks_.expect(text_bytes);
  return slots == 0 ? Status::ok() : cover_slot(slots - 1);
}

Status Columns::restore(std::span<const uint32_t> slots, std::span<const std::string_view> jsons) {
  OMEN_ASSERT(slots.size() == jsons.size());
  constexpr size_t kAtOnce = 256;
  for (size_t done = 0; done < slots.size(); done += kAtOnce) {
    const size_t n = std::min(kAtOnce, slots.size() - done);
    uint32_t bytes[kAtOnce];
    void* blocks[kAtOnce];
    for (size_t i = 0; i < n; ++i) {
      bytes[i] = static_cast<uint32_t>(sizeof(MetadataBlock) + jsons[done + i].size());
    }
    OMEN_TRY(blocks_.allocate_many({bytes, n}, blocks));
    for (size_t i = 0; i < n; ++i) {
      std::atomic<MetadataBlock*>& at = block_at(block_rows_, slots[done + i]);
      OMEN_ASSERT(at.load(std::memory_order_relaxed) == nullptr);
      at.store(RecordReader::make_block(blocks[i], jsons[done + i]), std::memory_order_release);
    }
  }
  return Status::ok();
}

Status Columns::fill(std::span<const uint32_t> slots, std::span<ParsedRecord> records) {
  OMEN_ASSERT(slots.size() == records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    if (Status s = reserve_record(slots[i], &records[i]); !s.is_ok()) {
      return std::move(s).with_row(static_cast<int64_t>(i));
    }
    store_cells(slots[i], records[i]);
    records[i].is_reserved_ = false;
  }
  return Status::ok();
}

void Columns::clear(uint32_t slot) {
  if (slot >= block_rows_end_) return;
  MetadataBlock* old = block_at(block_rows_, slot).exchange(nullptr, std::memory_order_acq_rel);
  if (old == nullptr) return;  // Without a block there are no cells.
  blocks_.retire(old);
  const uint32_t count = column_count();
  const ColumnTable* t = table_.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < count; ++i) {
    Column* column = t->at(i);
    if (column->cell(slot) != cell::kMissing) store_cell(column, slot, cell::kMissing);
  }
}

}  // namespace omen
