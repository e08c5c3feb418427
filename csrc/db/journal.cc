// Journal: records of commits, in as many pieces as they need.
#include "db/journal.h"

#include "base/planted.h"
#include "db/database_impl.h"

namespace omen {

namespace {

// Rows in as many records as they need.
class RowsSource final : public LogSource {
 public:
  RowsSource(RecordType type, const Journal::Rows& rows, size_t record_bytes)
      : type_(type), rows_(rows), record_bytes_(record_bytes) {}

  RecordType type() const override { return type_; }
  Footprint footprint() const override { return rows_.footprint; }
  Status next(Array<std::byte>* record, bool* more) override {
    const RecordRows& rows = rows_.rows;
    const RowsShape& shape = rows_.shape;
    const size_t first = at_;
    at_ = first + rows_that_fit(rows, shape, first, rows_.count, record_bytes_);
    *more = at_ < rows_.count;
    return type_ == RecordType::kPut ? encode_put(rows, shape, first, at_, record)
                                     : encode_delete(rows, shape, first, at_, record);
  }

 private:
  const RecordType type_;
  const Journal::Rows& rows_;
  const size_t record_bytes_;
  size_t at_ = 0;
};

// One record, written by a function.
template <class Encode>
class OneRecord final : public LogSource {
 public:
  OneRecord(RecordType type, const Encode& encode, uint64_t freed_bytes = 0)
      : type_(type), encode_(encode), freed_bytes_(freed_bytes) {}
  RecordType type() const override { return type_; }
  Footprint footprint() const override { return {0, 0, freed_bytes_}; }
  Status next(Array<std::byte>* record, bool*) override { return encode_(record); }

 private:
  const RecordType type_;
  const Encode& encode_;
  const uint64_t freed_bytes_;
};

// The records of a commit, if it has any, and a receipt behind them.
class WithReceipt final : public LogSource {
 public:
  WithReceipt(LogSource* records, const Receipt& receipt, Receipts* receipts)
      : records_(records), receipt_(receipt), receipts_(receipts) {
    if (records_ != nullptr) type_ = records_->type();
  }
  RecordType type() const override { return type_; }
  Footprint footprint() const override {
    return records_ == nullptr ? Footprint() : records_->footprint();
  }
  Status next(Array<std::byte>* record, bool* more) override {
    if (records_ == nullptr) {
      type_ = RecordType::kReceipt;
      OMEN_TRY(receipts_->reserve());
      return encode_receipt(receipt_, record);
    }
    bool has_more = false;
    OMEN_TRY(records_->next(record, &has_more));
    type_ = records_->type();
    if (!has_more) records_ = nullptr;
    *more = true;
    return Status::ok();
  }
  void logged(uint64_t sequence) override { receipts_->note(receipt_, sequence); }

 private:
  LogSource* records_;
  const Receipt& receipt_;
  Receipts* const receipts_;
  RecordType type_ = RecordType::kReceipt;
};

}  // namespace

Journal::Journal(std::string path, size_t record_bytes)
    : account_(&budget_),
      path_(std::move(path)),
      record_bytes_(record_bytes),
      receipts_(&account_, &system_clock()) {}

Status Journal::close() {
  const State old = state_.exchange(State::kClosed);
  return old == State::kWriting ? wal_->close() : Status::ok();
}

Status Journal::check_writable() const {
  switch (state()) {
    case State::kReplaying:
      return Status::ok();
    case State::kWriting:
      return wal_->check_usable();
    case State::kReadOnly:
      return Status::error(ErrorCode::kReadOnly,
                           "the database is open read-only; open it without readOnly to write");
    case State::kClosed:
      break;
  }
  return Status::error(ErrorCode::kClosed, "the database is closed; open it again to go on");
}

Status Journal::append(LogSource* source, const Receipt* receipt, uint64_t* sequence) {
  if (receipt == nullptr) return append_one(source, sequence);
  if (source != nullptr && OMEN_PLANTED("receipt-is-a-commit")) {
    OMEN_TRY(append_one(source, sequence));
    source = nullptr;
  }
  WithReceipt both(source, *receipt, &receipts_);
  return append_one(&both, sequence);
}

Status Journal::append_one(LogSource* source, uint64_t* sequence) {
  *sequence = 0;
  OMEN_TRY(check_writable());
  if (is_replaying()) return Status::ok();
  LogWatcher::Logged told{source->type(), source->footprint().freed_bytes, 0};
  const Result<uint64_t> appended = wal_->append(source);
  if (watcher_ != nullptr) {
    told.log_bytes = wal_->log_bytes();
    if (appended.is_ok()) watcher_->logged(told);
    if (appended.status().code() == ErrorCode::kNoSpace) watcher_->refused(told.log_bytes);
  }
  OMEN_TRY(Status(appended.status()));
  *sequence = appended.value();
  return Status::ok();
}

Status Journal::log_put(const Rows& rows, const Receipt* receipt, uint64_t* sequence) {
  RowsSource source(RecordType::kPut, rows, record_bytes_);
  return append(&source, receipt, sequence);
}

Status Journal::log_delete(const Rows& rows, const Receipt* receipt, uint64_t* sequence) {
  RowsSource source(RecordType::kDelete, rows, record_bytes_);
  return append(&source, receipt, sequence);
}

Status Journal::log_clear(uint64_t collection, uint64_t freed_bytes, const Receipt* receipt,
                          uint64_t* sequence) {
  const auto encode = [&](Array<std::byte>* out) { return encode_collection(collection, out); };
  OneRecord source(RecordType::kClear, encode, freed_bytes);
  return append(&source, receipt, sequence);
}

Status Journal::log_create(uint64_t collection, const std::string& name,
                           const CollectionOptions& options, const Receipt* receipt) {
  const CreateRecord record{
      .collection = collection,
      .dimensions = options.dimensions,
      .m = options.m,
      .ef_construction = options.ef_construction,
      .metric = static_cast<uint8_t>(options.metric),
      .quantization = static_cast<uint8_t>(options.quantization),
      .layout = static_cast<uint8_t>(options.layout),
      .name = name,
      .schema = options.schema_json,
      .keeps_vectors = options.keep_vectors,
  };
  const auto encode = [&](Array<std::byte>* out) { return encode_create(record, out); };
  OneRecord source(RecordType::kCreate, encode);
  uint64_t sequence = 0;
  return append(&source, receipt, &sequence);
}

Status Journal::log_drop(uint64_t collection, uint64_t freed_bytes, const Receipt* receipt) {
  const auto encode = [&](Array<std::byte>* out) { return encode_collection(collection, out); };
  OneRecord source(RecordType::kDrop, encode, freed_bytes);
  uint64_t sequence = 0;
  return append(&source, receipt, &sequence);
}

Status Journal::log_receipt(const Receipt& receipt, uint64_t* sequence) {
  return append(nullptr, &receipt, sequence);
}

Status Journal::log_dimensions(uint64_t collection, uint32_t dimensions) {
  const auto encode = [&](Array<std::byte>* out) {
    return encode_dimensions(collection, dimensions, out);
  };
  OneRecord source(RecordType::kDimensions, encode);
  uint64_t sequence = 0;
  return append(&source, nullptr, &sequence);
}

bool Journal::must_wait(uint64_t sequence) const {
  return sequence != 0 && wal_ != nullptr && wal_->durability() == Durability::kSync &&
         !wal_->is_durable(sequence);
}

}  // namespace omen
