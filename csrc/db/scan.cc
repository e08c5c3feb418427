// The scan: every record that matches gets its final distance. The reference, and the plan for
// small sets. Of large sets codes are read first, a quarter of the memory, and only what their
// error bound leaves in doubt is scored on floats.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/test_points.h"
#include "db/final_scorer.h"
#include "db/query.h"

namespace omen {

namespace {

constexpr size_t kRowsPerCheck = 4096;
// Fewer rows, or fewer for each hit, are scored on floats at once.
constexpr uint64_t kCodesMin = 2048;
constexpr uint64_t kCodesPerHit = 16;

// The k nearest so far, sorted by distance, then by order of insertion.
class Nearest {
 public:
  // Its arrays have room for k.
  Nearest(const Store& store, const Scorer& scorer, QueryScratch* scratch, size_t k)
      : store_(store),
        scorer_(scorer),
        slots_(&scratch->slots),
        distances_(&scratch->distances),
        k_(k) {
    slots_->clear();
    distances_->clear();
  }
  const Scorer* next_scorer() const { return &scorer_; }
  float threshold(const Scorer*) const { return threshold(); }
  void offer(const Scorer*, uint32_t slot, float d) { offer(slot, d); }
  void end_block(const Scorer*, size_t, size_t) const {}
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
  const Scorer& scorer_;
  Array<uint32_t>* slots_;
  Array<float>* distances_;
  size_t k_;
};

// What a scan on codes leaves: rows that may be among the k nearest are scored on floats, a block
// at a time, and offered to `nearest`.
//
// How far off a code's distance may be is learnt from the rows scored both ways: the first ones are
// all rows, near and far. Why not the codec's bound: that is the worst case, every dimension off by
// half a step in the same direction, ten times what is met, and leaves most rows in doubt where
// many lie about as far as the k-th.
// Where codes leave too many in doubt they are read in vain: floats alone are read there. The first
// block of every period is read as codes, and tells how the rest of the period is.
class Sifted {
 public:
  Sifted(const Scorer& sieve, const Scorer& exact, Nearest* nearest)
      : sieve_(sieve), exact_(exact), nearest_(nearest) {}
  // What to score the next block with.
  const Scorer* next_scorer() {
    const bool is_probe = block_++ % kBlocksPerPeriod == 0;
    return is_probe || sifts_ ? &sieve_ : &exact_;
  }
  // A block that was scored with `by`, by what was below threshold(by).
  float threshold(const Scorer* by) const {
    if (by == &exact_) return nearest_->threshold();
    if (scored_ < kErrorSample) return std::numeric_limits<float>::infinity();
    return static_cast<float>(nearest_->threshold() + kErrorsAway * error_);
  }
  void offer(const Scorer* by, uint32_t slot, float score) {
    if (by == &exact_) return nearest_->offer(slot, score);
    slots_[waiting_] = slot;
    scores_[waiting_] = score;
    if (++waiting_ == kScoreBlock) flush();
  }
  // The block had `rows`, of which `offered` were in doubt.
  void end_block(const Scorer* by, size_t rows, size_t offered) {
    if (by == &exact_ || scored_ < kErrorSample) return;
    doubt_ = (doubt_ + static_cast<double>(offered) / static_cast<double>(rows)) / 2;
    sifts_ = doubt_ < kDoubtMax;
  }
  void flush() {
    if (waiting_ == 0) return;
    exact_.prefetch(slots_, waiting_);
    float distances[kScoreBlock];
    exact_.score(slots_, nullptr, waiting_, 0, distances);
    double errors = 0;
    for (size_t i = 0; i < waiting_; ++i) {
      const float d = distances[i];
      errors += std::fabs(static_cast<double>(scores_[i]) - d);
      if (d < nearest_->threshold()) nearest_->offer(slots_[i], d);
    }
    scored_ += waiting_;
    waiting_ = 0;
    if (scored_ % kScoreBlock == 0) error_ = std::max(error_, errors / kScoreBlock);
  }
  size_t scored() const { return scored_; }

 private:
  static constexpr size_t kErrorSample = 2 * kScoreBlock;
  // Five standard deviations of a normal error.
  static constexpr double kErrorsAway = 6.3;
  // Above this share of rows in doubt codes cost more than they spare: measured.
  static constexpr double kDoubtMax = 0.3;
  static constexpr size_t kBlocksPerPeriod = 64;
  const Scorer& sieve_;
  const Scorer& exact_;
  Nearest* nearest_;
  uint32_t slots_[kScoreBlock];
  float scores_[kScoreBlock];
  size_t waiting_ = 0;
  size_t scored_ = 0;  // On floats, after codes.
  size_t block_ = 0;
  double doubt_ = 0;  // The share of rows in doubt, of late.
  bool sifts_ = true;
  // The mean error of the block where it was largest: rows beyond the trained range may come late,
  // and together.
  double error_ = 0;
};

// The slots of a row set in order, a word at a time; nullptr: all below `high`.
class SlotWalk {
 public:
  SlotWalk(const RowSet* rows, uint32_t high) : rows_(rows), high_(high) { load(); }
  bool next(uint32_t* slot) {
    while (bits_ == 0) {
      if (++word_ >= words()) return false;
      load();
    }
    *slot = word_ * 64 + static_cast<uint32_t>(std::countr_zero(bits_));
    bits_ &= bits_ - 1;
    return *slot < high_;
  }

 private:
  uint32_t words() const { return (high_ + 63) / 64; }
  void load() {
    bits_ = rows_ == nullptr ? ~uint64_t{0} : word_ < words() ? rows_->words()[word_] : 0;
  }
  const RowSet* rows_;
  uint32_t high_;
  uint32_t word_ = 0;
  uint64_t bits_ = 0;
};

}  // namespace

// Scores every match, and offers `best` what is below its threshold and still stands.
template <class Best>
Status Collection::Impl::score_matches(const Store& s, Query& q, Best& best) {
  struct Block {
    uint32_t slots[kScoreBlock];
    size_t size = 0;
    const Scorer* by = nullptr;
  };
  Block blocks[2];  // One is scored while the other's rows arrive.
  int filling = 0;
  size_t scored = 0;
  float distances[kScoreBlock];
  const auto score = [&](Block& b) {
    if (b.size == 0) return;
    uint32_t mask = b.by->score(b.slots, nullptr, b.size, best.threshold(b.by), distances);
    best.end_block(b.by, b.size, static_cast<size_t>(std::popcount(mask)));
    for (; mask != 0; mask &= mask - 1) {
      const int i = std::countr_zero(mask);
      const uint32_t slot = b.slots[i];
      if (q.by_index ? s.is_current(slot) : s.is_live(slot)) best.offer(b.by, slot, distances[i]);
    }
    scored += b.size;
    b.size = 0;
  };
  const auto flush = [&] {
    Block& full = blocks[filling];
    full.by = best.next_scorer();
    full.by->prefetch(full.slots, full.size);
    filling = 1 - filling;
    score(blocks[filling]);
  };
  SlotWalk walk(q.rows == nullptr ? nullptr : &q.rows->rows,
                q.rows == nullptr ? s.high_water() : q.rows->rows.size());
  size_t next_check = kRowsPerCheck;
  for (uint32_t slot; walk.next(&slot);) {
    // A slot of a row set holds a record for as long as this reader is pinned; any other may be
    // about to be filled.
    if (q.rows == nullptr && !s.is_live(slot)) continue;
    Block& block = blocks[filling];
    block.slots[block.size++] = slot;
    if (block.size < kScoreBlock) continue;
    flush();
    OMEN_TEST_POINT("scan");
    if (scored < next_check || q.options->cancel == nullptr) continue;
    next_check = scored + kRowsPerCheck;
    OMEN_TRY(q.options->cancel->check(*env.clock));
  }
  flush();
  score(blocks[1 - filling]);
  q.plan.rows_scored += scored;
  return Status::ok();
}

// Whether a scan reads codes first. Not where floats were asked for; and those of `binary` lie too
// far off their rows to sift by.
bool Collection::Impl::scans_codes(const Store& s, const Query& q) const {
  const CodeSet* codes = s.codes();
  return codes != nullptr && codes->sq8() != nullptr && q.options->mode != Mode::kExact &&
         q.matches >= kCodesMin && q.matches >= kCodesPerHit * q.k;
}

Status Collection::Impl::scan(Store& s, Query& q) {
  QueryScratch& scratch = *q.scratch;
  OMEN_TRY(scratch.slots.reserve(q.k));
  OMEN_TRY(scratch.distances.reserve(q.k));
  FinalScorer finals(s, {&scratch.floats, &scratch.codes});
  OMEN_TRY(finals.prepare(q.vector, q.scale));
  Nearest nearest(s, finals.scorer(), &scratch, q.k);
  if (!scans_codes(s, q)) return score_matches(s, q, nearest);
  const CodeSet& codes = *s.codes();
  RowScorer<Sq8Codec> sieve(*codes.sq8(), codes.views(), s.kernels, &scratch.codes);
  OMEN_TRY(sieve.reserve(s.dimensions()));
  sieve.prepare(q.vector, q.scale);
  Sifted sifted(sieve, finals.scorer(), &nearest);
  OMEN_TRY(score_matches(s, q, sifted));
  sifted.flush();
  q.plan.reranked += sifted.scored();
  return Status::ok();
}

}  // namespace omen
