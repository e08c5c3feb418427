// Extents: the rows [index * rows, (index + 1) * rows) of a collection, as they lie in a segment.
//
// Why: a checkpoint writes only what changed, and what changes is rows; so they lie in groups that
// are replaced as one. All that is true of a row is here: whether it lives, its id, order, norm,
// metadata and vector. All else can be derived.
// Layout (format.h has every byte): a header of 64 bytes; the head (live bits, ids, kinds, orders,
// norms, lengths of metadata, texts, zeros to a multiple of 64); the vectors, `stride` bytes a row.
// Invariants:
//   1. Rows that are not live hold zeros everywhere.
//   2. Decoding trusts nothing: what does not add up is refused although its checksum was right.
// Threads: values; a decoded head may be read by any.
#pragma once

#include "storage/records.h"

namespace omen {

struct ExtentShape {
  uint64_t collection = 0;
  uint32_t index = 0;
  uint32_t rows = 0;        // A power of two up to kExtentRowsMax.
  uint32_t dimensions = 0;  // 0: no vectors yet, and a stride of 0.
  uint32_t stride = 0;      // Bytes of a row of vectors, from dimensions * 4 on; or of a code.
  bool has_norms = false;
  bool is_codes = false;  // In place of vectors.
  bool operator==(const ExtentShape&) const = default;
};
// Whether it is within the bounds of the format.
bool is_extent_shape(const ExtentShape& shape);

// Rows of an extent as their owner holds them.
class ExtentRows {
 public:
  virtual ~ExtentRows() = default;
  virtual bool is_live(size_t row) const = 0;
  // The rest only for rows that are.
  virtual RecordId id(size_t row) const = 0;
  virtual std::string_view metadata(size_t row) const = 0;  // Empty: {}.
  // To `out`, which has the stride of the shape and holds zeros.
  virtual void copy_vector(size_t row, std::byte* out) const = 0;
  virtual uint32_t order(size_t row) const = 0;
  virtual float norm(size_t row) const = 0;
};

// What of an extent's head its rows decide.
struct ExtentTexts {
  bool has_strings = false;
  bool has_metadata = false;
  uint64_t id_bytes = 0;
  uint64_t metadata_bytes = 0;
};

// Where the parts of a head lie, from the extent's start.
struct ExtentLayout {
  ExtentLayout() = default;
  ExtentLayout(const ExtentShape& shape, const ExtentTexts& texts);
  uint64_t ids = 0;
  uint64_t kinds = 0;
  uint64_t orders = 0;
  uint64_t norms = 0;
  uint64_t lengths = 0;
  uint64_t id_text = 0;
  uint64_t metadata_text = 0;
  uint64_t end = 0;   // Of what is used,
  uint64_t size = 0;  // and with the zeros behind it: where the vectors begin.
};

// A decoded head; points into the buffer that it was read into. Rows in any order.
class ExtentHead {
 public:
  ExtentShape shape;
  bool is_live(size_t row) const {
    return (std::to_integer<uint32_t>(bytes_[kExtentHeaderBytes + row / 8]) >> row % 8 & 1) != 0;
  }
  RecordId id(size_t row) const;
  uint32_t order(size_t row) const { return load_number<uint32_t>(at(layout_.orders, row, 4)); }
  float norm(size_t row) const;  // 0 if the extent has none.
  std::string_view metadata(size_t row) const;
  uint64_t live_word(size_t word) const {
    return load_number<uint64_t>(bytes_ + kExtentHeaderBytes + word * 8);
  }
  uint32_t vector_checksum() const { return load_number<uint32_t>(bytes_ + 44); }

 private:
  friend class ExtentDecoder;
  const std::byte* at(uint64_t part, size_t row, size_t size) const {
    return bytes_ + part + row * size;
  }
  const std::byte* bytes_ = nullptr;
  const uint32_t* text_ends_ = nullptr;  // Of ids' texts, then of metadata's; after the head.
  ExtentTexts texts_;
  ExtentLayout layout_;
};

// Writes the 64 bytes of a header. Checksums: of the vectors, and of the rest of the head.
struct ExtentChecksums {
  uint32_t vectors = 0;
  uint32_t head = 0;
};
void encode_extent_header(const ExtentShape& shape, const ExtentTexts& texts,
                          const ExtentChecksums& checksums, uint32_t mark, std::byte* out);

// What a header says of itself, whatever its checksum. False: it is none, or of an unknown kind.
bool decode_extent_header(const std::byte* in, ExtentShape* shape, ExtentTexts* texts);

// What `buffer` must be able to hold to decode a head of so many bytes.
size_t extent_buffer_bytes(size_t head_bytes, uint32_t rows);
// Decodes a head of `head_bytes` at the start of `buffer`, which has extent_buffer_bytes(). Checks
// all but checksums. nullptr, or what is wrong with it.
const char* decode_extent_head(std::byte* buffer, size_t head_bytes, const ExtentShape& expected,
                               ExtentHead* head);

}  // namespace omen
