// Journal: how the commits of a database come into its log, and back.
//
// Why: a collection says what it is about to do, and does it only when the log has it. What it says
// is the outcome (the rows, the ids that a filter found, the merged metadata), so that replay needs
// no filter, no merge and no chance. With a receipt it also says what the commit came to, for who
// asks again (db/receipts.h).
// States: replaying (nothing is written, since all comes from the log), then writing, or read-only;
// closed in the end.
// Threads: all methods from any thread; the changes of state by whoever opens and closes.
#pragma once

#include <atomic>
#include <memory>
#include <span>

#include "db/receipts.h"
#include "db/types.h"
#include "storage/records.h"
#include "storage/wal.h"

namespace omen {

// Is told what becomes of commits. Lives as long as the journal: an append may be on its way while
// the database closes.
class LogWatcher {
 public:
  virtual ~LogWatcher() = default;
  struct Logged {
    RecordType purpose;
    uint64_t freed_bytes;
    uint64_t log_bytes;  // In the log behind it.
  };
  virtual void logged(const Logged& commit) = 0;
  // One found no room.
  virtual void refused(uint64_t log_bytes) = 0;
};

class Journal {
 public:
  // A record is filled up to about so many bytes; a commit that has more takes several.
  static constexpr size_t kRecordBytes = size_t{4} << 20;

  // `path`: of the database.
  Journal(std::string path, size_t record_bytes);

  MemoryAccount* account() { return &account_; }
  const std::string& path() const { return path_; }
  bool is_replaying() const { return state() == State::kReplaying; }
  void start_writing(std::unique_ptr<Wal> wal) {
    wal_ = std::move(wal);
    state_ = State::kWriting;
  }
  // Told after each append, until close(). Before anybody writes.
  void watch(std::shared_ptr<LogWatcher> watcher) { watcher_ = std::move(watcher); }
  void start_reading() { state_ = State::kReadOnly; }
  // Syncs and seals. No call may come that writes.
  Status close();

  // ERR_READ_ONLY, ERR_IO_POISONED, ERR_CLOSED.
  Status check_writable() const;
  // What log_put() and log_delete() take.
  struct Rows {
    const RecordRows& rows;
    const RowsShape& shape;
    size_t count;
    Footprint footprint;
  };
  // Each sets *sequence, to 0 while replaying. Errors as of Wal::append: nothing was logged.
  // `receipt`, unless it is nullptr, is logged with the commit, and kept.
  Status log_put(const Rows& rows, const Receipt* receipt, uint64_t* sequence);
  Status log_delete(const Rows& rows, const Receipt* receipt, uint64_t* sequence);
  // `freed_bytes`: of the rows that are there, about.
  Status log_clear(uint64_t collection, uint64_t freed_bytes, const Receipt* receipt,
                   uint64_t* sequence);
  Status log_create(uint64_t collection, const std::string& name, const CollectionOptions& options,
                    const Receipt* receipt);
  Status log_drop(uint64_t collection, uint64_t freed_bytes, const Receipt* receipt);
  // Of a commit that changed nothing.
  Status log_receipt(const Receipt& receipt, uint64_t* sequence);
  Status log_dimensions(uint64_t collection, uint32_t dimensions);

  // Whether what has this sequence is not yet as durable as promised. 0: it was not logged.
  bool must_wait(uint64_t sequence) const;
  Receipts& receipts() { return receipts_; }
  const std::shared_ptr<UnsavedBytes>& unsaved_bytes() const { return unsaved_bytes_; }
  // nullptr while replaying and when read-only.
  Wal* wal() { return wal_.get(); }

 private:
  enum class State : uint8_t { kReplaying, kWriting, kReadOnly, kClosed };
  State state() const { return state_.load(std::memory_order_acquire); }
  Status append(LogSource* source, const Receipt* receipt, uint64_t* sequence);
  Status append_one(LogSource* source, uint64_t* sequence);

  // Without a limit: where maxMemoryBytes is reached, deleting must still be logged.
  MemoryBudget budget_;
  MemoryAccount account_;
  const std::string path_;
  const size_t record_bytes_;
  Receipts receipts_;
  const std::shared_ptr<UnsavedBytes> unsaved_bytes_ = std::make_shared<UnsavedBytes>(0);
  std::unique_ptr<Wal> wal_;
  std::shared_ptr<LogWatcher> watcher_;
  std::atomic<State> state_{State::kReplaying};
};

}  // namespace omen
