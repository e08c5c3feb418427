// Replay: records become the commits that they were written for.
#include "db/recovery.h"

#include <algorithm>

#include "base/planted.h"
#include "base/test_points.h"
#include "storage/checks.h"

namespace omen {

namespace {

Status malformed(const std::string& what) { return Status::error(ErrorCode::kCorrupt, what); }

void add_id(const RecordId& id, Commit* commit) {
  IdOut out;
  out.is_string = id.is_string;
  out.value = id.is_string ? commit->id_text.size() : id.integer;
  out.length = static_cast<uint32_t>(id.text.size());
  commit->id_text.append(id.text);
  commit->ids.push_back(out);
}

Status stage_id(WriteBatch& batch, size_t row, const RecordId& id) {
  return id.is_string ? batch.stage_string_id(row, id.text)
                      : batch.stage_integer_id(row, id.integer);
}

// What a snapshot holds is damaged wherever it was found out.
Status told_of(const std::string& path, const Status& status) {
  const ErrorCode code = status.code();
  const bool is_of_files = code == ErrorCode::kIo || code == ErrorCode::kNotFound;
  if (code == ErrorCode::kMemory || is_of_files || !status.path().empty()) return status;
  return corrupt(path, path + " is damaged: " + status.message());
}

}  // namespace

Status Replay::load(const Directory& directory) {
  OMEN_ASSIGN(Snapshot snapshot, directory.read_snapshot());
  SegmentFiles files;
  OMEN_TRY(files.open(directory));
  snapshot_collections_ = snapshot.next_collection;
  for (CollectionSnapshot& in : snapshot.collections) {
    const CreateRecord record{
        .collection = in.collection,
        .dimensions = in.dimensions,
        .m = in.m,
        .ef_construction = in.ef_construction,
        .metric = in.metric,
        .quantization = in.quantization,
        .layout = in.layout,
        .name = in.name,
        .schema = in.schema,
        .keeps_vectors = in.keeps_vectors,
    };
    const uint64_t sequence = in.sequence;
    std::shared_ptr<Collection> made;
    if (const Status status = add(record, sequence, &made); !status.is_ok()) {
      return told_of(directory.path(), status);
    }
    const Result<bool> loaded = made->load(std::move(in), files);
    if (!loaded.is_ok()) return told_of(directory.path(), loaded.status());
    const bool is_whole = loaded.value();
    if (!is_whole) db_->recovery.rebuilt_graphs.emplace_back(made->name());
    db_->recovery.snapshot_records += made->count();
  }
  for (const Receipt& receipt : snapshot.receipts) OMEN_TRY(keep(receipt, snapshot.sequence));
  db_->next_journal_id = snapshot.next_collection;
  return Status::ok();
}

Status Replay::run(Directory* directory) {
  OMEN_TEST_POINT("replay");
  directory->start();
  for (LogRecord record;;) {
    OMEN_ASSIGN(const bool is_one, directory->next(&record));
    if (!is_one) break;
    Status status = apply(record);
    ++db_->recovery.records;
    if (status.is_ok()) continue;
    if (status.code() == ErrorCode::kMemory) return status;
    const std::string& path = directory->record_path();
    return Status::error(ErrorCode::kCorrupt, path + " is damaged at byte " +
                                                  std::to_string(record.offset) + ": " +
                                                  status.message())
        .with_path(path);
  }
  db_->recovery.cut_bytes = directory->log_end().cut_bytes;
  return Status::ok();
}

Status Replay::apply(const LogRecord& record) {
  const std::byte* payload = record.payload;
  const size_t length = record.header.length;
  uint64_t id = 0;
  sequence_ = record.header.sequence;
  switch (record.header.type) {
    case RecordType::kCreate:
      return create(record);
    case RecordType::kDrop:
      if (decode_collection(payload, length, &id)) return drop(id);
      break;
    case RecordType::kDimensions: {
      DimensionsRecord dimensions;
      if (decode_dimensions(payload, length, &dimensions)) return fix_dimensions(dimensions);
      break;
    }
    case RecordType::kPut: {
      PutRecord put_record;
      if (decode_put(payload, length, &put_record)) return put(put_record);
      break;
    }
    case RecordType::kDelete: {
      DeleteRecord doomed;
      if (decode_delete(payload, length, &doomed)) return remove(doomed);
      break;
    }
    case RecordType::kClear:
      if (decode_collection(payload, length, &id)) return clear(id);
      break;
    case RecordType::kSeal:
      if (length == 0) return Status::ok();
      break;
    case RecordType::kReceipt: {
      Receipt receipt;
      if (decode_receipt(payload, length, &receipt)) return keep(receipt, sequence_);
      break;
    }
  }
  return malformed("a record's content is malformed");
}

Status Replay::keep(const Receipt& receipt, uint64_t sequence) {
  Receipts& receipts = db_->journal->receipts();
  OMEN_TRY(receipts.reserve());
  receipts.note(receipt, sequence);
  return Status::ok();
}

Status Replay::create(const LogRecord& record) {
  CreateRecord in;
  if (!decode_create(record.payload, record.header.length, &in)) {
    return malformed("the record of a collection is malformed");
  }
  if (in.collection < snapshot_collections_) return Status::ok();
  if (in.collection < db_->next_journal_id) return malformed("a collection is made twice");
  std::shared_ptr<Collection> made;
  return add(in, 0, &made);
}

Status Replay::add(const CreateRecord& in, uint64_t sequence, std::shared_ptr<Collection>* out) {
  OMEN_TRY(make(in, out));
  by_id_[in.collection] = {*out, sequence};
  return Status::ok();
}

Status Replay::make(const CreateRecord& in, std::shared_ptr<Collection>* out) {
  if (in.metric > static_cast<uint8_t>(Metric::kDot) ||
      in.quantization > static_cast<uint8_t>(Quantization::kBinary) ||
      in.layout > static_cast<uint8_t>(Layout::kFast) || in.collection == 0 || has(in.collection) ||
      in.collection > kFileNumberMax || !is_collection_name(in.name) ||
      db_->collections.count(in.name) > 0) {
    return malformed("a collection that cannot be");
  }
  CollectionOptions options;
  options.dimensions = in.dimensions;
  if (in.dimensions != 0) options.given = CollectionOptions::kGivenDimensions;
  options.m = in.m;
  options.ef_construction = in.ef_construction;
  options.metric = static_cast<Metric>(in.metric);
  options.quantization = static_cast<Quantization>(in.quantization);
  options.layout = static_cast<Layout>(in.layout);
  options.keep_vectors = in.keeps_vectors;
  options.schema_json = in.schema;
  OMEN_TRY(check_collection_options(options));
  OMEN_TRY(check_combination(options));
  OMEN_ASSIGN(*out, db_->make(in.name, options, in.collection));
  db_->next_journal_id = std::max(db_->next_journal_id, in.collection + 1);
  db_->collections.emplace(in.name, *out);
  return Status::ok();
}

Result<Collection*> Replay::find(uint64_t id) {
  const auto found = by_id_.find(id);
  if (found != by_id_.end()) {
    const uint64_t more = OMEN_PLANTED("replay-skips-one-more") ? 1 : 0;
    return sequence_ <= found->second.sequence + more ? nullptr : found->second.collection.get();
  }
  if (id >= db_->next_journal_id) return malformed("it names a collection that was never made");
  return nullptr;
}

// A checkpoint that had begun took the collection along, maybe with a later sequence: a drop counts
// whatever the snapshot has.
Status Replay::drop(uint64_t id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    if (id < snapshot_collections_) return Status::ok();
    OMEN_TRY(find(id).status());
    return malformed("a collection is dropped twice");
  }
  db_->collections.erase(found->second.collection->name());
  by_id_.erase(found);
  return Status::ok();
}

Status Replay::fix_dimensions(const DimensionsRecord& record) {
  OMEN_ASSIGN(Collection * collection, find(record.collection));
  if (collection == nullptr) return Status::ok();
  CollectionOptions options;
  options.given = CollectionOptions::kGivenDimensions;
  options.dimensions = record.dimensions;
  OMEN_TRY(check_collection_options(options));
  return collection->agree_on(options);
}

Status Replay::put(const PutRecord& record) {
  OMEN_ASSIGN(Collection * collection, find(record.collection));
  if (collection == nullptr) return Status::ok();
  return record.dimensions == 0 ? put_metadata(*collection, record)
                                : put_vectors(*collection, record);
}

Status Replay::put_vectors(Collection& collection, const PutRecord& record) {
  if (record.dimensions > kDimensionsMax) return malformed("vectors of too many dimensions");
  OMEN_ASSIGN(std::unique_ptr<WriteBatch> batch,
              collection.begin_write(record.rows, record.dimensions));
  IdReader ids = record.ids;
  const char* text = record.texts;
  for (size_t row = 0; row < record.rows; ++row) {
    OMEN_TRY(stage_id(*batch, row, ids.next()));
    if (!record.has_metadata) continue;
    const auto length = load_number<uint32_t>(record.lengths + row * 4);
    if (length > 0) OMEN_TRY(batch->stage_metadata(row, {text, length}));
    text += length;
  }
  // At a multiple of 8 of a payload that lies at one of memory.
  OMEN_TRY(batch->stage_vectors(0, record.rows, reinterpret_cast<const float*>(record.vectors)));
  Commit commit;
  commit.kind = Commit::Kind::kUpsert;
  commit.batch = std::move(batch);
  collection.run(&commit);
  return commit.status;
}

Status Replay::put_metadata(Collection& collection, const PutRecord& record) {
  if (!record.has_metadata) return malformed("records that hold nothing");
  IdReader ids = record.ids;
  const char* text = record.texts;
  for (size_t row = 0; row < record.rows; ++row) {
    const auto length = load_number<uint32_t>(record.lengths + row * 4);
    Commit commit;
    commit.kind = Commit::Kind::kUpdate;
    commit.replaces = !OMEN_PLANTED("replay-merges");
    commit.metadata = length == 0 ? "{}" : std::string(text, length);
    add_id(ids.next(), &commit);
    collection.run(&commit);
    text += length;
    if (commit.status.code() == ErrorCode::kNotFound && missing_ != nullptr) {
      ++*missing_;
      continue;
    }
    OMEN_TRY(Status(commit.status));
  }
  return Status::ok();
}

Status Replay::remove(const DeleteRecord& record) {
  if (OMEN_PLANTED("replay-skips-deletes")) return Status::ok();
  OMEN_ASSIGN(Collection * collection, find(record.collection));
  if (collection == nullptr) return Status::ok();
  Commit commit;
  commit.kind = Commit::Kind::kDeleteIds;
  IdReader ids = record.ids;
  for (uint32_t row = 0; row < record.rows; ++row) add_id(ids.next(), &commit);
  collection->run(&commit);
  return commit.status;
}

Status Replay::clear(uint64_t id) {
  if (OMEN_PLANTED("replay-skips-clears")) return Status::ok();
  OMEN_ASSIGN(Collection * collection, find(id));
  if (collection == nullptr) return Status::ok();
  Commit commit;
  commit.kind = Commit::Kind::kClear;
  collection->run(&commit);
  return commit.status;
}

}  // namespace omen
