// Rescue: the snapshot, by its table or, without one, by what its extents say of themselves.
#include <algorithm>

#include "db/rescue.h"
#include "db/stored_codec.h"
#include "storage/checks.h"

namespace omen {

namespace {

constexpr size_t kPutBytes = size_t{4} << 20;
// Behind all of the log's: what the snapshot has is never passed over.
constexpr uint64_t kSnapshotSequence = UINT64_MAX;

}  // namespace

// Rows of an extent that live, as those of a record.
class Rescue::LiveRows final : public RecordRows {
 public:
  // `vectors`: `stride` bytes for each row of the extent.
  LiveRows(const ExtentHead& head, const std::byte* vectors, size_t stride,
           std::vector<uint32_t> rows)
      : head_(head), vectors_(vectors), stride_(stride), rows_(std::move(rows)) {}
  size_t count() const { return rows_.size(); }
  RecordId id(size_t row) const override { return head_.id(rows_[row]); }
  std::string_view metadata(size_t row) const override { return head_.metadata(rows_[row]); }
  const float* vector(size_t row) const override {
    return reinterpret_cast<const float*>(vectors_ + rows_[row] * stride_);
  }
  bool has_metadata() const {
    return std::any_of(rows_.begin(), rows_.end(),
                       [this](uint32_t row) { return !head_.metadata(row).empty(); });
  }

 private:
  const ExtentHead& head_;
  const std::byte* const vectors_;
  const size_t stride_;
  const std::vector<uint32_t> rows_;
};

Status Rescue::take_snapshot() {
  Result<Snapshot> table = from_.read_table();
  if (table.status().is_passing()) return table.status();
  if (const Manifest* manifest = from_.manifest()) {
    last_sequence_ = manifest->log_first_sequence - 1;
    knows_sequence_ = true;
  }
  report_.has_table = true;
  if (table.status().code() == ErrorCode::kNotFound) {
    knows_sequence_ = true;  // The log begins with the first record of all.
    return Status::ok();
  }
  if (!table.is_ok()) {
    report_.has_table = false;
    ++report_.loss.tables;
    report_.loss.tell(table.status());
    return take_segments();
  }
  last_sequence_ = table.value().sequence;
  knows_sequence_ = true;
  for (CollectionSnapshot& in : table.value().collections) OMEN_TRY(take_collection(in));
  note_alive(table.value());
  db_->next_journal_id = std::max(db_->next_journal_id, known_below_);
  return Status::ok();
}

Status Rescue::take_collection(CollectionSnapshot& in) {
  CreateRecord record;
  record.collection = in.collection;
  record.dimensions = in.dimensions;
  record.m = in.m;
  record.ef_construction = in.ef_construction;
  record.metric = in.metric;
  record.quantization = in.quantization;
  record.layout = in.layout;
  record.name = in.name;
  record.schema = in.schema;
  record.keeps_vectors = in.keeps_vectors;
  std::shared_ptr<Collection> made;
  const Status status = replay_.add(record, in.sequence, &made);
  if (status.is_passing()) return status;
  if (!status.is_ok()) {  // A table of a right checksum that cannot be.
    report_.loss.tell(status);
    report_.loss.extents += in.extents.size();
    return Status::ok();
  }
  const bool has_norms = static_cast<Metric>(in.metric) == Metric::kCosine;
  codec_.reset();
  if (in.has_codes) {
    const CodecRoom room{static_cast<Metric>(in.metric), in.dimensions, *db_->kernels,
                         db_->journal->account(), 1};
    Result<std::unique_ptr<CodeSet>> codec = decode_codec(in.codec, room);
    if (codec.status().is_passing()) return codec.status();
    if (codec.is_ok()) codec_ = codec.take();
  }
  for (uint32_t i = 0; i < in.extents.size(); ++i) {
    const ExtentPlace& place = in.extents[i];
    if (place.segment == 0) continue;
    const auto file = from_.segments().find(place.segment);
    const SegmentReader::FoundExtent at{
        place,
        {in.collection, i, in.extent_rows, in.dimensions, in.stride, has_norms, in.has_codes}};
    if (file == from_.segments().end()) {
      ++report_.loss.extents;
      continue;  // The file was told.
    }
    OMEN_TRY(take_extent(*file->second, at, &in));
  }
  auto& next_id = made->impl().next_id_;
  next_id = std::max(next_id.load(), in.next_id);
  return Status::ok();
}

void Rescue::note_alive(const Snapshot& table) {
  if (known_below_ > 0) return;
  known_below_ = table.next_collection;
  for (const CollectionSnapshot& in : table.collections) alive_.insert(in.collection);
}

// What older tables say of collections, since the newest says nothing.
Status Rescue::learn_options() {
  for (auto at = from_.segments().rbegin(); at != from_.segments().rend(); ++at) {
    const Result<Snapshot> table = from_.read_table_of(*at->second);
    if (table.status().is_passing()) return table.status();
    if (!table.is_ok()) continue;
    note_alive(table.value());
    for (const CollectionSnapshot& in : table.value().collections) {
      learn({in.collection, in.dimensions, in.m, in.ef_construction, in.metric, in.quantization,
             in.layout, in.name, in.schema, in.keeps_vectors});
    }
  }
  return Status::ok();
}

Status Rescue::take_segments() {
  OMEN_TRY(learn_options());
  codec_.reset();
  using Place = std::pair<uint64_t, uint32_t>;  // Collection and index.
  std::map<Place, uint64_t> newest;             // The segment of each.
  const auto for_each_extent = [&](const auto& visit) -> Status {
    for (const auto& [number, file] : from_.segments()) {
      for (uint64_t from = 0;;) {
        SegmentReader::FoundExtent at;
        const Result<bool> found = file->find_extent(from, &at);
        if (!found.is_ok()) report_.loss.tell(found.status());
        if (!found.is_ok() || !found.value()) break;
        from = at.end();
        OMEN_TRY(visit(*file, at));
      }
    }
    return Status::ok();
  };
  OMEN_TRY(for_each_extent([&](const SegmentReader& file, const auto& at) {
    newest[{at.shape.collection, at.shape.index}] = file.number();
    return Status::ok();
  }));
  return for_each_extent([&](const SegmentReader& file, const auto& at) -> Status {
    if (newest[{at.shape.collection, at.shape.index}] != file.number()) return Status::ok();
    return take_extent(file, at, nullptr);
  });
}

void Rescue::lose_extent(const ExtentPlace& place, const Status& why) {
  ++report_.loss.extents;
  report_.loss.bytes += uint64_t{place.head_bytes} + place.vector_bytes;
  report_.loss.tell(why);
}

Status Rescue::take_extent(const SegmentReader& file, const SegmentReader::FoundExtent& at,
                            const CollectionSnapshot* in) {
  const Status status = put_extent(file, at, in);
  if (status.is_ok() || status.is_passing()) return status;
  lose_extent(at.place, status);
  return Status::ok();
}

Status Rescue::put_extent(const SegmentReader& file, const SegmentReader::FoundExtent& at,
                           const CollectionSnapshot* in) {
  const ExtentShape& shape = at.shape;
  ExtentHead head;
  OMEN_TRY(file.read_extent_head(at.place, shape, &head_, &head));
  vectors_.clear();
  OMEN_TRY(vectors_.resize(at.place.vector_bytes));
  OMEN_TRY(file.read_extent_vectors(at.place, head, vectors_.data()));
  std::vector<uint32_t> rows;
  for (uint32_t row = 0; row < shape.rows; ++row) {
    const uint64_t slot = uint64_t{shape.index} * shape.rows + row;
    // Rows are deleted in the table alone.
    const bool lives = in == nullptr || (slot < in->high_water &&
                                         (in->live[slot >> 6] >> (slot & 63) & 1) != 0);
    if (head.is_live(row) && lives) rows.push_back(row);
  }
  if (rows.empty() || shape.dimensions == 0) return Status::ok();
  if (in == nullptr && is_gone(shape.collection)) return Status::ok();
  if (!replay_.has(shape.collection)) {
    OMEN_TRY(make(shape.collection, shape.dimensions, shape.has_norms));
  }
  size_t stride = shape.stride;
  if (shape.is_codes) {
    OMEN_TRY(decode_rows(head, rows));
    stride = shape.dimensions * sizeof(float);
  }
  return put_rows(LiveRows(head, vectors_.data(), stride, std::move(rows)), shape);
}

// Vectors as their codes tell them, in place of these in vectors_.
Status Rescue::decode_rows(const ExtentHead& head, const std::vector<uint32_t>& rows) {
  const ExtentShape& shape = head.shape;
  if (codec_ == nullptr || codec_->stored_bytes() != shape.stride) {
    return Status::error(ErrorCode::kCorrupt, "codes cannot be read without the parameters that "
                                              "the table of their snapshot has");
  }
  Array<std::byte> floats(db_->journal->account(), Use::kScratch);
  OMEN_TRY(floats.resize(size_t{shape.rows} * shape.dimensions * sizeof(float)));
  for (const uint32_t row : rows) {
    auto* const out = reinterpret_cast<float*>(floats.data()) + size_t{row} * shape.dimensions;
    codec_->decode_stored(vectors_.data() + size_t{row} * shape.stride, out);
    // Under cosine the codes are of rows of length 1.
    const float length = shape.has_norms && head.norm(row) > 0 ? 1.0f / head.norm(row) : 1.0f;
    for (size_t i = 0; i < shape.dimensions; ++i) out[i] *= length;
  }
  vectors_ = std::move(floats);
  return Status::ok();
}

Status Rescue::put_rows(const LiveRows& rows, const ExtentShape& shape) {
  const RowsShape as{shape.collection, shape.dimensions, rows.has_metadata(), false};
  for (size_t first = 0; first < rows.count();) {
    const size_t end = first + rows_that_fit(rows, as, first, rows.count(), kPutBytes);
    payload_.clear();
    OMEN_TRY(encode_put(rows, as, first, end, &payload_));
    LogRecord record;
    record.header.type = RecordType::kPut;
    record.header.sequence = kSnapshotSequence;
    record.header.length = static_cast<uint32_t>(payload_.size());
    record.payload = payload_.data();
    OMEN_TRY(replay_.apply(record));
    first = end;
  }
  return Status::ok();
}

}  // namespace omen
