// The files of a database: every byte. docs/file-format.md says the same in prose.
//
// All numbers are little-endian and of fixed width; checksums are CRC-32C (base/crc32c.h).
//
// A database is a directory:
//   MANIFEST        which files are valid, and what holds for all of them
//   LOCK            empty; locked by the process that writes
//   <number>.wal    a write-ahead log; decimal number, at least six digits
//   <number>.seg    a segment: what a checkpoint wrote; numbers are those of logs, none given twice
//   MANIFEST.tmp    a manifest on its way; of no meaning after a crash
// Files that the manifest does not name are left over from a crash, and removed.
//
// MANIFEST, 96 bytes and 40 per file:
//   0   8  magic "OMENMAN\n"
//   8   4  version (kFormatVersion)
//   12  4  bytes of the whole manifest
//   16  8  incompatible features: an unknown bit is refused
//   24  8  compatible features: unknown bits are ignored
//   32  8  id of the database, drawn when it was made
//   40  8  seed of its random choices
//   48  8  generation: one more with each manifest
//   56  8  number of the first log
//   64  8  sequence of its first record: what is before is in the snapshot
//   72  8  largest number of a file so far
//   80  8  the logs' records up to this sequence were on the device when the manifest was written
//   88  4  files that follow
//   92  4  checksum of all other bytes, those of the files included
// A file:  number 8, size 8, sequence 8, kind 4, checksum 4, zero 8. In this order of kinds:
//   1  a segment, by rising number: size is that of the file; checksum is the one that its header
//      ends with, which also tells it from other files by its seed; sequence 0
//   2  a log that goes on after the one before, by rising number: size, sequence and checksum 0
//   3  the snapshot table, one if there are segments, else none: number of its segment, sequence is
//      the offset of the blob, size its bytes; checksum 0
// An unknown kind is refused.
//
// Log header, 64 bytes:
//   0   8  magic "OMENWAL\n"
//   8   4  version
//   12  4  bytes of the header: 64
//   16  8  incompatible features
//   24  8  compatible features
//   32  8  id of the database
//   40  8  seed of the file, random
//   48  8  sequence of its first record; 0: one more than the last of the log before, or what the
//          manifest says, if it is the first
//   56  4  zero
//   60  4  checksum of bytes 0 to 59
// Records follow, each at a multiple of 8. A record is 32 bytes, then the payload, then zeros up to
// a multiple of 8:
//   0   4  checksum of bytes 4 to 31, started with the mark of the place
//   4   4  checksum of the payload and its zeros, started with the mark of the place
//   8   8  sequence: one more than that of the record before
//   16  8  watermark: every record up to this sequence was on the device when this one was written
//   24  4  bytes of the payload, at most kPayloadBytesMax
//   28  1  type (RecordType)
//   29  1  flags: kMoreFollows: the commit goes on in the next record
//   30  2  zero
// The mark of a place is the checksum of the file's seed and the offset of the record, 16 bytes: so
// a record is valid in one place of one file, whatever bytes users store.
//
// Payloads. `ids` is: flags 4 (1: consecutive integers, 2: some are strings), bytes of text 4, then
//   - consecutive: the first, 8;
//   - else 8 each (an integer, or the length of a string), then, with flag 2, one byte each (1: a
//     string) and zeros up to a multiple of 8, then the text of the strings one after the other and
//     zeros up to a multiple of 8.
// kCreate      collection 8, dimensions 4 (0: not fixed), m 4, efConstruction 4, metric 1 (0
//              cosine, 1 l2, 2 dot), quantization 1 (0 sq8, 1 none, 2 binary), layout 1 (0
//              compact, 1 fast), flags 1 (1: vectors are not kept), length of the name 4, length of
//              the schema 4, name, schema (canonical JSON, or nothing)
// kDrop        collection 8
// kDimensions  collection 8, dimensions 4, zero 4: they are fixed, without a record yet
// kPut         collection 8, rows 4, dimensions 4, flags 4 (1: metadata), bytes of metadata 4, ids;
//              with metadata its lengths, 4 each (0: {}), zeros up to a multiple of 8, its texts
//              and zeros up to a multiple of 8; then rows x dimensions float32. Records of these
//              ids are new or replaced whole; with dimensions 0 they exist, and keep their vectors.
// kDelete      collection 8, rows 4, zero 4, ids (never flag 1)
// kClear       collection 8
// kSeal        nothing: it is there for its watermark
// kReceipt     a receipt, the last record of its commit; alone where the commit changes nothing
// Receipt, 56 bytes: tag 32, records written or deleted 8, first generated id 8, flags 4 (1: ids
// were generated), zero 4.
// Numbers of collections are never given twice; a record of one that was dropped says nothing.
//
// Segment header, 64 bytes: that of a log, with the magic "OMENSEG\n", and 12 zeros from byte 48.
// Extents and blobs follow, each at a multiple of 64, with zeros before it.
// Extent, 64 bytes and the rest of its head, then the vectors. Checksums start with the marks of
// the places where what they cover begins:
//   0   4  magic "EXT\n"
//   4   4  index: its rows are [index * rows, (index + 1) * rows) of the collection
//   8   8  collection
//   16  4  rows: a power of two, at most kExtentRowsMax
//   20  4  dimensions
//   24  4  stride: bytes of a row of vectors
//   28  4  flags (1: some ids are strings, 2: metadata, 4: norms, 8: codes in place of vectors)
//   32  4  bytes of the texts of ids
//   36  4  bytes of the texts of metadata
//   40  4  bytes of vectors: rows * stride
//   44  4  checksum of the vectors
//   48  4  checksum of the rest of the head
//   52  8  zero
//   60  4  checksum of bytes 0 to 59
//   64     a bit for each row: it lives; zeros to a multiple of 8 bytes
//          for each row: 8, its id or the length of the string
//          with flag 1 for each row: 1 (1: a string)
//          for each row: 4, its order
//          with flag 4 for each row: 4, its norm, float32
//          with flag 2 for each row: 4, the length of its metadata (0: {})
//          texts of the strings, texts of metadata (JSON), zeros to a multiple of 64
//          for each row `stride` bytes: its vector, float32, and zeros; with flag 8 its code
// Rows that do not live hold zeros.
// Blob: its bytes; for each kBlobBlockBytes of them a checksum, 4, started with the mark of the
// block's place; 16 bytes: bytes of the blob 8, checksum of those checksums 4, checksum of these 12
// bytes 4, started with the marks of their places.
// Snapshot table, a blob, its numbers one after the other:
//   version 4 (kSnapshotVersion), collections 4, sequence 8 (that of the log's first record, less
//   one), next number of a collection 8, receipts 4, zero 4; for each collection, by rising
//   number:
//   collection 8, sequence 8 (records up to it are in the snapshot), next id 8, dimensions 4, m 4,
//   efConstruction 4, metric 1, quantization 1, layout 1, flags 1 (1: fresh, 2: without vectors, 4:
//   extents hold codes), high water 4 (slots ever used), next order 4, rows of an extent 4, stride
//   4, blobs 4, length of the name 4, of the schema 4, of the codec 4 (0 without flag 4); name,
//   schema, codec, zeros to a multiple of 8; a bit for each slot: it lives; with
//   flag 1 a bit for each slot: written since the blobs were; both with zeros to a multiple of 8;
//   extents, high water / rows of an extent, rounded up: segment 8 (0: none of its rows lives; all
//   zero), offset 8, bytes of header and head 4, of vectors 4; blobs: kind 4, zero 4, segment 8,
//   offset 8, bytes 8; then, behind all collections, the receipts. A row that lives in its extent
//   and not here was deleted since.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace omen {

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr uint64_t kKnownFeatures = 0;  // Incompatible ones.

inline constexpr char kManifestMagic[9] = "OMENMAN\n";
inline constexpr char kLogMagic[9] = "OMENWAL\n";
inline constexpr size_t kMagicBytes = 8;

inline constexpr size_t kManifestBytes = 96;
inline constexpr size_t kManifestFileBytes = 40;
inline constexpr uint32_t kManifestFilesMax = 1u << 20;
inline constexpr size_t kLogHeaderBytes = 64;
inline constexpr size_t kRecordHeaderBytes = 32;
inline constexpr uint32_t kPayloadBytesMax = 64u << 20;

enum class RecordType : uint8_t {
  kCreate = 1,
  kDrop = 2,
  kDimensions = 3,
  kPut = 4,
  kDelete = 5,
  kClear = 6,
  kSeal = 7,
  kReceipt = 8,
};
inline constexpr uint8_t kRecordTypeMax = 8;
inline constexpr uint8_t kMoreFollows = 1;  // A record's flag.

inline constexpr uint32_t kIdsConsecutive = 1;  // Flags of `ids`.
inline constexpr uint32_t kIdsStrings = 2;
inline constexpr uint32_t kPutMetadata = 1;  // A flag of kPut.
inline constexpr size_t kReceiptBytes = 56;
inline constexpr size_t kReceiptTagBytes = 32;
inline constexpr uint32_t kReceiptGenerated = 1;  // A flag of a receipt.

enum class ManifestKind : uint32_t { kSegment = 1, kLog = 2, kTable = 3 };
inline constexpr uint64_t kFileNumberMax = uint64_t{1} << 53;

inline constexpr char kSegmentMagic[9] = "OMENSEG\n";
inline constexpr size_t kSegmentHeaderBytes = 64;
inline constexpr size_t kSegmentAlignment = 64;  // Of extents and blobs.
inline constexpr char kExtentMagic[5] = "EXT\n";
inline constexpr size_t kExtentHeaderBytes = 64;
inline constexpr uint32_t kExtentStrings = 1;  // Flags.
inline constexpr uint32_t kExtentMetadata = 2;
inline constexpr uint32_t kExtentNorms = 4;
inline constexpr uint32_t kExtentCodes = 8;
inline constexpr uint32_t kExtentRowsMax = 1024;
inline constexpr uint32_t kExtentDimensionsMax = 16384;
inline constexpr uint32_t kExtentStrideMax = (64u << 10) + 64;
inline constexpr uint32_t kStoredIdBytesMax = 512;
inline constexpr uint32_t kStoredMetadataBytesMax = 1u << 20;
inline constexpr size_t kBlobBlockBytes = size_t{64} << 10;
inline constexpr size_t kBlobTrailerBytes = 16;
inline constexpr uint32_t kSnapshotVersion = 1;
inline constexpr uint32_t kSnapshotFresh = 1;  // Flags of a collection.
inline constexpr uint32_t kSnapshotWithoutVectors = 2;
inline constexpr uint32_t kSnapshotCodes = 4;
inline constexpr uint8_t kCreateWithoutVectors = 1;  // A flag of a record of kCreate.

inline constexpr size_t round_up_8(size_t bytes) { return (bytes + 7) & ~size_t{7}; }
inline constexpr uint64_t round_up_64(uint64_t bytes) { return (bytes + 63) & ~uint64_t{63}; }

// Little-endian numbers at any address.
template <class T>
inline void store_number(std::byte* at, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    at[i] = static_cast<std::byte>(static_cast<uint64_t>(value) >> (8 * i) & 0xFF);
  }
}
template <class T>
inline T load_number(const std::byte* at) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<uint64_t>(std::to_integer<uint8_t>(at[i])) << (8 * i);
  }
  return static_cast<T>(value);
}
template <class T>
inline void load_numbers(const std::byte* at, size_t count, T* to) {
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(to, at, count * sizeof(T));
  } else {
    for (size_t i = 0; i < count; ++i) to[i] = load_number<T>(at + i * sizeof(T));
  }
}

}  // namespace omen
