// SegmentReader: nothing is believed before its checksum, and nothing is asked for beyond the file.
#include <algorithm>

#include "base/crc32c.h"
#include "base/planted.h"
#include "storage/checks.h"
#include "storage/segment.h"

namespace omen {

namespace {

uint64_t block_count(uint64_t bytes) { return (bytes + kBlobBlockBytes - 1) / kBlobBlockBytes; }

}  // namespace

SegmentReader::SegmentReader(std::unique_ptr<File> file, const ManifestFile& named)
    : file_(std::move(file)), number_(named.number), bytes_(named.size) {}

Status SegmentReader::damaged_at(uint64_t offset, const std::string& what) const {
  return damaged(path(), offset, what);
}

Result<std::unique_ptr<SegmentReader>> SegmentReader::open(Env* env, const std::string& directory,
                                                           const ManifestFile& named,
                                                           uint64_t database_id) {
  const std::string path = segment_path(directory, named.number);
  Result<std::unique_ptr<File>> file = File::open(env, path, Env::kRead);
  if (file.status().code() == ErrorCode::kNotFound) {
    return corrupt(path, path + " is missing, and the manifest names it");
  }
  if (!file.is_ok()) return file.status();
  std::unique_ptr<SegmentReader> reader(new SegmentReader(file.take(), named));
  OMEN_TRY(reader->read_header(named, database_id));
  return reader;
}

Status SegmentReader::read_header(const ManifestFile& named, uint64_t database_id) {
  OMEN_ASSIGN(const FileStat stat, file_->stat());
  if (stat.size != bytes_ || bytes_ < kSegmentHeaderBytes) {
    return damaged_at(stat.size, "it has " + std::to_string(stat.size) + " bytes, and " +
                                     std::to_string(bytes_) + " were stored");
  }
  std::byte in[kSegmentHeaderBytes];
  OMEN_TRY(file_->read_exactly(0, in, sizeof(in)));
  if (std::memcmp(in, kSegmentMagic, kMagicBytes) != 0) return damaged_at(0, "it is no segment");
  const auto checksum = load_number<uint32_t>(in + 60);
  if (checksum != crc32c(0, in, 60)) {
    return damaged_at(0, "the header's checksum differs");
  }
  const auto version = load_number<uint32_t>(in + 8);
  const auto features = load_number<uint64_t>(in + 16);
  if (version != kFormatVersion || (features & ~kKnownFeatures) != 0) {
    return unknown_format(path(), version);
  }
  database_id_ = load_number<uint64_t>(in + 32);
  if (database_id_ != database_id) {
    return damaged_at(32, "it belongs to another database");
  }
  if (named.checksum != checksum) {
    return damaged_at(0, "it is not the segment that the manifest names");
  }
  seed_ = load_number<uint64_t>(in + 40);
  return Status::ok();
}

bool SegmentReader::may_hold(const ExtentPlace& place) const {
  return place.segment == number_ && place.offset % kSegmentAlignment == 0 &&
         place.offset >= kSegmentHeaderBytes && place.offset <= bytes_ &&
         place.head_bytes >= kExtentHeaderBytes && place.head_bytes % kSegmentAlignment == 0 &&
         uint64_t{place.head_bytes} + place.vector_bytes <= bytes_ - place.offset;
}

bool SegmentReader::may_hold(const BlobPlace& place) const {
  if (place.segment != number_ || place.offset % kSegmentAlignment != 0 ||
      place.offset < kSegmentHeaderBytes || place.offset > bytes_) {
    return false;
  }
  const uint64_t left = bytes_ - place.offset;
  return place.bytes <= left &&
         block_count(place.bytes) * 4 + kBlobTrailerBytes <= left - place.bytes;
}

Status SegmentReader::read_extent_head(const ExtentPlace& place, const ExtentShape& expected,
                                       Array<std::byte>* buffer, ExtentHead* head) const {
  if (!may_hold(place) || !is_extent_shape(expected)) {
    return damaged_at(place.offset, "an extent is not where the snapshot says");
  }
  buffer->clear();
  OMEN_TRY(buffer->resize(extent_buffer_bytes(place.head_bytes, expected.rows)));
  std::byte* in = buffer->data();
  OMEN_TRY(file_->read_exactly(place.offset, in, place.head_bytes));
  if (load_number<uint32_t>(in + 60) != crc32c(mark_of(seed_, place.offset), in, 60)) {
    return damaged_at(place.offset, "the checksum of an extent's header differs");
  }
  const uint64_t rest = place.offset + kExtentHeaderBytes;
  if (load_number<uint32_t>(in + 48) != crc32c(mark_of(seed_, rest), in + kExtentHeaderBytes,
                                               place.head_bytes - kExtentHeaderBytes)) {
    return damaged_at(rest, "the checksum of an extent's head differs");
  }
  const char* what = decode_extent_head(in, place.head_bytes, expected, head);
  if (what != nullptr) return damaged_at(place.offset, what);
  if (place.vector_bytes != expected.rows * expected.stride) {
    return damaged_at(place.offset, "an extent has other vectors than the snapshot says");
  }
  return Status::ok();
}

Status SegmentReader::read_extent_vectors(const ExtentPlace& place, const ExtentHead& head,
                                          void* out) const {
  OMEN_ASSERT(may_hold(place) && place.vector_bytes == head.shape.rows * head.shape.stride);
  const uint64_t offset = place.offset + place.head_bytes;
  OMEN_TRY(file_->read_exactly(offset, out, place.vector_bytes));
  if (OMEN_PLANTED("no-vector-checksum")) return Status::ok();
  if (head.vector_checksum() != crc32c(mark_of(seed_, offset), out, place.vector_bytes)) {
    return damaged_at(offset, "the checksum of an extent's vectors differs");
  }
  return Status::ok();
}

Result<std::shared_ptr<const SegmentMapping>> SegmentReader::map() const {
  const std::lock_guard<std::mutex> guard(map_mutex_);
  std::shared_ptr<const SegmentMapping> mapping = mapping_.lock();
  if (mapping != nullptr) return mapping;
  OMEN_ASSIGN(std::unique_ptr<FileMapping> file, file_->map(bytes_));
  mapping = std::make_shared<const SegmentMapping>(std::move(file), path(), seed_);
  mapping_ = mapping;
  return mapping;
}

Status SegmentMapping::verify(uint64_t offset, size_t bytes, uint32_t checksum) const {
  if (OMEN_PLANTED("no-mapped-checksum")) return Status::ok();
  if (checksum == crc32c(mark_of(seed_, offset), data() + offset, bytes)) return Status::ok();
  return damaged(path_, offset, "the checksum of an extent's vectors differs");
}

Status SegmentReader::read_checksums(const BlobPlace& place, uint64_t first, size_t count,
                                     std::byte* out) const {
  return file_->read_exactly(place.offset + place.bytes + first * 4, out, count * 4);
}

Status SegmentReader::read_blob(const BlobPlace& place, uint64_t offset, void* out,
                                size_t size) const {
  OMEN_ASSERT(offset % kBlobBlockBytes == 0);
  if (!may_hold(place) || offset > place.bytes || size > place.bytes - offset) {
    return damaged_at(place.offset, "a blob is not where the snapshot says");
  }
  OMEN_ASSERT(size % kBlobBlockBytes == 0 || offset + size == place.bytes);
  if (offset + size == place.bytes) OMEN_TRY(verify_trailer(place));
  auto* bytes = static_cast<std::byte*>(out);
  std::byte checksums[4 * 256];  // So many blocks at once: 16 MiB.
  constexpr size_t kBlocks = sizeof(checksums) / 4;
  for (size_t done = 0; done < size;) {
    const size_t part = std::min(size - done, kBlocks * kBlobBlockBytes);
    const uint64_t at = place.offset + offset + done;
    OMEN_TRY(file_->read_exactly(at, bytes + done, part));
    OMEN_TRY(read_checksums(place, (offset + done) / kBlobBlockBytes,
                            static_cast<size_t>(block_count(part)), checksums));
    for (size_t block = 0; block * kBlobBlockBytes < part; ++block) {
      const size_t from = block * kBlobBlockBytes;
      const uint32_t found = crc32c(mark_of(seed_, at + from), bytes + done + from,
                                    std::min(kBlobBlockBytes, part - from));
      const bool is_right = found == load_number<uint32_t>(checksums + block * 4);
      if (!is_right && !OMEN_PLANTED("no-blob-checksum")) {
        return damaged_at(at + from, "the checksum of a block differs");
      }
    }
    done += part;
  }
  return Status::ok();
}

Status SegmentReader::verify_trailer(const BlobPlace& place) const {
  const uint64_t array = place.offset + place.bytes;
  const uint64_t count = block_count(place.bytes);
  const uint64_t offset = array + count * 4;
  std::byte trailer[kBlobTrailerBytes];
  OMEN_TRY(file_->read_exactly(offset, trailer, sizeof(trailer)));
  if (load_number<uint32_t>(trailer + 12) != crc32c(mark_of(seed_, offset), trailer, 12)) {
    return damaged_at(offset, "the checksum of a blob's trailer differs");
  }
  if (load_number<uint64_t>(trailer) != place.bytes) {
    return damaged_at(offset, "a blob has another size than the snapshot says");
  }
  uint32_t checksum = mark_of(seed_, array);
  std::byte part[4096];
  for (uint64_t done = 0; done < count;) {
    const auto blocks = static_cast<size_t>(std::min<uint64_t>(count - done, sizeof(part) / 4));
    OMEN_TRY(read_checksums(place, done, blocks, part));
    checksum = crc32c(checksum, part, blocks * 4);
    done += blocks;
  }
  if (load_number<uint32_t>(trailer + 8) != checksum) {
    return damaged_at(array, "the checksum of a blob's checksums differs");
  }
  return Status::ok();
}

}  // namespace omen
