// CodeSet's rows, and scoring blocks of them.
#include "db/codes.h"

#include <bit>
#include <cstring>
#include <new>

#include "storage/format.h"

namespace omen {

CodeSet::CodeSet(MemoryAccount* account, std::unique_ptr<Sq8Codec> codec, const Marks& marks)
    : trained_rows(marks.trained_rows),
      serial(marks.serial),
      sq8_(std::move(codec)),
      rows_(account, Use::kCodes, round_up(sq8_->code_bytes(), 16), SlotPages::Paging::kAtCollapse),
      factors_(account, Use::kCodes, sizeof(float)) {}

CodeSet::CodeSet(MemoryAccount* account, std::unique_ptr<BinaryCodec> codec, const Marks& marks)
    : trained_rows(marks.trained_rows),
      serial(marks.serial),
      binary_(std::move(codec)),
      rows_(account, Use::kCodes, binary_->code_bytes(), SlotPages::Paging::kAtCollapse),
      factors_(account, Use::kCodes, sizeof(float)) {}

Status CodeSet::ensure(uint32_t slots) {
  OMEN_TRY(rows_.ensure(slots));
  rows_.collapse(slots);
  if (packed_ != nullptr) OMEN_TRY(packed_->ensure(slots));
  return has_factors() ? factors_.ensure(slots) : Status::ok();
}

Status CodeSet::add_packed(uint32_t neighbours, const simd::Kernels& kernels) {
  OMEN_ASSERT(binary_ != nullptr);
  packed_.reset(new (std::nothrow) PackedCodes(rows_.account(), *binary_, kernels, neighbours));
  if (packed_ != nullptr) return Status::ok();
  return Status::error(ErrorCode::kMemory, "no memory for packed codes; free memory and retry");
}

void CodeSet::encode(uint32_t slot, const float* x, float scale) {
  auto* row = rows_.row_as<uint8_t>(slot);
  const float factor = visit([&](const auto& codec) { return codec.encode(x, scale, row); });
  if (has_factors()) *factors_.row_as<float>(slot) = factor;
}

void CodeSet::decode(uint32_t slot, float* out) const {
  visit([&](const auto& codec) { codec.decode(code(slot), out); });
}

void CodeSet::store_row(uint32_t slot, std::byte* out) const {
  const size_t bytes = code_bytes();
  std::memset(out, 0, stored_bytes());
  std::memcpy(out, code(slot), bytes);
  if (!has_factors()) return;
  const float factor = *factors_.row_as<float>(slot);
  store_number(out + round_up(bytes, 4), std::bit_cast<uint32_t>(factor));
}

void CodeSet::load_row(uint32_t slot, const std::byte* in) {
  const size_t bytes = code_bytes();
  std::memcpy(rows_.row(slot), in, bytes);
  if (!has_factors()) return;
  const auto factor = load_number<uint32_t>(in + round_up(bytes, 4));
  *factors_.row_as<float>(slot) = std::bit_cast<float>(factor);
}

void CodeSet::decode_stored(const std::byte* in, float* out) const {
  visit([&](const auto& codec) { codec.decode(reinterpret_cast<const uint8_t*>(in), out); });
}

template <class CodecType>
void RowScorer<CodecType>::prefetch(const uint32_t* slots, size_t n) const {
  if (views_.mapped != nullptr) {
    for (size_t i = 0; i < n; ++i) {
      const std::byte* row = views_.mapped->peek(slots[i]);
      for (size_t b = 0; b < prefetch_bytes_; b += kCacheLineBytes) prefetch_read(row + b);
    }
    return prefetch_factors(slots, n);
  }
  // Two lines are most of 128-dimensional data's time here: without a loop a row.
  for (size_t i = 0; i < n && prefetch_bytes_ == 2 * kCacheLineBytes; ++i) {
    const std::byte* row = views_.rows.row(slots[i]);
    prefetch_read(row);
    prefetch_read(row + kCacheLineBytes);
  }
  for (size_t i = 0; i < n && prefetch_bytes_ != 2 * kCacheLineBytes; ++i) {
    views_.rows.prefetch(slots[i], prefetch_bytes_);
  }
  if (rows_straddle_) {
    for (size_t i = 0; i < n; ++i) prefetch_read(views_.rows.row(slots[i]) + prefetch_bytes_ - 1);
  }
  prefetch_factors(slots, n);
}

template <class CodecType>
void RowScorer<CodecType>::prefetch_factors(const uint32_t* slots, size_t n) const {
  if (!views_.has_factors) return;
  for (size_t i = 0; i < n; ++i) prefetch_read(views_.factors.row(slots[i]));
}

template <class CodecType>
uint32_t RowScorer<CodecType>::score(const uint32_t* slots, const uint32_t*, size_t n,
                                     float threshold, float* distances) const {
  const uint8_t* rows[kScoreBlock];
  float factors[kScoreBlock];
  if (views_.mapped != nullptr) {
    for (size_t i = 0; i < n; ++i) rows[i] = row(slots[i]);
  } else {
    views_.rows.rows(slots, n, rows);
  }
  for (size_t i = 0; i < n && views_.has_factors; ++i) factors[i] = views_.factor(slots[i]);
  if constexpr (std::is_same_v<CodecType, Sq8Codec>) {
    return codec_.score_below(*query_, rows, factors, n, threshold, distances);
  }
  codec_.score(*query_, rows, factors, n, distances);
  return kernels_.mask_below(distances, n, threshold);
}

// Floats and codes of one or two bits are compared by scores.
template <class CodecType>
bool RowScorer<CodecType>::copy_bytes(const uint32_t* slots, size_t n, float least,
                                      ByteRows* out) const {
  if constexpr (std::is_same_v<CodecType, Sq8Codec>) {
    const ByteRows::Steps steps{codec_.even_unit(), !codec_.has_even_steps()};
    if (codec_.distance() == Distance::kDot || !out->can_tell(least, steps)) return false;
    for (size_t i = 0; i < n; ++i) codec_.even_out(row(slots[i]), out->row(i));
    out->start(n, steps);
    return true;
  }
  return false;
}

template class RowScorer<Float32Codec>;
template class RowScorer<Sq8Codec>;
template class RowScorer<BinaryCodec>;

}  // namespace omen
