// Checks of one kernel table, shared by the tests of the tables that run here and of those that are
// emulated. Every input ends at a page that cannot be read, so a kernel that reads past it crashes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <set>
#include <vector>

#include "base/random.h"
#include "simd/table.h"
#include "test.h"

#if !defined(_WIN32)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace omen::simd::checks {

// `count` elements that end `gap` elements before a page without access.
template <class T>
class Guarded {
 public:
  explicit Guarded(size_t count, size_t gap = 0) : count_(count) {
    const size_t bytes = (count + gap) * sizeof(T);
#if defined(_WIN32)
    storage_.resize(bytes + 64);
    data_ = reinterpret_cast<T*>(storage_.data());
#else
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    mapped_ = (bytes + page - 1) / page * page + page;
    void* p = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    OMEN_ASSERT(p != MAP_FAILED);
    base_ = static_cast<char*>(p);
    OMEN_ASSERT(mprotect(base_ + mapped_ - page, page, PROT_NONE) == 0);
    data_ = reinterpret_cast<T*>(base_ + mapped_ - page - bytes);
#endif
  }
  Guarded(Guarded&& o) noexcept { swap(o); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() {
#if !defined(_WIN32)
    if (base_) munmap(base_, mapped_);
#endif
  }

  T* data() const { return data_; }
  size_t size() const { return count_; }
  T& operator[](size_t i) const { return data_[i]; }

 private:
  void swap(Guarded& o) {
    std::swap(data_, o.data_);
    std::swap(count_, o.count_);
#if defined(_WIN32)
    std::swap(storage_, o.storage_);
#else
    std::swap(base_, o.base_);
    std::swap(mapped_, o.mapped_);
#endif
  }
  T* data_ = nullptr;
  size_t count_ = 0;
#if defined(_WIN32)
  std::vector<char> storage_;
#else
  char* base_ = nullptr;
  size_t mapped_ = 0;
#endif
};

// Every tail of every loop, then the sizes of real models and the largest allowed.
inline std::vector<size_t> all_dims() {
  std::vector<size_t> dims;
  for (size_t n = 0; n <= 130; ++n) dims.push_back(n);
  for (size_t n : {255, 256, 384, 768, 784, 1000, 1536, 4096, 16383, 16384}) dims.push_back(n);
  return dims;
}

inline const Kernels& reference() { return scalar::kTable; }

inline float random_float(Random& random, float magnitude) {
  return static_cast<float>(random.unit() * 2 - 1) * magnitude;
}

inline void fill_floats(const Guarded<float>& x, Random& random, float magnitude) {
  for (size_t i = 0; i < x.size(); ++i) x[i] = random_float(random, magnitude);
}

inline bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

// Rounding may differ by the order of summation: at most n roundings of the largest partial sum.
inline void check_sum(float got, double exact, double magnitude, size_t n) {
  if (magnitude > 3e38) {  // May overflow in any order: infinite or NaN, never a wrong number.
    CHECK(!std::isfinite(got) || std::abs(got - exact) <= 1e-3 * magnitude);
    return;
  }
  const double tolerance = magnitude * 1.2e-7 * static_cast<double>(n + 4) + 1e-42 * (n + 4.0);
  CHECK_NEAR(got, exact, tolerance);
}

struct PairSums {
  double l2 = 0, dot = 0, dot_size = 0, norm_a = 0, norm_b = 0;
};

inline PairSums exact_sums(const float* a, const float* b, size_t n) {
  PairSums s;
  for (size_t i = 0; i < n; ++i) {
    const double x = a[i], y = b[i];
    s.l2 += (x - y) * (x - y);
    s.dot += x * y;
    s.dot_size += std::abs(x * y);
    s.norm_a += x * x;
    s.norm_b += y * y;
  }
  return s;
}

inline void check_f32_pair(const Kernels& k, const float* a, const float* b, size_t n) {
  const PairSums s = exact_sums(a, b, n);
  check_sum(k.l2_f32(a, b, n), s.l2, s.l2, n);
  check_sum(k.dot_f32(a, b, n), s.dot, s.dot_size, n);
  const double norms = std::sqrt(s.norm_a * s.norm_b);
  const bool in_range = (s.norm_a > 1e-30 && s.norm_b > 1e-30) || norms == 0;
  if (in_range && std::max(s.norm_a, s.norm_b) < 3e38) {
    const double exact = norms == 0 ? 1 : 1 - s.dot / norms;
    CHECK_NEAR(k.cosine_f32(a, b, n), exact, 3e-7 * static_cast<double>(n + 4));
    CHECK(same_bits(k.cosine_f32(a, b, n), k.cosine_f32(b, a, n)));
  }
}

// All dimensions, alignments and magnitudes, against sums in double.
inline void check_f32(const Kernels& k, uint64_t seed) {
  Random random(seed);
  for (size_t n : all_dims()) {
    for (size_t offset = 0; offset < 4; ++offset) {
      const Guarded<float> a(n, offset);
      const Guarded<float> b(n, (offset * 3 + 1) % 4);
      for (float magnitude : {1.0f, 1e18f, 1e-20f, 1e-40f}) {
        if (n > 1000 && offset != 0 && magnitude != 1.0f) continue;
        fill_floats(a, random, magnitude);
        fill_floats(b, random, magnitude);
        check_f32_pair(k, a.data(), b.data(), n);
      }
      std::fill_n(b.data(), n, 0.0f);
      CHECK_EQ(k.cosine_f32(a.data(), b.data(), n), 1.0f);
      CHECK_EQ(k.dot_f32(a.data(), b.data(), n), 0.0f);
      CHECK_EQ(k.l2_f32(a.data(), a.data(), n), 0.0f);
    }
  }
}

// Row counts around every block size, over rows that differ.
template <class T, class Fill>
std::vector<Guarded<T>> make_rows(size_t n, Fill fill) {
  std::vector<Guarded<T>> rows;
  for (size_t i = 0; i < 5; ++i) {
    rows.emplace_back(n, i % 4);
    fill(rows.back());
  }
  return rows;
}

template <class T>
Guarded<const T*> row_pointers(const std::vector<Guarded<T>>& rows, size_t count) {
  Guarded<const T*> pointers(count);
  for (size_t i = 0; i < count; ++i) pointers[i] = rows[i * 7 % rows.size()].data();
  return pointers;
}

template <class Out, class Rows, class Single>
void check_rows(size_t count, Rows rows, Single single) {
  const Guarded<Out> out(count);
  rows(out.data());
  for (size_t i = 0; i < count; ++i) {
    const Out expected = single(i);
    CHECK(std::memcmp(&expected, out.data() + i, sizeof(Out)) == 0);
  }
}

// A row scored in a block equals the row scored alone, bit for bit.
inline void check_f32_rows(const Kernels& k, uint64_t seed) {
  Random random(seed);
  for (size_t n : all_dims()) {
    const Guarded<float> q(n);
    fill_floats(q, random, 1);
    const auto rows = make_rows<float>(n, [&](auto& r) { fill_floats(r, random, 1); });
    const size_t count = n <= 130 ? n % 37 : 9;
    const auto r = row_pointers(rows, count);
    check_rows<float>(
        count, [&](float* out) { k.l2_f32_rows(q.data(), r.data(), count, n, out); },
        [&](size_t i) { return k.l2_f32(q.data(), r[i], n); });
    check_rows<float>(
        count, [&](float* out) { k.dot_f32_rows(q.data(), r.data(), count, n, out); },
        [&](size_t i) { return k.dot_f32(q.data(), r[i], n); });
    check_rows<float>(
        count, [&](float* out) { k.cosine_f32_rows(q.data(), r.data(), count, n, out); },
        [&](size_t i) { return k.cosine_f32(q.data(), r[i], n); });
  }
}

enum class Bytes { kRandom, kLowest, kHighest, kAlternating, kCount };

template <class T>
void fill_bytes(const Guarded<T>& x, Random& random, Bytes kind) {
  constexpr T kLow = std::numeric_limits<T>::min();
  constexpr T kHigh = std::numeric_limits<T>::max();
  for (size_t i = 0; i < x.size(); ++i) {
    switch (kind) {
      case Bytes::kLowest: x[i] = kLow; break;
      case Bytes::kHighest: x[i] = kHigh; break;
      case Bytes::kAlternating: x[i] = i % 2 ? kLow : kHigh; break;
      default: x[i] = static_cast<T>(random.next()); break;
    }
  }
}

inline void check_i8_pair(const Kernels& k, const int8_t* a, const int8_t* b, size_t n) {
  int64_t l2 = 0;
  int64_t dot = 0;
  for (size_t i = 0; i < n; ++i) {
    l2 += (a[i] - b[i]) * (a[i] - b[i]);
    dot += a[i] * b[i];
  }
  CHECK_EQ(k.l2_i8(a, b, n), l2);
  CHECK_EQ(k.dot_i8(a, b, n), dot);
  CHECK(same_bits(k.cosine_i8(a, b, n), reference().cosine_i8(a, b, n)));
}

// Exact for every size, alignment and extreme pattern; rows as single.
inline void check_i8(const Kernels& k, uint64_t seed) {
  Random random(seed);
  for (size_t n : all_dims()) {
    const Guarded<int8_t> a(n, n * 5 % 64);
    for (int kind = 0; kind < static_cast<int>(Bytes::kCount); ++kind) {
      fill_bytes(a, random, static_cast<Bytes>(kind));
      const auto rows = make_rows<int8_t>(n, [&](auto& r) {
        fill_bytes(r, random, static_cast<Bytes>(random.below(4)));
      });
      for (const auto& r : rows) check_i8_pair(k, a.data(), r.data(), n);
      const size_t count = n % 11;
      const auto r = row_pointers(rows, count);
      check_rows<int32_t>(
          count, [&](int32_t* out) { k.l2_i8_rows(a.data(), r.data(), count, n, out); },
          [&](size_t i) { return k.l2_i8(a.data(), r[i], n); });
      check_rows<int32_t>(
          count, [&](int32_t* out) { k.dot_i8_rows(a.data(), r.data(), count, n, out); },
          [&](size_t i) { return k.dot_i8(a.data(), r[i], n); });
      check_rows<float>(
          count, [&](float* out) { k.cosine_i8_rows(a.data(), r.data(), count, n, out); },
          [&](size_t i) { return k.cosine_i8(a.data(), r[i], n); });
    }
  }
}

// Weights as the codec lays them out: aligned, padded with zeros to 64 elements and no further.
struct WeightArrays {
  explicit WeightArrays(size_t n)
      : w((n + 63) / 64 * 64), hi((n + 63) / 64 * 64), lo((n + 63) / 64 * 64) {}
  void set(size_t i, int value) const {
    w[i] = static_cast<int16_t>(value);
    hi[i] = static_cast<int8_t>((value + 64) >> 7);
    lo[i] = static_cast<int8_t>(value - 128 * hi[i]);
  }
  Weights view() const { return {w.data(), hi.data(), lo.data()}; }
  Guarded<int16_t> w;
  Guarded<int8_t> hi;
  Guarded<int8_t> lo;
};

// Dots as the kernel of their own gives them, squares as plain integers do.
inline void check_dot_squares(const Kernels& k, const Weights& weights,
                              const std::vector<const uint8_t*>& rows, size_t n) {
  std::vector<int32_t> dots(rows.size());
  check_rows<float>(
      rows.size(),
      [&](float* out) {
        k.dot_square_u8_rows(weights, rows.data(), rows.size(), n, dots.data(), out);
      },
      [&](size_t r) {
        int64_t sum = 0;
        for (size_t i = 0; i < n; ++i) sum += rows[r][i] * rows[r][i];
        CHECK_EQ(dots[r], reference().dot_u8(weights, rows[r], n));
        return static_cast<float>(sum);
      });
}

// Exact up to the bound on the sum of weights, at every alignment of the code.
inline void check_dot_u8(const Kernels& k, uint64_t seed) {
  Random random(seed);
  constexpr int64_t kSumMax = (int64_t{1} << 31) / 255;
  for (size_t n : all_dims()) {
    const WeightArrays weights(n);
    const int64_t largest = std::min<int64_t>(kWeightMax, kSumMax / static_cast<int64_t>(n + 1));
    for (int kind = 0; kind < 4; ++kind) {
      for (size_t i = 0; i < n; ++i) {
        const int64_t span = 2 * largest + 1;
        const int64_t any =
            static_cast<int64_t>(random.below(static_cast<uint64_t>(span))) - largest;
        weights.set(i, static_cast<int>(kind == 0   ? any
                                        : kind == 1 ? largest
                                        : kind == 2 ? -largest
                                        : i % 2     ? largest
                                                    : -largest));
      }
      const auto rows = make_rows<uint8_t>(n, [&](auto& r) {
        fill_bytes(r, random, static_cast<Bytes>(random.below(4)));
      });
      const Guarded<uint8_t> code(n, n * 11 % 64 + static_cast<size_t>(kind));
      fill_bytes(code, random, kind % 2 ? Bytes::kHighest : Bytes::kRandom);
      int64_t exact = 0;
      for (size_t i = 0; i < n; ++i) exact += code[i] * weights.w[i];
      CHECK_EQ(k.dot_u8(weights.view(), code.data(), n), exact);
      const size_t count = n % 11;
      const auto r = row_pointers(rows, count);
      check_rows<int32_t>(
          count, [&](int32_t* out) { k.dot_u8_rows(weights.view(), r.data(), count, n, out); },
          [&](size_t i) { return reference().dot_u8(weights.view(), r[i], n); });
      check_dot_squares(k, weights.view(), {r.data(), r.data() + count}, n);
    }
  }
}

// Norms in double: right for magnitudes whose squares leave float, and honest about NaN and
// infinity in any place. The copy is exact.
inline void check_norms(const Kernels& k, uint64_t seed) {
  Random random(seed);
  for (size_t n : all_dims()) {
    const Guarded<float> x(n, n % 4);
    for (float magnitude : {1.0f, 1e30f, 1e-40f}) {
      fill_floats(x, random, magnitude);
      double exact = 0;
      for (size_t i = 0; i < n; ++i) exact += static_cast<double>(x[i]) * x[i];
      const double tolerance = exact * 1e-15 * static_cast<double>(n + 4);
      CHECK_NEAR(k.norm_f32(x.data(), n), exact, tolerance);
      const Guarded<float> copy(n, (n + 1) % 4);
      const double norm = k.copy_norm_f32(copy.data(), x.data(), n);
      CHECK_EQ(norm, k.norm_f32(x.data(), n));
      CHECK(n == 0 || std::memcmp(copy.data(), x.data(), n * sizeof(float)) == 0);
    }
    for (size_t i = 0; i < n; i += n > 130 ? 61 : 1) {
      const float kept = x[i];
      x[i] = std::numeric_limits<float>::quiet_NaN();
      CHECK(std::isnan(k.norm_f32(x.data(), n)));
      x[i] = -std::numeric_limits<float>::infinity();
      CHECK(std::isinf(k.norm_f32(x.data(), n)));
      x[i] = kept;
    }
  }
}

// Values that sit on halves, outside the range, or are no numbers.
inline float awkward_float(Random& random) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  switch (random.below(8)) {
    case 0: return static_cast<float>(random.below(600)) * 0.5f - 10;
    case 1: return kInf;
    case 2: return -kInf;
    case 3: return std::numeric_limits<float>::quiet_NaN();
    case 4: return 1e-42f;
    case 5: return random_float(random, 1e30f);
    case 6: return random_float(random, 40000.0f);
    default: return random_float(random, 300.0f);
  }
}

// Codes must be equal in every table, or a graph built on one machine scores differently on
// another.
inline void check_quantize(const Kernels& k, uint64_t seed) {
  Random random(seed);
  for (size_t n : all_dims()) {
    for (int round = 0; round < 4; ++round) {
      const bool awkward = round >= 2;
      // Far from zero the product loses what a fused operation would keep: codes would differ.
      const float far = round == 1 ? 1000.0f : 0.0f;
      const float scale = awkward ? 1 : static_cast<float>(random.unit() + 0.1);
      const Guarded<float> x(n, n % 4), low(n, 1), step(n, 2), inverse(n);
      for (size_t i = 0; i < n; ++i) {
        low[i] = awkward ? 0 : far + random_float(random, 1);
        step[i] = awkward ? 1 : static_cast<float>(random.unit() * 0.02 + 1e-3);
        inverse[i] = 1 / step[i];
        x[i] = awkward ? awkward_float(random) : (far + random_float(random, 2)) / scale;
      }
      const Guarded<uint8_t> expected(n), code(n, n % 7);
      const Kernels::Quantizer quantizer = {low.data(), step.data(), inverse.data()};
      reference().quantize_u8(quantizer, x.data(), scale, n, expected.data());
      const float sum = k.quantize_u8(quantizer, x.data(), scale, n, code.data());
      CHECK(n == 0 || std::memcmp(code.data(), expected.data(), n) == 0);
      double exact = 0;
      for (size_t i = 0; i < n; ++i) {
        exact += static_cast<double>(step[i]) * code[i] * step[i] * code[i];
      }
      check_sum(sum, exact, exact, n + 4);
    }
  }
}

template <class Make>
void check_weight_planes(size_t n, const Kernels& k, Make make) {
  const Guarded<int16_t> w(n, 1), expected_w(n);
  const Guarded<int8_t> hi(n, 3), expected_hi(n), lo(n, 2), expected_lo(n);
  make(reference(), expected_w.data(), expected_hi.data(), expected_lo.data());
  make(k, w.data(), hi.data(), lo.data());
  for (size_t i = 0; i < n; ++i) {
    CHECK_EQ(w[i], expected_w[i]);
    CHECK_EQ(128 * hi[i] + lo[i], w[i]);
    CHECK(lo[i] >= -64 && lo[i] <= 63);
  }
}

// Weights are equal in every table and the planes join to them.
inline void check_weights(const Kernels& k, uint64_t seed) {
  Random random(seed);
  for (size_t n : all_dims()) {
    for (int round = 0; round < 3; ++round) {
      const Guarded<float> t(n, n % 4);
      const Guarded<uint8_t> code(n, n % 5);
      fill_bytes(code, random, Bytes::kRandom);
      for (size_t i = 0; i < n; ++i) {
        t[i] = round == 0 ? awkward_float(random) : random_float(random, 2.0f);
      }
      const float factor = round == 0 ? 1.0f : static_cast<float>(random.unit() * 16000);
      check_weight_planes(n, k, [&](const Kernels& table, int16_t* w, int8_t* hi, int8_t* lo) {
        table.make_weights(t.data(), factor, n, w, hi, lo);
      });
      check_weight_planes(n, k, [&](const Kernels& table, int16_t* w, int8_t* hi, int8_t* lo) {
        table.code_weights(code.data(), t.data(), factor, n, w, hi, lo);
      });
    }
  }
}

// A code keeps its sums of squares whatever the table: rows of one step are equal in all of them.
inline void check_rescale(const Kernels& k, uint64_t seed) {
  Random random(seed);
  for (size_t n : all_dims()) {
    const Guarded<float> scale(n, n % 4);
    const Guarded<uint8_t> code(n, n % 5);
    const Guarded<int8_t> out(n, n % 3), expected(n);
    fill_bytes(code, random, Bytes::kRandom);
    for (size_t i = 0; i < n; ++i) {
      scale[i] = random.below(4) == 0 ? static_cast<float>(random.below(3)) / 2
                                      : static_cast<float>(random.unit());
    }
    k.rescale_u8(code.data(), scale.data(), n, out.data());
    reference().rescale_u8(code.data(), scale.data(), n, expected.data());
    for (size_t i = 0; i < n; ++i) {
      CHECK_EQ(out[i], expected[i]);
      CHECK(std::fabs(code[i] * scale[i] - 128 - out[i]) <= 0.5001);
    }
  }
}

// Each id comes out once, in order, and never after the end mark, as with a plain set.
inline void check_gather(const Kernels& k, uint64_t seed) {
  Random random(seed);
  constexpr uint32_t kNoSlot = 0xFFFFFFFF;
  for (int round = 0; round < 2000; ++round) {
    const size_t slots = 1 + random.below(round % 2 ? 80 : 5000);
    const size_t n = random.below(70);
    std::vector<uint64_t> visited(slots / 64 + 1);
    std::set<uint32_t> model;
    for (int i = 0; i < 20; ++i) {
      const auto id = static_cast<uint32_t>(random.below(slots));
      model.insert(id);
      visited[id / 64] |= uint64_t{1} << (id % 64);
    }
    const Guarded<uint32_t> ids(n), out(n);
    std::vector<uint32_t> expected;
    bool ended = false;
    for (size_t i = 0; i < n; ++i) {
      ids[i] = random.below(50) == 0 ? kNoSlot : static_cast<uint32_t>(random.below(slots));
      ended = ended || ids[i] == kNoSlot;
      if (!ended && model.insert(ids[i]).second) expected.push_back(ids[i]);
    }
    const size_t size = k.gather_unvisited(ids.data(), n, visited.data(), out.data());
    CHECK(std::equal(expected.begin(), expected.end(), out.data(), out.data() + size));
    size_t set_bits = 0;
    for (size_t id = 0; id < visited.size() * 64; ++id) set_bits += visited[id / 64] >> id % 64 & 1;
    CHECK_EQ(set_bits, model.size());
  }
}

inline void check_mask(const Kernels& k, uint64_t seed) {
  Random random(seed);
  for (size_t n = 0; n <= 32; ++n) {
    for (int round = 0; round < 50; ++round) {
      const Guarded<float> d(n, n % 4);
      for (size_t i = 0; i < n; ++i) {
        d[i] = random.below(3) ? static_cast<float>(random.below(5)) - 2 : awkward_float(random);
      }
      const float threshold = random.below(4) ? static_cast<float>(random.below(5)) - 2
                                              : awkward_float(random);
      CHECK_EQ(k.mask_below(d.data(), n, threshold),
               reference().mask_below(d.data(), n, threshold));
    }
  }
}

// Equal to the plain sums in every table, and finite whatever comes in.
inline void check_affine(const Kernels& k, uint64_t seed) {
  Random random(seed);
  for (size_t n = 0; n <= 32; ++n) {
    for (int round = 0; round < 50; ++round) {
      const Guarded<int32_t> dots(n);
      const Guarded<float> factors(n, n % 4);
      const Guarded<float> out(n, n % 3);
      std::vector<float> expected(n);
      for (size_t i = 0; i < n; ++i) {
        dots[i] = static_cast<int32_t>(random.next());
        factors[i] =
            random.below(3) ? static_cast<float>(random.unit()) * 1e5f : awkward_float(random);
      }
      const auto term = [&] {
        return random.below(4) ? static_cast<float>(random.unit()) : awkward_float(random);
      };
      const Kernels::Affine affine{term(), term(), term()};
      // One of its own distances, so that some equal the threshold.
      reference().affine_dots(affine, dots.data(), factors.data(), n, 0, expected.data());
      const float threshold = n == 0 ? 0 : expected[random.below(n)];
      const uint32_t below =
          k.affine_dots(affine, dots.data(), factors.data(), n, threshold, out.data());
      CHECK_EQ(below, reference().affine_dots(affine, dots.data(), factors.data(), n, threshold,
                                              expected.data()));
      for (size_t i = 0; i < n; ++i) {
        CHECK_EQ(out[i], expected[i]);
        CHECK(std::isfinite(out[i]));
        CHECK_EQ(below >> i & 1, expected[i] < threshold ? 1u : 0u);
      }
    }
  }
}

// The pool is what sorting by (distance, time of arrival) and cutting at the capacity gives. The
// arrays end at the promised 16 spare entries.
inline void check_pool(const Kernels& k, uint64_t seed) {
  Random random(seed);
  for (size_t capacity : {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100, 129, 200, 1000}) {
    for (uint64_t distinct : {3u, 40u, 1000000u}) {
      const Guarded<float> distances(capacity + 16);
      const Guarded<uint32_t> ids(capacity + 16);
      std::fill_n(distances.data(), capacity + 16, random.below(2) ? -1e30f : 1e30f);
      std::vector<std::pair<float, uint32_t>> model;
      const size_t inserts = 2 * capacity + 20;
      for (uint32_t id = 0; id < inserts; ++id) {
        const float d = static_cast<float>(random.below(distinct)) - 1;
        const auto at = std::upper_bound(model.begin(), model.end(), d,
                                         [](float v, const auto& e) { return v < e.first; });
        const auto expected = static_cast<size_t>(at - model.begin());
        const size_t size = model.size();
        model.insert(at, {d, id});
        if (model.size() > capacity) model.pop_back();
        CHECK_EQ(k.pool_insert(distances.data(), ids.data(), size, capacity, d, id), expected);
        bool same = true;
        for (size_t i = 0; i < model.size(); ++i) {
          same = same && distances[i] == model[i].first && ids[i] == model[i].second;
        }
        CHECK(same);
      }
    }
  }
}

}  // namespace omen::simd::checks
