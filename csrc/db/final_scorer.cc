// FinalScorer: the choice, and distances to decoded rows.
#include "db/final_scorer.h"

#include <algorithm>
#include <cmath>

namespace omen {

void DecodedScorer::prefetch(const uint32_t* slots, size_t n) const {
  for (size_t i = 0; i < n; ++i) {
    views_.rows.prefetch(slots[i], std::min<size_t>(store_.dimensions(), 512));
  }
}

float DecodedScorer::distance_to(const float* x) const {
  const size_t n = store_.dimensions();
  const simd::Kernels& kernels = store_.kernels;
  switch (store_.metric()) {
    case Metric::kL2:
      return bounded(kernels.l2_f32(query_.floats, x, n));
    case Metric::kDot:
      return bounded(-kernels.dot_f32(query_.floats, x, n));
    case Metric::kCosine:
      break;
  }
  const double squares = kernels.norm_f32(x, n);
  const double product = kernels.dot_f32(query_.floats, x, n);
  return squares > 0 ? static_cast<float>(std::clamp(1 - product / std::sqrt(squares), 0.0, 2.0))
                     : 1.0f;
}

uint32_t DecodedScorer::score(const uint32_t* slots, const uint32_t*, size_t n, float threshold,
                              float* distances) const {
  alignas(kCacheLineBytes) float row[kRowFloatsMax];
  for (size_t i = 0; i < n; ++i) {
    codes_.sq8()->decode(views_.row(slots[i]), row);
    distances[i] = distance_to(row);
  }
  return store_.kernels.mask_below(distances, n, threshold);
}

FinalScorer::FinalScorer(const Store& store, const Memory& memory)
    : store_(store), codes_(store.keep_vectors ? nullptr : store.codes()), memory_(memory) {}

Status FinalScorer::prepare(const float* query, float scale) {
  const simd::Kernels& kernels = store_.kernels;
  if (codes_ != nullptr && codes_->binary() != nullptr) {
    binary_.emplace(*codes_->binary(), codes_->views(), kernels, memory_.codes);
    OMEN_TRY(binary_->reserve(store_.dimensions()));
    binary_->prepare(query, scale);
    scorer_ = &*binary_;
    return Status::ok();
  }
  floats_.emplace(store_.floats, store_.float_views(), kernels, memory_.floats);
  OMEN_TRY(floats_->reserve(store_.dimensions()));
  floats_->prepare(query, scale);
  scorer_ = &*floats_;
  if (codes_ != nullptr) scorer_ = &decoded_.emplace(store_, *codes_, *memory_.floats);
  return Status::ok();
}

}  // namespace omen
