// Remains: which files there are, and opening them whatever they are.
#include "storage/remains.h"

#include <algorithm>

#include "storage/checks.h"

namespace omen {

void Loss::tell(const Status& status) {
  if (told.size() >= kToldMax) return;
  std::string text = status.message();
  const size_t advice = text.rfind("; restore");  // Which is what the caller just does not have.
  if (advice != std::string::npos) text.resize(advice);
  told.push_back(std::move(text));
}

Result<std::unique_ptr<Remains>> Remains::open(Env* env, const std::string& path,
                                               MemoryAccount* account, Loss* loss) {
  std::unique_ptr<Remains> remains(new Remains(env, path, account, loss));
  OMEN_TRY(remains->find_files());
  // The newest first: what an older file is of may be unclear.
  const auto& segments = remains->segment_numbers_;
  for (auto number = segments.rbegin(); number != segments.rend(); ++number) {
    OMEN_TRY(remains->open_segment(*number));
  }
  for (const uint64_t number : remains->log_numbers_) OMEN_TRY(remains->open_log(number));
  return remains;
}

Status Remains::find_files() {
  OMEN_ASSIGN(const std::vector<std::string> names, list_directory(env_, path_));
  Result<Manifest> manifest = read_manifest(env_, path_);
  if (manifest.status().is_passing()) return manifest.status();
  has_manifest_ = manifest.is_ok();
  if (has_manifest_) {
    manifest_ = manifest.take();
    database_id_ = manifest_.database_id;
    knows_id_ = true;
    log_numbers_.push_back(manifest_.log_number);
    for (const ManifestFile& f : manifest_.files_of(ManifestKind::kLog)) {
      log_numbers_.push_back(f.number);
    }
    for (const ManifestFile& f : manifest_.files_of(ManifestKind::kSegment)) {
      segment_numbers_.push_back(f.number);
    }
    return Status::ok();
  }
  for (const std::string& name : names) {
    if (is_log_name(name)) log_numbers_.push_back(number_of_name(name));
    if (is_segment_name(name)) segment_numbers_.push_back(number_of_name(name));
  }
  std::sort(log_numbers_.begin(), log_numbers_.end());
  std::sort(segment_numbers_.begin(), segment_numbers_.end());
  if (log_numbers_.empty() && segment_numbers_.empty()) {
    return Status::error(ErrorCode::kNotFound,
                         path_ + " holds no file of an OmenDB database; check the path")
        .with_path(path_);
  }
  // What the other files say of themselves is enough, as long as they are whole.
  loss_.tell(manifest.status());
  if (!log_numbers_.empty()) return Status::ok();
  // Each database has a log, always.
  ++loss_.files;
  loss_.tell(Status::error(ErrorCode::kCorrupt,
                           path_ + " has no log: what was written after the snapshot is lost"));
  return Status::ok();
}

void Remains::lose_file(const std::string& path, const Status& status) {
  ++loss_.files;
  FileStat found;
  const Result<bool> exists = stat_path(env_, path, &found);
  if (exists.is_ok() && exists.value()) loss_.bytes += found.size;
  loss_.tell(status);
}

void Remains::lose_log(const Log& log) {
  ++loss_.files;
  loss_.bytes += log.reader->bytes();
  loss_.tell(Status::error(ErrorCode::kCorrupt,
                           log.file->path() + " has no header that its " +
                               std::to_string(log.reader->bytes()) +
                               " bytes could be read by: all records in it are lost"));
}

bool Remains::is_ours(uint64_t database_id, const std::string& path) {
  if (!knows_id_) database_id_ = database_id;
  knows_id_ = true;
  if (database_id == database_id_) return true;
  lose_file(path, damaged(path, 32, "it belongs to another database"));
  return false;
}

Status Remains::open_segment(uint64_t number) {
  const std::string path = segment_path(path_, number);
  Status fault;
  auto opened = SegmentReader::open_any(env_, path_, number, &fault);
  if (opened.status().is_passing()) return opened.status();
  if (!opened.is_ok()) {
    lose_file(path, opened.status());
    return Status::ok();
  }
  if (fault.is_ok() && !is_ours(opened.value()->database_id(), path)) return Status::ok();
  if (!fault.is_ok()) loss_.tell(fault);
  if (fault.code() == ErrorCode::kFormat) {
    ++loss_.files;
    return Status::ok();
  }
  segments_[number] = opened.take();
  return Status::ok();
}

Status Remains::open_log(uint64_t number) {
  const std::string path = log_path(path_, number);
  Result<std::unique_ptr<File>> file = File::open(env_, path, Env::kRead);
  if (file.status().is_passing()) return file.status();
  if (!file.is_ok()) {
    lose_file(path, file.status());
    return Status::ok();
  }
  Log log;
  log.file = file.take();
  log.reader = std::make_unique<LogReader>(log.file.get(), account_);
  const Status fault = log.reader->open_any();
  if (fault.is_passing()) return fault;
  if (fault.is_ok() && !is_ours(log.reader->header().database_id, path)) return Status::ok();
  if (!fault.is_ok()) loss_.tell(fault);
  if (fault.code() == ErrorCode::kFormat || fault.code() == ErrorCode::kIo) {
    ++loss_.files;
    return Status::ok();
  }
  log.has_header = fault.is_ok();
  logs_.push_back(std::move(log));
  return Status::ok();
}

Result<Snapshot> Remains::read_blob(const SegmentReader& segment, const BlobPlace& place) const {
  if (!segment.may_hold(place)) {
    return damaged(segment.path(), place.offset, "the table of the snapshot is cut off");
  }
  Array<std::byte> bytes(account_, Use::kScratch);
  OMEN_TRY(bytes.resize(static_cast<size_t>(place.bytes)));
  OMEN_TRY(segment.read_blob(place, 0, bytes.data(), bytes.size()));
  return decode_snapshot({bytes.data(), bytes.size()}, segment.path());
}

Result<Snapshot> Remains::read_table_of(const SegmentReader& segment) const {
  OMEN_ASSIGN(const BlobPlace place, segment.last_blob());
  return read_blob(segment, place);
}

// Without a manifest it is at the end of the newest segment. An older one would name rows that were
// replaced, and miss new ones.
Result<Snapshot> Remains::read_table() const {
  if (segment_numbers_.empty()) return Status::error(ErrorCode::kNotFound, "there is no snapshot");
  const std::vector<ManifestFile> tables = manifest_.files_of(ManifestKind::kTable);
  const uint64_t number = tables.empty() ? segment_numbers_.back() : tables[0].number;
  const auto found = segments_.find(number);
  if (found == segments_.end()) {
    return Status::error(ErrorCode::kCorrupt, segment_path(path_, number) +
                                                  ", which has the table of the snapshot, cannot "
                                                  "be read");
  }
  if (tables.empty()) return read_table_of(*found->second);
  return read_blob(*found->second, {number, tables[0].sequence, tables[0].size});
}

}  // namespace omen
