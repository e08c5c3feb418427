// Segments: immutable files that a checkpoint writes once, front to back.
//
// Why: a checkpoint must not touch what an earlier one wrote, or a crash within it would cost both.
// So it writes what changed to a new file, and the manifest's switch makes that valid.
// What is in them: *extents*, the truth: rows of a collection, with their ids, metadata and vectors
// (storage/extent.h); and *blobs*, bytes of any kind in blocks: derived data, and the table that
// describes the whole snapshot (storage/snapshot.h). Each begins at a multiple of 64, so that
// vectors can be mapped. Format: storage/format.h.
// Invariants:
//   1. Every checksum starts with the mark of its place (storage/checks.h), in this file alone.
//   2. A reader asks for no more memory than the file has bytes, and gives out no byte that was not
//      verified.
//   3. A file that was not finished is removed by its writer.
// Threads: a writer by one at a time; a reader by any.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/file.h"
#include "storage/extent.h"
#include "storage/manifest.h"

namespace omen {

struct BlobPlace {
  uint64_t segment = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  bool operator==(const BlobPlace&) const = default;
};

struct ExtentPlace {
  uint64_t segment = 0;  // 0: no row of it is live, and it lies nowhere.
  uint64_t offset = 0;
  uint32_t head_bytes = 0;    // Its header and head; the vectors follow.
  uint32_t vector_bytes = 0;  // rows * stride.
  bool operator==(const ExtentPlace&) const = default;
};

class SegmentWriter {
 public:
  static Result<std::unique_ptr<SegmentWriter>> create(Env* env, const std::string& directory,
                                                       uint64_t number, uint64_t database_id,
                                                       MemoryAccount* account);
  // Not finished: the file is removed.
  ~SegmentWriter();
  SegmentWriter(const SegmentWriter&) = delete;
  SegmentWriter& operator=(const SegmentWriter&) = delete;

  // After an error of any of these the segment is of no use. ERR_NO_SPACE, ERR_IO, ERR_MEMORY.
  // The rows must not change meanwhile.
  Status append_extent(const ExtentShape& shape, const ExtentRows& rows, ExtentPlace* place);
  Status begin_blob();
  Status append(const void* data, size_t bytes);  // To the blob.
  Result<BlobPlace> end_blob();
  // All of it is on the device then; its name when its directory was synced (Directory::install).
  Status finish();

  // From now on what would make it longer than that is ERR_NO_SPACE.
  void set_limit(uint64_t bytes) { limit_ = bytes; }

  uint64_t number() const { return number_; }
  uint64_t bytes() const { return offset_ + buffer_.size(); }  // So far.
  uint64_t written() const { return offset_; }                 // Of them, to the file.
  // How the manifest names it, once it is finished.
  ManifestFile manifest_file() const;

 private:
  SegmentWriter(Env* env, std::string path, uint64_t number, MemoryAccount* account);
  Status check_room(size_t bytes) const;
  Status put(const void* data, size_t bytes);
  Status put_zeros(size_t bytes);
  Status pad();  // To a multiple of 64.
  template <class T>
  Status put_number(T value);
  Status put_head(const ExtentShape& shape, const ExtentRows& rows, const ExtentTexts& texts);
  Status put_texts(const ExtentShape& shape, const ExtentRows& rows, const ExtentTexts& texts);
  Status put_vectors(const ExtentShape& shape, const ExtentRows& rows);
  void begin_checksum();
  uint32_t end_checksum();
  void fold();
  Status flush();
  Status patch(uint64_t offset, const std::byte* data, size_t bytes);

  Env* const env_;
  const std::string path_;
  const uint64_t number_;
  uint64_t seed_ = 0;
  uint32_t header_checksum_ = 0;
  bool is_finished_ = false;
  std::unique_ptr<File> file_;
  Array<std::byte> buffer_;  // Bytes of the file from offset_ on, not written yet.
  uint64_t offset_ = 0;
  uint64_t limit_ = UINT64_MAX;
  uint32_t checksum_ = 0;  // Of what was put since begin_checksum(), up to folded_ of the buffer.
  size_t folded_ = 0;
  // The blob that is being written.
  bool is_in_blob_ = false;
  uint64_t blob_offset_ = 0;
  std::vector<uint32_t> blocks_;  // Checksums of its whole blocks.
};

// A segment in address space: its bytes may be damaged until they are verified.
class SegmentMapping {
 public:
  SegmentMapping(std::unique_ptr<FileMapping> file, std::string path, uint64_t seed)
      : file_(std::move(file)), path_(std::move(path)), seed_(seed) {}
  const std::byte* data() const { return file_->data(); }
  // Vectors of an extent. ERR_CORRUPT with the path and the byte.
  Status verify(uint64_t offset, size_t bytes, uint32_t checksum) const;

 private:
  const std::unique_ptr<FileMapping> file_;
  const std::string path_;
  const uint64_t seed_;
};

class SegmentReader {
 public:
  // ERR_CORRUPT if the file is missing or not the one that the manifest names; ERR_FORMAT.
  static Result<std::unique_ptr<SegmentReader>> open(Env* env, const std::string& directory,
                                                     const ManifestFile& named,
                                                     uint64_t database_id);
  // All of these: ERR_CORRUPT with the path and the byte; ERR_IO.
  // Verifies header and head, and that they say what is expected. `head` points into `buffer`.
  Status read_extent_head(const ExtentPlace& place, const ExtentShape& expected,
                          Array<std::byte>* buffer, ExtentHead* head) const;
  // The rows * stride bytes of its vectors, verified.
  Status read_extent_vectors(const ExtentPlace& place, const ExtentHead& head, void* out) const;
  // The whole file in address space; one mapping for all who ask. ERR_IO, ERR_MEMORY.
  Result<std::shared_ptr<const SegmentMapping>> map() const;
  // Bytes [offset, offset + bytes) of a blob, verified; `offset` is a multiple of kBlobBlockBytes,
  // and a part that is not the last ends at one. (The last also verifies the blob's trailer.)
  Status read_blob(const BlobPlace& place, uint64_t offset, void* out, size_t bytes) const;

  // For salvage (segment_rescue.cc): opens whatever is there. *fault: what is wrong with the
  // header; what lies behind it can be read by the seed that it names, unless that was damaged.
  static Result<std::unique_ptr<SegmentReader>> open_any(Env* env, const std::string& directory,
                                                         uint64_t number, Status* fault);
  // The first extent at `from` or behind it whose header is valid; the rest of it may be damaged,
  // or cut off. False: there is none.
  struct FoundExtent {
    ExtentPlace place;
    ExtentShape shape;
    uint64_t end() const { return place.offset + place.head_bytes + place.vector_bytes; }
  };
  Result<bool> find_extent(uint64_t from, FoundExtent* out) const;
  // The blob that the file ends with: the table, in the segment that a checkpoint wrote last.
  Result<BlobPlace> last_blob() const;
  uint64_t database_id() const { return database_id_; }

  // Whether such a place may be in the file: bounds and alignment, nothing is read.
  bool may_hold(const ExtentPlace& place) const;
  bool may_hold(const BlobPlace& place) const;
  uint64_t number() const { return number_; }
  uint64_t bytes() const { return bytes_; }
  const std::string& path() const { return file_->path(); }

 private:
  SegmentReader(std::unique_ptr<File> file, const ManifestFile& named);
  Status read_header(const ManifestFile& named, uint64_t database_id);
  Status read_checksums(const BlobPlace& place, uint64_t first, size_t count,
                        std::byte* out) const;
  Status verify_trailer(const BlobPlace& place) const;
  Status damaged_at(uint64_t offset, const std::string& what) const;
  bool is_extent_at(uint64_t offset, const std::byte* header, FoundExtent* out) const;

  const std::unique_ptr<File> file_;
  const uint64_t number_;
  const uint64_t bytes_;
  uint64_t seed_ = 0;
  uint64_t database_id_ = 0;
  mutable std::mutex map_mutex_;
  mutable std::weak_ptr<const SegmentMapping> mapping_;  // Under map_mutex_.
};

}  // namespace omen
