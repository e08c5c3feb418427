// Re-ranking candidates whose distances are known within bounds.
//
// Why: a code of one or two bits shuffles neighbours by dozens of places, so that no fixed number
// of candidates is right: too few lose neighbours, and each row read is up to 64 KiB. The bound of
// each estimate tells which candidates can still be among the k nearest (arXiv:2405.12497).
#include <algorithm>

#include "db/collection_impl.h"

namespace omen {

namespace {

// Scored even if none can be nearer: hits that a racing write takes away are replaced by them.
constexpr size_t kSpare = 8;
// Rows that are asked for together. More hide more of a read, fewer profit sooner from what the
// last ones told.
constexpr size_t kBlock = 16;
static_assert(kBlock <= kScoreBlock);

}  // namespace

// On entry `slots` are candidates by their estimates, nearest first, and `distances` below what
// theirs can be.
Status Collection::Impl::score_by_bounds(const Scorer& exact, uint32_t k, QueryScratch& scratch) {
  const size_t count = scratch.slots.size();
  uint32_t* slots = scratch.slots.data();
  float* distances = scratch.distances.data();
  Array<float>& nearest = scratch.nearest;
  OMEN_TRY(nearest.reserve(k));
  nearest.clear();
  size_t scored = 0;
  for (size_t next = 0; next < count;) {
    size_t n = 0;
    // In place: what is kept never passes what is read.
    for (; next < count && n < kBlock; ++next) {
      const bool full = nearest.size() == k && scored + n >= k + kSpare;
      if (full && !(distances[next] < nearest[0])) continue;
      slots[scored + n] = slots[next];
      exact.prefetch(slots + next, 1);
      ++n;
    }
    exact.score(slots + scored, nullptr, n, 0, distances + scored);
    for (size_t i = scored; i < scored + n; ++i) {
      if (nearest.size() == k) {
        if (!(distances[i] < nearest[0])) continue;
        std::pop_heap(nearest.begin(), nearest.end());
        nearest.pop_back();
      }
      nearest.push_back_reserved(distances[i]);
      std::push_heap(nearest.begin(), nearest.end());
    }
    scored += n;
  }
  scratch.slots.truncate(scored);
  return Status::ok();
}

}  // namespace omen
