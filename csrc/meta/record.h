// MetadataBlock and ParsedRecord: a record's metadata, as stored and on its way there.
//
// Why: the JSON text is the truth and is never changed in place, so that a reader under an epoch
// pin sees one version whole; the fields found in it feed the columns. Parsing needs no shared
// state but the pool, so that a batch parses in parallel before any lock is taken.
// Invariants:
//   1. A ParsedRecord owns its block until Columns::apply() takes it; that of
//      Columns::parse_stored() never does, and goes before the slot's block may change.
//   2. Between Columns::reserve() and apply() or cancel() it also holds a reference to each of its
//      strings in the dictionary: one of the two must be called, before the Columns go.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace omen {

class MemoryAccount;
class RetiringPool;
class Schema;
struct RecordField;

inline constexpr uint32_t kRecordBytesMax = 1u << 20;  // JSON text of one record.
inline constexpr uint32_t kRecordDepthMax = 64;        // Nested objects and arrays.
inline constexpr uint32_t kIndexedFieldsMax = 1024;    // Per collection, and so per record.
inline constexpr uint32_t kPathBytesMax = 4096;        // Of one dotted path.

struct MetadataBlock {
  static constexpr uint32_t kHasDate = 1;  // Some object may be {"$date": ...}.

  uint32_t length;
  uint32_t flags;

  uint64_t bytes() const { return sizeof(MetadataBlock) + length; }
  char* text() { return reinterpret_cast<char*>(this + 1); }
  const char* text() const { return reinterpret_cast<const char*>(this + 1); }
  std::string_view json() const { return {text(), length}; }
};

class ParsedRecord {
 public:
  ParsedRecord() = default;
  ~ParsedRecord();
  ParsedRecord(ParsedRecord&& other) noexcept { swap(other); }
  ParsedRecord& operator=(ParsedRecord&& other) noexcept {
    swap(other);
    return *this;
  }
  ParsedRecord(const ParsedRecord&) = delete;
  ParsedRecord& operator=(const ParsedRecord&) = delete;

  // The JSON text, "{}" for an empty record.
  std::string_view json() const { return block_ == nullptr ? "{}" : block_->json(); }
  uint32_t flags() const { return block_ == nullptr ? 0 : block_->flags; }

 private:
  friend class Columns;
  friend class RecordReader;
  void swap(ParsedRecord& other) noexcept;

  MetadataBlock* block_ = nullptr;  // nullptr: the record is {}.
  RetiringPool* pool_ = nullptr;  // The block's; nullptr: it is not the record's own.
  MemoryAccount* account_ = nullptr;
  RecordField* fields_ = nullptr;  // In one allocation with what they point to.
  uint64_t fields_bytes_ = 0;
  uint32_t field_count_ = 0;
  uint32_t slot_ = 0;  // Reserved for this slot.
  bool is_reserved_ = false;
};

}  // namespace omen
