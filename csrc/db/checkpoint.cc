// Checkpointer: when, and the steps.
#include "db/checkpoint.h"

#include <algorithm>

#include "base/planted.h"
#include "base/test_points.h"
#include "db/saved.h"
#include "db/verify.h"
#include "storage/backup.h"

namespace omen {

namespace {

// A checkpoint is due when the log holds so much, and half of what the segments do.
constexpr uint64_t kLogBytesMin = uint64_t{2} << 20;
constexpr uint64_t kLogShare = 2;
// At a close: a smaller log is read as fast as a snapshot.
constexpr uint64_t kLogBytesClosing = uint64_t{256} << 10;
constexpr uint64_t kFreedBytesClosing = uint64_t{1} << 20;
// Dead bytes of segments, before those with the most are emptied: a half of the live ones.
constexpr uint64_t kDeadShare = 2;
constexpr uint64_t kDeadMin = uint64_t{1} << 20;
constexpr size_t kSegmentsMax = 64;
// Where room is short: a shorter log is not worth a checkpoint, unless something was deleted. Nor
// is one that has grown by less since the last one failed.
constexpr uint64_t kLogBytesShort = uint64_t{64} << 10;
// The same, where what comes next is taken from the room that a checkpoint needs. What is refused
// for that takes nothing, but what deletes does: a checkpoint must come while there is room for it.
constexpr uint64_t kLogBytesLast = uint64_t{8} << 10;
// And of what was deleted, a share of the log that is due.
constexpr uint64_t kFreedShare = 8;

}  // namespace

// A collection in a checkpoint.
struct Checkpointer::Part {
  Part(std::shared_ptr<Collection> of, MemoryAccount* account)
      : collection(std::move(of)), cut(account) {}
  std::shared_ptr<Collection> collection;
  Cut cut;
};

// Makes a segment in the database's directory. Its number is taken at once. Its file goes with it,
// unless it is kept.
class Checkpointer::NewSegment final : public LazySegment {
 public:
  explicit NewSegment(Database::Impl* db) : db_(db), number_(db->directory->take_number()) {}
  ~NewSegment() override {
    if (!is_finished_ || is_kept_) return;  // The writer removes what it did not finish.
    (void)remove_file(db_->env, segment_path(db_->directory->path(), number_)).is_ok();
  }
  Result<SegmentWriter*> get() override {
    if (writer_ == nullptr) {
      Directory& directory = *db_->directory;
      OMEN_ASSIGN(writer_, SegmentWriter::create(db_->env, directory.path(), number_,
                                                 directory.manifest().database_id,
                                                 db_->journal->account()));
    }
    return writer_.get();
  }
  // Nothing if nothing was written.
  Status finish(SnapshotFiles* out) {
    if (writer_ == nullptr) return Status::ok();
    OMEN_TRY(writer_->finish());
    is_finished_ = true;
    out->segments.push_back(writer_->manifest_file());
    return Status::ok();
  }
  void keep() { is_kept_ = true; }

 private:
  Database::Impl* const db_;
  const uint64_t number_;
  std::unique_ptr<SegmentWriter> writer_;
  bool is_finished_ = false;
  bool is_kept_ = false;
};

Checkpointer::~Checkpointer() { stop(); }

uint64_t Checkpointer::threshold() const {
  if (db_->options.checkpoint_bytes != 0) return db_->options.checkpoint_bytes;
  uint64_t stored = 0;
  for (const ManifestFile& file : db_->directory->segments()) stored += file.size;
  return std::max(kLogBytesMin, stored / kLogShare);
}

Status Checkpointer::start() {
  due_at_ = threshold();
  freed_at_ = due_at_ / kFreedShare;
  if (db_->options.has_committer) {
    OMEN_ASSIGN(thread_, Thread::start("omendb-snapshot", run_thread, this));
    logged({RecordType::kSeal, 0, db_->journal->wal()->log_bytes()});
  }
  return Status::ok();
}

void Checkpointer::stop() {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    is_stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.is_running()) thread_.join();
}

void Checkpointer::logged(const Logged& commit) {
  if (commit.freed_bytes > 0) freed_.fetch_add(commit.freed_bytes, std::memory_order_relaxed);
  const bool is_all =
      commit.purpose == RecordType::kClear || commit.purpose == RecordType::kDrop;
  const bool is_short = db_->directory->room().is_short();
  const bool is_worth = is_short && has_grown_for_short(commit.log_bytes);
  if (is_worth || (is_all && is_full_.load(std::memory_order_relaxed))) return call();
  if (!is_long(commit.log_bytes)) return;
  const std::lock_guard<std::mutex> guard(mutex_);
  is_due_ = true;
  wake_.notify_one();
}

void Checkpointer::refused(uint64_t log_bytes) {
  is_full_.store(true, std::memory_order_relaxed);
  if (has_grown_for_short(log_bytes) || freed_.load(std::memory_order_relaxed) > 0) call();
}

bool Checkpointer::has_grown_for_short(uint64_t log_bytes) const {
  const Room& room = db_->directory->room();
  const uint64_t needed = room.needed(db_->journal->wal()->chain_bytes());
  const bool is_last = room.left() < needed + kLogBytesShort;
  const uint64_t least = is_last ? kLogBytesLast : kLogBytesShort;
  return log_bytes >= tried_at_.load(std::memory_order_relaxed) + least;
}

void Checkpointer::call() {
  const std::lock_guard<std::mutex> guard(mutex_);
  is_called_ = true;
  wake_.notify_one();
}

// Or deletions took something from the reserve, which a checkpoint may give back.
bool Checkpointer::is_long(uint64_t log_bytes) const {
  const uint64_t gone = freed_.load(std::memory_order_relaxed);
  const bool makes_room = gone >= freed_at_.load(std::memory_order_relaxed) &&
                          gone >= db_->directory->room().left();
  return makes_room || log_bytes + gone >= due_at_.load(std::memory_order_relaxed) ||
         db_->directory->reserve().spendings() != spendings_.load(std::memory_order_relaxed);
}

void Checkpointer::run_thread(void* self) { static_cast<Checkpointer*>(self)->run_when_due(); }

void Checkpointer::run_when_due() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock,
               [this] { return is_due_ || is_called_ || is_stopping_ || !backups_.empty(); });
    const std::vector<Order> orders = std::exchange(backups_, {});
    const bool is_due = std::exchange(is_due_, false) && !is_stopping_;
    const bool is_called = std::exchange(is_called_, false) && !is_stopping_;
    const bool is_over = is_stopping_;
    lock.unlock();
    for (const Order& order : orders) answer(order.waiter, backup(order.to));
    // A commit that came before the last one's rotation may have called for another.
    const bool is_wanted = is_due && is_long(db_->journal->wal()->log_bytes());
    if (is_wanted || is_called) (void)run().is_ok();  // stats() tells.
    lock.lock();
    if (is_over && backups_.empty()) return;
  }
}

void Checkpointer::backup(const std::string& to, DurableWaiter* waiter) {
  if (!thread_.is_running()) return answer(waiter, backup(to));
  const std::lock_guard<std::mutex> guard(mutex_);
  backups_.push_back({to, waiter});
  wake_.notify_one();
}

void Checkpointer::answer(DurableWaiter* waiter, Status status) const {
  waiter->status = std::move(status);
  db_->answer(waiter);  // On the pool: it may free the last handle, and so this.
}

Status Checkpointer::backup(const std::string& to) {
  const std::lock_guard<std::mutex> guard(run_mutex_);
  OMEN_TRY(run_counted(SaveKind::kClosing));
  return back_up(db_->env, *db_->directory, to, db_->journal->account());
}

void Checkpointer::check(std::vector<CheckReport>* reports) {
  const std::lock_guard<std::mutex> guard(run_mutex_);
  const Directory& directory = *db_->directory;
  if (!directory.has_snapshot()) return;
  const Result<bool> has_changed = directory.has_changed();
  Status status = has_changed.status();
  if (has_changed.is_ok() && has_changed.value()) {
    status = Status::error(ErrorCode::kCorrupt,
                           directory.path() + "/MANIFEST was replaced by somebody else; close the "
                                              "database and look at what did it")
                 .with_path(directory.path());
  }
  if (!status.is_ok()) return tell_all(status, reports);
  verify_snapshot(db_->env, directory, db_->journal->account(), reports);
}

Status Checkpointer::run() {
  const std::lock_guard<std::mutex> guard(run_mutex_);
  return run_counted(SaveKind::kRegular);
}

Status Checkpointer::run_counted(SaveKind kind) {
  Wal& wal = *db_->journal->wal();
  Room& room = db_->directory->room();
  spendings_ = db_->directory->reserve().spendings();
  freed_ = 0;
  // What is not read again soon would take what deletions need meanwhile.
  const bool is_short = room.spare(wal.chain_bytes()) < room.needed(wal.chain_bytes());
  if (is_short && kind == SaveKind::kRegular) kind = SaveKind::kTight;
  if (!is_short) begun_ = {};
  Status status = run_locked(kind);
  if (status.code() == ErrorCode::kNoSpace && kind != SaveKind::kTight) {
    status = run_locked(SaveKind::kTight);
  }
  if (status.code() == ErrorCode::kNoSpace) status = run_with_reserve(std::move(status));
  const uint64_t log_bytes = wal.log_bytes();
  db_->directory->renew_reserve(log_bytes);
  due_at_ = status.is_ok() ? threshold() : log_bytes + threshold();
  freed_at_ = threshold() / kFreedShare;
  tried_at_ = status.is_ok() ? 0 : log_bytes;
  is_full_ = status.code() == ErrorCode::kNoSpace;
  const std::lock_guard<std::mutex> state(mutex_);
  count_ += status.is_ok() ? 1 : 0;
  last_ = status;
  return status;
}

// With half of the reserve, and no more: the other half is for deletions that come meanwhile.
Status Checkpointer::run_with_reserve(Status status) {
  Reserve& reserve = db_->directory->reserve();
  const uint64_t given = reserve.spend();
  spendings_ = reserve.spendings();
  if (given == 0) return status;
  limit_ = written_ + given;
  status = run_locked(SaveKind::kTight);
  limit_ = UINT64_MAX;
  return status;
}

Status Checkpointer::run_at_close() {
  const uint64_t most = threshold();
  const bool is_little = db_->journal->wal()->log_bytes() < std::min(kLogBytesClosing, most) &&
                         freed_.load() < std::min(kFreedBytesClosing, most);
  if (is_little) return Status::ok();
  const std::lock_guard<std::mutex> guard(run_mutex_);
  return run_counted(SaveKind::kClosing);
}

StorageStats Checkpointer::stats() const {
  StorageStats out;
  for (const ManifestFile& file : db_->directory->segments()) out.snapshot_bytes += file.size;
  out.log_bytes = db_->journal->wal()->chain_bytes();
  const std::lock_guard<std::mutex> guard(mutex_);
  out.checkpoints = count_;
  if (!last_.is_ok()) out.checkpoint_error = last_.message();
  return out;
}

// The segments of which little is left, if the dead bytes of all are many.
// Where room is short, of those that are half empty as many as there is room to empty.
std::set<uint64_t> Checkpointer::choose_leaving(const std::vector<Part>& parts,
                                                SaveKind kind) const {
  struct Segment {
    uint64_t number;
    uint64_t bytes;
    uint64_t live;
  };
  std::vector<Segment> segments;
  std::map<uint64_t, size_t> places;
  for (const ManifestFile& file : db_->directory->segments()) {
    places[file.number] = segments.size();
    segments.push_back({file.number, file.size, 0});
  }
  const auto count = [&](uint64_t number, uint64_t bytes) {
    const auto found = places.find(number);
    if (found != places.end()) segments[found->second].live += bytes;
  };
  for (const Part& part : parts) {
    const Cut& cut = part.cut;
    const CollectionSnapshot* saved = part.collection->saved();
    if (cut.store == nullptr) continue;
    const size_t extents = std::min(saved->extents.size(),
                                    size_t{cut.snapshot.high_water} / cut.snapshot.extent_rows + 1);
    for (size_t i = 0; i < extents; ++i) {
      const ExtentPlace& place = saved->extents[i];
      if (cut.extents.has(static_cast<uint32_t>(i))) continue;
      count(place.segment, uint64_t{place.head_bytes} + place.vector_bytes);
    }
    for (const SnapshotBlob& blob : saved->blobs) {
      if (!cut.writes_derived) count(blob.place.segment, blob.place.bytes);
    }
  }
  uint64_t live = 0;
  uint64_t dead = 0;
  for (const Segment& s : segments) {
    live += s.live;
    if (s.live > 0) dead += s.bytes - std::min(s.bytes, s.live);  // The others go by themselves.
  }
  std::set<uint64_t> leaving;
  const bool is_tight = kind == SaveKind::kTight;
  const bool is_full = dead > std::max(live / kDeadShare, kDeadMin);
  if (!is_tight && !is_full && segments.size() < kSegmentsMax) return leaving;
  std::sort(segments.begin(), segments.end(), [](const Segment& a, const Segment& b) {
    return static_cast<double>(a.live) / static_cast<double>(a.bytes) <
           static_cast<double>(b.live) / static_cast<double>(b.bytes);
  });
  if (is_tight) {
    const uint64_t spare = db_->directory->room().spare(db_->journal->wal()->chain_bytes());
    uint64_t room = limit_ != UINT64_MAX || spare == UINT64_MAX ? 0 : spare / 2;
    for (const Segment& s : segments) {
      if (s.live > s.bytes / 2 || s.live > room) break;
      leaving.insert(s.number);
      room -= s.live;
    }
    return leaving;
  }
  size_t left = segments.size();
  for (const Segment& s : segments) {
    const bool is_enough = dead <= live / (2 * kDeadShare) && left <= kSegmentsMax / 2;
    if (is_enough) break;
    leaving.insert(s.number);
    dead -= std::min(dead, s.bytes - std::min(s.bytes, s.live));
    --left;
  }
  return leaving;
}

// A checkpoint that fails leaves a log that is nearly empty. On a full disk the next one does not
// begin another: each would take a block.
Status Checkpointer::begin_log() {
  Wal& wal = *db_->journal->wal();
  if (begun_.log_number != 0 && wal.log_bytes() < kLogBytesShort) return Status::ok();
  begun_ = {};
  Begun fresh;
  OMEN_ASSIGN(std::unique_ptr<LogWriter> log, db_->directory->begin_log(&fresh.log_number));
  OMEN_ASSIGN(fresh.sequence, wal.rotate(std::move(log)));
  begun_ = fresh;
  const std::lock_guard<std::mutex> guard(mutex_);
  is_called_ = false;  // By what came before.
  return Status::ok();
}

Status Checkpointer::run_locked(SaveKind kind) {
  Database::Impl& d = *db_;
  Wal& wal = *d.journal->wal();
  OMEN_TRY(wal.check_usable());
  written_ = 0;
  OMEN_TRY(begin_log());
  SnapshotFiles files;
  files.log_number = begun_.log_number;
  files.sequence = begun_.sequence;
  OMEN_TEST_POINT("checkpoint");
  std::vector<Part> parts;
  Snapshot snapshot;
  snapshot.sequence = files.sequence;
  // Later ones are in the log that was just begun.
  if (!OMEN_PLANTED("receipts-not-saved")) {
    snapshot.receipts = d.journal->receipts().list(files.sequence);
  }
  {  // Together: a collection that is not among these is one that the log makes.
    const std::lock_guard<std::mutex> guard(d.mutex);
    snapshot.next_collection = d.next_journal_id;
    for (const auto& [name, collection] : d.collections) {
      parts.emplace_back(collection, d.journal->account());
    }
  }
  OMEN_TEST_POINT("checkpoint-parts");
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
    return a.collection->journal_id() < b.collection->journal_id();
  });
  Status status;
  for (Part& part : parts) {
    if (status.is_ok()) status = part.collection->cut(wal, kind, &part.cut);
  }
  SegmentFiles readers;
  if (status.is_ok()) status = readers.open(*d.directory);
  if (status.is_ok()) status = write(parts, readers, &snapshot, &files, kind);
  // What a cut saw, the log must have: metadata are read as they are, not as they were.
  if (status.is_ok()) status = wal.wait_durable(wal.last_commit());
  OMEN_TEST_POINT("checkpoint-install");
  if (status.is_ok()) status = d.directory->install(files);
  if (status.is_ok()) {
    begun_ = {};
    wal.forget_rotated();
  }
  for (Part& part : parts) part.collection->end_cut(&part.cut, status.is_ok());
  // Files that went stay on the disk as long as they are mapped. If these cannot be opened now, the
  // next checkpoint sees to it.
  if (status.is_ok() && kind != SaveKind::kClosing) {
    SegmentFiles installed;
    if (installed.open(*d.directory).is_ok()) {
      for (Part& part : parts) part.collection->follow(installed);
    }
  }
  return status;
}

Status Checkpointer::write(std::vector<Part>& parts, const SegmentFiles& files, Snapshot* snapshot,
                           SnapshotFiles* out, SaveKind kind) {
  Database::Impl& d = *db_;
  const std::set<uint64_t> leaving = choose_leaving(parts, kind);
  NewSegment derived(&d);
  NewSegment rows(&d);  // The newest, with the table at its end: where a rescue looks for it.
  OMEN_ASSIGN(SegmentWriter * writer, rows.get());
  writer->set_limit(limit_);
  std::set<uint64_t> used;
  for (Part& part : parts) {
    const Status status = part.collection->save(&part.cut, {writer, derived, leaving, files});
    written_ = writer->written();
    OMEN_TRY(Status(status));
    const CollectionSnapshot& saved = part.cut.snapshot;
    for (const ExtentPlace& place : saved.extents) used.insert(place.segment);
    for (const SnapshotBlob& blob : saved.blobs) used.insert(blob.place.segment);
    snapshot->collections.push_back(saved);
  }
  Array<std::byte> table(d.journal->account(), Use::kScratch);
  OMEN_TRY(encode_snapshot(*snapshot, &table));
  OMEN_TRY(writer->begin_blob());
  OMEN_TRY(writer->append(table.data(), table.size()));
  OMEN_ASSIGN(out->table, writer->end_blob());
  d.directory->room().set_overhead(out->table.bytes);
  for (const ManifestFile& file : d.directory->segments()) {
    if (used.count(file.number) > 0) out->segments.push_back(file);
  }
  OMEN_TRY(rows.finish(out));
  OMEN_TRY(derived.finish(out));
  rows.keep();
  derived.keep();
  return Status::ok();
}

}  // namespace omen
