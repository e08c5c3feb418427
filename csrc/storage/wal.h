// Wal: the write-ahead log of a database, shared by its collections, with group commit.
//
// Why: a commit is durable when its records are on the device, and a sync costs as much for one as
// for a thousand. So commits are appended as they come, and one thread, the committer, syncs for
// all that wait. No thread of the pool waits for a device.
// How a commit goes: append() writes its records under one lock (their order is the sequence); the
// caller applies them, and answers when the durability that was promised is reached: at once
// (kPeriodic, kOs), or when the committer has synced (kSync: answer_when_durable, wait_durable),
// which it may do meanwhile (start_sync).
// A commit for which the disk has no room beside what the next checkpoint needs is refused
// (storage/room.h), unless it makes some. What a deletion, or a seal, finds no room for is tried
// again with some of the reserve's.
// When nothing was appended for a while after a sync, the committer seals: a record that says that
// all before it is on the device, without which damage there would look like a torn tail.
// Invariants:
//   1. synced() <= appended(); every record up to synced() is on the device.
//   2. A failed append leaves no trace, on the device either, or the log is poisoned.
//   3. After a failed sync the log is poisoned: nothing is appended or synced any more, since the
//      system may have dropped what it could not write, and say yes the next time.
//   4. Every waiter is answered once: on the executor, or, if it is short, by who synced. Waking
//      one more thread for it would cost a lone writer a tenth of its commits.
//   5. A log gets its first record when all of the one before it is on the device.
// Threads: all methods from any thread; close() once, when nobody appends any more.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "exec/executor.h"
#include "exec/thread.h"
#include "storage/log.h"
#include "storage/reserve.h"
#include "storage/room.h"

namespace omen {

enum class Durability : uint8_t { kSync, kPeriodic, kOs };

// Who waits for a sequence to be durable. Belongs to the waiter; not touched once answered.
struct DurableWaiter {
  Task task;  // First: what the executor runs.
  uint64_t sequence = 0;
  Status status;  // Of the sync.
  void (*on_durable)(DurableWaiter* self) = nullptr;
  // on_durable takes no time, and frees nothing that may own the log: the committer may call it.
  bool is_short = false;
  void* context = nullptr;
  DurableWaiter* next = nullptr;
};

// Gives the records of one commit, one after the other.
class LogSource {
 public:
  virtual ~LogSource() = default;
  // Appends the payload of the next record to `record`; sets *more if another one follows.
  virtual Status next(Array<std::byte>* record, bool* more) = 0;
  // Of the record that next() gave last. Before the first: by which the commit's room is judged.
  virtual RecordType type() const = 0;
  virtual Footprint footprint() const { return {}; }
  // It is in the log, the last of its records as `sequence`. Called under the log's lock, in the
  // log's order.
  virtual void logged(uint64_t) {}
};

class Wal {
 public:
  struct Options {
    Durability durability = Durability::kSync;
    Executor* executor = nullptr;  // Where answers run that are not short.
    bool has_committer = true;     // False: whoever waits syncs itself; for tests on one thread.
    uint64_t synced = 0;           // What of the writer's log is on the device.
    uint32_t interval_ms = 100;    // Of kPeriodic, and from the last append to the seal.
    uint64_t log_bytes = 0;        // What the log held when it was opened: Directory::Writer.
    Room* room = nullptr;          // Of which a write leaves the next checkpoint its part.
    Reserve* reserve = nullptr;    // Whence deletions, and the seal, take room if there is none.
  };
  // ERR_MEMORY if the committer cannot start.
  static Result<std::unique_ptr<Wal>> start(std::unique_ptr<LogWriter> writer,
                                            MemoryAccount* account, const Options& options);
  ~Wal();

  // The sequence of the commit's last record. ERR_NO_SPACE, ERR_IO: nothing was written;
  // ERR_IO_POISONED.
  Result<uint64_t> append(LogSource* source);
  // ERR_IO_POISONED after a failed sync.
  Status check_usable() const;

  Durability durability() const { return options_.durability; }
  uint64_t appended() const;
  uint64_t synced() const;
  bool is_durable(uint64_t sequence) const { return sequence <= synced(); }
  // Somebody will wait for it: the sync need not begin only then.
  void start_sync(uint64_t sequence);
  void answer_when_durable(DurableWaiter* waiter);
  Status wait_durable(uint64_t sequence);
  // All that was appended until now. A seal needs no sync.
  uint64_t last_commit() const;
  // Syncs what was appended, and goes on in `next`, an empty log (Directory::begin_log): the
  // sequence of the last record before it. Commits wait meanwhile, but for most of the sync not.
  // ERR_IO_POISONED after a failed sync: nothing goes to `next`.
  Result<uint64_t> rotate(std::unique_ptr<LogWriter> next);
  // Appended since the last rotation; before the first, since opening and Options::log_bytes.
  uint64_t log_bytes() const;
  // With those of the logs before the last rotation, until they are told to be gone.
  uint64_t chain_bytes() const;
  void forget_rotated();
  // Syncs, seals, stops the committer. An error: not all is on the device. Idempotent.
  Status close();

 private:
  Wal(std::unique_ptr<LogWriter> writer, MemoryAccount* account, const Options& options);
  using Lock = std::unique_lock<std::mutex>;
  static void run_thread(void* self);
  void run_committer();
  // All with mutex_ held, which the two give up meanwhile.
  void sync_all(Lock* lock);
  void answer_ready(Lock* lock);
  void poison(const Status& cause);
  bool wants_sync() const { return wanted_ > synced_ && poisoned_.is_ok(); }
  void seal();
  void answer(DurableWaiter* first);
  Status undo(const LogWriter::Place& place, Status cause);
  // Under append_mutex_.
  Status check_room(const LogSource& source) const;
  Status append_record(const LogWriter::Kind& kind, RecordType purpose);

  const Options options_;
  std::mutex append_mutex_;  // Taken before mutex_.
  // Changed under both mutexes, while nobody syncs; used under append_mutex_, or by who syncs.
  std::unique_ptr<LogWriter> writer_;
  Array<std::byte> record_;  // Under append_mutex_.

  mutable std::mutex mutex_;         // Guards all below.
  std::condition_variable work_;     // For the committer.
  std::condition_variable durable_;  // For wait_durable().
  uint64_t appended_ = 0;
  uint64_t synced_ = 0;
  uint64_t wanted_ = 0;     // Somebody waits for it.
  uint64_t log_bytes_ = 0;
  uint64_t rotated_bytes_ = 0;
  bool is_sealed_ = false;  // The last record is a seal.
  bool is_closing_ = false;
  bool is_syncing_ = false;
  Status poisoned_;
  DurableWaiter* waiters_ = nullptr;
  Thread committer_;
};

}  // namespace omen
