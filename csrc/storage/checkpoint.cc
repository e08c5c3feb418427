// Directory, while the database lives: the steps of a checkpoint, and reading its snapshot.
#include <algorithm>

#include "base/planted.h"
#include "storage/checks.h"
#include "storage/directory.h"

namespace omen {

Manifest Directory::manifest() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return manifest_;
}

bool Directory::has_snapshot() const { return !segments().empty(); }

std::vector<ManifestFile> Directory::segments() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return manifest_.files_of(ManifestKind::kSegment);
}

Result<std::shared_ptr<const SegmentReader>> Directory::segment(uint64_t number) const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return open_segment(number);
}

Result<std::shared_ptr<const SegmentReader>> Directory::open_segment(uint64_t number) const {
  if (const auto found = segments_.find(number); found != segments_.end() && found->second) {
    return found->second;
  }
  for (const ManifestFile& file : manifest_.files_of(ManifestKind::kSegment)) {
    if (file.number != number) continue;
    OMEN_ASSIGN(std::shared_ptr<const SegmentReader> opened,
                SegmentReader::open(env_, path_, file, manifest_.database_id));
    segments_[number] = opened;
    return opened;
  }
  const std::string path = segment_path(path_, number);
  return corrupt(path, path + " is no part of the snapshot");
}

Result<Snapshot> Directory::read_snapshot() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  const std::vector<ManifestFile> tables = manifest_.files_of(ManifestKind::kTable);
  OMEN_ASSERT(tables.size() == 1);  // has_snapshot().
  const BlobPlace place{tables[0].number, tables[0].sequence, tables[0].size};
  OMEN_ASSIGN(const std::shared_ptr<const SegmentReader> reader, open_segment(place.segment));
  if (!reader->may_hold(place)) {
    return damaged(reader->path(), place.offset, "the table of the snapshot is cut off");
  }
  Array<std::byte> bytes(account_, Use::kScratch);
  OMEN_TRY(bytes.resize(static_cast<size_t>(place.bytes)));
  OMEN_TRY(reader->read_blob(place, 0, bytes.data(), bytes.size()));
  OMEN_ASSIGN(Snapshot snapshot, decode_snapshot({bytes.data(), bytes.size()}, reader->path()));
  if (snapshot.sequence + 1 != manifest_.log_first_sequence) {
    return damaged(reader->path(), place.offset,
                   "the table of the snapshot ends at record " + std::to_string(snapshot.sequence) +
                       ", and the log begins at " + std::to_string(manifest_.log_first_sequence));
  }
  OMEN_TRY(check_places(snapshot, reader->path()));
  return snapshot;
}

Status Directory::check_places(const Snapshot& snapshot, const std::string& table_path) const {
  const auto may_hold = [&](const auto& place) {
    const Result<std::shared_ptr<const SegmentReader>> reader = open_segment(place.segment);
    return reader.is_ok() && reader.value()->may_hold(place);
  };
  for (const CollectionSnapshot& collection : snapshot.collections) {
    bool is_sound = true;
    for (const ExtentPlace& place : collection.extents) {
      is_sound = is_sound && (place.segment == 0 || may_hold(place));
    }
    for (const SnapshotBlob& blob : collection.blobs) is_sound = is_sound && may_hold(blob.place);
    if (is_sound) continue;
    return corrupt(table_path, table_path + " is damaged: its table names places of collection " +
                                   collection.name + " that do not exist");
  }
  return Status::ok();
}

uint64_t Directory::take_number() {
  const std::lock_guard<std::mutex> guard(mutex_);
  return next_number();
}

Result<std::unique_ptr<LogWriter>> Directory::begin_log(uint64_t* number) {
  const std::lock_guard<std::mutex> guard(mutex_);
  OMEN_TRY(Status(failed_));
  *number = next_number();
  const std::string path = log_path(path_, *number);
  const LogHeader header{manifest_.database_id, env_->random(), 0};
  Result<std::unique_ptr<LogWriter>> made = LogWriter::create(env_, path, header);
  if (!made.is_ok()) {
    (void)remove_file(env_, path).is_ok();  // No manifest names it.
    return made;
  }
  doubtful_.push_back(path);  // Until the switch is known to have happened.
  OMEN_TRY(sync_directory(env_, path_, &failed_));
  Manifest next = manifest_;
  ManifestFile log;
  log.number = *number;
  log.kind = static_cast<uint32_t>(ManifestKind::kLog);
  const auto is_table = [](const ManifestFile& f) {
    return f.kind == static_cast<uint32_t>(ManifestKind::kTable);
  };
  next.files.insert(std::find_if(next.files.begin(), next.files.end(), is_table), log);
  const Status switched = switch_to(std::move(next));
  if (!switched.is_ok()) return undo_doubtful(doubtful_.size() - 1, switched);
  remove_doubtful();
  return made;
}

Status Directory::install(const SnapshotFiles& files) {
  const std::lock_guard<std::mutex> guard(mutex_);
  OMEN_ASSERT(!files.segments.empty());
  Manifest next = manifest_;
  next.files = files.segments;
  std::sort(next.files.begin(), next.files.end(),
            [](const ManifestFile& a, const ManifestFile& b) { return a.number < b.number; });
  for (const ManifestFile& log : manifest_.files_of(ManifestKind::kLog)) {
    if (log.number > files.log_number) next.files.push_back(log);
  }
  ManifestFile table;
  table.number = files.table.segment;
  table.sequence = files.table.offset;
  table.size = files.table.bytes;
  table.kind = static_cast<uint32_t>(ManifestKind::kTable);
  next.files.push_back(table);
  const std::set<std::string> named = manifest_.paths(path_);
  OMEN_ASSERT(named.count(log_path(path_, files.log_number)) > 0);
  next.log_number = files.log_number;
  next.log_first_sequence = files.sequence + 1;
  next.durable_sequence = std::max(next.durable_sequence, files.sequence);
  const size_t known = doubtful_.size();
  for (const ManifestFile& segment : files.segments) {
    const std::string path = segment_path(path_, segment.number);
    if (named.count(path) == 0) doubtful_.push_back(path);
  }
  OMEN_TRY(Status(failed_));
  OMEN_TRY(sync_directory(env_, path_, &failed_));  // The segments' names.
  if (OMEN_PLANTED("old-files-go-first")) {
    const std::set<std::string> wanted = next.paths(path_);
    for (const std::string& path : named) {
      if (wanted.count(path) == 0) OMEN_TRY(remove_file(env_, path));
    }
  }
  const Status switched = switch_to(std::move(next));
  if (!switched.is_ok()) return undo_doubtful(known, switched);
  const std::set<std::string> kept = manifest_.paths(path_);
  std::erase_if(segments_, [&](const auto& entry) {
    return kept.count(segment_path(path_, entry.first)) == 0;
  });
  doubtful_.insert(doubtful_.end(), named.begin(), named.end());  // Now certainly of no use.
  remove_doubtful();
  return Status::ok();
}

// Where there was no room for a manifest, it certainly is not in place, and its new files, from the
// `known`th doubtful one on, take some.
Status Directory::undo_doubtful(size_t known, const Status& cause) {
  if (cause.code() != ErrorCode::kNoSpace || !failed_.is_ok()) return cause;
  for (size_t i = known; i < doubtful_.size(); ++i) (void)remove_file(env_, doubtful_[i]).is_ok();
  doubtful_.resize(known);
  return cause;
}

// What cannot be removed now goes when the database is opened the next time.
void Directory::remove_doubtful() {
  const std::set<std::string> named = manifest_.paths(path_);
  for (const std::string& path : doubtful_) {
    if (named.count(path) == 0) (void)remove_file(env_, path).is_ok();
  }
  doubtful_.clear();
}

}  // namespace omen
