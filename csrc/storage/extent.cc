// Extents: where the parts of a head lie, and reading one that may be anything.
#include "storage/extent.h"

#include <bit>

#include "base/crc32c.h"

namespace omen {

namespace {

constexpr uint32_t kKnownFlags = kExtentStrings | kExtentMetadata | kExtentNorms | kExtentCodes;

uint32_t flags_of(const ExtentShape& shape, const ExtentTexts& texts) {
  return (texts.has_strings ? kExtentStrings : 0) | (texts.has_metadata ? kExtentMetadata : 0) |
         (shape.has_norms ? kExtentNorms : 0) | (shape.is_codes ? kExtentCodes : 0);
}

}  // namespace

bool is_extent_shape(const ExtentShape& s) {
  return s.collection != 0 && std::has_single_bit(s.rows) && s.rows <= kExtentRowsMax &&
         s.dimensions <= kExtentDimensionsMax && s.stride <= kExtentStrideMax &&
         s.stride % sizeof(float) == 0 &&
         (s.is_codes ? s.stride > 0 && s.dimensions > 0
                     : s.stride >= s.dimensions * sizeof(float));
}

ExtentLayout::ExtentLayout(const ExtentShape& shape, const ExtentTexts& texts) {
  const uint64_t rows = shape.rows;
  ids = kExtentHeaderBytes + (rows + 63) / 64 * 8;
  kinds = ids + rows * 8;
  orders = kinds + (texts.has_strings ? rows : 0);
  norms = orders + rows * 4;
  lengths = norms + (shape.has_norms ? rows * 4 : 0);
  id_text = lengths + (texts.has_metadata ? rows * 4 : 0);
  metadata_text = id_text + texts.id_bytes;
  end = metadata_text + texts.metadata_bytes;
  size = round_up_64(end);
}

void encode_extent_header(const ExtentShape& shape, const ExtentTexts& texts,
                          const ExtentChecksums& checksums, uint32_t mark, std::byte* out) {
  std::memset(out, 0, kExtentHeaderBytes);
  std::memcpy(out, kExtentMagic, 4);
  store_number<uint32_t>(out + 4, shape.index);
  store_number<uint64_t>(out + 8, shape.collection);
  store_number<uint32_t>(out + 16, shape.rows);
  store_number<uint32_t>(out + 20, shape.dimensions);
  store_number<uint32_t>(out + 24, shape.stride);
  store_number<uint32_t>(out + 28, flags_of(shape, texts));
  store_number<uint32_t>(out + 32, static_cast<uint32_t>(texts.id_bytes));
  store_number<uint32_t>(out + 36, static_cast<uint32_t>(texts.metadata_bytes));
  store_number<uint32_t>(out + 40, shape.rows * shape.stride);
  store_number<uint32_t>(out + 44, checksums.vectors);
  store_number<uint32_t>(out + 48, checksums.head);
  store_number<uint32_t>(out + 60, crc32c(mark, out, 60));
}

bool decode_extent_header(const std::byte* in, ExtentShape* shape, ExtentTexts* texts) {
  const auto flags = load_number<uint32_t>(in + 28);
  *shape = {load_number<uint64_t>(in + 8),  load_number<uint32_t>(in + 4),
            load_number<uint32_t>(in + 16), load_number<uint32_t>(in + 20),
            load_number<uint32_t>(in + 24), (flags & kExtentNorms) != 0,
            (flags & kExtentCodes) != 0};
  *texts = {(flags & kExtentStrings) != 0, (flags & kExtentMetadata) != 0,
            load_number<uint32_t>(in + 32), load_number<uint32_t>(in + 36)};
  return std::memcmp(in, kExtentMagic, 4) == 0 && (flags & ~kKnownFlags) == 0 &&
         load_number<uint64_t>(in + 52) == 0 && is_extent_shape(*shape) &&
         load_number<uint32_t>(in + 40) == shape->rows * shape->stride;
}

RecordId ExtentHead::id(size_t row) const {
  RecordId id;
  id.is_string = texts_.has_strings && *at(layout_.kinds, row, 1) != std::byte{0};
  id.integer = load_number<uint64_t>(at(layout_.ids, row, 8));
  if (!id.is_string) return id;
  const auto length = static_cast<size_t>(id.integer);
  const auto* text = reinterpret_cast<const char*>(bytes_ + layout_.id_text);
  id.text = {text + text_ends_[row] - length, length};
  id.integer = 0;
  return id;
}

float ExtentHead::norm(size_t row) const {
  if (!shape.has_norms) return 0;
  return std::bit_cast<float>(load_number<uint32_t>(at(layout_.norms, row, 4)));
}

std::string_view ExtentHead::metadata(size_t row) const {
  if (!texts_.has_metadata) return {};
  const auto length = load_number<uint32_t>(at(layout_.lengths, row, 4));
  const auto* text = reinterpret_cast<const char*>(bytes_ + layout_.metadata_text);
  return {text + text_ends_[shape.rows + row] - length, length};
}

size_t extent_buffer_bytes(size_t head_bytes, uint32_t rows) {
  return head_bytes + size_t{2} * rows * sizeof(uint32_t);
}

// Its parts one after the other, each bounded before it is read.
class ExtentDecoder {
 public:
  ExtentDecoder(std::byte* buffer, ExtentHead* head) : in_(buffer), h_(*head) {
    h_.bytes_ = buffer;
  }

  const char* header(size_t head_bytes, const ExtentShape& expected) {
    if (head_bytes < kExtentHeaderBytes || !decode_extent_header(in_, &h_.shape, &h_.texts_)) {
      return "no extent is there, or one of an unknown kind";
    }
    if (!(h_.shape == expected)) return "another extent is there than the snapshot says";
    h_.layout_ = ExtentLayout(h_.shape, h_.texts_);
    if (h_.layout_.size != head_bytes) return "an extent's head has another size";
    h_.text_ends_ = reinterpret_cast<const uint32_t*>(in_ + head_bytes);
    return nullptr;
  }

  const char* rows() {
    auto* ends = reinterpret_cast<uint32_t*>(in_ + h_.layout_.size);
    const size_t rows = h_.shape.rows;
    uint64_t id_bytes = 0;
    uint64_t metadata_bytes = 0;
    for (size_t row = 0; row < rows; ++row) {
      const bool is_live = h_.is_live(row);
      const auto id = load_number<uint64_t>(h_.at(h_.layout_.ids, row, 8));
      const auto kind = h_.texts_.has_strings
                            ? std::to_integer<uint8_t>(*h_.at(h_.layout_.kinds, row, 1))
                            : uint8_t{0};
      if (kind > 1) return "an id is of no kind";
      if (kind == 1) {
        if (id == 0 || id > kStoredIdBytesMax) return "an id has an impossible length";
        id_bytes += id;
      }
      const auto length = h_.texts_.has_metadata
                              ? load_number<uint32_t>(h_.at(h_.layout_.lengths, row, 4))
                              : 0;
      if (length > kStoredMetadataBytesMax) return "metadata has an impossible length";
      metadata_bytes += length;
      const bool is_zero = id == 0 && kind == 0 && length == 0 && h_.order(row) == 0 &&
                           std::bit_cast<uint32_t>(h_.norm(row)) == 0;
      if (!is_live && !is_zero) return "a row that does not live has content";
      ends[row] = static_cast<uint32_t>(id_bytes);
      ends[rows + row] = static_cast<uint32_t>(metadata_bytes);
    }
    if (id_bytes != h_.texts_.id_bytes || metadata_bytes != h_.texts_.metadata_bytes) {
      return "texts are of another length than their rows say";
    }
    return nullptr;
  }

  // That there is nothing where nothing should be.
  const char* zeros() const {
    for (size_t row = h_.shape.rows; row < round_up_64(h_.shape.rows); ++row) {
      if (h_.is_live(row)) return "a row lives that is none";
    }
    for (uint64_t i = h_.layout_.end; i < h_.layout_.size; ++i) {
      if (in_[i] != std::byte{0}) return "padding is not zero";
    }
    return nullptr;
  }

 private:
  std::byte* const in_;
  ExtentHead& h_;
};

const char* decode_extent_head(std::byte* buffer, size_t head_bytes, const ExtentShape& expected,
                               ExtentHead* head) {
  ExtentDecoder decoder(buffer, head);
  if (const char* what = decoder.header(head_bytes, expected); what != nullptr) return what;
  if (const char* what = decoder.zeros(); what != nullptr) return what;
  return decoder.rows();
}

}  // namespace omen
