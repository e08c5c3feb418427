// Columns::validate(): columns against the blocks that they are derived from.
#include <string>

#include "memory/array.h"
#include "meta/columns.h"

namespace omen {

namespace {

Status corrupt(int invariant, const std::string& what) {
  return Status::error(ErrorCode::kCorrupt, "columns, invariant " + std::to_string(invariant) +
                                                ": " + what + "; rebuild them from the metadata");
}

}  // namespace

bool Columns::is_cell_of(Cell c, const Scalar& value) const {
  switch (value.kind) {
    case ScalarKind::kNull: return c == cell::kNull;
    case ScalarKind::kFalse: return c == cell::kFalse;
    case ScalarKind::kTrue: return c == cell::kTrue;
    case ScalarKind::kNumber: return c == cell::from_number(value.number);
    case ScalarKind::kString:
      return cell::is_string(c) && dictionary_.text(cell::code_of(c)) == value.text;
    case ScalarKind::kDate:
      if (cell::is_near(value.date_ms)) return c == cell::from_near_date(value.date_ms);
      return cell::is_far_date(c) &&
             cell::far_date_of(dictionary_.text(cell::code_of(c))) == value.date_ms;
    case ScalarKind::kInteger: break;
  }
  return false;
}

bool Columns::is_cell_of(Cell c, const RecordField& field) const {
  if (field.shape == RecordField::Shape::kObject) return c == cell::kObject;
  if (field.shape == RecordField::Shape::kScalar) return is_cell_of(c, field.value);
  if (!cell::is_array(c)) return false;
  const ArrayCells* array = cell::array_of(c);
  if (array->count != field.element_count) return false;
  for (uint32_t i = 0; i < array->count; ++i) {
    if (!is_cell_of(array->cells()[i], field.elements[i])) return false;
  }
  return true;
}

Status Columns::validate_slot(uint32_t slot) const {
  const std::string at = "slot " + std::to_string(slot);
  Result<ParsedRecord> record = parse(json(slot));
  if (!record.is_ok() && record.status().code() == ErrorCode::kMemory) return record.status();
  if (!record.is_ok()) return corrupt(1, at + ": " + record.status().message());
  const ParsedRecord& r = record.value();
  for (uint32_t i = 0; i < r.field_count_; ++i) {
    const Column* column = find(r.fields_[i].path);
    if (column == nullptr || !is_cell_of(column->cell(slot), r.fields_[i])) {
      return corrupt(1, at + ", field '" + std::string(r.fields_[i].path) + "' differs");
    }
  }
  uint32_t present = 0;
  const ColumnTable* t = table_.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < column_count(); ++i) present += t->at(i)->cell(slot) != cell::kMissing;
  if (present != r.field_count_) {
    return corrupt(1, at + " has " + std::to_string(present) + " cells for " +
                          std::to_string(r.field_count_) + " fields");
  }
  return Status::ok();
}

// Counts what cells refer to, and each chunk's cells. No record may be reserved meanwhile.
Status Columns::validate_references() const {
  Array<uint64_t> counts(account_, Use::kScratch);
  OMEN_TRY(counts.resize(dictionary_.code_end()));
  const auto count = [&](Cell c) {
    if (cell::has_code(c)) ++counts[cell::code_of(c)];
  };
  const ColumnTable* t = table_.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < column_count(); ++i) {
    const Column* column = t->at(i);
    if (t->find(column->hash, column->path()) != column) return corrupt(3, "a column is lost");
    const ChunkTable* chunks = column->table.load(std::memory_order_acquire);
    uint32_t chunk_count = 0;
    for (uint32_t k = 0; chunks != nullptr && k < chunks->count; ++k) {
      const ChunkTable::Entry& entry = chunks->entries()[k];
      const Chunk* chunk = entry.chunk.load(std::memory_order_acquire);
      uint32_t used = 0;
      chunk_count += chunk != nullptr;
      for (uint32_t row = 0; chunk != nullptr && row < kChunkRows; ++row) {
        const Cell c = chunk->cells[row].load(std::memory_order_acquire);
        used += c != cell::kMissing;
        count(c);
        if (!cell::is_array(c)) continue;
        const ArrayCells* array = cell::array_of(c);
        for (uint32_t e = 0; e < array->count; ++e) count(array->cells()[e]);
      }
      if (used != entry.used || (chunk != nullptr) != (used > 0)) {
        return corrupt(1, "column '" + std::string(column->path()) + "' counts its cells wrongly");
      }
    }
    if (chunk_count != column->chunk_count) return corrupt(3, "a column counts its chunks wrongly");
  }
  for (uint32_t code = 0; code < counts.size(); ++code) {
    if (counts[code] != dictionary_.references(code)) {
      return corrupt(2, "string " + std::to_string(code) + " is referred to " +
                            std::to_string(counts[code]) + " times, not " +
                            std::to_string(dictionary_.references(code)));
    }
  }
  return Status::ok();
}

Status Columns::validate(uint32_t high_water) const {
  for (uint32_t slot = 0; slot < block_rows_end_; ++slot) {
    if (slot >= high_water && block(slot) != nullptr) {
      return corrupt(1, "slot " + std::to_string(slot) + " is past the last and has metadata");
    }
    OMEN_TRY(validate_slot(slot));
  }
  OMEN_TRY(validate_references());
  return dictionary_.validate();
}

}  // namespace omen
