// Drift: how many of the rows that came since codes were trained lie outside of what they were
// trained on.
//
// Why: codes are trained anew at doublings of the collection, and data that drift between are
// clamped: their codes say too little of them. So rows are looked at as they are encoded, in
// windows: one row in eight clamped beyond its rounding error tells that the data moved. Data that
// stay lose one row in fifty that way: their extremes lie a little beyond those of a sample.
// Threads: note() and reset() by the committer; clamped() from any.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace omen {

class Drift {
 public:
  static constexpr uint64_t kWindow = 512;

  static bool is_drift(uint64_t rows, uint64_t clamped) { return clamped * 8 > rows; }
  // Training costs as much as encoding every row: not before a share of them came.
  static uint64_t rows_between(uint64_t live) { return std::max(kWindow, live / 32); }

  void note(uint64_t rows, uint64_t clamped) {
    since_ += rows;
    rows_ += rows;
    in_window_ += clamped;
    clamped_.fetch_add(clamped, std::memory_order_relaxed);
    if (rows_ < kWindow) return;
    met_ = met_ || is_drift(rows_, in_window_);
    rows_ = in_window_ = 0;
  }
  // Whether codes should be trained anew, now that `more` rows come.
  bool is_due(uint64_t live, uint64_t more) const {
    return met_ && since_ + more >= rows_between(live);
  }
  void reset() {
    since_ = rows_ = in_window_ = 0;
    met_ = false;
    clamped_.store(0, std::memory_order_relaxed);
  }
  uint64_t since() const { return since_; }
  uint64_t clamped() const { return clamped_.load(std::memory_order_relaxed); }

 private:
  uint64_t since_ = 0;
  uint64_t rows_ = 0;
  uint64_t in_window_ = 0;
  bool met_ = false;
  std::atomic<uint64_t> clamped_{0};
};

}  // namespace omen
