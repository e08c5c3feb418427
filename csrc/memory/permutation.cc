// Finding the cycles of a permutation; see permutation.h.
#include "memory/permutation.h"

namespace omen {

Status Permutation::plan(const uint32_t* from, uint32_t count) {
  places_.clear();
  paths_.clear();
  starts_.clear();
  OMEN_TRY(places_.reserve(count));
  Array<uint64_t> seen(account_, Use::kScratch);
  OMEN_TRY(seen.resize(count / 64 + 1));
  for (uint32_t first = 0; first < count; ++first) {
    if (from[first] == first || (seen[first >> 6] >> (first & 63) & 1) != 0) continue;
    const auto begin = static_cast<uint32_t>(places_.size());
    uint32_t at = first;
    do {
      OMEN_ASSERT(at < count && places_.size() < count);
      seen[at >> 6] |= uint64_t{1} << (at & 63);
      places_.push_back_reserved(at);
      at = from[at];
    } while (at != first);
    OMEN_TRY(add_cycle(begin, static_cast<uint32_t>(places_.size())));
  }
  return Status::ok();
}

Status Permutation::add_cycle(uint32_t begin, uint32_t end) {
  if (end - begin <= kPathMax) return paths_.push_back({begin, end, kOwn});
  const auto first = static_cast<uint32_t>(starts_.size());
  for (uint32_t at = begin; at < end; at += std::min(kPathMax, end - at)) {
    OMEN_TRY(starts_.push_back(places_[at]));
    const uint32_t path_end = at + std::min(kPathMax, end - at);
    const uint32_t next = path_end == end ? first : static_cast<uint32_t>(starts_.size());
    OMEN_TRY(paths_.push_back({at, path_end, next}));
  }
  return Status::ok();
}

}  // namespace omen
