// Graph and codes of a collection as blobs of a segment, and back. (Codes that are all that is kept
// of the vectors lie in extents, and the header has none.)
//
// The header's blob: version 4 (1), slots 4, ids of a bottom row 4, layers above 4, ids of an
// upper row 4, kind of codes 4 (0 none, 1 sq8, 2 binary), bytes of a code's row 4, flags 4 (1: sq8
// of integers, 2: some node may be unreachable, 4: rows were copied while nobody wrote to them),
// rows trained on 8, seed 8, bits 4, dominant dimensions 4, the entry's slot 4, zero 4, nodes of
// each layer above 4 each; then of sq8 the lows and the steps, of binary the dominant dimensions 4
// each and the centre, float32 each.
// docs/file-format.md says the same.
// Trust: checksums are the segment's; what they cannot know (a graph that is none, codes that no
// training gives) is ERR_CORRUPT here, and the caller makes both anew.
#include <bit>
#include <cstring>
#include <mutex>

#include "db/saved.h"
#include "db/stored_codec.h"
#include "exec/beside.h"
#include "exec/parallel_for.h"
#include "storage/format.h"
#include "storage/segment.h"

namespace omen {

namespace {

constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 64;
constexpr size_t kPieceBytes = size_t{128} << 10;  // In cache from one step to the next.
static_assert(kPieceBytes % kBlobBlockBytes == 0);

constexpr uint32_t kIntegerFlag = 1;
constexpr uint32_t kRepairFlag = 2;
constexpr uint32_t kWholeFlag = 4;

bool is_in(const std::vector<uint64_t>& bits, uint32_t slot) {
  return slot >> 6 < bits.size() && (bits[slot >> 6] >> (slot & 63) & 1) != 0;
}

// Codes that lie in extents are no part of what is derived.
const CodeSet* codes_of(const Cut& cut) {
  return cut.snapshot.has_codes ? nullptr : cut.codes.get();
}

Status encode_header(const Cut& cut, Array<std::byte>* out) {
  OMEN_TRY(out->resize(kHeaderBytes));
  std::byte* h = out->data();
  const CodeSet* codes = codes_of(cut);
  store_number<uint32_t>(h, kVersion);
  store_number<uint32_t>(h + 4, cut.image.high_water);
  store_number<uint32_t>(h + 8, cut.image.row_capacity);
  store_number<uint32_t>(h + 12, cut.image.levels);
  store_number<uint32_t>(h + 16, cut.image.upper_capacity);
  store_number<uint32_t>(h + 56, cut.image.entry_slot);
  uint32_t flags = cut.needs_repair ? kRepairFlag : 0;
  if (cut.store->graph.is_as_in(cut.image)) flags |= kWholeFlag;
  if (codes != nullptr) {
    const StoredCodec codec = describe_codec(*codes);
    store_number<uint32_t>(h + 20, codec.kind);
    store_number<uint32_t>(h + 24, static_cast<uint32_t>(codes->views().rows.stride));
    if (codec.is_integer) flags |= kIntegerFlag;
    store_number<uint64_t>(h + 32, codec.trained_rows);
    store_number<uint64_t>(h + 40, codec.seed);
    store_number<uint32_t>(h + 48, codec.bits);
    store_number<uint32_t>(h + 52, codec.dominants);
  }
  store_number<uint32_t>(h + 28, flags);
  for (uint32_t level = 1; level <= cut.image.levels; ++level) {
    std::byte number[4];
    store_number(number, cut.image.nodes[level]);
    OMEN_TRY(out->append(number, sizeof(number)));
  }
  if (codes == nullptr) return Status::ok();
  return append_parameters(*codes, cut.store->dimensions(), out);
}

// Writes one blob by pieces: fill(slot, to) gives `stride` bytes a slot.
template <class Fill>
Status write_rows(SegmentWriter* writer, uint32_t rows, size_t stride, const Fill& fill) {
  const auto per_piece = static_cast<uint32_t>(std::max<size_t>(kPieceBytes / stride, 1));
  std::vector<std::byte> piece(per_piece * stride);
  for (uint32_t first = 0; first < rows; first += per_piece) {
    const uint32_t n = std::min(per_piece, rows - first);
    for (uint32_t i = 0; i < n; ++i) fill(first + i, piece.data() + i * stride);
    OMEN_TRY(writer->append(piece.data(), n * stride));
  }
  return Status::ok();
}

template <class Write>
Status write_blob(DerivedBlob kind, SegmentWriter* writer, std::vector<SnapshotBlob>* blobs,
                  const Write& write) {
  OMEN_TRY(writer->begin_blob());
  OMEN_TRY(write());
  OMEN_ASSIGN(const BlobPlace place, writer->end_blob());
  blobs->push_back({static_cast<uint32_t>(kind), place});
  return Status::ok();
}

// Only of slots that are live at the cut: others may be written to at this moment.
Status write_codes(const Cut& cut, SegmentWriter* writer, std::vector<SnapshotBlob>* blobs) {
  const RowViews views = cut.codes->views();
  const size_t stride = views.rows.stride;
  OMEN_TRY(write_blob(DerivedBlob::kCodes, writer, blobs, [&] {
    return write_rows(writer, cut.image.high_water, stride, [&](uint32_t slot, std::byte* to) {
      if (is_in(cut.snapshot.live, slot)) {
        std::memcpy(to, views.row(slot), stride);
      } else {
        std::memset(to, 0, stride);
      }
    });
  }));
  if (!views.has_factors) return Status::ok();
  return write_blob(DerivedBlob::kFactors, writer, blobs, [&] {
    return write_rows(writer, cut.image.high_water, 4, [&](uint32_t slot, std::byte* to) {
      const float factor = is_in(cut.snapshot.live, slot) ? views.factor(slot) : 0.0f;
      store_number(to, std::bit_cast<uint32_t>(factor));
    });
  });
}

}  // namespace

Status write_derived(const Cut& cut, SegmentWriter* writer, std::vector<SnapshotBlob>* blobs) {
  const Graph& graph = cut.store->graph;
  blobs->clear();
  const size_t stride = size_t{cut.image.row_capacity} * sizeof(uint32_t);
  OMEN_TRY(write_blob(DerivedBlob::kEdges, writer, blobs, [&] {
    return write_rows(writer, cut.image.high_water, stride, [&](uint32_t slot, std::byte* to) {
      uint32_t ids[kRowIdsMax];
      if (is_in(cut.snapshot.live, slot)) {
        graph.copy_rows(slot, 1, ids);
      } else {
        std::fill_n(ids, cut.image.row_capacity, kNoSlot);
      }
      for (uint32_t i = 0; i < cut.image.row_capacity; ++i) store_number(to + 4 * i, ids[i]);
    });
  }));
  const size_t upper = (2 + size_t{cut.image.upper_capacity}) * sizeof(uint32_t);
  OMEN_TRY(write_blob(DerivedBlob::kUpper, writer, blobs, [&] {
    for (uint32_t level = 1; level <= cut.image.levels; ++level) {
      OMEN_TRY(write_rows(writer, cut.image.nodes[level], upper, [&](uint32_t n, std::byte* to) {
        uint32_t ids[2 + kRowIdsMax];
        graph.copy_upper(level, n, ids);
        for (size_t i = 0; i < upper / 4; ++i) store_number(to + 4 * i, ids[i]);
      }));
    }
    return Status::ok();
  }));
  if (codes_of(cut) != nullptr) OMEN_TRY(write_codes(cut, writer, blobs));
  Array<std::byte> header(cut.store->account, Use::kScratch);
  OMEN_TRY(encode_header(cut, &header));  // Last: what became of the rows is known then.
  return write_blob(DerivedBlob::kHeader, writer, blobs,
                    [&] { return writer->append(header.data(), header.size()); });
}

namespace {

bool are_all(const Graph::Accept& nodes) {
  uint64_t n = 0;
  for (uint32_t i = 0; i < (nodes.size + 63) / 64; ++i) n += std::popcount(nodes.words[i]);
  return n == nodes.size;
}

class Reading {
 public:
  Reading(const DerivedSource& source, const Graph::Accept& nodes, Store& s)
      : source_(source), nodes_(nodes), s_(s), header_(s.account, Use::kScratch) {
    for (unsigned i = 0; i < parallel_workers(source.executor); ++i) {
      rooms_.emplace_back(s.account, Use::kScratch);
    }
  }

  Result<Derived> run() {
    OMEN_TRY(read_header());
    for (uint32_t slot = image_.high_water; slot < nodes_.size; ++slot) {
      if (nodes_.contains(slot)) return damaged("it lacks slots");
    }
    Derived out;
    OMEN_TRY(s_.graph.reserve_image(image_));
    bool has_entry = false;
    Beside upper(source_.executor, [&]() -> Status {
      OMEN_TRY(read_upper());
      OMEN_ASSIGN(has_entry, s_.graph.finish_restore(image_, nodes_));
      return Status::ok();
    });
    if (codec_.kind != StoredCodec::kNone) {
      const CodecRoom room{s_.metric(), s_.dimensions(), s_.kernels, s_.account, source_.serial};
      OMEN_ASSIGN(out.codes, restore_codec(codec_, header_.data() + codec_at_, room));
      OMEN_TRY(read_codes(out.codes.get()));
    }
    uint64_t lost_edges = 0;
    OMEN_TRY(read_edges(&lost_edges));
    OMEN_TRY(upper.join());
    out.needs_repair = lost_edges > 0 || !has_entry || (number(28) & kRepairFlag) != 0;
    return out;
  }

 private:
  struct Place {
    const SegmentReader* file = nullptr;
    BlobPlace blob;
  };

  static Status damaged(const char* what) {
    return Status::error(ErrorCode::kCorrupt, std::string("the stored graph is damaged: ") + what);
  }

  Result<Place> find(DerivedBlob kind) const {
    for (const SnapshotBlob& blob : source_.snapshot.blobs) {
      if (blob.kind != static_cast<uint32_t>(kind)) continue;
      const SegmentReader* file = source_.files.find(blob.place.segment);
      if (file == nullptr) return damaged("its file is not there");
      return Place{file, blob.place};
    }
    return damaged("a part is missing");
  }

  uint32_t number(size_t at) const { return load_number<uint32_t>(header_.data() + at); }

  Status read_header() {
    OMEN_ASSIGN(const Place place, find(DerivedBlob::kHeader));
    const size_t most = kHeaderBytes + 4 * Graph::kLayersMax + 4 * PreparedQuery::kDominantMax +
                        8 * size_t{s_.dimensions()};
    if (place.blob.bytes < kHeaderBytes || place.blob.bytes > most) return damaged("its header");
    OMEN_TRY(header_.resize(static_cast<size_t>(place.blob.bytes)));
    OMEN_TRY(place.file->read_blob(place.blob, 0, header_.data(), header_.size()));
    image_.high_water = number(4);
    image_.row_capacity = number(8);
    image_.levels = number(12);
    image_.upper_capacity = number(16);
    image_.entry_slot = number(56);
    codec_.kind = number(20);
    codec_.is_integer = (number(28) & kIntegerFlag) != 0;
    codec_.trained_rows = load_number<uint64_t>(header_.data() + 32);
    codec_.seed = load_number<uint64_t>(header_.data() + 40);
    codec_.bits = number(48);
    codec_.dominants = number(52);
    if (number(0) != kVersion || image_.high_water > source_.snapshot.high_water ||
        image_.levels >= Graph::kLayersMax || codec_.kind > StoredCodec::kBinary) {
      return damaged("its header says what cannot be");
    }
    size_t at = kHeaderBytes;
    if (header_.size() < at + 4 * size_t{image_.levels}) return damaged("its header is short");
    for (uint32_t level = 1; level <= image_.levels; ++level, at += 4) {
      image_.nodes[level] = number(at);
    }
    codec_at_ = at;
    const bool has_size = header_.size() == at + codec_.parameter_bytes(s_.dimensions());
    return has_size ? Status::ok() : damaged("its header's size");
  }

  struct Piece {
    const Place& place;
    uint64_t from;
    uint64_t to;
    size_t stride;
    Array<std::byte>* room;  // Kept from piece to piece: fresh memory costs more than reading.
  };
  // Calls read(piece) for the pieces of a blob of rows of `stride` bytes, in parallel. A piece
  // begins where a block does, so a row may lie in two.
  template <class Read>
  Status for_each_piece(DerivedBlob kind, size_t stride, const Read& read) {
    OMEN_ASSIGN(const Place place, find(kind));
    const uint64_t bytes = uint64_t{image_.high_water} * stride;
    if (place.blob.bytes != bytes) return damaged("a part's size");
    const size_t pieces = static_cast<size_t>((bytes + kPieceBytes - 1) / kPieceBytes);
    std::mutex mutex;
    Status fault;
    parallel_for(source_.executor, pieces, 1, [&](size_t begin, size_t end, unsigned worker) {
      for (size_t i = begin; i < end; ++i) {
        const uint64_t from = uint64_t{i} * kPieceBytes;
        const uint64_t to = std::min<uint64_t>(from + kPieceBytes, bytes);
        Status status = read({place, from, to, stride, &rooms_[worker]});
        if (status.is_ok()) continue;
        const std::lock_guard<std::mutex> guard(mutex);
        if (fault.is_ok()) fault = std::move(status);
        return;
      }
    });
    return fault;
  }

  static Status read_to_room(const Piece& piece, uint64_t to) {
    Array<std::byte>& room = *piece.room;
    room.clear();
    OMEN_TRY(room.reserve(kPieceBytes + piece.stride + kBlobBlockBytes));
    room.grow_reserved(static_cast<size_t>(to - piece.from));
    return piece.place.file->read_blob(piece.place.blob, piece.from, room.data(), room.size());
  }

  // Calls use(first, count, bytes) for the rows of each piece: those that begin in it.
  template <class Use_>
  Status read_rows(DerivedBlob kind, size_t stride, const Use_& use) {
    return for_each_piece(kind, stride, [&](const Piece& piece) -> Status {
      const auto first = static_cast<uint32_t>((piece.from + stride - 1) / stride);
      const auto end = static_cast<uint32_t>((piece.to + stride - 1) / stride);
      OMEN_TRY(read_to_room(piece, std::min<uint64_t>(
                                       round_up(uint64_t{end} * stride, kBlobBlockBytes),
                                       piece.place.blob.bytes)));
      use(first, end - first, piece.room->data() + (uint64_t{first} * stride - piece.from));
      return Status::ok();
    });
  }

  // Rows that are in memory what they are on disk: read to where they belong, but for pieces that
  // lie in two extents of memory.
  Status read_in_place(DerivedBlob kind, const SlotPages::View& rows) {
    const size_t stride = rows.stride;
    return for_each_piece(kind, stride, [&](const Piece& piece) -> Status {
      const auto first = static_cast<uint32_t>(piece.from / stride);
      const auto last = static_cast<uint32_t>((piece.to - 1) / stride);
      if (first >> rows.shift == last >> rows.shift) {
        return piece.place.file->read_blob(piece.place.blob, piece.from,
                                           rows.row(first) + piece.from % stride,
                                           static_cast<size_t>(piece.to - piece.from));
      }
      OMEN_TRY(read_to_room(piece, piece.to));
      for (uint64_t at = piece.from; at < piece.to;) {
        const uint64_t n = std::min<uint64_t>(stride - at % stride, piece.to - at);
        std::memcpy(rows.row(static_cast<uint32_t>(at / stride)) + at % stride,
                    piece.room->data() + (at - piece.from), static_cast<size_t>(n));
        at += n;
      }
      return Status::ok();
    });
  }

  Status read_codes(CodeSet* codes) {
    OMEN_TRY(codes->ensure(std::max(source_.snapshot.high_water, 1u)));
    const RowViews views = codes->views();
    if (views.rows.stride != number(24)) return damaged("the size of its codes");
    OMEN_TRY(read_in_place(DerivedBlob::kCodes, views.rows));
    if (!views.has_factors) return Status::ok();
    return read_rows(DerivedBlob::kFactors, 4,
                     [&](uint32_t first, uint32_t count, const std::byte* from) {
                       for (uint32_t i = 0; i < count; ++i, from += 4) {
                         *views.factors.row_as<float>(first + i) =
                             std::bit_cast<float>(load_number<uint32_t>(from));
                       }
                     });
  }

  Status read_edges(uint64_t* lost) {
    std::atomic<uint64_t> all_lost{0};
    const size_t stride = size_t{image_.row_capacity} * 4;
    const Graph::Nodes nodes{nodes_, are_all(nodes_), (number(28) & kWholeFlag) != 0};
    OMEN_TRY(read_rows(DerivedBlob::kEdges, stride,
                       [&](uint32_t first, uint32_t count, const std::byte* from) {
                         uint64_t some = 0;
                         for (uint32_t i = 0; i < count; ++i, from += stride) {
                           if (!nodes_.contains(first + i)) continue;
                           uint32_t ids[kRowIdsMax];
                           load_numbers(from, image_.row_capacity, ids);
                           some += s_.graph.restore_row(first + i, ids, nodes);
                         }
                         all_lost += some;
                       }));
    *lost = all_lost;
    return Status::ok();
  }

  Status read_upper() {
    OMEN_ASSIGN(const Place place, find(DerivedBlob::kUpper));
    uint64_t nodes = 0;
    for (uint32_t level = 1; level <= image_.levels; ++level) nodes += image_.nodes[level];
    const size_t stride = (2 + size_t{image_.upper_capacity}) * 4;
    if (place.blob.bytes != nodes * stride) return damaged("the size of its upper layers");
    Array<uint32_t> words(s_.account, Use::kScratch);
    OMEN_TRY(words.reserve(static_cast<size_t>(place.blob.bytes / 4)));
    words.grow_reserved(words.capacity());
    OMEN_TRY(place.file->read_blob(place.blob, 0, words.data(), words.bytes()));
    for (uint32_t& word : words) word = load_number<uint32_t>(reinterpret_cast<std::byte*>(&word));
    return s_.graph.restore_upper(image_, {words.data(), words.size()}, nodes_);
  }

  const DerivedSource& source_;
  const Graph::Accept nodes_;
  Store& s_;
  Array<std::byte> header_;
  std::vector<Array<std::byte>> rooms_;  // One a worker.
  Graph::Image image_;
  StoredCodec codec_;
  size_t codec_at_ = 0;
};

}  // namespace

Result<Derived> read_derived(const DerivedSource& source, const Graph::Accept& nodes, Store& s) {
  Result<Derived> read = Reading(source, nodes, s).run();
  if (!read.is_ok()) s.graph.reset();
  return read;
}

}  // namespace omen
