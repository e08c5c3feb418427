// Rescue: the log, record by record, and the collections that records belong to.
#include "db/rescue.h"

#include <algorithm>

#include "storage/checks.h"

namespace omen {

Status Rescue::run() {
  report_.has_manifest = from_.manifest() != nullptr;
  for (Remains::Log& log : from_.logs()) OMEN_TRY(survey(log));
  OMEN_TRY(take_snapshot());
  for (size_t i = 0; i < from_.logs().size(); ++i) OMEN_TRY(take_log(i));
  tell_end();
  for (const auto& [name, collection] : db_->collections) {
    const bool has_options = without_options_.count(collection->journal_id()) == 0;
    report_.collections.push_back({name, collection->count(), has_options});
  }
  return Status::ok();
}

// The first that tells is the newest.
void Rescue::learn(const CreateRecord& record) {
  const auto [at, is_new] = told_.try_emplace(record.collection);
  if (!is_new) return;
  Told& told = at->second;
  told.name = record.name;
  told.schema = record.schema;
  told.record = record;
  told.record.name = told.name;
  told.record.schema = told.schema;
}

std::string Rescue::free_name(const std::string& wanted, uint64_t id) const {
  if (!wanted.empty() && db_->collections.count(wanted) == 0) return wanted;
  std::string name = "salvaged-" + std::to_string(id);
  while (db_->collections.count(name) > 0) name += "x";
  return name;
}

Status Rescue::make(uint64_t id, uint32_t dimensions, bool has_norms) {
  std::shared_ptr<Collection> made;
  if (const auto told = told_.find(id); told != told_.end()) {
    CreateRecord record = told->second.record;
    const std::string name = free_name(told->second.name, id);
    record.name = name;
    const Status status = replay_.add(record, 0, &made);
    if (status.is_ok() || status.is_passing()) return status;
  }
  const CollectionOptions defaults;
  const std::string name = free_name("", id);
  CreateRecord guess;
  guess.collection = id;
  guess.dimensions = dimensions;
  guess.m = defaults.m;
  guess.ef_construction = defaults.ef_construction;
  // Norms are stored for cosine alone, which could refuse the vectors of another metric.
  guess.metric = static_cast<uint8_t>(has_norms ? Metric::kCosine : Metric::kL2);
  guess.quantization = static_cast<uint8_t>(defaults.quantization);
  guess.layout = static_cast<uint8_t>(defaults.layout);
  guess.name = name;
  OMEN_TRY(replay_.add(guess, 0, &made));
  without_options_.insert(id);
  report_.loss.tell(Status::error(ErrorCode::kCorrupt, "nothing told the name and the options of "
                                                       "collection " + std::to_string(id) +
                                                           ", which is " + name + " now"));
  return Status::ok();
}

// What cannot be read from the device ends the file.
Result<bool> Rescue::next(Remains::Log& log, LogRecord* record, bool tells) {
  Result<bool> found = log.reader->next_whole(record);
  if (found.is_ok() || found.status().is_passing()) return found;
  if (tells) report_.loss.tell(found.status());
  return false;
}

// Where whole commits end, and what collections are made: extents come before their records.
Status Rescue::survey(Remains::Log& log) {
  uint64_t end = kLogHeaderBytes;
  bool has_records = false;
  log.reader->start();
  for (LogRecord record;;) {
    OMEN_ASSIGN(const bool is_one, next(log, &record, true));
    if (!is_one) break;
    has_records = true;
    if ((record.header.flags & kMoreFollows) == 0) end = log.reader->position();
    CreateRecord made;
    if (record.header.type == RecordType::kCreate &&
        decode_create(record.payload, record.header.length, &made)) {
      learn(made);
    }
  }
  const bool is_lost = !log.has_header && !has_records;
  if (is_lost) from_.lose_log(log);
  ends_.push_back(is_lost ? 0 : end);
  log.reader->drop_buffer();
  return Status::ok();
}

// Sequences rise by one: what is missing between two was lost. The same again is a copy.
void Rescue::note_sequence(uint64_t sequence, const Status& where) {
  if (knows_sequence_ && sequence > last_sequence_ + 1) {
    report_.loss.records += sequence - last_sequence_ - 1;
    report_.loss.bytes += std::exchange(report_.cut_bytes, 0);  // Of the log before: no torn tail.
    report_.loss.tell(where);
  }
  last_sequence_ = knows_sequence_ ? std::max(last_sequence_, sequence) : sequence;
  knows_sequence_ = true;
}

Status Rescue::take_log(size_t index) {
  LogReader& reader = *from_.logs()[index].reader;
  const std::string& path = from_.logs()[index].file->path();
  const uint64_t end = ends_[index];
  if (end == 0) return Status::ok();  // It was told as lost.
  uint64_t at = kLogHeaderBytes;
  reader.start();
  for (LogRecord record; at < end;) {
    OMEN_ASSIGN(const bool is_one, next(from_.logs()[index], &record, false));
    if (!is_one || record.offset >= end) break;
    const uint64_t sequence = record.header.sequence;
    report_.loss.bytes += record.offset - at;
    note_sequence(sequence, damaged(path, at, "entries of the log before number " +
                                                  std::to_string(sequence) + " cannot be read"));
    at = reader.position();
    OMEN_TRY(take_record(record, path));
  }
  report_.cut_bytes += reader.bytes() - std::min(reader.bytes(), at);
  reader.drop_buffer();
  return Status::ok();
}

// Whether all is there that is known to have been stored.
void Rescue::tell_end() {
  uint64_t stored = from_.manifest() == nullptr ? 0 : from_.manifest()->durable_sequence;
  for (const Remains::Log& log : from_.logs()) {
    stored = std::max(stored, log.reader->watermark());
  }
  if (!knows_sequence_ || stored <= last_sequence_) return;
  note_sequence(stored + 1, Status::error(ErrorCode::kCorrupt,
                                          "the log ends at entry " +
                                              std::to_string(last_sequence_) +
                                              ", and had been stored up to entry " +
                                              std::to_string(stored)));
}

Status Rescue::take_record(const LogRecord& record, const std::string& path) {
  const Status status = apply(record);
  if (status.is_ok() || status.is_passing()) return status;
  ++report_.loss.records;
  report_.loss.bytes += record.header.length;
  report_.loss.tell(damaged(path, record.offset, status.message()));
  return Status::ok();
}

Status Rescue::apply(const LogRecord& record) {
  const RecordType type = record.header.type;
  // Receipts are for those who wait for an answer now.
  if (type == RecordType::kSeal || type == RecordType::kReceipt) return Status::ok();
  if (type == RecordType::kCreate) return apply_create(record);
  // All others begin with the number of their collection.
  if (record.header.length < sizeof(uint64_t)) return replay_.apply(record);
  const auto id = load_number<uint64_t>(record.payload);
  if (!replay_.has(id)) {
    if (type == RecordType::kDrop) gone_.insert(id);
    if (is_gone(id) || type != RecordType::kPut) return Status::ok();
    PutRecord put;
    if (!decode_put(record.payload, record.header.length, &put)) return replay_.apply(record);
    OMEN_TRY(make(id, put.dimensions, true));
  }
  if (type == RecordType::kDrop) {
    gone_.insert(id);
    without_options_.erase(id);
  }
  return replay_.apply(record);
}

Status Rescue::apply_create(const LogRecord& record) {
  CreateRecord in;
  if (!decode_create(record.payload, record.header.length, &in)) return replay_.apply(record);
  if (replay_.has(in.collection) || is_gone(in.collection)) return Status::ok();
  return make(in.collection, in.dimensions, true);
}

}  // namespace omen
