// Records: writers and bounded readers of payloads.
#include "storage/records.h"

#include <algorithm>

#include "storage/payload.h"

namespace omen {

namespace {

constexpr uint32_t kRowsMax = 1u << 28;

Status encode_ids(const RecordRows& rows, const RowsShape& shape, size_t first, size_t end,
                  PayloadWriter* out) {
  if (shape.is_consecutive) {
    OMEN_TRY(out->number<uint32_t>(kIdsConsecutive));
    OMEN_TRY(out->number<uint32_t>(0));
    return out->number<uint64_t>(rows.id(first).integer);
  }
  uint64_t text_bytes = 0;
  bool has_strings = false;
  for (size_t row = first; row < end; ++row) {
    const RecordId id = rows.id(row);
    has_strings |= id.is_string;
    if (id.is_string) text_bytes += id.text.size();
  }
  OMEN_TRY(out->number<uint32_t>(has_strings ? kIdsStrings : 0));
  OMEN_TRY(out->number<uint32_t>(static_cast<uint32_t>(text_bytes)));
  for (size_t row = first; row < end; ++row) {
    const RecordId id = rows.id(row);
    OMEN_TRY(out->number<uint64_t>(id.is_string ? id.text.size() : id.integer));
  }
  if (!has_strings) return Status::ok();
  for (size_t row = first; row < end; ++row) {
    OMEN_TRY(out->number<uint8_t>(rows.id(row).is_string ? 1 : 0));
  }
  OMEN_TRY(out->pad());
  for (size_t row = first; row < end; ++row) {
    const RecordId id = rows.id(row);
    if (id.is_string) OMEN_TRY(out->text(id.text));
  }
  return out->pad();
}

}  // namespace

size_t rows_that_fit(const RecordRows& rows, const RowsShape& shape, size_t first, size_t end,
                     size_t bytes) {
  size_t used = 0;
  for (size_t row = first; row < end; ++row) {
    used += size_t{shape.dimensions} * sizeof(float);
    if (shape.has_metadata) used += 4 + rows.metadata(row).size();
    if (!shape.is_consecutive) {
      const RecordId id = rows.id(row);
      used += 9 + (id.is_string ? id.text.size() : 0);
    }
    if (used > bytes || row - first >= kRowsMax) return row > first ? row - first : 1;
  }
  return end - first;
}

Status encode_put(const RecordRows& rows, const RowsShape& shape, size_t first, size_t end,
                  Array<std::byte>* array) {
  PayloadWriter out(array);
  uint64_t text_bytes = 0;
  if (shape.has_metadata) {
    for (size_t row = first; row < end; ++row) text_bytes += rows.metadata(row).size();
  }
  OMEN_TRY(out.number<uint64_t>(shape.collection));
  OMEN_TRY(out.number<uint32_t>(static_cast<uint32_t>(end - first)));
  OMEN_TRY(out.number<uint32_t>(shape.dimensions));
  OMEN_TRY(out.number<uint32_t>(shape.has_metadata ? kPutMetadata : 0));
  OMEN_TRY(out.number<uint32_t>(static_cast<uint32_t>(text_bytes)));
  OMEN_TRY(encode_ids(rows, shape, first, end, &out));
  if (shape.has_metadata) {
    for (size_t row = first; row < end; ++row) {
      OMEN_TRY(out.number<uint32_t>(static_cast<uint32_t>(rows.metadata(row).size())));
    }
    OMEN_TRY(out.pad());
    for (size_t row = first; row < end; ++row) OMEN_TRY(out.text(rows.metadata(row)));
    OMEN_TRY(out.pad());
  }
  const size_t vector_bytes = shape.dimensions * sizeof(float);
  if (vector_bytes == 0) return Status::ok();
  OMEN_TRY(array->reserve(array->size() + (end - first) * vector_bytes));
  for (size_t row = first; row < end; ++row) OMEN_TRY(out.bytes(rows.vector(row), vector_bytes));
  return Status::ok();
}

Status encode_delete(const RecordRows& rows, const RowsShape& shape, size_t first, size_t end,
                     Array<std::byte>* array) {
  PayloadWriter out(array);
  OMEN_TRY(out.number<uint64_t>(shape.collection));
  OMEN_TRY(out.number<uint32_t>(static_cast<uint32_t>(end - first)));
  OMEN_TRY(out.number<uint32_t>(0));
  return encode_ids(rows, shape, first, end, &out);
}

Status encode_create(const CreateRecord& record, Array<std::byte>* array) {
  PayloadWriter out(array);
  OMEN_TRY(out.number<uint64_t>(record.collection));
  OMEN_TRY(out.number<uint32_t>(record.dimensions));
  OMEN_TRY(out.number<uint32_t>(record.m));
  OMEN_TRY(out.number<uint32_t>(record.ef_construction));
  OMEN_TRY(out.number<uint8_t>(record.metric));
  OMEN_TRY(out.number<uint8_t>(record.quantization));
  OMEN_TRY(out.number<uint8_t>(record.layout));
  OMEN_TRY(out.number<uint8_t>(record.keeps_vectors ? 0 : kCreateWithoutVectors));
  OMEN_TRY(out.number<uint32_t>(static_cast<uint32_t>(record.name.size())));
  OMEN_TRY(out.number<uint32_t>(static_cast<uint32_t>(record.schema.size())));
  OMEN_TRY(out.text(record.name));
  return out.text(record.schema);
}

Status encode_receipt(const Receipt& receipt, Array<std::byte>* array) {
  PayloadWriter out(array);
  OMEN_TRY(out.bytes(receipt.tag.data(), receipt.tag.size()));
  OMEN_TRY(out.number(receipt.count));
  OMEN_TRY(out.number(receipt.first_generated_id));
  OMEN_TRY(out.number<uint32_t>(receipt.has_generated_ids ? kReceiptGenerated : 0));
  return out.number<uint32_t>(0);
}

Status encode_collection(uint64_t collection, Array<std::byte>* array) {
  return PayloadWriter(array).number(collection);
}

Status encode_dimensions(uint64_t collection, uint32_t dimensions, Array<std::byte>* array) {
  PayloadWriter out(array);
  OMEN_TRY(out.number(collection));
  OMEN_TRY(out.number(dimensions));
  return out.number<uint32_t>(0);
}

bool PayloadReader::ids(uint32_t rows, IdReader* out) {
  uint32_t flags = 0;
  uint32_t text_bytes = 0;
  if (!number(&flags) || !number(&text_bytes)) return false;
  if (flags == kIdsConsecutive) {
    out->is_consecutive_ = true;
    return text_bytes == 0 && number(&out->first_) && out->first_ <= UINT64_MAX - rows;
  }
  if ((flags & ~kIdsStrings) != 0) return false;
  out->values_ = bytes(uint64_t{rows} * 8);
  if (out->values_ == nullptr) return false;
  if (flags == 0) return text_bytes == 0;
  out->kinds_ = bytes(rows);
  if (out->kinds_ == nullptr || !pad()) return false;
  const std::byte* text = bytes(text_bytes);
  if (text == nullptr || !pad()) return false;
  out->text_ = reinterpret_cast<const char*>(text);
  uint64_t total = 0;
  for (uint32_t row = 0; row < rows; ++row) {
    const auto kind = std::to_integer<uint8_t>(out->kinds_[row]);
    if (kind > 1) return false;
    if (kind == 0) continue;
    const auto length = load_number<uint64_t>(out->values_ + size_t{row} * 8);
    if (length == 0 || length > kStoredIdBytesMax) return false;
    total += length;
  }
  return total == text_bytes;
}

RecordId IdReader::next() {
  RecordId id;
  if (is_consecutive_) {
    id.integer = first_++;
    return id;
  }
  id.integer = load_number<uint64_t>(values_);
  values_ += 8;
  id.is_string = kinds_ != nullptr && *kinds_++ != std::byte{0};
  if (id.is_string) {
    id.text = {text_, static_cast<size_t>(id.integer)};
    text_ += id.text.size();
    id.integer = 0;
  }
  return id;
}

bool decode_create(const std::byte* payload, size_t length, CreateRecord* out) {
  PayloadReader in(payload, length);
  uint8_t flags = 0;
  uint32_t name = 0;
  uint32_t schema = 0;
  const bool is_one =
      in.number(&out->collection) && in.number(&out->dimensions) && in.number(&out->m) &&
      in.number(&out->ef_construction) && in.number(&out->metric) &&
      in.number(&out->quantization) && in.number(&out->layout) && in.number(&flags) &&
      (flags & ~kCreateWithoutVectors) == 0 && in.number(&name) && in.number(&schema) &&
      in.text(name, &out->name) && in.text(schema, &out->schema) && in.is_at_end();
  out->keeps_vectors = (flags & kCreateWithoutVectors) == 0;
  return is_one;
}

bool decode_collection(const std::byte* payload, size_t length, uint64_t* collection) {
  PayloadReader in(payload, length);
  return in.number(collection) && in.is_at_end();
}

bool decode_dimensions(const std::byte* payload, size_t length, DimensionsRecord* out) {
  PayloadReader in(payload, length);
  uint32_t zero = 0;
  return in.number(&out->collection) && in.number(&out->dimensions) && in.number(&zero) &&
         in.is_at_end();
}

bool decode_put(const std::byte* payload, size_t length, PutRecord* out) {
  PayloadReader in(payload, length);
  uint32_t flags = 0;
  uint32_t text_bytes = 0;
  if (!in.number(&out->collection) || !in.number(&out->rows) || !in.number(&out->dimensions) ||
      !in.number(&flags) || !in.number(&text_bytes)) {
    return false;
  }
  if (out->rows == 0 || out->rows > kRowsMax || (flags & ~kPutMetadata) != 0) return false;
  out->has_metadata = (flags & kPutMetadata) != 0;
  if (out->dimensions == 0 && !out->has_metadata) return false;  // Rows without a byte.
  if (!in.ids(out->rows, &out->ids)) return false;
  if (out->has_metadata) {
    out->lengths = in.bytes(uint64_t{out->rows} * 4);
    if (out->lengths == nullptr || !in.pad()) return false;
    uint64_t total = 0;
    for (size_t row = 0; row < out->rows; ++row) {
      total += load_number<uint32_t>(out->lengths + row * 4);
    }
    const std::byte* texts = in.bytes(text_bytes);
    if (total != text_bytes || texts == nullptr || !in.pad()) return false;
    out->texts = reinterpret_cast<const char*>(texts);
  }
  out->vectors = in.bytes(uint64_t{out->rows} * out->dimensions * sizeof(float));
  return out->vectors != nullptr && in.is_at_end();
}

bool decode_delete(const std::byte* payload, size_t length, DeleteRecord* out) {
  PayloadReader in(payload, length);
  uint32_t zero = 0;
  return in.number(&out->collection) && in.number(&out->rows) && in.number(&zero) && zero == 0 &&
         out->rows > 0 && out->rows <= kRowsMax && in.ids(out->rows, &out->ids) &&
         !out->ids.is_consecutive() && in.is_at_end();  // Each row has bytes of its own.
}

bool decode_receipt(const std::byte* payload, size_t length, Receipt* out) {
  PayloadReader in(payload, length);
  const std::byte* tag = in.bytes(kReceiptTagBytes);
  uint32_t flags = 0;
  uint32_t zero = 0;
  if (tag == nullptr || !in.number(&out->count) || !in.number(&out->first_generated_id) ||
      !in.number(&flags) || !in.number(&zero)) {
    return false;
  }
  std::copy_n(tag, kReceiptTagBytes, out->tag.begin());
  out->has_generated_ids = flags == kReceiptGenerated;
  return flags <= kReceiptGenerated && zero == 0 && in.is_at_end();
}

}  // namespace omen
