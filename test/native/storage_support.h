// What the tests of the storage room share: memory, rows drawn from a seed, tables of snapshots.
#pragma once

#include "sim_env.h"
#include "storage/directory.h"
#include "storage/wal.h"
#include "test.h"

namespace omen::test {

struct Memory {
  MemoryBudget budget;
  MemoryAccount account{&budget};
};

inline std::string bytes_of(Random& random, size_t length) {
  std::string text(length, '\0');
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

// Rows of an extent, drawn.
class DrawnRows final : public ExtentRows {
 public:
  struct How {
    bool has_strings = false;
    bool has_metadata = false;
    uint64_t live_of_8 = 6;  // So many of eight rows live.
  };
  DrawnRows(const ExtentShape& shape, const How& how, Random& random) {
    for (size_t row = 0; row < shape.rows; ++row) {
      Row r;
      r.is_live = random.below(8) < how.live_of_8;
      if (how.has_strings && random.below(3) > 0) r.text = bytes_of(random, 1 + random.below(20));
      if (random.below(100) == 0 && !r.text.empty()) r.text = bytes_of(random, kStoredIdBytesMax);
      r.integer = random.next() >> random.below(64);
      if (how.has_metadata && random.below(2) > 0) r.metadata = bytes_of(random, random.below(99));
      r.order = static_cast<uint32_t>(random.next());
      r.norm = static_cast<float>(random.unit());
      const size_t used = shape.is_codes ? shape.stride : shape.dimensions * sizeof(float);
      for (size_t i = 0; i < used; ++i) {
        r.vector.push_back(static_cast<std::byte>(random.below(255)));
      }
      rows_.push_back(std::move(r));
    }
  }
  bool is_live(size_t row) const override { return rows_[row].is_live; }
  RecordId id(size_t row) const override {
    const Row& r = rows_[row];
    return r.text.empty() ? RecordId{false, r.integer, {}} : RecordId{true, 0, r.text};
  }
  std::string_view metadata(size_t row) const override { return rows_[row].metadata; }
  void copy_vector(size_t row, std::byte* out) const override {
    std::copy(rows_[row].vector.begin(), rows_[row].vector.end(), out);
  }
  uint32_t order(size_t row) const override { return rows_[row].order; }
  float norm(size_t row) const override { return rows_[row].norm; }

 private:
  struct Row {
    bool is_live = false;
    uint64_t integer = 0;
    std::string text;
    std::string metadata;
    uint32_t order = 0;
    float norm = 0;
    std::vector<std::byte> vector;
  };
  std::vector<Row> rows_;
};

inline ExtentShape draw_shape(Random& random) {
  ExtentShape s;
  s.collection = 1 + random.below(100);
  s.index = static_cast<uint32_t>(random.below(1000));
  s.rows = 1u << random.below(9);
  s.dimensions = static_cast<uint32_t>(random.below(40));
  s.stride = s.dimensions * 4 + 4 * static_cast<uint32_t>(random.below(5));
  s.has_norms = random.below(2) > 0;
  s.is_codes = s.dimensions > 0 && random.below(3) == 0;
  if (s.is_codes) s.stride = 4 * (1 + static_cast<uint32_t>(random.below(20)));
  return s;
}

// Whether what was read is what was written.
inline bool same_rows(const ExtentHead& head, const ExtentRows& rows,
                      const std::vector<std::byte>& vectors) {
  const ExtentShape& s = head.shape;
  for (size_t row = 0; row < s.rows; ++row) {
    if (head.is_live(row) != rows.is_live(row)) return false;
    const std::byte* vector = vectors.data() + row * s.stride;
    const std::vector<std::byte> zeros(s.stride);
    if (!rows.is_live(row)) {
      const RecordId id = head.id(row);
      if (id.is_string || id.integer != 0 || !head.metadata(row).empty()) return false;
      if (head.order(row) != 0 || head.norm(row) != 0) return false;
      if (s.stride > 0 && std::memcmp(vector, zeros.data(), s.stride) != 0) return false;
      continue;
    }
    const RecordId a = head.id(row);
    const RecordId b = rows.id(row);
    if (a.is_string != b.is_string || a.integer != b.integer || a.text != b.text) return false;
    if (head.metadata(row) != rows.metadata(row)) return false;
    if (head.order(row) != rows.order(row)) return false;
    if (s.has_norms && head.norm(row) != rows.norm(row)) return false;
    std::vector<std::byte> expected(s.stride);
    rows.copy_vector(row, expected.data());
    if (s.stride > 0 && std::memcmp(vector, expected.data(), s.stride) != 0) return false;
  }
  return true;
}

// Reads an extent whole; its status, and whether it is what was written.
struct ReadExtent {
  Status status;
  bool is_same = false;
};
inline ReadExtent read_extent(const SegmentReader& reader, const ExtentPlace& place,
                              const ExtentShape& shape, const ExtentRows& rows) {
  Memory memory;
  Array<std::byte> buffer(&memory.account, Use::kScratch);
  ExtentHead head;
  ReadExtent read;
  read.status = reader.read_extent_head(place, shape, &buffer, &head);
  CHECK(memory.budget.used() <= reader.bytes() * 2 + 16384);
  if (!read.status.is_ok()) return read;
  std::vector<std::byte> vectors(place.vector_bytes);
  read.status = reader.read_extent_vectors(place, head, vectors.data());
  read.is_same = read.status.is_ok() && same_rows(head, rows, vectors);
  return read;
}

// A table like those of real snapshots.
inline Receipt draw_receipt(Random& random) {
  Receipt receipt;
  for (std::byte& byte : receipt.tag) byte = static_cast<std::byte>(random.next());
  receipt.count = random.next();
  receipt.first_generated_id = random.next();
  receipt.has_generated_ids = random.below(2) > 0;
  return receipt;
}

inline bool same(const Receipt& a, const Receipt& b) {
  return a.tag == b.tag && a.count == b.count && a.first_generated_id == b.first_generated_id &&
         a.has_generated_ids == b.has_generated_ids;
}

inline Snapshot draw_snapshot(Random& random) {
  Snapshot snapshot;
  snapshot.sequence = random.below(1000);
  for (uint64_t n = random.below(4); n > 0; --n) {
    CollectionSnapshot c;
    c.collection = snapshot.next_collection;
    snapshot.next_collection += 1 + random.below(3);
    c.sequence = random.next();
    c.dimensions = static_cast<uint32_t>(random.below(100));
    c.m = static_cast<uint32_t>(random.below(64));
    c.ef_construction = static_cast<uint32_t>(random.below(500));
    c.metric = static_cast<uint8_t>(random.below(3));
    c.quantization = static_cast<uint8_t>(random.below(3));
    c.layout = static_cast<uint8_t>(random.below(2));
    c.name = bytes_of(random, random.below(30));
    c.schema = bytes_of(random, random.below(60));
    c.next_id = random.next();
    c.next_order = static_cast<uint32_t>(random.next());
    c.high_water = static_cast<uint32_t>(random.below(400));
    c.extent_rows = 1u << random.below(7);
    c.stride = c.dimensions * 4;
    c.keeps_vectors = random.below(2) > 0;
    if (!c.keeps_vectors && c.dimensions > 0 && random.below(2) > 0) {
      c.has_codes = true;
      c.stride = 4 * (1 + static_cast<uint32_t>(random.below(20)));
      c.codec = bytes_of(random, 1 + random.below(80));
    }
    c.live.resize((c.high_water + 63) / 64);
    c.extents.resize((c.high_water + c.extent_rows - 1) / c.extent_rows);
    if (random.below(2) > 0) c.fresh.resize(c.live.size());
    for (uint32_t slot = 0; slot < c.high_water; ++slot) {
      const uint64_t bit = uint64_t{1} << slot % 64;
      if (!c.fresh.empty() && random.below(4) == 0) c.fresh[slot / 64] |= bit;
      if (random.below(4) > 0) continue;
      c.live[slot / 64] |= bit;
      c.extents[slot / c.extent_rows] = {1 + random.below(9), 64 * (1 + random.below(99)),
                                         64 * (1 + static_cast<uint32_t>(random.below(99))),
                                         c.extent_rows * c.stride};
    }
    for (uint64_t i = random.below(4); i > 0; --i) {
      c.blobs.push_back({static_cast<uint32_t>(i), {3, 64 * i, random.next()}});
    }
    snapshot.collections.push_back(std::move(c));
  }
  for (uint64_t n = random.below(4); n > 0; --n) snapshot.receipts.push_back(draw_receipt(random));
  return snapshot;
}

}  // namespace omen::test
