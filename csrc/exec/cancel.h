// CancelToken: how a running operation learns that nobody waits for it any more.
//
// Why: AbortSignal and timeoutMs. The operation asks at points where it can stop with nothing
// half-done. Being cancelled wins over being late, and both are final.
// Threads: all calls, from any thread; the owner keeps it alive while the operation runs.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/status.h"
#include "exec/clock.h"

namespace omen {

class CancelToken {
 public:
  static constexpr uint64_t kNoDeadline = UINT64_MAX;

  explicit CancelToken(uint64_t deadline_ns = kNoDeadline) : deadline_ns_(deadline_ns) {}
  CancelToken(const CancelToken&) = delete;
  CancelToken& operator=(const CancelToken&) = delete;

  void cancel() { cancelled_.store(true, std::memory_order_release); }
  bool is_cancelled() const { return cancelled_.load(std::memory_order_acquire); }

  // On the clock that check() is given.
  void set_deadline_ns(uint64_t ns) { deadline_ns_.store(ns, std::memory_order_relaxed); }
  uint64_t deadline_ns() const { return deadline_ns_.load(std::memory_order_relaxed); }

  // Cheap: reads the clock only if there is a deadline.
  bool should_stop(const Clock& clock) const {
    if (is_cancelled()) return true;
    const uint64_t deadline = deadline_ns();
    return deadline != kNoDeadline && clock.now_ns() >= deadline;
  }

  // ERR_ABORTED, ERR_TIMEOUT or OK.
  Status check(const Clock& clock) const {
    if (!should_stop(clock)) [[likely]] return Status::ok();
    if (is_cancelled()) {
      return Status::error(ErrorCode::kAborted, "the call was aborted by its signal");
    }
    return Status::error(ErrorCode::kTimeout, "the call did not finish before its deadline");
  }

 private:
  std::atomic<bool> cancelled_{false};
  std::atomic<uint64_t> deadline_ns_;
};

}  // namespace omen
