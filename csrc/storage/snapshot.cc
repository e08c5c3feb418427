// The snapshot table: to bytes and back.
#include "storage/snapshot.h"

#include <bit>

#include "storage/checks.h"
#include "storage/payload.h"

namespace omen {

namespace {

constexpr size_t kExtentPlaceBytes = 24;
constexpr size_t kBlobEntryBytes = 32;

size_t word_count(uint32_t slots) { return (size_t{slots} + 63) / 64; }

uint64_t extent_count(const CollectionSnapshot& c) {
  if (c.extent_rows == 0) return 0;
  return (uint64_t{c.high_water} + c.extent_rows - 1) / c.extent_rows;
}

Status encode_collection(const CollectionSnapshot& c, PayloadWriter* out) {
  OMEN_ASSERT(c.live.size() == word_count(c.high_water) && c.extents.size() == extent_count(c));
  OMEN_ASSERT(c.fresh.empty() || c.fresh.size() == c.live.size());
  OMEN_TRY(out->number(c.collection));
  OMEN_TRY(out->number(c.sequence));
  OMEN_TRY(out->number(c.next_id));
  for (const uint32_t n : {c.dimensions, c.m, c.ef_construction}) OMEN_TRY(out->number(n));
  OMEN_ASSERT(c.has_codes == !c.codec.empty() && !(c.has_codes && c.keeps_vectors));
  const auto flags = static_cast<uint8_t>((c.fresh.empty() ? 0 : kSnapshotFresh) |
                                          (c.keeps_vectors ? 0 : kSnapshotWithoutVectors) |
                                          (c.has_codes ? kSnapshotCodes : 0));
  for (const uint8_t n : {c.metric, c.quantization, c.layout, flags}) OMEN_TRY(out->number(n));
  const auto blobs = static_cast<uint32_t>(c.blobs.size());
  const auto name = static_cast<uint32_t>(c.name.size());
  const auto schema = static_cast<uint32_t>(c.schema.size());
  const auto codec = static_cast<uint32_t>(c.codec.size());
  for (const uint32_t n :
       {c.high_water, c.next_order, c.extent_rows, c.stride, blobs, name, schema, codec}) {
    OMEN_TRY(out->number(n));
  }
  OMEN_TRY(out->text(c.name));
  OMEN_TRY(out->text(c.schema));
  OMEN_TRY(out->text(c.codec));
  OMEN_TRY(out->pad());
  for (const uint64_t word : c.live) OMEN_TRY(out->number(word));
  for (const uint64_t word : c.fresh) OMEN_TRY(out->number(word));
  for (const ExtentPlace& place : c.extents) {
    OMEN_TRY(out->number(place.segment));
    OMEN_TRY(out->number(place.offset));
    OMEN_TRY(out->number(place.head_bytes));
    OMEN_TRY(out->number(place.vector_bytes));
  }
  for (const SnapshotBlob& blob : c.blobs) {
    OMEN_TRY(out->number(blob.kind));
    OMEN_TRY(out->number<uint32_t>(0));
    OMEN_TRY(out->number(blob.place.segment));
    OMEN_TRY(out->number(blob.place.offset));
    OMEN_TRY(out->number(blob.place.bytes));
  }
  return Status::ok();
}

// Takes collections out of a table; each function answers what is wrong, or nullptr.
class TableReader {
 public:
  explicit TableReader(std::span<const std::byte> bytes) : in_(bytes.data(), bytes.size()) {}

  const char* head(Snapshot* out, uint32_t* version, uint32_t* collections) {
    uint32_t zero = 0;
    const bool is_whole = in_.number(version) && in_.number(collections) &&
                          in_.number(&out->sequence) && in_.number(&out->next_collection) &&
                          in_.number(&receipt_count_) && in_.number(&zero);
    if (!is_whole) return kCutOff;
    return zero == 0 ? nullptr : "its head is malformed";
  }

  const char* collection(CollectionSnapshot* out) {
    if (const char* what = numbers(out); what != nullptr) return what;
    if (const char* what = bounds(*out); what != nullptr) return what;
    if (!bits(*out, &out->live) || (has_fresh_ && !bits(*out, &out->fresh))) {
      return "a bitmap does not have the bits of its slots";
    }
    if (const char* what = extents(out); what != nullptr) return what;
    return blobs(out);
  }

  const char* receipts(std::vector<Receipt>* out) {
    if (receipt_count_ > in_.left() / kReceiptBytes) return kCutOff;
    out->resize(receipt_count_);
    for (Receipt& receipt : *out) {
      if (!decode_receipt(in_.bytes(kReceiptBytes), kReceiptBytes, &receipt)) {
        return "a receipt is malformed";
      }
    }
    return nullptr;
  }

  size_t at() const { return in_.at(); }
  bool is_at_end() const { return in_.is_at_end(); }

 private:
  static constexpr char kCutOff[] = "it is cut off";

  const char* numbers(CollectionSnapshot* c) {
    uint8_t flags = 0;
    uint32_t name = 0;
    uint32_t schema = 0;
    uint32_t codec = 0;
    const bool is_whole =
        in_.number(&c->collection) && in_.number(&c->sequence) && in_.number(&c->next_id) &&
        in_.number(&c->dimensions) && in_.number(&c->m) && in_.number(&c->ef_construction) &&
        in_.number(&c->metric) && in_.number(&c->quantization) && in_.number(&c->layout) &&
        in_.number(&flags) && in_.number(&c->high_water) && in_.number(&c->next_order) &&
        in_.number(&c->extent_rows) && in_.number(&c->stride) && in_.number(&blob_count_) &&
        in_.number(&name) && in_.number(&schema) && in_.number(&codec);
    std::string_view text;
    if (!is_whole || !in_.text(name, &text)) return kCutOff;
    c->name = text;
    if (!in_.text(schema, &text)) return kCutOff;
    c->schema = text;
    if (!in_.text(codec, &text) || !in_.pad()) return kCutOff;
    c->codec = text;
    has_fresh_ = (flags & kSnapshotFresh) != 0;
    c->keeps_vectors = (flags & kSnapshotWithoutVectors) == 0;
    c->has_codes = (flags & kSnapshotCodes) != 0;
    if ((flags & ~(kSnapshotFresh | kSnapshotWithoutVectors | kSnapshotCodes)) != 0) {
      return "a collection has unknown flags";
    }
    const bool is_possible = c->has_codes == (codec > 0) && !(c->has_codes && c->keeps_vectors);
    return is_possible ? nullptr : "a collection has codes that it cannot have";
  }

  static const char* bounds(const CollectionSnapshot& c) {
    if (c.extent_rows == 0 && c.high_water == 0) return nullptr;
    const ExtentShape shape{c.collection, 0, c.extent_rows, c.dimensions, c.stride, false,
                            c.has_codes};
    return is_extent_shape(shape) ? nullptr : "extents of an impossible shape";
  }

  // As many as there are slots, and no bit behind the last.
  bool bits(const CollectionSnapshot& c, std::vector<uint64_t>* out) {
    const size_t words = word_count(c.high_water);
    const std::byte* found = in_.bytes(uint64_t{words} * 8);
    if (found == nullptr) return false;
    out->resize(words);
    for (size_t i = 0; i < words; ++i) (*out)[i] = load_number<uint64_t>(found + i * 8);
    const uint32_t used = c.high_water % 64;
    return used == 0 || out->back() >> used == 0;
  }

  static bool is_live_in(const CollectionSnapshot& c, uint64_t extent) {
    const uint64_t first = extent * c.extent_rows;
    const uint64_t end = std::min<uint64_t>(first + c.extent_rows, c.high_water);
    for (uint64_t slot = first; slot < end; ++slot) {
      if ((c.live[slot / 64] >> slot % 64 & 1) != 0) return true;
    }
    return false;
  }

  const char* extents(CollectionSnapshot* c) {
    const uint64_t count = extent_count(*c);
    if (count > in_.left() / kExtentPlaceBytes) return kCutOff;
    c->extents.resize(static_cast<size_t>(count));
    for (size_t i = 0; i < count; ++i) {
      ExtentPlace& place = c->extents[i];
      (void)(in_.number(&place.segment) && in_.number(&place.offset) &&
             in_.number(&place.head_bytes) && in_.number(&place.vector_bytes));
      if (place.segment == 0) {
        if (!(place == ExtentPlace())) return "an extent lies nowhere, and has bytes";
        if (is_live_in(*c, i)) return "an extent with rows that live lies nowhere";
        continue;
      }
      if (place.offset % kSegmentAlignment != 0 || place.head_bytes % kSegmentAlignment != 0 ||
          place.offset < kSegmentHeaderBytes || place.head_bytes < kExtentHeaderBytes ||
          place.vector_bytes != c->extent_rows * c->stride) {
        return "an extent lies in an impossible place";
      }
    }
    return nullptr;
  }

  const char* blobs(CollectionSnapshot* c) {
    if (blob_count_ > in_.left() / kBlobEntryBytes) return kCutOff;
    c->blobs.resize(blob_count_);
    for (SnapshotBlob& blob : c->blobs) {
      uint32_t zero = 0;
      (void)(in_.number(&blob.kind) && in_.number(&zero) && in_.number(&blob.place.segment) &&
             in_.number(&blob.place.offset) && in_.number(&blob.place.bytes));
      if (zero != 0 || blob.place.segment == 0 || blob.place.offset < kSegmentHeaderBytes ||
          blob.place.offset % kSegmentAlignment != 0) {
        return "a blob lies in an impossible place";
      }
    }
    return nullptr;
  }

  PayloadReader in_;
  bool has_fresh_ = false;
  uint32_t blob_count_ = 0;
  uint32_t receipt_count_ = 0;
};

}  // namespace

uint64_t CollectionSnapshot::extent_bytes() const {
  uint64_t sum = 0;
  uint64_t count = 0;
  for (const ExtentPlace& place : extents) {
    if (place.segment == 0) continue;
    sum += uint64_t{place.head_bytes} + place.vector_bytes;
    ++count;
  }
  return count == 0 ? 0 : sum / count;
}

Status encode_snapshot(const Snapshot& snapshot, Array<std::byte>* array) {
  PayloadWriter out(array);
  OMEN_TRY(out.number(kSnapshotVersion));
  OMEN_TRY(out.number(static_cast<uint32_t>(snapshot.collections.size())));
  OMEN_TRY(out.number(snapshot.sequence));
  OMEN_TRY(out.number(snapshot.next_collection));
  OMEN_TRY(out.number(static_cast<uint32_t>(snapshot.receipts.size())));
  OMEN_TRY(out.number<uint32_t>(0));
  for (const CollectionSnapshot& c : snapshot.collections) OMEN_TRY(encode_collection(c, &out));
  for (const Receipt& receipt : snapshot.receipts) OMEN_TRY(encode_receipt(receipt, array));
  return Status::ok();
}

Result<Snapshot> decode_snapshot(std::span<const std::byte> bytes, const std::string& path) {
  TableReader in(bytes);
  Snapshot snapshot;
  uint32_t version = 0;
  uint32_t collections = 0;
  uint64_t last = 0;
  const char* what = in.head(&snapshot, &version, &collections);
  if (what == nullptr && version > kSnapshotVersion) return unknown_format(path, version);
  if (what == nullptr && version == 0) what = "its version is unknown";
  size_t at = 0;
  for (uint32_t i = 0; what == nullptr && i < collections; ++i) {
    at = in.at();
    CollectionSnapshot& c = snapshot.collections.emplace_back();
    what = in.collection(&c);
    if (what == nullptr && (c.collection <= last || c.collection >= snapshot.next_collection)) {
      what = "its collections are in disorder";
    }
    last = c.collection;
  }
  if (what == nullptr) {
    at = in.at();
    what = in.receipts(&snapshot.receipts);
  }
  if (what == nullptr && !in.is_at_end()) what = "it goes on behind its end";
  if (what == nullptr) return snapshot;
  return corrupt(path, path + " is damaged: the table of the snapshot, from its byte " +
                           std::to_string(at) + " on: " + what);
}

}  // namespace omen
