// SegmentReader, for salvage: finding what is whole in a segment that nothing describes.
//
// Why it can be found: an extent begins at a multiple of 64, its header says what it is and how
// long, and its checksum is right at this place of this file alone, whatever bytes users store.
// Threads: any.
#include <algorithm>

#include "base/crc32c.h"
#include "storage/checks.h"
#include "storage/segment.h"

namespace omen {

Result<std::unique_ptr<SegmentReader>> SegmentReader::open_any(Env* env,
                                                               const std::string& directory,
                                                               uint64_t number, Status* fault) {
  OMEN_ASSIGN(std::unique_ptr<File> file,
              File::open(env, segment_path(directory, number), Env::kRead));
  OMEN_ASSIGN(const FileStat stat, file->stat());
  ManifestFile named;
  named.number = number;
  named.size = stat.size;
  std::unique_ptr<SegmentReader> reader(new SegmentReader(std::move(file), named));
  if (stat.size < kSegmentHeaderBytes) {
    *fault = reader->damaged_at(stat.size, "its header is cut off");
    return reader;
  }
  std::byte in[kSegmentHeaderBytes];
  OMEN_TRY(reader->file_->read_exactly(0, in, sizeof(in)));
  named.checksum = load_number<uint32_t>(in + 60);
  *fault = reader->read_header(named, load_number<uint64_t>(in + 32));
  reader->database_id_ = load_number<uint64_t>(in + 32);
  reader->seed_ = load_number<uint64_t>(in + 40);
  return reader;
}

bool SegmentReader::is_extent_at(uint64_t offset, const std::byte* header,
                                 FoundExtent* out) const {
  ExtentTexts texts;
  if (!decode_extent_header(header, &out->shape, &texts)) return false;
  const uint32_t checksum = crc32c(mark_of(seed_, offset), header, 60);
  if (load_number<uint32_t>(header + 60) != checksum) return false;
  const ExtentLayout layout(out->shape, texts);
  if (layout.size > UINT32_MAX) return false;
  out->place = {number_, offset, static_cast<uint32_t>(layout.size),
                out->shape.rows * out->shape.stride};
  return true;
}

Result<bool> SegmentReader::find_extent(uint64_t from, FoundExtent* out) const {
  std::byte chunk[size_t{16} << 10];
  uint64_t at = round_up_64(std::max<uint64_t>(from, kSegmentHeaderBytes));
  for (; at < bytes_; at += sizeof(chunk)) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(sizeof(chunk), bytes_ - at));
    OMEN_TRY(file_->read_exactly(at, chunk, size));
    for (size_t i = 0; i + kExtentHeaderBytes <= size; i += kSegmentAlignment) {
      if (is_extent_at(at + i, chunk + i, out)) return true;
    }
  }
  return false;
}

Result<BlobPlace> SegmentReader::last_blob() const {
  if (bytes_ < kSegmentHeaderBytes + kBlobTrailerBytes) {
    return damaged_at(bytes_, "it ends before its table");
  }
  const uint64_t offset = bytes_ - kBlobTrailerBytes;
  std::byte trailer[kBlobTrailerBytes];
  OMEN_TRY(file_->read_exactly(offset, trailer, sizeof(trailer)));
  if (load_number<uint32_t>(trailer + 12) != crc32c(mark_of(seed_, offset), trailer, 12)) {
    return damaged_at(offset, "it does not end with a table");
  }
  const auto size = load_number<uint64_t>(trailer);
  if (size > offset) return damaged_at(offset, "its table is larger than the file");
  const uint64_t blocks = (size + kBlobBlockBytes - 1) / kBlobBlockBytes;
  const BlobPlace place{number_, offset - std::min(offset, size + blocks * 4), size};
  if (!may_hold(place)) return damaged_at(offset, "its table does not fit into the file");
  return place;
}

}  // namespace omen
