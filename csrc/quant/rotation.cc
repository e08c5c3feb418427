// Rotation: the signs, and the passes over them.
#include "quant/rotation.h"

#include <bit>
#include <cmath>
#include <new>

#include "base/random.h"

namespace omen {

namespace {

constexpr std::align_val_t kAlign{64};
// One round spreads a vector that has no structure of its own; the second takes what structure the
// first gave to vectors of few nonzero elements. A third finds no more neighbours (measured).
constexpr size_t kRounds = 2;

}  // namespace

Rotation::Rotation(size_t dimensions, const simd::Kernels& kernels)
    : kernels_(kernels),
      padded_(padded(dimensions)),
      power_(std::bit_floor(padded_)),
      passes_(power_ == padded_ ? kRounds : 2 * kRounds) {}

Rotation::~Rotation() { ::operator delete(signs_, kAlign); }

Result<std::unique_ptr<Rotation>> Rotation::make(size_t dimensions, uint64_t seed,
                                                 const simd::Kernels& kernels) {
  std::unique_ptr<Rotation> rotation(new (std::nothrow) Rotation(dimensions, kernels));
  if (rotation) {
    rotation->signs_ = static_cast<float*>(::operator new(rotation->bytes(), kAlign, std::nothrow));
  }
  if (!rotation || rotation->signs_ == nullptr) {
    return Status::error(ErrorCode::kMemory, "cannot allocate a rotation; free memory and retry");
  }
  Random random(seed);
  const float unit = 1.0f / std::sqrt(static_cast<float>(rotation->power_));
  const size_t count = rotation->passes_ * rotation->power_;
  for (size_t i = 0; i < count; i += 64) {  // count is a multiple of 64.
    uint64_t bits = random.next();
    for (size_t j = i; j < i + 64; ++j, bits >>= 1) {
      rotation->signs_[j] = (bits & 1) != 0 ? unit : -unit;
    }
  }
  return rotation;
}

void Rotation::apply(float* x) const {
  for (size_t pass = 0; pass < passes_; ++pass) {
    const float* signs = signs_ + pass * power_;
    float* part = x + (pass % 2 == 1 ? padded_ - power_ : 0);
    for (size_t i = 0; i < power_; ++i) part[i] *= signs[i];
    kernels_.hadamard_f32(part, power_);
  }
}

// A Hadamard transform is its own inverse, up to the unit that the signs carry.
void Rotation::invert(float* x) const {
  for (size_t pass = passes_; pass-- > 0;) {
    const float* signs = signs_ + pass * power_;
    float* part = x + (pass % 2 == 1 ? padded_ - power_ : 0);
    kernels_.hadamard_f32(part, power_);
    for (size_t i = 0; i < power_; ++i) part[i] *= signs[i];
  }
}

}  // namespace omen
