// Column, its chunks, and the table of columns: what Columns is made of and filters read.
//
// Why: growth copies tables of pointers and never cells; a reader keeps the table it loaded, which
// is retired when a longer one replaces it.
// Invariants (Columns::validate() checks them):
//   1. A chunk's `used` is the number of its cells that are not missing, and of cells reserved by
//      records not yet applied; a chunk at zero does not exist.
//   2. A column never moves and its path never changes; it lives while it has chunks, and then
//   until its place in the table is wanted and no reader can hold it.
//   3. The index of a ColumnTable finds each of its columns by path.
// Threads: one writer; readers under a pin. Pointers and cells are released by stores, acquired by
// loads; `used` is the writer's own.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "meta/cell.h"
#include "meta/record.h"
#include "meta/scalar.h"

namespace omen {

inline constexpr uint32_t kChunkShift = 8;
inline constexpr uint32_t kChunkRows = 1u << kChunkShift;

struct Chunk {
  std::atomic<Cell> cells[kChunkRows];

  uint64_t bytes() const { return sizeof(Chunk); }
};

struct ChunkTable {
  struct Entry {
    std::atomic<Chunk*> chunk;
    uint32_t used;
    uint32_t padding;
  };
  uint32_t count;
  uint32_t padding;

  static uint64_t bytes_of(uint32_t count) {
    return sizeof(ChunkTable) + uint64_t{count} * sizeof(Entry);
  }
  uint64_t bytes() const { return bytes_of(count); }
  Entry* entries() { return reinterpret_cast<Entry*>(this + 1); }
  const Entry* entries() const { return reinterpret_cast<const Entry*>(this + 1); }
};

struct Column {
  uint64_t hash;
  std::atomic<ChunkTable*> table;
  uint32_t chunk_count;  // Chunks that exist: the writer's.
  uint32_t number;       // Its place in the newest table, where columns keep their order.
  uint32_t path_length;

  uint64_t bytes() const { return sizeof(Column) + path_length; }
  bool is_empty() const { return chunk_count == 0; }
  std::string_view path() const { return {reinterpret_cast<const char*>(this + 1), path_length}; }

  const Chunk* chunk(uint32_t index) const {
    const ChunkTable* t = table.load(std::memory_order_acquire);
    if (t == nullptr || index >= t->count) return nullptr;
    return t->entries()[index].chunk.load(std::memory_order_acquire);
  }
  Cell cell(uint32_t slot) const {
    const Chunk* c = chunk(slot >> kChunkShift);
    if (c == nullptr) return cell::kMissing;
    return c->cells[slot & (kChunkRows - 1)].load(std::memory_order_acquire);
  }
};

// Columns in the order of their creation, and an open-addressing index of them.
struct ColumnTable {
  std::atomic<uint32_t> count;
  uint32_t capacity;  // A power of two.

  static uint64_t bytes_of(uint32_t capacity) {
    return sizeof(ColumnTable) + uint64_t{capacity} * (sizeof(std::atomic<Column*>) +
                                                       2 * sizeof(std::atomic<uint16_t>));
  }
  uint64_t bytes() const { return bytes_of(capacity); }
  std::atomic<Column*>* columns() { return reinterpret_cast<std::atomic<Column*>*>(this + 1); }
  const std::atomic<Column*>* columns() const {
    return reinterpret_cast<const std::atomic<Column*>*>(this + 1);
  }
  // 2 * capacity entries: a column's number plus one, or 0.
  std::atomic<uint16_t>* index() {
    return reinterpret_cast<std::atomic<uint16_t>*>(columns() + capacity);
  }
  const std::atomic<uint16_t>* index() const {
    return reinterpret_cast<const std::atomic<uint16_t>*>(columns() + capacity);
  }

  Column* at(uint32_t number) const { return columns()[number].load(std::memory_order_acquire); }
  Column* find(uint64_t hash, std::string_view path) const;
  void add(Column* column);  // The writer's; there is room.
};

// A field as the parser found it, and after reserve() as it will stand in its column.
struct RecordField {
  enum class Shape : uint8_t { kScalar, kArray, kObject };

  std::string_view path;
  uint64_t path_hash = 0;
  Scalar value;                      // kScalar
  Scalar* elements = nullptr;        // kArray: its scalars.
  uint32_t element_count = 0;
  Shape shape = Shape::kScalar;
  Column* column = nullptr;          // After reserve(): where, and what.
  Cell cell = cell::kMissing;
};

// Parses and checks a record's JSON text into the fields to index.
class RecordReader {
 public:
  static Result<ParsedRecord> read(std::string_view json, const Schema* schema,
                                   RetiringPool* pool, MemoryAccount* account);
  // The same of a block that is stored already, and stays whose it is.
  static Result<ParsedRecord> read_stored(MetadataBlock* block, const Schema* schema,
                                          MemoryAccount* account);
  // The block of a text that read() takes, in memory of its bytes().
  static MetadataBlock* make_block(void* memory, std::string_view json);

 private:
  static Result<bool> find_fields(const Schema* schema, ParsedRecord* record, bool* has_date);
};

}  // namespace omen
