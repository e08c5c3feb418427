// Clock: monotonic time, as an interface, so that a test decides what time it is.
//
// Threads: now_ns() from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace omen {

class Clock {
 public:
  virtual ~Clock() = default;
  // Nanoseconds since an arbitrary start; never falls.
  virtual uint64_t now_ns() const = 0;
};

class SystemClock final : public Clock {
 public:
  uint64_t now_ns() const override {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  }
};

// Moves only when told; for tests and simulation.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(uint64_t now_ns = 0) : now_ns_(now_ns) {}
  uint64_t now_ns() const override { return now_ns_.load(std::memory_order_relaxed); }
  void advance_ns(uint64_t ns) { now_ns_.fetch_add(ns, std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> now_ns_;
};

}  // namespace omen
