// The bitmap of free slots; see slot_allocator.h.
#include "memory/slot_allocator.h"

#include <algorithm>
#include <bit>
#include <string>

namespace omen {

namespace {

Status broken(int invariant, const std::string& what) {
  return Status::error(ErrorCode::kCorrupt,
                       "slot allocator, invariant " + std::to_string(invariant) + ": " + what);
}

// With groups: so many of all slots may be free before they are given again. More would cost
// memory, fewer lie too scattered to be worth it.
constexpr uint32_t kFreeShare = 12;

constexpr uint64_t bit(uint32_t i) { return uint64_t{1} << (i & 63); }

}  // namespace

SlotAllocator::SlotAllocator(MemoryAccount* account, Use use, uint32_t limit)
    : limit_(limit), level_{Array<uint64_t>(account, use), Array<uint64_t>(account, use),
                            Array<uint64_t>(account, use), Array<uint64_t>(account, use),
                            Array<uint64_t>(account, use), Array<uint64_t>(account, use)},
      group_free_(account, use) {
  OMEN_ASSERT(limit > 0 && limit <= kSlotLimit);
}

void SlotAllocator::set_group(uint32_t slots) {
  OMEN_ASSERT(high_water_ == 0 && std::has_single_bit(slots) && slots <= UINT16_MAX);
  group_shift_ = static_cast<uint32_t>(std::countr_zero(slots));
  has_groups_ = true;
}

Status SlotAllocator::restore(uint32_t high_water, const uint64_t* used) {
  const std::lock_guard lock(mutex_);
  OMEN_ASSERT(high_water_ == 0);
  OMEN_TRY(cover(high_water));
  high_water_ = high_water;
  for (uint32_t slot = 0; slot < high_water; ++slot) {
    if ((used[slot / 64] & bit(slot)) != 0) continue;
    set_free(slot);
    ++free_count_;
  }
  return Status::ok();
}

// New words are zero: nothing free in them, nothing to tell the level above. From the top down, so
// that when memory ends between two levels, every word still has its bit above.
Status SlotAllocator::cover(uint32_t slots) {
  size_t words[kLevels];
  size_t below = slots;
  for (size_t& w : words) w = below = (below + 63) / 64;
  for (uint32_t l = kLevels; l-- > 0;) {
    if (words[l] > level_[l].size()) OMEN_TRY(level_[l].resize(words[l]));
  }
  const size_t groups = has_groups_ ? (uint64_t{slots} >> group_shift_) + 1 : 0;
  return groups > group_free_.size() ? group_free_.resize(groups) : Status::ok();
}

void SlotAllocator::set_free(uint32_t slot) {
  uint32_t i = slot;
  if (has_groups_) ++group_free_[slot >> group_shift_];
  for (Array<uint64_t>& level : level_) {
    uint64_t& word = level[i / 64];
    const bool was_empty = word == 0;
    word |= bit(i);
    if (!was_empty) return;
    i /= 64;
  }
}

uint32_t SlotAllocator::take_lowest() {
  uint32_t slot = 0;
  for (uint32_t l = kLevels; l-- > 0;) {
    slot = slot * 64 + static_cast<uint32_t>(std::countr_zero(level_[l][slot]));
  }
  set_used(slot);
  return slot;
}

uint32_t SlotAllocator::take_from_emptiest() {
  if (group_ >= group_free_.size() || group_free_[group_] == 0) {
    const auto* emptiest = std::max_element(group_free_.begin(), group_free_.end());
    group_ = static_cast<uint32_t>(emptiest - group_free_.begin());
  }
  const uint32_t first = group_ << group_shift_;
  for (uint32_t word = first / 64;; ++word) {
    // A group smaller than a word shares it with others.
    const uint64_t mask = word == first / 64 ? ~uint64_t{0} << (first & 63) : ~uint64_t{0};
    const uint64_t free = level_[0][word] & mask;
    if (free == 0) continue;
    const uint32_t slot = word * 64 + static_cast<uint32_t>(std::countr_zero(free));
    set_used(slot);
    return slot;
  }
}

void SlotAllocator::set_used(uint32_t slot) {
  uint32_t i = slot;
  if (has_groups_) --group_free_[slot >> group_shift_];
  for (Array<uint64_t>& level : level_) {
    uint64_t& word = level[i / 64];
    word &= ~bit(i);
    if (word != 0) break;
    i /= 64;
  }
  --free_count_;
}

Result<uint32_t> SlotAllocator::allocate() {
  uint32_t slot = 0;
  OMEN_TRY(allocate_many(1, &slot));
  return slot;
}

Status SlotAllocator::allocate_many(uint32_t n, uint32_t* out) {
  const std::lock_guard lock(mutex_);
  uint32_t reused = std::min(n, free_count_);
  if (has_groups_) {
    const uint32_t kept = std::min(free_count_, high_water_ / kFreeShare);
    reused = std::min(n, free_count_ - kept);
    // Rather than none.
    if (n - reused > limit_ - high_water_) reused = std::min(n, free_count_);
  }
  const uint32_t fresh = n - reused;
  if (fresh > limit_ - high_water_) {
    return Status::error(ErrorCode::kLimit, "no slots for " + std::to_string(n) +
                                                " records: a collection holds at most " +
                                                std::to_string(limit_));
  }
  OMEN_TRY(cover(high_water_ + fresh));
  for (uint32_t i = 0; i < reused; ++i) out[i] = has_groups_ ? take_from_emptiest() : take_lowest();
  if (has_groups_) std::sort(out, out + reused);
  for (uint32_t i = reused; i < n; ++i) out[i] = high_water_++;
  return Status::ok();
}

void SlotAllocator::release(uint32_t slot) {
  const std::lock_guard lock(mutex_);
  OMEN_ASSERT(slot < high_water_ && (level_[0][slot / 64] & bit(slot)) == 0);
  set_free(slot);
  ++free_count_;
}

uint32_t SlotAllocator::trim(uint32_t floor) {
  const std::lock_guard lock(mutex_);
  for (; high_water_ > floor; --high_water_) {
    const uint32_t last = high_water_ - 1;
    if ((level_[0][last / 64] & bit(last)) == 0) break;
    set_used(last);
  }
  return high_water_;
}

void SlotAllocator::clear() {
  const std::lock_guard lock(mutex_);
  for (Array<uint64_t>& level : level_) level.drop();
  group_free_.drop();
  high_water_ = free_count_ = 0;
}

uint32_t SlotAllocator::high_water() const {
  const std::lock_guard lock(mutex_);
  return high_water_;
}

uint32_t SlotAllocator::free_count() const {
  const std::lock_guard lock(mutex_);
  return free_count_;
}

uint32_t SlotAllocator::used_count() const {
  const std::lock_guard lock(mutex_);
  return high_water_ - free_count_;
}

bool SlotAllocator::is_free(uint32_t slot) const {
  const std::lock_guard lock(mutex_);
  return slot < high_water_ && (level_[0][slot / 64] & bit(slot)) != 0;
}

Status SlotAllocator::validate() const {
  const std::lock_guard lock(mutex_);
  if (high_water_ > limit_) return broken(1, "slots beyond the limit");
  uint64_t free = 0;
  for (size_t w = 0; w < level_[0].size(); ++w) {
    free += static_cast<uint64_t>(std::popcount(level_[0][w]));
    if (level_[0][w] == 0) continue;
    const size_t last = w * 64 + 63 - static_cast<size_t>(std::countl_zero(level_[0][w]));
    if (last >= high_water_) return broken(1, "slot " + std::to_string(last) + " never existed");
  }
  if (free != free_count_) return broken(2, "free_count() is not the number of set bits");
  for (uint32_t l = 1; l < kLevels; ++l) {
    for (size_t w = 0; w < level_[l - 1].size(); ++w) {
      const bool told = (level_[l][w / 64] & bit(static_cast<uint32_t>(w))) != 0;
      if (told != (level_[l - 1][w] != 0)) {
        return broken(2,
                      "level " + std::to_string(l) + " is wrong about word " + std::to_string(w));
      }
    }
  }
  for (size_t group = 0; group < group_free_.size(); ++group) {
    uint32_t count = 0;
    const uint64_t end = std::min<uint64_t>((group + 1) << group_shift_, high_water_);
    for (uint64_t slot = group << group_shift_; slot < end; ++slot) {
      count += (level_[0][slot / 64] >> (slot & 63) & 1) != 0 ? 1 : 0;
    }
    if (count != group_free_[group]) {
      return broken(2, "the free slots of group " + std::to_string(group) + " are miscounted");
    }
  }
  if (level_[0].size() * 64 < high_water_) return broken(3, "the bitmap is too short");
  return Status::ok();
}

}  // namespace omen
