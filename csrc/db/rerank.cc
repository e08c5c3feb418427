// Re-ranking candidates whose distances are known within bounds, or nearly.
//
// Why: a code of one or two bits shuffles neighbours by dozens of places, so that no fixed number
// of candidates is right: too few lose neighbours, and each row read is up to 64 KiB. The bound of
// each estimate tells which candidates can still be among the k nearest (arXiv:2405.12497). How far
// bytes are off shows in the first candidates scored: nothing for small integers, where k are
// enough, and much where all values of a cluster fall into a few steps.
#include <algorithm>
#include <cmath>

#include "db/collection_impl.h"

namespace omen {

namespace {

// Scored even if none can be nearer, while writes race the search: hits that one takes away are
// replaced by them. Where estimates are off, they tell by how much.
constexpr size_t kSpare = 8;
// Rows that are asked for together. More hide more of a read, fewer profit sooner from what the
// last ones told.
constexpr size_t kBlock = 16;
static_assert(kBlock <= kScoreBlock);
constexpr size_t kNextBlock = 8;
// Mean errors beyond the k-th nearest: three standard deviations of a normal error.
constexpr double kErrorsAway = 3.8;

// The k nearest distances met, as a heap.
class KNearest {
 public:
  KNearest(Array<float>* heap, uint32_t k) : heap_(heap), k_(k) { heap_->clear(); }
  bool is_full() const { return heap_->size() == k_; }
  float farthest() const { return (*heap_)[0]; }
  void offer(float d) {
    if (is_full()) {
      if (!(d < farthest())) return;
      std::pop_heap(heap_->begin(), heap_->end());
      heap_->pop_back();
    }
    heap_->push_back_reserved(d);
    std::push_heap(heap_->begin(), heap_->end());
  }

 private:
  Array<float>* heap_;
  size_t k_;
};

}  // namespace

// On entry `slots` are candidates by their estimates, nearest first, and `distances` below what
// theirs can be.
Status Collection::Impl::score_by_bounds(const Scorer& exact, uint32_t k, QueryScratch& scratch) {
  const size_t count = scratch.slots.size();
  uint32_t* slots = scratch.slots.data();
  float* distances = scratch.distances.data();
  OMEN_TRY(scratch.nearest.reserve(k));
  KNearest nearest(&scratch.nearest, k);
  size_t scored = 0;
  for (size_t next = 0; next < count;) {
    size_t n = 0;
    // In place: what is kept never passes what is read.
    for (; next < count && n < kBlock; ++next) {
      const bool full = nearest.is_full() && scored + n >= k + kSpare;
      if (full && !(distances[next] < nearest.farthest())) continue;
      slots[scored + n] = slots[next];
      exact.prefetch(slots + next, 1);
      ++n;
    }
    exact.score(slots + scored, nullptr, n, 0, distances + scored);
    for (size_t i = scored; i < scored + n; ++i) nearest.offer(distances[i]);
    scored += n;
  }
  scratch.slots.truncate(scored);
  return Status::ok();
}

// On entry `slots` are candidates by the distances of their codes, nearest first, and `distances`
// those, or kUnknown. Floats are codes without errors.
Status Collection::Impl::score_by_errors(const Scorer& exact, const Wanted& wanted,
                                         QueryScratch& scratch) {
  const uint32_t k = wanted.k;
  const size_t count = scratch.slots.size();
  const uint32_t* slots = scratch.slots.data();
  float* distances = scratch.distances.data();
  OMEN_TRY(scratch.nearest.reserve(k));
  KNearest nearest(&scratch.nearest, k);
  double errors = 0;
  size_t known = 0;
  size_t scored = 0;
  while (scored < count) {
    const size_t least = k + (wanted.spare || errors > 0 ? kSpare : 0);
    const size_t block = scored < least ? std::min(least - scored, kScoreBlock) : kNextBlock;
    const size_t n = std::min(count - scored, block);
    if (scored >= least) {
      const double error = known == 0 ? 0 : errors / static_cast<double>(known);
      const double limit = nearest.farthest() + kErrorsAway * error;
      if (static_cast<double>(distances[scored]) > limit) break;
    }
    exact.prefetch(slots + scored, n);
    float guesses[kScoreBlock];
    std::copy(distances + scored, distances + scored + n, guesses);
    exact.score(slots + scored, nullptr, n, 0, distances + scored);
    for (size_t i = 0; i < n; ++i) {
      const float d = distances[scored + i];
      nearest.offer(d);
      if (guesses[i] == kUnknown) continue;
      errors += std::fabs(static_cast<double>(guesses[i]) - d);
      ++known;
    }
    scored += n;
  }
  scratch.slots.truncate(scored);
  return Status::ok();
}

}  // namespace omen
