// Payloads of the log: any bytes decode within their bounds, or are refused.
#include <cstdint>

#include "storage/records.h"

using namespace omen;

namespace {

// Reads every byte that the record says it has.
uint64_t read_ids(IdReader ids, uint32_t rows) {
  uint64_t sum = 0;
  for (uint32_t row = 0; row < rows; ++row) {
    const RecordId id = ids.next();
    sum += id.integer;
    for (const char c : id.text) sum += static_cast<unsigned char>(c);
  }
  return sum;
}

uint64_t read_put(const PutRecord& put) {
  uint64_t sum = read_ids(put.ids, put.rows);
  const char* text = put.texts;
  for (size_t row = 0; put.has_metadata && row < put.rows; ++row) {
    const auto length = load_number<uint32_t>(put.lengths + row * 4);
    for (uint32_t i = 0; i < length; ++i) sum += static_cast<unsigned char>(*text++);
  }
  const uint64_t bytes = uint64_t{put.rows} * put.dimensions * sizeof(float);
  for (uint64_t i = 0; i < bytes; ++i) sum += std::to_integer<uint8_t>(put.vectors[i]);
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  volatile uint64_t sum = 0;  // So that no read is left out.
  PutRecord put;
  if (decode_put(bytes, size, &put)) sum = sum + read_put(put);
  DeleteRecord doomed;
  if (decode_delete(bytes, size, &doomed)) sum = sum + read_ids(doomed.ids, doomed.rows);
  CreateRecord create;
  if (decode_create(bytes, size, &create)) sum = sum + create.name.size() + create.schema.size();
  DimensionsRecord dimensions;
  (void)decode_dimensions(bytes, size, &dimensions);
  uint64_t collection = 0;
  (void)decode_collection(bytes, size, &collection);
  Receipt receipt;
  (void)decode_receipt(bytes, size, &receipt);
  return 0;
}
