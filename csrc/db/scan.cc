// The exact scan: every record that matches, scored on floats. The reference, and the plan for
// small sets.
#include <algorithm>
#include <cmath>
#include <limits>

#include "db/query.h"

namespace omen {

namespace {

constexpr size_t kRowsPerCheck = 4096;

// The k nearest so far, sorted by distance, then by order of insertion.
class Nearest {
 public:
  Nearest(const Store& store, Array<uint32_t>* slots, Array<float>* distances, size_t k)
      : store_(store), slots_(slots), distances_(distances), k_(k) {
    slots->clear();
    distances->clear();
  }
  // What equals the last may still be earlier in order.
  float threshold() const {
    if (slots_->size() < k_) return std::numeric_limits<float>::infinity();
    return std::nextafter(distances_->back(), std::numeric_limits<float>::infinity());
  }
  // Room for k was reserved.
  void offer(uint32_t slot, float d) {
    size_t at = slots_->size();
    while (at > 0 && is_before(d, slot, at - 1)) --at;
    if (at == k_) return;
    if (slots_->size() == k_) {
      slots_->pop_back();
      distances_->pop_back();
    }
    slots_->push_back_reserved(slot);
    distances_->push_back_reserved(d);
    std::rotate(slots_->begin() + at, slots_->end() - 1, slots_->end());
    std::rotate(distances_->begin() + at, distances_->end() - 1, distances_->end());
  }

 private:
  bool is_before(float d, uint32_t slot, size_t other) const {
    const float e = (*distances_)[other];
    if (d != e) return d < e;
    return store_.order_of(slot) < store_.order_of((*slots_)[other]);
  }
  const Store& store_;
  Array<uint32_t>* slots_;
  Array<float>* distances_;
  size_t k_;
};

}  // namespace

Status Collection::Impl::scan(Store& s, Query& q) {
  QueryScratch& scratch = *q.scratch;
  OMEN_TRY(scratch.slots.reserve(q.k));
  OMEN_TRY(scratch.distances.reserve(q.k));
  RowScorer<Float32Codec> scorer(s.floats, s.float_views(), s.kernels, &scratch.floats);
  OMEN_TRY(scorer.reserve(s.dimensions()));
  scorer.prepare(q.vector, q.scale);
  Nearest nearest(s, &scratch.slots, &scratch.distances, q.k);
  uint32_t block[2][kScoreBlock];  // One is scored while the other's rows arrive.
  size_t sizes[2] = {0, 0};
  int filling = 0;
  size_t scored = 0;
  float distances[kScoreBlock];
  const auto score = [&](int which) {
    const size_t n = sizes[which];
    if (n == 0) return;
    uint32_t mask = scorer.score(block[which], nullptr, n, nearest.threshold(), distances);
    for (; mask != 0; mask &= mask - 1) {
      const int i = std::countr_zero(mask);
      nearest.offer(block[which][i], distances[i]);
    }
    scored += n;
    sizes[which] = 0;
  };
  const auto flush = [&] {
    scorer.prefetch(block[filling], sizes[filling]);
    score(1 - filling);
    filling = 1 - filling;
  };
  const uint32_t high = q.rows == nullptr ? s.high_water() : q.rows->rows.size();
  size_t next_check = kRowsPerCheck;
  for (uint32_t slot = q.rows == nullptr ? 0 : q.rows->rows.next(0); slot < high;
       slot = q.rows == nullptr ? slot + 1 : q.rows->rows.next(slot + 1)) {
    if (q.by_index ? !s.is_current(slot) : !s.is_live(slot)) continue;
    block[filling][sizes[filling]++] = slot;
    if (sizes[filling] < kScoreBlock) continue;
    flush();
    if (scored < next_check || q.options->cancel == nullptr) continue;
    next_check = scored + kRowsPerCheck;
    OMEN_TRY(q.options->cancel->check(*env.clock));
  }
  flush();
  score(1 - filling);
  q.plan.rows_scored += scored;
  return Status::ok();
}

}  // namespace omen
