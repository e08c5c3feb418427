// The snapshot table: what a snapshot consists of, as one blob of a segment.
//
// Why: the manifest must stay small, since each of its switches writes it whole; and what a
// checkpoint does not change (extents of older segments) must still be named by the new snapshot.
// Decoding trusts nothing: a count is bounded by the bytes that remain before anything is
// allocated, places are aligned, bitmaps have the bits that they should and no more.
// Format: storage/format.h.
// Threads: values.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "storage/records.h"
#include "storage/segment.h"

namespace omen {

struct SnapshotBlob {
  uint32_t kind = 0;  // What is in it: db/'s.
  BlobPlace place;
};

struct CollectionSnapshot {
  uint64_t collection = 0;
  uint64_t sequence = 0;  // Records of the log up to it are in the snapshot.
  // Its options, as in CreateRecord.
  uint32_t dimensions = 0;
  uint32_t m = 0;
  uint32_t ef_construction = 0;
  uint8_t metric = 0;
  uint8_t quantization = 0;
  uint8_t layout = 0;
  std::string name;
  std::string schema;
  bool keeps_vectors = true;
  // Its state.
  uint64_t next_id = 0;
  uint32_t high_water = 0;  // Slots that were ever used.
  uint32_t next_order = 0;
  uint32_t extent_rows = 0;  // 0 only if there are no slots.
  uint32_t stride = 0;
  bool has_codes = false;  // Extents hold codes in place of vectors, by
  std::string codec;       // this codec: db/'s.
  std::vector<uint64_t> live;        // A bit for each slot below high_water.
  std::vector<ExtentPlace> extents;  // By index: ceil(high_water / extent_rows).
  std::vector<SnapshotBlob> blobs;   // Derived data.
  std::vector<uint64_t> fresh;       // Slots written since the blobs were; like `live`, or empty.

  // Of an extent on disk, in the mean. 0: there is none.
  uint64_t extent_bytes() const;
};

struct Snapshot {
  uint64_t sequence = 0;  // The log's records behind it follow: SnapshotFiles::sequence.
  uint64_t next_collection = 1;
  std::vector<CollectionSnapshot> collections;  // By number, rising.
  std::vector<Receipt> receipts;  // Of commits up to `sequence`, in their order.
};

// Appends the table to `out`. ERR_MEMORY.
Status encode_snapshot(const Snapshot& snapshot, Array<std::byte>* out);
// ERR_CORRUPT with the path and the table's byte; ERR_FORMAT of a newer version.
Result<Snapshot> decode_snapshot(std::span<const std::byte> bytes, const std::string& path);

}  // namespace omen
