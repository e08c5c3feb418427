// Checkpointer: brings what the log says into a snapshot, so that the log can begin anew.
//
// How: a new log is begun; each collection is cut (db/saved.h) and what changed of it written to a
// new segment, beside its writers; then the manifest names the segment, those older ones that still
// hold something, and the log from where it was begun. What the snapshot has and the log behind
// names again is replayed again, to the same end. All that a cut saw is on the device before the
// manifest is switched, so a snapshot never runs ahead of the log.
// When: the log has grown past a share of what is stored, rows that make up as much were deleted,
// or the database closes. Disk use stays bounded: segments of which little is left are emptied by
// writing that little again.
// On a disk that fills up (storage/room.h) it comes earlier, and writes no more than it must: when
// room runs short, sooner yet where deletions take what it needs itself, or when a write was
// refused and what was deleted meanwhile may make some.
// A checkpoint that fails changes nothing, and is tried again when the log has grown as much again.
// Threads: run(), backup() and check() from any thread, one at a time; logged() and refused() from
// who appends. The checkpointer's own thread runs those that are due.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>

#include "db/database_impl.h"
#include "exec/thread.h"

namespace omen {

class Checkpointer final : public LogWatcher {
 public:
  explicit Checkpointer(Database::Impl* database) : db_(database) {}
  ~Checkpointer() override;

  // The thread, if the database has threads. ERR_MEMORY.
  Status start();
  // Waits for a checkpoint that is running; none begins after it.
  void stop();
  // One now. ERR_NO_SPACE, ERR_IO, ERR_MEMORY, ERR_IO_POISONED: nothing changed.
  Status run();
  // run(), unless opening would gain nothing by it.
  Status run_at_close();
  void logged(const Logged& commit) override;
  void refused(uint64_t log_bytes) override;

  // A copy of the database (storage/backup.h), of what a checkpoint made for it has and of the log
  // behind.
  Status backup(const std::string& to);
  // On the checkpointer's thread; the waiter is answered on the executor.
  void backup(const std::string& to, DurableWaiter* waiter);
  // Tells in `reports`, by collection, what is damaged of the snapshot on disk. Holds checkpoints
  // off, and waits for one that is running; no commit is held up.
  void check(std::vector<CheckReport>* reports);
  StorageStats stats() const;

 private:
  struct Part;
  class NewSegment;
  // A log that was begun for a checkpoint, which another may finish.
  struct Begun {
    uint64_t log_number = 0;  // 0: none.
    uint64_t sequence = 0;    // Before its first record.
  };
  Status run_counted(SaveKind kind);
  Status run_locked(SaveKind kind);
  Status begin_log();
  Status write(std::vector<Part>& parts, const SegmentFiles& files, Snapshot* snapshot,
               SnapshotFiles* out, SaveKind kind);
  std::set<uint64_t> choose_leaving(const std::vector<Part>& parts, SaveKind kind) const;
  bool is_long(uint64_t log_bytes) const;
  // Where room is short: whether the log has grown enough since one was tried.
  bool has_grown_for_short(uint64_t log_bytes) const;
  void call();
  // `status`: why it is tried. What it comes to, or that where nothing is left of the reserve.
  Status run_with_reserve(Status status);
  uint64_t threshold() const;
  static void run_thread(void* self);
  void run_when_due();
  void answer(DurableWaiter* waiter, Status status) const;

  Database::Impl* const db_;
  std::mutex run_mutex_;  // Of whoever runs one; taken first.
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Thread thread_;
  struct Order {
    std::string to;
    DurableWaiter* waiter;
  };
  std::vector<Order> backups_;  // Wanted.
  bool is_due_ = false;
  bool is_called_ = false;  // However short the log is.
  bool is_stopping_ = false;
  std::atomic<uint64_t> due_at_{0};  // Bytes of the log.
  std::atomic<uint64_t> tried_at_{0};   // Bytes of the log when the last one failed; 0: it did not.
  std::atomic<uint64_t> spendings_{0};  // Of the reserve, that the last one knew of.
  std::atomic<uint64_t> freed_{0};      // Bytes of rows deleted since the last one began.
  std::atomic<uint64_t> freed_at_{0};   // So many are worth one, if there is less room than that.
  std::atomic<bool> is_full_{false};    // A write, or the last one, found no room.
  uint64_t count_ = 0;
  Status last_;  // Of the last one.
  // Of run_mutex_'s holder: bytes of rows that the last one came to, and the next may.
  uint64_t written_ = 0;
  uint64_t limit_ = UINT64_MAX;
  Begun begun_;
};

}  // namespace omen
