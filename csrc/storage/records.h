// Payloads of the log's records: to bytes and back. Every byte is told in storage/format.h.
//
// Why here: what lies on disk must not change when the engine's structures do, so records know ids,
// texts and floats, and nothing of slots.
// Decoding trusts nothing: each length is checked against the bytes that remain, and a payload that
// does not end where it should is refused (false), although its checksum was right.
// Threads: values; one at a time.
#pragma once

#include <array>
#include <string_view>

#include "memory/array.h"
#include "storage/format.h"

namespace omen {

struct RecordId {
  bool is_string = false;
  uint64_t integer = 0;
  std::string_view text;
};

// The rows of a commit, as its owner holds them.
class RecordRows {
 public:
  virtual ~RecordRows() = default;
  virtual RecordId id(size_t row) const = 0;
  virtual std::string_view metadata(size_t) const { return {}; }  // Empty: {}.
  virtual const float* vector(size_t) const { return nullptr; }
};

struct RowsShape {
  uint64_t collection = 0;
  uint32_t dimensions = 0;  // 0: no vectors.
  bool has_metadata = false;
  bool is_consecutive = false;  // Ids are integers that rise by one.
};

// Rows [first, first + count) of a put or a delete whose record has at most about `bytes`: the
// largest such count, and at least 1.
size_t rows_that_fit(const RecordRows& rows, const RowsShape& shape, size_t first, size_t end,
                     size_t bytes);
// Both append to `out`.
Status encode_put(const RecordRows& rows, const RowsShape& shape, size_t first, size_t end,
                  Array<std::byte>* out);
Status encode_delete(const RecordRows& rows, const RowsShape& shape, size_t first, size_t end,
                     Array<std::byte>* out);

struct CreateRecord {
  uint64_t collection = 0;
  uint32_t dimensions = 0;
  uint32_t m = 0;
  uint32_t ef_construction = 0;
  uint8_t metric = 0;
  uint8_t quantization = 0;
  uint8_t layout = 0;
  std::string_view name;
  std::string_view schema;
  bool keeps_vectors = true;
};
Status encode_create(const CreateRecord& record, Array<std::byte>* out);

// What a commit came to, under the tag that its caller gave it: whoever did not hear of it can ask
// (db/receipts.h).
using ReceiptTag = std::array<std::byte, kReceiptTagBytes>;
struct Receipt {
  ReceiptTag tag{};
  uint64_t count = 0;  // Records written or deleted; of a collection that is dropped, 1 or 0.
  uint64_t first_generated_id = 0;
  bool has_generated_ids = false;
};
Status encode_receipt(const Receipt& receipt, Array<std::byte>* out);

// kDrop, kClear; and kDimensions with `dimensions`.
Status encode_collection(uint64_t collection, Array<std::byte>* out);
Status encode_dimensions(uint64_t collection, uint32_t dimensions, Array<std::byte>* out);

// Ids of a decoded record, one after the other.
class IdReader {
 public:
  RecordId next();
  bool is_consecutive() const { return is_consecutive_; }

 private:
  friend class PayloadReader;
  bool is_consecutive_ = false;
  uint64_t first_ = 0;
  const std::byte* values_ = nullptr;
  const std::byte* kinds_ = nullptr;  // nullptr: all are integers.
  const char* text_ = nullptr;
};

struct PutRecord {
  uint64_t collection = 0;
  uint32_t rows = 0;
  uint32_t dimensions = 0;
  bool has_metadata = false;
  IdReader ids;
  const std::byte* lengths = nullptr;  // Of metadata, 4 bytes each.
  const char* texts = nullptr;
  const std::byte* vectors = nullptr;  // At a multiple of 8 of the payload.
};
struct DeleteRecord {
  uint64_t collection = 0;
  uint32_t rows = 0;
  IdReader ids;
};
struct DimensionsRecord {
  uint64_t collection = 0;
  uint32_t dimensions = 0;
};

// False: the payload is not one of its type. What is decoded points into the payload.
bool decode_create(const std::byte* payload, size_t length, CreateRecord* out);
bool decode_collection(const std::byte* payload, size_t length, uint64_t* collection);
bool decode_dimensions(const std::byte* payload, size_t length, DimensionsRecord* out);
bool decode_put(const std::byte* payload, size_t length, PutRecord* out);
bool decode_delete(const std::byte* payload, size_t length, DeleteRecord* out);
bool decode_receipt(const std::byte* payload, size_t length, Receipt* out);

}  // namespace omen
