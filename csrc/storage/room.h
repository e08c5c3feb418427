// Room: whether the disk has room for what a write leads to.
//
// Why: what is logged is written once more, by the checkpoint that lets the log go. A disk that
// fills up with log has no room for that, and nothing that is deleted makes any. So a write is
// refused while the next checkpoint still fits, and a checkpoint comes early when room runs short.
// How: the next checkpoint writes the extents that changed, which their stores count here, and
// about as much as the log has where rows came with much beside their vectors. The system is asked
// for what is free now and then, and often when that is little; between, the log's growth is taken
// off.
// It is an estimate: others write to the disk too, and a quota is not told. What it misses the
// reserve (storage/reserve.h) is for.
// Threads: judge() by one at a time, all else from any.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "io/env.h"

namespace omen {

// Bytes of extents that no snapshot has. Kept by all stores of a database together.
using UnsavedBytes = std::atomic<uint64_t>;

// What a commit does to the disk, about.
struct Footprint {
  uint64_t log_bytes = 0;
  uint64_t unsaved_bytes = 0;  // Of extents that it is the first to change.
  uint64_t freed_bytes = 0;    // Of rows that it deletes.
};

class Room {
 public:
  Room(Env* env, std::string directory) : env_(env), directory_(std::move(directory)) {}

  // Before anybody else knows it.
  void count(std::shared_ptr<const UnsavedBytes> unsaved) { unsaved_ = std::move(unsaved); }
  // What a checkpoint writes whatever changed, as the last one did.
  void set_overhead(uint64_t bytes) { overhead_.store(bytes, std::memory_order_relaxed); }

  enum class Verdict : uint8_t { kAmple, kShort, kNone };
  // Of a commit, with so many bytes in the logs. kShort: a checkpoint should come.
  Verdict judge(uint64_t log_bytes, const Footprint& commit);
  // As the last judge() found it.
  bool is_short() const { return is_short_.load(std::memory_order_relaxed); }
  uint64_t left() const { return left_.load(std::memory_order_relaxed); }
  // What is free beyond what the next checkpoint needs; asks the system. UINT64_MAX: not known.
  uint64_t spare(uint64_t log_bytes) const;
  // Bytes that the next checkpoint needs, with so many in the logs.
  uint64_t needed(uint64_t log_bytes, const Footprint& commit = {}) const;

 private:
  uint64_t ask() const;

  Env* const env_;
  const std::string directory_;
  std::shared_ptr<const UnsavedBytes> unsaved_;
  std::atomic<uint64_t> overhead_{0};
  std::atomic<bool> is_short_{false};
  std::atomic<uint64_t> left_{UINT64_MAX};
  // Of judge(): what was free when the log held so much.
  uint64_t known_free_ = 0;
  uint64_t known_log_ = UINT64_MAX;
};

}  // namespace omen
