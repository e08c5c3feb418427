// ByteRows: norms and distances.
#include "graph/byte_rows.h"

#include "graph/scorer.h"

namespace omen {

void ByteRows::start(size_t count, const Steps& steps) {
  OMEN_ASSERT(count <= kMax);
  steps_ = steps;
  // What rounding adds to a squared distance, half of it for each row.
  const auto rounding = static_cast<int32_t>(steps.are_rounded ? dimensions_ / 12 : 0);
  for (size_t i = 0; i < count; ++i) {
    rows_[i] = row(i);
    norms_[i] = kernels_->dot_i8(rows_[i], rows_[i], dimensions_) - rounding;
  }
}

// Sums fit: of 2^14 dimensions a product is at most 2^28.
void ByteRows::score(size_t from, size_t begin, size_t count, float* distances) const {
  int32_t dots[kScoreBlock];
  kernels_->dot_i8_rows(rows_[from], rows_ + begin, count, dimensions_, dots);
  const int32_t norm = norms_[from];
  for (size_t i = 0; i < count; ++i) {
    distances[i] = static_cast<float>(norm + norms_[begin + i] - 2 * dots[i]) * steps_.unit;
  }
}

}  // namespace omen
