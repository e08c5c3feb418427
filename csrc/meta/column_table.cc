// The table of columns: finding, making and dropping them.
//
// Why: keys that vary and refused batches would use up the collection's fields for good, so a
// column goes when no record has its path any more and its place is wanted. A reader that found
// the column keeps it, all missing, as long as its pin is held.
#include <cstring>
#include <new>
#include <string>

#include "base/random.h"
#include "meta/columns.h"

namespace omen {

namespace {

constexpr uint32_t kFirstCapacity = 8;
static_assert(kIndexedFieldsMax % kFirstCapacity == 0 &&
              (kIndexedFieldsMax & (kIndexedFieldsMax - 1)) == 0);  // A full table is the limit.

bool is_full(const ColumnTable& t) {
  return t.count.load(std::memory_order_relaxed) == t.capacity;
}

Status too_many(const RecordField& field) {
  return Status::error(ErrorCode::kMetadata,
                       "metadata field '" + std::string(field.path) +
                           "' would be the collection's " +
                           std::to_string(kIndexedFieldsMax + 1) +
                           "th indexed field; put keys that vary into an array, or give a schema")
      .with_path(std::string(field.path));
}

}  // namespace

Column* ColumnTable::find(uint64_t hash, std::string_view path) const {
  const uint32_t mask = 2 * capacity - 1;
  for (uint32_t i = static_cast<uint32_t>(hash) & mask;; i = (i + 1) & mask) {
    const uint16_t entry = index()[i].load(std::memory_order_acquire);
    if (entry == 0) return nullptr;
    Column* c = at(entry - 1u);
    if (c->hash == hash && c->path() == path) return c;
  }
}

void ColumnTable::add(Column* column) {
  const uint32_t number = count.load(std::memory_order_relaxed);
  OMEN_ASSERT(number < capacity);
  column->number = number;
  columns()[number].store(column, std::memory_order_release);
  const uint32_t mask = 2 * capacity - 1;
  uint32_t i = static_cast<uint32_t>(column->hash) & mask;
  while (index()[i].load(std::memory_order_relaxed) != 0) i = (i + 1) & mask;
  index()[i].store(static_cast<uint16_t>(number + 1), std::memory_order_release);
  count.store(number + 1, std::memory_order_release);
}

// Moves the columns that have cells, in their order, to a table of that capacity, which they fit.
Status Columns::replace_table(uint32_t capacity) {
  ColumnTable* old = table_.load(std::memory_order_relaxed);
  OMEN_ASSIGN(void* memory, pool_.allocate(ColumnTable::bytes_of(capacity)));
  auto* fresh = new (memory) ColumnTable();
  fresh->capacity = capacity;
  for (uint32_t i = 0; i < capacity; ++i) new (fresh->columns() + i) std::atomic<Column*>(nullptr);
  for (uint32_t i = 0; i < 2 * capacity; ++i) new (fresh->index() + i) std::atomic<uint16_t>(0);
  const uint32_t count = old == nullptr ? 0 : old->count.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < count; ++i) {
    if (!old->at(i)->is_empty()) fresh->add(old->at(i));
  }
  table_.store(fresh, std::memory_order_release);
  for (uint32_t i = 0; i < count; ++i) {
    Column* column = old->at(i);
    if (!column->is_empty()) continue;
    ChunkTable* chunks = column->table.load(std::memory_order_relaxed);
    if (chunks != nullptr) pool_.retire(chunks);
    pool_.retire(column);
  }
  if (old != nullptr) pool_.retire(old);
  return Status::ok();
}

Status Columns::drop_empty_columns() {
  const ColumnTable* t = table_.load(std::memory_order_relaxed);
  const uint32_t count = column_count();
  for (uint32_t i = 0; i < count; ++i) {
    if (t->at(i)->is_empty()) return replace_table(t->capacity);
  }
  return Status::ok();
}

Result<Column*> Columns::column_for(const RecordField& field) {
  ColumnTable* t = table_.load(std::memory_order_relaxed);
  if (t != nullptr) {
    if (Column* c = t->find(field.path_hash, field.path); c != nullptr) return c;
  }
  if (t == nullptr || is_full(*t)) {
    OMEN_TRY(drop_empty_columns());
    t = table_.load(std::memory_order_relaxed);
  }
  if (t == nullptr || is_full(*t)) {
    const uint32_t capacity = t == nullptr ? kFirstCapacity : t->capacity * 2;
    if (capacity > kIndexedFieldsMax) return too_many(field);
    OMEN_TRY(replace_table(capacity));
    t = table_.load(std::memory_order_relaxed);
  }
  OMEN_ASSIGN(void* memory, pool_.allocate(sizeof(Column) + field.path.size()));
  auto* c = new (memory) Column();
  c->hash = field.path_hash;
  c->path_length = static_cast<uint32_t>(field.path.size());
  if (!field.path.empty()) {
    std::memcpy(static_cast<void*>(c + 1), field.path.data(), field.path.size());
  }
  t->add(c);
  return c;
}

}  // namespace omen
