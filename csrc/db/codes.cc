// CodeSet's rows, and scoring blocks of them.
#include "db/codes.h"

namespace omen {

CodeSet::CodeSet(MemoryAccount* account, std::unique_ptr<Sq8Codec> c, uint64_t trained_on,
                 uint64_t serial_in)
    : codec(std::move(c)),
      rows(account, Use::kCodes, round_up(codec->code_bytes(), 16), SlotPages::Paging::kAtCollapse),
      factors(account, Use::kCodes, sizeof(float)),
      trained_rows(trained_on),
      serial(serial_in) {}

Status CodeSet::ensure(uint32_t slots) {
  OMEN_TRY(rows.ensure(slots));
  rows.collapse(slots);
  return factors.ensure(slots);
}

void CodeSet::encode(uint32_t slot, const float* x, float scale) {
  *factors.row_as<float>(slot) = codec->encode(x, scale, rows.row_as<uint8_t>(slot));
}

template <class CodecType>
void RowScorer<CodecType>::prefetch(const uint32_t* slots, size_t n) const {
  for (size_t i = 0; i < n; ++i) views_.rows.prefetch(slots[i], prefetch_bytes_);
  if (!views_.has_factors) return;
  for (size_t i = 0; i < n; ++i) prefetch_read(views_.factors.row(slots[i]));
}

template <class CodecType>
uint32_t RowScorer<CodecType>::score(const uint32_t* slots, const uint32_t*, size_t n,
                                     float threshold, float* distances) const {
  const uint8_t* rows[kScoreBlock];
  float factors[kScoreBlock];
  for (size_t i = 0; i < n; ++i) {
    rows[i] = views_.row(slots[i]);
    factors[i] = views_.factor(slots[i]);
  }
  codec_.score(*query_, rows, factors, n, distances);
  return kernels_.mask_below(distances, n, threshold);
}

template class RowScorer<Float32Codec>;
template class RowScorer<Sq8Codec>;

}  // namespace omen
