// Receipts: a queue in one array, whose dead part goes when it is the larger one.
#include "db/receipts.h"

#include <algorithm>

namespace omen {

bool Receipts::is_kept(const Entry& entry, uint64_t now_ns) const {
  return now_ns - entry.noted_ns <= kKeptNs;
}

Status Receipts::reserve() {
  const std::lock_guard<std::mutex> guard(mutex_);
  const uint64_t now_ns = clock_->now_ns();
  while (first_ < entries_.size() && !is_kept(entries_[first_], now_ns)) ++first_;
  if (first_ > entries_.size() / 2) {
    std::copy(entries_.begin() + first_, entries_.end(), entries_.begin());
    entries_.truncate(entries_.size() - first_);
    first_ = 0;
  }
  if (entries_.size() < entries_.capacity()) return Status::ok();
  return entries_.reserve(std::max<size_t>(16, 2 * entries_.size()));
}

void Receipts::note(const Receipt& receipt, uint64_t sequence) {
  const std::lock_guard<std::mutex> guard(mutex_);
  entries_.push_back_reserved({receipt, sequence, clock_->now_ns()});
}

std::vector<Receipt> Receipts::list(uint64_t sequence) const {
  const std::lock_guard<std::mutex> guard(mutex_);
  const uint64_t now_ns = clock_->now_ns();
  std::vector<Receipt> out;
  for (size_t i = first_; i < entries_.size() && entries_[i].sequence <= sequence; ++i) {
    if (is_kept(entries_[i], now_ns)) out.push_back(entries_[i].receipt);
  }
  return out;
}

bool Receipts::validate() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (first_ > entries_.size()) return false;
  for (size_t i = first_ + 1; i < entries_.size(); ++i) {
    if (entries_[i].sequence < entries_[i - 1].sequence) return false;
    if (entries_[i].noted_ns < entries_[i - 1].noted_ns) return false;
  }
  return true;
}

}  // namespace omen
