// LogChain: one log after the other, and what a record in a later one proves of an earlier.
#include "storage/log_chain.h"

#include "storage/checks.h"

#include "base/planted.h"

namespace omen {

namespace {

std::string missing(uint64_t sequence) {
  return "record " + std::to_string(sequence) + ", which had been stored, cannot be read";
}

}  // namespace

Status LogChain::open(const Manifest& manifest, bool read_only) {
  end_.sequence = manifest.log_first_sequence - 1;
  OMEN_TRY(open_log(manifest, manifest.log_number, read_only));
  for (const ManifestFile& file : manifest.files_of(ManifestKind::kLog)) {
    OMEN_TRY(open_log(manifest, file.number, read_only));
  }
  start();
  if (end_.sequence >= manifest.durable_sequence || OMEN_PLANTED("shorter-log-is-taken")) {
    return Status::ok();
  }
  const std::string& path = logs_[last_].file->path();
  return damaged(path, logs_[last_].end.offset,
                 "it ends at record " + std::to_string(end_.sequence) +
                     ", and had been stored up to record " +
                     std::to_string(manifest.durable_sequence));
}

Status LogChain::open_log(const Manifest& manifest, uint64_t number, bool read_only) {
  const std::string path = log_path(directory_, number);
  Result<std::unique_ptr<File>> file =
      File::open(env_, path, read_only ? Env::kRead : Env::kRead | Env::kWrite);
  if (file.status().code() == ErrorCode::kNotFound) {
    return corrupt(path, path + " is missing, and the manifest names it");
  }
  if (!file.is_ok()) return file.status();
  Log log;
  log.file = file.take();
  log.reader = std::make_unique<LogReader>(log.file.get(), account_);
  OMEN_TRY(log.reader->open(manifest.database_id));
  OMEN_TRY(follow(&log));
  log.reader->drop_buffer();
  logs_.push_back(std::move(log));
  return Status::ok();
}

// Takes it as the one behind those that were opened.
Status LogChain::follow(Log* log) {
  if (!log->reader->continue_after(end_.sequence)) {
    return damaged(log->file->path(), 48, "it does not begin at record " +
                                              std::to_string(end_.sequence + 1));
  }
  if (!logs_.empty()) OMEN_TRY(check_start(log));
  OMEN_ASSIGN(log->end, log->reader->scan());
  const bool has_records = log->end.offset > kLogHeaderBytes;
  bytes_ += log->end.offset - kLogHeaderBytes;
  is_empty_ = is_empty_ && !has_records && log->end.cut_bytes == 0;
  const uint64_t cut_bytes = end_.cut_bytes + log->end.cut_bytes;
  if (has_records || logs_.empty()) {
    last_ = logs_.size();
    end_ = log->end;
  }
  end_.cut_bytes = cut_bytes;
  if (cut_bytes > 0) end_.is_sealed = false;
  return Status::ok();
}

// A record in it is proof that all before it were on the device.
Status LogChain::check_start(Log* log) {
  LogRecord first;
  OMEN_ASSIGN(const bool has_one, log->reader->find_record(&first));
  if (!has_one) return Status::ok();
  const bool is_next = first.offset != kLogHeaderBytes ||  // Then scan() tells what it proves.
                       first.header.sequence == end_.sequence + 1;
  if (is_next && end_.cut_bytes == 0) return Status::ok();
  size_t torn = last_;
  for (size_t i = 0; i < logs_.size(); ++i) {
    if (logs_[i].end.cut_bytes > 0) torn = i;
  }
  return damaged(logs_[torn].file->path(), logs_[torn].end.offset, missing(end_.sequence + 1));
}

void LogChain::start() {
  for (Log& log : logs_) log.reader->start();
  at_ = 0;
}

Result<bool> LogChain::next(LogRecord* record) {
  for (;;) {
    Log& log = logs_[at_];
    OMEN_ASSIGN(const bool is_one, log.reader->next(log.end, record));
    if (is_one || at_ + 1 == logs_.size()) return is_one;
    log.reader->drop_buffer();
    ++at_;
  }
}

Status LogChain::copy_to(LogWriter* log) {
  Array<std::byte> bytes(account_, Use::kScratch);
  start();
  for (LogRecord record;;) {
    OMEN_ASSIGN(const bool is_one, next(&record));
    if (!is_one) break;
    bytes.clear();
    OMEN_TRY(bytes.resize(kRecordHeaderBytes));
    OMEN_TRY(bytes.append(record.payload, record.header.length));
    const RecordHeader& h = record.header;
    OMEN_TRY(log->append({h.type, h.flags, h.watermark}, &bytes));
  }
  return OMEN_PLANTED("manifest-before-data") ? Status::ok() : log->sync();
}

Result<LogChain::Resumed> LogChain::resume() {
  OMEN_ASSERT(can_resume() || OMEN_PLANTED("goes-on-after-a-crash"));
  const size_t last = logs_.size() - 1;
  Resumed resumed;
  resumed.synced = end_.is_sealed ? end_.sequence - 1 : end_.sequence;
  // Its seal may not be on the device, and the next record will be in another file.
  if (last_ != last && end_.is_sealed) {
    OMEN_TRY(logs_[last_].file->sync());
    resumed.synced = end_.sequence;
  }
  Log& log = logs_[last];
  const LogHeader header = log.reader->header();
  log.reader.reset();
  resumed.log = LogWriter::resume(std::move(log.file), header, log.end);
  logs_.clear();
  return resumed;
}

}  // namespace omen
