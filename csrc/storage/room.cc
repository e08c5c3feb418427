// Room: the estimate, and when the system is asked.
#include "storage/room.h"

#include <algorithm>

#include "base/planted.h"

namespace omen {

namespace {

// The log grows by so much before the system is asked again, if there is room enough.
constexpr uint64_t kAskBytes = uint64_t{1} << 20;
// Heads, a table, a new log and a manifest: an eighth more than the rows, and this.
constexpr uint64_t kHeadShare = 8;
constexpr uint64_t kOverheadMin = uint64_t{48} << 10;

}  // namespace

uint64_t Room::ask() const {
  const int64_t bytes = env_->free_bytes(directory_);
  return bytes < 0 ? UINT64_MAX : static_cast<uint64_t>(bytes);
}

uint64_t Room::needed(uint64_t log_bytes, const Footprint& commit) const {
  const uint64_t unsaved = unsaved_ == nullptr ? 0 : unsaved_->load(std::memory_order_relaxed);
  const uint64_t rows = std::max(log_bytes + commit.log_bytes, unsaved + commit.unsaved_bytes);
  return rows + rows / kHeadShare + kOverheadMin + overhead_.load(std::memory_order_relaxed);
}

uint64_t Room::spare(uint64_t log_bytes) const {
  const uint64_t free = ask();
  return free == UINT64_MAX ? free : free - std::min(free, needed(log_bytes));
}

Room::Verdict Room::judge(uint64_t log_bytes, const Footprint& commit) {
  if (OMEN_PLANTED("no-room-for-checkpoints")) return Verdict::kAmple;
  const uint64_t next = needed(log_bytes, commit);
  const uint64_t least = commit.log_bytes + next;
  // What a checkpoint has written counts until it ends.
  const uint64_t enough = least + 2 * next;
  const auto left = [&] { return known_free_ - std::min(known_free_, log_bytes - known_log_); };
  const bool is_known = log_bytes >= known_log_ && log_bytes - known_log_ < kAskBytes;
  if (!is_known || left() < enough) {
    known_free_ = ask();
    known_log_ = log_bytes;
  }
  const uint64_t free = left();
  is_short_.store(free < enough, std::memory_order_relaxed);
  left_.store(free, std::memory_order_relaxed);
  return free >= enough ? Verdict::kAmple : free >= least ? Verdict::kShort : Verdict::kNone;
}

}  // namespace omen
