// SegmentWriter: pieces gathered to large writes; checksums over what was gathered.
#include <algorithm>
#include <bit>

#include "base/crc32c.h"
#include "base/planted.h"
#include "base/test_points.h"
#include "storage/checks.h"
#include "storage/segment.h"

namespace omen {

static_assert(std::endian::native == std::endian::little, "vectors are written as they lie");

namespace {

constexpr size_t kWriteBytes = size_t{1} << 20;

ExtentTexts texts_of(const ExtentShape& shape, const ExtentRows& rows) {
  ExtentTexts texts;
  for (size_t row = 0; row < shape.rows; ++row) {
    if (!rows.is_live(row)) continue;
    const RecordId id = rows.id(row);
    texts.has_strings |= id.is_string;
    texts.id_bytes += id.is_string ? id.text.size() : 0;
    texts.metadata_bytes += rows.metadata(row).size();
  }
  texts.has_metadata = texts.metadata_bytes > 0;
  return texts;
}

}  // namespace

SegmentWriter::SegmentWriter(Env* env, std::string path, uint64_t number, MemoryAccount* account)
    : env_(env), path_(std::move(path)), number_(number), buffer_(account, Use::kScratch) {}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(Env* env, const std::string& directory,
                                                             uint64_t number, uint64_t database_id,
                                                             MemoryAccount* account) {
  std::unique_ptr<SegmentWriter> w(
      new SegmentWriter(env, segment_path(directory, number), number, account));
  OMEN_TRY(w->buffer_.reserve(kWriteBytes + kExtentStrideMax));
  OMEN_ASSIGN(w->file_, File::open(env, w->path_, Env::kWrite | Env::kCreate | Env::kTruncate));
  w->seed_ = env->random();
  std::byte header[kSegmentHeaderBytes] = {};
  std::memcpy(header, kSegmentMagic, kMagicBytes);
  store_number<uint32_t>(header + 8, kFormatVersion);
  store_number<uint32_t>(header + 12, kSegmentHeaderBytes);
  store_number<uint64_t>(header + 32, database_id);
  store_number<uint64_t>(header + 40, w->seed_);
  w->header_checksum_ = crc32c(0, header, 60);
  store_number<uint32_t>(header + 60, w->header_checksum_);
  OMEN_TRY(w->put(header, sizeof(header)));
  return w;
}

SegmentWriter::~SegmentWriter() {
  if (is_finished_ || file_ == nullptr) return;
  file_.reset();
  (void)remove_file(env_, path_).is_ok();  // Else the next opening of the database does it.
}

void SegmentWriter::begin_checksum() {
  checksum_ = mark_of(seed_, bytes());
  folded_ = buffer_.size();
}

void SegmentWriter::fold() {
  checksum_ = crc32c(checksum_, buffer_.data() + folded_, buffer_.size() - folded_);
  folded_ = buffer_.size();
}

uint32_t SegmentWriter::end_checksum() {
  fold();
  return checksum_;
}

Status SegmentWriter::flush() {
  fold();
  OMEN_TRY(file_->write_at(offset_, buffer_.data(), buffer_.size()));
  offset_ += buffer_.size();
  folded_ = 0;
  buffer_.clear();
  return Status::ok();
}

Status SegmentWriter::check_room(size_t size) const {
  if (size <= limit_ && bytes() <= limit_ - size) return Status::ok();
  return Status::error(ErrorCode::kNoSpace, "cannot write to " + path_ +
                                                ": no space is left on the disk; free some")
      .with_path(path_);
}

Status SegmentWriter::put(const void* data, size_t size) {
  OMEN_TRY(check_room(size));
  const auto* in = static_cast<const std::byte*>(data);
  while (size > 0) {
    if (buffer_.size() >= kWriteBytes) OMEN_TRY(flush());
    const size_t part = std::min(size, kBlobBlockBytes);  // There is room for so many.
    OMEN_TRY(buffer_.append(in, part));
    in += part;
    size -= part;
  }
  return Status::ok();
}

Status SegmentWriter::put_zeros(size_t size) {
  OMEN_TRY(check_room(size));
  if (buffer_.size() >= kWriteBytes) OMEN_TRY(flush());
  return buffer_.resize(buffer_.size() + size);
}

Status SegmentWriter::pad() {
  return put_zeros(static_cast<size_t>(round_up_64(bytes()) - bytes()));
}

template <class T>
Status SegmentWriter::put_number(T value) {
  std::byte out[sizeof(T)];
  store_number(out, value);
  return put(out, sizeof(T));
}

// Bytes that were put before, as zeros.
Status SegmentWriter::patch(uint64_t offset, const std::byte* data, size_t size) {
  if (offset < offset_) return file_->write_at(offset, data, size);
  std::memcpy(buffer_.data() + (offset - offset_), data, size);
  return Status::ok();
}

Status SegmentWriter::append_extent(const ExtentShape& shape, const ExtentRows& rows,
                                    ExtentPlace* place) {
  OMEN_ASSERT(!is_in_blob_ && !is_finished_ && is_extent_shape(shape));
  const ExtentTexts texts = texts_of(shape, rows);
  const ExtentLayout layout(shape, texts);
  OMEN_ASSERT(layout.size <= UINT32_MAX);
  OMEN_TEST_POINT("extent_layout");
  OMEN_TRY(pad());
  *place = {number_, bytes(), static_cast<uint32_t>(layout.size), shape.rows * shape.stride};
  OMEN_TRY(put_zeros(kExtentHeaderBytes));
  // Its header is filled in last. If it was written meanwhile, and only the rest reached the device
  // before a crash, no manifest names the segment yet.
  ExtentChecksums checksums;
  begin_checksum();
  OMEN_TRY(put_head(shape, rows, texts));
  OMEN_TRY(put_texts(shape, rows, texts));
  checksums.head = end_checksum();
  OMEN_ASSERT(bytes() == place->offset + layout.size);
  begin_checksum();
  OMEN_TRY(put_vectors(shape, rows));
  checksums.vectors = end_checksum();
  std::byte header[kExtentHeaderBytes];
  encode_extent_header(shape, texts, checksums, mark_of(seed_, place->offset), header);
  return patch(place->offset, header, sizeof(header));
}

Status SegmentWriter::put_head(const ExtentShape& shape, const ExtentRows& rows,
                               const ExtentTexts& texts) {
  for (size_t first = 0; first < shape.rows; first += 64) {
    uint64_t word = 0;
    for (size_t bit = 0; bit < 64 && first + bit < shape.rows; ++bit) {
      word |= uint64_t{rows.is_live(first + bit)} << bit;
    }
    OMEN_TRY(put_number(word));
  }
  for (size_t row = 0; row < shape.rows; ++row) {
    const RecordId id = rows.is_live(row) ? rows.id(row) : RecordId();
    OMEN_ASSERT(!id.is_string || (!id.text.empty() && id.text.size() <= kStoredIdBytesMax));
    OMEN_TRY(put_number<uint64_t>(id.is_string ? id.text.size() : id.integer));
  }
  for (size_t row = 0; texts.has_strings && row < shape.rows; ++row) {
    OMEN_TRY(put_number<uint8_t>(rows.is_live(row) && rows.id(row).is_string ? 1 : 0));
  }
  for (size_t row = 0; row < shape.rows; ++row) {
    OMEN_TRY(put_number<uint32_t>(rows.is_live(row) ? rows.order(row) : 0));
  }
  for (size_t row = 0; shape.has_norms && row < shape.rows; ++row) {
    const float norm = rows.is_live(row) ? rows.norm(row) : 0;
    OMEN_TRY(put_number(std::bit_cast<uint32_t>(norm)));
  }
  for (size_t row = 0; texts.has_metadata && row < shape.rows; ++row) {
    const size_t length = rows.is_live(row) ? rows.metadata(row).size() : 0;
    OMEN_ASSERT(length <= kStoredMetadataBytesMax);
    OMEN_TRY(put_number(static_cast<uint32_t>(length)));
  }
  return Status::ok();
}

Status SegmentWriter::put_texts(const ExtentShape& shape, const ExtentRows& rows,
                                const ExtentTexts& texts) {
  for (size_t row = 0; texts.has_strings && row < shape.rows; ++row) {
    if (!rows.is_live(row)) continue;
    const RecordId id = rows.id(row);
    if (id.is_string) OMEN_TRY(put(id.text.data(), id.text.size()));
  }
  for (size_t row = 0; texts.has_metadata && row < shape.rows; ++row) {
    if (!rows.is_live(row)) continue;
    const std::string_view text = rows.metadata(row);
    OMEN_TRY(put(text.data(), text.size()));
  }
  return pad();
}

Status SegmentWriter::put_vectors(const ExtentShape& shape, const ExtentRows& rows) {
  for (size_t row = 0; row < shape.rows; ++row) {
    OMEN_TRY(put_zeros(shape.stride));
    std::byte* const out = buffer_.data() + buffer_.size() - shape.stride;
    if (rows.is_live(row) && shape.stride > 0) rows.copy_vector(row, out);
  }
  return Status::ok();
}

Status SegmentWriter::begin_blob() {
  OMEN_ASSERT(!is_in_blob_ && !is_finished_);
  OMEN_TRY(pad());
  is_in_blob_ = true;
  blob_offset_ = bytes();
  blocks_.clear();
  begin_checksum();
  return Status::ok();
}

Status SegmentWriter::append(const void* data, size_t size) {
  OMEN_ASSERT(is_in_blob_);
  const auto* in = static_cast<const std::byte*>(data);
  while (size > 0) {
    const size_t within = static_cast<size_t>((bytes() - blob_offset_) % kBlobBlockBytes);
    const size_t part = std::min(size, kBlobBlockBytes - within);
    OMEN_TRY(put(in, part));
    in += part;
    size -= part;
    if (within + part < kBlobBlockBytes) continue;
    blocks_.push_back(end_checksum());
    begin_checksum();
  }
  return Status::ok();
}

Result<BlobPlace> SegmentWriter::end_blob() {
  OMEN_ASSERT(is_in_blob_);
  is_in_blob_ = false;
  const BlobPlace place{number_, blob_offset_, bytes() - blob_offset_};
  if (place.bytes % kBlobBlockBytes != 0) blocks_.push_back(end_checksum());
  begin_checksum();
  for (const uint32_t block : blocks_) OMEN_TRY(put_number(block));
  const uint32_t checksums = end_checksum();
  begin_checksum();
  OMEN_TRY(put_number<uint64_t>(place.bytes));
  OMEN_TRY(put_number<uint32_t>(checksums));
  OMEN_TRY(put_number<uint32_t>(end_checksum()));
  return place;
}

Status SegmentWriter::finish() {
  OMEN_ASSERT(!is_in_blob_ && !is_finished_);
  OMEN_TRY(flush());
  if (!OMEN_PLANTED("snapshot-not-synced")) OMEN_TRY(file_->sync());
  file_.reset();
  buffer_.drop();
  is_finished_ = true;
  return Status::ok();
}

ManifestFile SegmentWriter::manifest_file() const {
  OMEN_ASSERT(is_finished_);
  ManifestFile file;
  file.number = number_;
  file.size = offset_;
  file.kind = static_cast<uint32_t>(ManifestKind::kSegment);
  file.checksum = header_checksum_;
  return file;
}

}  // namespace omen
