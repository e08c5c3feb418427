// Wal: appending, the committer, and who is answered when.
#include "storage/wal.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/planted.h"
#include "base/test_points.h"

namespace omen {

namespace {

constexpr size_t kRecordKeptBytes = size_t{1} << 20;  // Of the buffer, between commits.

}  // namespace

Wal::Wal(std::unique_ptr<LogWriter> writer, MemoryAccount* account, const Options& options)
    : options_(options), writer_(std::move(writer)), record_(account, Use::kScratch) {
  appended_ = writer_->place().sequence;
  synced_ = wanted_ = options_.synced;
  log_bytes_ = options_.log_bytes;
  is_sealed_ = true;  // Nothing but a seal is in it that is not on the device.
}

Result<std::unique_ptr<Wal>> Wal::start(std::unique_ptr<LogWriter> writer, MemoryAccount* account,
                                        const Options& options) {
  std::unique_ptr<Wal> wal(new Wal(std::move(writer), account, options));
  if (options.has_committer) {
    OMEN_ASSIGN(wal->committer_, Thread::start("omendb-commit", run_thread, wal.get()));
  }
  return wal;
}

Wal::~Wal() { OMEN_ASSERT(!committer_.is_running()); }

Status Wal::check_usable() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return poisoned_;
}

uint64_t Wal::appended() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return appended_;
}

uint64_t Wal::synced() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return synced_;
}

uint64_t Wal::log_bytes() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return log_bytes_;
}

uint64_t Wal::chain_bytes() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return rotated_bytes_ + log_bytes_;
}

void Wal::forget_rotated() {
  const std::lock_guard<std::mutex> guard(mutex_);
  rotated_bytes_ = 0;
}

uint64_t Wal::last_commit() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return is_sealed_ ? std::min(appended_, synced_) : appended_;
}

void Wal::poison(const Status& cause) {
  if (!poisoned_.is_ok() || OMEN_PLANTED("failed-sync-forgotten")) return;
  poisoned_ = Status::error(ErrorCode::kIoPoisoned,
                            "the database takes no more writes, since what is stored cannot be "
                            "known; close it and open it again (" +
                                cause.message() + ")")
                  .with_path(writer_->path());
}

// What a failed append wrote must not come back after a crash.
Status Wal::undo(const LogWriter::Place& place, Status cause) {
  const Status undone = writer_->rewind(place);
  if (undone.is_ok()) return cause;
  const std::lock_guard<std::mutex> guard(mutex_);
  poison(undone);
  return poisoned_;
}

namespace {

bool makes_room(RecordType type) {
  return type == RecordType::kDelete || type == RecordType::kClear || type == RecordType::kDrop ||
         type == RecordType::kSeal || type == RecordType::kReceipt;
}

}  // namespace

Status Wal::check_room(const LogSource& source) const {
  Room::Verdict verdict = Room::Verdict::kAmple;
  if (options_.room != nullptr) verdict = options_.room->judge(chain_bytes(), source.footprint());
  if (makes_room(source.type())) return Status::ok();
  const char* what = nullptr;
  if (verdict == Room::Verdict::kNone) {
    what = "what is left on the disk is needed to bring the log into order";
  } else if (options_.reserve != nullptr && !options_.reserve->restore()) {
    what = "no space is left on the disk, and what is kept for deletions is in use";
  }
  if (what == nullptr) return Status::ok();
  return Status::error(ErrorCode::kNoSpace,
                       "cannot write to " + writer_->path() + ": " + what +
                           "; free some, or delete records, then try again")
      .with_path(writer_->path());
}

// A deletion that finds no room is tried again with some of the reserve's, at the same place.
Status Wal::append_record(const LogWriter::Kind& kind, RecordType purpose) {
  const size_t size = record_.size();
  for (;;) {
    Status status = writer_->append(kind, &record_);
    const bool is_full = status.code() == ErrorCode::kNoSpace && makes_room(purpose);
    if (!is_full || options_.reserve == nullptr || options_.reserve->spend() == 0) return status;
    record_.truncate(size);
  }
}

Result<uint64_t> Wal::append(LogSource* source) {
  const std::lock_guard<std::mutex> guard(append_mutex_);
  const RecordType purpose = source->type();
  OMEN_TRY(check_room(*source));
  LogWriter::Kind kind;
  {
    const std::lock_guard<std::mutex> state(mutex_);
    OMEN_TRY(Status(poisoned_));
    kind.watermark = OMEN_PLANTED("watermark-too-high") ? appended_ : synced_;
  }
  const LogWriter::Place start = writer_->place();
  for (bool more = true; more;) {
    more = false;
    record_.clear();
    Status status = record_.resize(kRecordHeaderBytes);
    if (status.is_ok()) status = source->next(&record_, &more);
    const bool is_written = status.is_ok() || writer_->place() != start;
    kind.type = source->type();
    kind.flags = more && !OMEN_PLANTED("batch-record-by-record") ? kMoreFollows : 0;
    if (status.is_ok()) status = append_record(kind, purpose);
    if (!status.is_ok()) return is_written ? undo(start, std::move(status)) : status;
  }
  if (record_.capacity() > kRecordKeptBytes) record_.drop();
  source->logged(writer_->place().sequence);
  OMEN_TEST_POINT("wal-appended");
  const std::lock_guard<std::mutex> state(mutex_);
  const bool was_durable = is_sealed_ || synced_ == appended_;
  log_bytes_ += writer_->place().offset - start.offset;
  appended_ = writer_->place().sequence;
  is_sealed_ = false;
  // The interval begins with the first commit that is not on the device.
  if (was_durable && options_.durability == Durability::kPeriodic) work_.notify_one();
  return appended_;
}

void Wal::start_sync(uint64_t sequence) {
  if (!options_.has_committer) return;
  const std::lock_guard<std::mutex> guard(mutex_);
  wanted_ = std::max(wanted_, sequence);
  if (wants_sync()) work_.notify_one();
}

void Wal::answer_when_durable(DurableWaiter* waiter) {
  Lock lock(mutex_);
  waiter->next = waiters_;
  waiters_ = waiter;
  wanted_ = std::max(wanted_, waiter->sequence);
  if (!options_.has_committer || is_closing_) return sync_all(&lock);
  if (!wants_sync()) return answer_ready(&lock);
  work_.notify_one();
}

Status Wal::wait_durable(uint64_t sequence) {
  if (OMEN_PLANTED("answer-before-sync")) return Status::ok();
  Lock lock(mutex_);
  wanted_ = std::max(wanted_, sequence);
  if (!options_.has_committer) {
    if (wants_sync()) sync_all(&lock);
  } else {
    work_.notify_one();
    durable_.wait(lock, [&] { return synced_ >= sequence || !poisoned_.is_ok(); });
  }
  return synced_ >= sequence ? Status::ok() : poisoned_;
}

Result<uint64_t> Wal::rotate(std::unique_ptr<LogWriter> next) {
  // Twice: what is left for the second, with which commits must wait, is little.
  OMEN_TRY(wait_durable(appended()));
  OMEN_TEST_POINT("wal-rotate");
  const std::lock_guard<std::mutex> guard(append_mutex_);
  Lock lock(mutex_);
  wanted_ = std::max(wanted_, appended_);  // A seal, too: the next log's records come after it.
  sync_all(&lock);
  durable_.wait(lock, [&] { return !is_syncing_; });
  OMEN_TRY(Status(poisoned_));
  OMEN_ASSERT(synced_ == appended_);
  next->continue_after(appended_);
  writer_.swap(next);  // The old one is closed when the locks were given back.
  rotated_bytes_ += std::exchange(log_bytes_, 0);
  return appended_;
}

// One sync for all that was appended before it.
void Wal::sync_all(Lock* lock) {
  durable_.wait(*lock, [&] { return !is_syncing_; });
  if (wants_sync()) {
    const uint64_t target = appended_;
    is_syncing_ = true;
    lock->unlock();
    OMEN_TEST_POINT("wal-sync");
    const Status status = writer_->sync();
    lock->lock();
    is_syncing_ = false;
    if (status.is_ok())
      synced_ = std::max(synced_, target);
    else
      poison(status);
  }
  durable_.notify_all();
  answer_ready(lock);
}

// Those whose sequence is on the device, or never will be, the oldest first.
void Wal::answer_ready(Lock* lock) {
  DurableWaiter* ready = nullptr;
  DurableWaiter* ready_short = nullptr;
  DurableWaiter** link = &waiters_;
  while (*link != nullptr) {
    DurableWaiter* waiter = *link;
    if (waiter->sequence > synced_ && poisoned_.is_ok()) {
      link = &waiter->next;
      continue;
    }
    *link = waiter->next;
    waiter->status = waiter->sequence <= synced_ ? Status::ok() : poisoned_;
    DurableWaiter** const list = waiter->is_short ? &ready_short : &ready;
    waiter->next = *list;
    *list = waiter;
  }
  if (ready == nullptr && ready_short == nullptr) return;
  lock->unlock();
  if (ready != nullptr) answer(ready);
  while (ready_short != nullptr) {
    DurableWaiter* const waiter = ready_short;
    ready_short = waiter->next;
    waiter->on_durable(waiter);
  }
  lock->lock();
}

// Not here: such an answer may free the last handle, and so this.
void Wal::answer(DurableWaiter* first) {
  first->task.run = [](Task* task) {
    auto* waiter = reinterpret_cast<DurableWaiter*>(task);
    while (waiter != nullptr) {
      DurableWaiter* next = waiter->next;
      waiter->on_durable(waiter);
      waiter = next;
    }
  };
  options_.executor->submit(&first->task);
}

void Wal::seal() {
  const std::lock_guard<std::mutex> guard(append_mutex_);
  LogWriter::Kind kind;
  {
    const std::lock_guard<std::mutex> state(mutex_);
    const bool is_on_device = appended_ == synced_ || OMEN_PLANTED("seal-without-sync");
    if (is_sealed_ || !is_on_device || !poisoned_.is_ok()) return;
    kind.watermark = OMEN_PLANTED("seal-without-sync") ? appended_ : synced_;
  }
  const LogWriter::Place start = writer_->place();
  record_.clear();
  Status status = record_.resize(kRecordHeaderBytes);
  if (status.is_ok()) status = append_record(kind, kind.type);
  // Without room for it damage of the last commits would look like a torn tail: no more than that.
  if (!status.is_ok()) {
    (void)undo(start, std::move(status)).is_ok();
    const std::lock_guard<std::mutex> state(mutex_);
    is_sealed_ = true;
    return;
  }
  const std::lock_guard<std::mutex> state(mutex_);
  appended_ = writer_->place().sequence;
  is_sealed_ = true;
}

void Wal::run_thread(void* self) { static_cast<Wal*>(self)->run_committer(); }

void Wal::run_committer() {
  Lock lock(mutex_);
  const std::chrono::milliseconds interval(options_.interval_ms);
  const auto is_called = [this] { return is_closing_ || wants_sync(); };
  while (!is_closing_) {
    if (wants_sync()) {
      sync_all(&lock);
    } else if (is_sealed_ || !poisoned_.is_ok()) {
      work_.wait(lock, [&] { return is_called() || (!is_sealed_ && poisoned_.is_ok()); });
    } else if (appended_ > synced_) {
      if (options_.durability == Durability::kPeriodic) {
        if (!work_.wait_for(lock, interval, is_called)) wanted_ = appended_;
      } else {
        work_.wait(lock, is_called);
      }
    } else {
      const uint64_t seen = appended_;
      const auto is_busy = [&] { return is_called() || appended_ != seen; };
      if (work_.wait_for(lock, interval, is_busy)) continue;
      lock.unlock();
      seal();
      lock.lock();
    }
  }
}

Status Wal::close() {
  Lock lock(mutex_);
  if (is_closing_) return poisoned_;
  is_closing_ = true;
  work_.notify_one();
  lock.unlock();
  if (committer_.is_running()) committer_.join();
  lock.lock();
  if (!is_sealed_ && !OMEN_PLANTED("seal-without-sync")) wanted_ = appended_;
  sync_all(&lock);
  const bool is_usable = poisoned_.is_ok();
  lock.unlock();
  if (is_usable) seal();
  lock.lock();
  return poisoned_;
}

}  // namespace omen
