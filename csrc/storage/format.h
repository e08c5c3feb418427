// The files of a database: every byte. docs/file-format.md says the same in prose.
//
// All numbers are little-endian and of fixed width; checksums are CRC-32C (base/crc32c.h).
//
// A database is a directory:
//   MANIFEST        which files are valid, and what holds for all of them
//   LOCK            empty; locked by the process that writes
//   <number>.wal    the write-ahead log; decimal number, at least six digits
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
//   56  8  number of the log
//   64  8  sequence of the log's first record
//   72  8  largest number of a file so far
//   80  8  the log's records up to this sequence were on the device when the manifest was written
//   88  4  files that follow (snapshot sections: 0 in this version)
//   92  4  checksum of all other bytes, those of the files included
// A file:  number 8, size 8, sequence 8, kind 4, checksum 4, zero 8.
//
// Log header, 64 bytes:
//   0   8  magic "OMENWAL\n"
//   8   4  version
//   12  4  bytes of the header: 64
//   16  8  incompatible features
//   24  8  compatible features
//   32  8  id of the database
//   40  8  seed of the file, random
//   48  8  sequence of its first record
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
//              compact, 1 fast), zero 1, length of the name 4, length of the schema 4, name, schema
//              (canonical JSON, or nothing)
// kDrop        collection 8
// kDimensions  collection 8, dimensions 4, zero 4: they are fixed, without a record yet
// kPut         collection 8, rows 4, dimensions 4, flags 4 (1: metadata), bytes of metadata 4, ids;
//              with metadata its lengths, 4 each (0: {}), zeros up to a multiple of 8, its texts
//              and zeros up to a multiple of 8; then rows x dimensions float32. Records of these
//              ids are new or replaced whole; with dimensions 0 they exist, and keep their vectors.
// kDelete      collection 8, rows 4, zero 4, ids (never flag 1)
// kClear       collection 8
// kSeal        nothing: it is there for its watermark
// Numbers of collections are never given twice; a record of one that was dropped says nothing.
#pragma once

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
};
inline constexpr uint8_t kRecordTypeMax = 7;
inline constexpr uint8_t kMoreFollows = 1;  // A record's flag.

inline constexpr uint32_t kIdsConsecutive = 1;  // Flags of `ids`.
inline constexpr uint32_t kIdsStrings = 2;
inline constexpr uint32_t kPutMetadata = 1;  // A flag of kPut.

inline constexpr size_t round_up_8(size_t bytes) { return (bytes + 7) & ~size_t{7}; }

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

}  // namespace omen
