// Extents, blobs and the snapshot table: any bytes decode within their bounds, or are refused.
// The first byte chooses; heads and tables come without their checksums, which no fuzzer guesses.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "../native/sim_env.h"
#include "base/crc32c.h"
#include "storage/snapshot.h"

using namespace omen;

namespace {

volatile uint64_t sink = 0;  // So that no read is left out.

void read_text(std::string_view text) {
  uint64_t sum = 0;
  for (const char c : text) sum += static_cast<unsigned char>(c);
  sink = sink + sum;
}

// What is expected is taken from the head itself: it is the rest that is to be wrong.
void decode_head(const std::byte* bytes, size_t size) {
  if (size < kExtentHeaderBytes) return;
  const auto number = [&](size_t at) { return load_number<uint32_t>(bytes + at); };
  const ExtentShape shape{load_number<uint64_t>(bytes + 8), number(4),  number(16), number(20),
                          number(24), (number(28) & kExtentNorms) != 0,
                          (number(28) & kExtentCodes) != 0};
  if (!is_extent_shape(shape)) return;
  MemoryBudget budget;
  MemoryAccount account(&budget);
  Array<std::byte> buffer(&account, Use::kScratch);
  const size_t head_bytes = size / kSegmentAlignment * kSegmentAlignment;
  if (!buffer.resize(extent_buffer_bytes(head_bytes, shape.rows)).is_ok()) return;
  std::memcpy(buffer.data(), bytes, head_bytes);
  ExtentHead head;
  if (decode_extent_head(buffer.data(), head_bytes, shape, &head) != nullptr) return;
  for (size_t row = 0; row < shape.rows; ++row) {
    read_text(head.id(row).text);
    read_text(head.metadata(row));
    sink = sink + head.id(row).integer + head.order(row) + (head.norm(row) > 0) + head.is_live(row);
  }
}

// What decodes encodes to the same bytes.
void decode_table(const std::byte* bytes, size_t size) {
  const Result<Snapshot> decoded = decode_snapshot({bytes, size}, "/t");
  if (!decoded.is_ok()) return;
  MemoryBudget budget;
  MemoryAccount account(&budget);
  Array<std::byte> again(&account, Use::kScratch);
  OMEN_ASSERT(encode_snapshot(decoded.value(), &again).is_ok() && again.size() == size);
}

// A whole file whose header is put right, and places drawn from its end.
void read_file(const uint8_t* data, size_t size) {
  if (size < kSegmentHeaderBytes) return;
  std::vector<std::byte> bytes(size);
  std::memcpy(bytes.data(), data, size);
  std::memcpy(bytes.data(), kSegmentMagic, kMagicBytes);
  store_number<uint32_t>(bytes.data() + 8, kFormatVersion);
  store_number<uint64_t>(bytes.data() + 16, 0);
  const uint32_t checksum = crc32c(0, bytes.data(), 60);
  store_number(bytes.data() + 60, checksum);
  test::SimEnv env;
  (void)env.make_directory("/d");
  const int64_t file = env.open("/d/000001.seg", Env::kWrite | Env::kCreate);
  (void)env.write(file, bytes.data(), size, 0);
  (void)env.close(file);
  const ManifestFile named{1, size, 0, 1, checksum};
  const auto opened =
      SegmentReader::open(&env, "/d", named, load_number<uint64_t>(bytes.data() + 32));
  OMEN_ASSERT(opened.is_ok());
  const std::byte* tail = bytes.data() + size - 40;
  const BlobPlace blob{1, load_number<uint32_t>(tail + 12), load_number<uint32_t>(tail + 16)};
  std::vector<std::byte> out(std::min<uint64_t>(blob.bytes, size));
  if (opened.value()->may_hold(blob)) {
    sink = sink + opened.value()->read_blob(blob, 0, out.data(), blob.bytes).is_ok();
  }
  const ExtentPlace place{1, load_number<uint32_t>(tail + 20), load_number<uint32_t>(tail + 24),
                          load_number<uint32_t>(tail + 28)};
  const ExtentShape shape{1, 0, load_number<uint32_t>(tail + 32), 4, 16, false};
  MemoryBudget budget;
  MemoryAccount account(&budget);
  Array<std::byte> buffer(&account, Use::kScratch);
  ExtentHead head;
  sink = sink + opened.value()->read_extent_head(place, shape, &buffer, &head).is_ok();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto* bytes = reinterpret_cast<const std::byte*>(data + 1);
  switch (data[0] % 3) {
    case 0:
      decode_head(bytes, size - 1);
      break;
    case 1:
      decode_table(bytes, size - 1);
      break;
    default:
      read_file(data + 1, size - 1);
  }
  return 0;
}
