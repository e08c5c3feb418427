// The AVX-512 intrinsics that csrc/simd/avx512.cc uses, in plain C++.
//
// Why: the file can then be checked on machines without AVX-512. Each function follows the
// operation given by Intel's Intrinsics Guide; masked loads touch only the lanes of their mask. All
// registers of one width are one type, so casts are free. In omen::simd, where the kernels find
// these before any global ones.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace omen::simd {

template <size_t kBytes>
struct Register {
  unsigned char bytes[kBytes];

  template <class T>
  T get(size_t i) const {
    T x;
    std::memcpy(&x, bytes + i * sizeof(T), sizeof(T));
    return x;
  }
  template <class T>
  void set(size_t i, T x) {
    std::memcpy(bytes + i * sizeof(T), &x, sizeof(T));
  }
};

using __m128 = Register<16>;
using __m128d = Register<16>;
using __m128i = Register<16>;
using __m256 = Register<32>;
using __m256d = Register<32>;
using __m256i = Register<32>;
using __m512 = Register<64>;
using __m512d = Register<64>;
using __m512i = Register<64>;
using __mmask8 = uint8_t;
using __mmask16 = uint16_t;
using __mmask32 = uint32_t;
using __mmask64 = uint64_t;

enum EmulatedHint { kEmulatedHintT0 };
enum EmulatedPredicate { kEmulatedLess, kEmulatedLessEqual, kEmulatedGreater };
#undef _MM_HINT_T0
#undef _CMP_LT_OQ
#undef _CMP_LE_OQ
#define _MM_HINT_T0 ::omen::simd::kEmulatedHintT0
#undef _CMP_GT_OQ
#define _CMP_GT_OQ ::omen::simd::kEmulatedGreater
#define _CMP_LT_OQ ::omen::simd::kEmulatedLess
#define _CMP_LE_OQ ::omen::simd::kEmulatedLessEqual

// ---- shapes that the intrinsics share ----

template <size_t kBytes>
Register<kBytes> whole(const void* p) {
  Register<kBytes> r;
  std::memcpy(r.bytes, p, kBytes);
  return r;
}

template <class T, size_t kBytes, class F>
Register<kBytes> lanewise(const Register<kBytes>& a, const Register<kBytes>& b, F f) {
  Register<kBytes> r;
  for (size_t i = 0; i < kBytes / sizeof(T); ++i) {
    r.template set<T>(i, static_cast<T>(f(a.template get<T>(i), b.template get<T>(i))));
  }
  return r;
}

template <size_t kBytes, class T>
Register<kBytes> repeat(T x) {
  Register<kBytes> r;
  for (size_t i = 0; i < kBytes / sizeof(T); ++i) r.template set<T>(i, x);
  return r;
}

// One lane of To for each of From, as many as the wider register holds.
template <class From, class To, size_t kTo, size_t kFrom, class F>
Register<kTo> convert(const Register<kFrom>& a, F f) {
  Register<kTo> r{};
  for (size_t i = 0; i < kTo / sizeof(To) && i < kFrom / sizeof(From); ++i) {
    r.template set<To>(i, static_cast<To>(f(a.template get<From>(i))));
  }
  return r;
}

template <class T, size_t kBytes, class Mask>
Register<kBytes> masked_load(Mask mask, const void* p) {
  Register<kBytes> r{};
  const char* from = static_cast<const char*>(p);
  for (size_t at = 0; at < kBytes; at += sizeof(T), mask = static_cast<Mask>(mask >> 1)) {
    if (mask & 1) std::memcpy(r.bytes + at, from + at, sizeof(T));
  }
  return r;
}

template <class T, size_t kBytes, class Mask>
void masked_store(void* p, Mask mask, const Register<kBytes>& x) {
  char* to = static_cast<char*>(p);
  for (size_t at = 0; at < kBytes; at += sizeof(T), mask = static_cast<Mask>(mask >> 1)) {
    if (mask & 1) std::memcpy(to + at, x.bytes + at, sizeof(T));
  }
}

template <size_t kBytes>
Register<kBytes / 2> half(const Register<kBytes>& x, size_t index) {
  return whole<kBytes / 2>(x.bytes + index * (kBytes / 2));
}

inline constexpr auto kSame = [](auto x) { return x; };
inline constexpr auto kPlus = [](auto a, auto b) { return a + b; };
inline constexpr auto kMinus = [](auto a, auto b) { return a - b; };
inline constexpr auto kTimes = [](auto a, auto b) { return a * b; };

// ---- loads, stores, constants ----

inline void _mm_prefetch(const char*, EmulatedHint) {}
inline __m128i _mm_loadu_si128(const __m128i* p) { return whole<16>(p); }
inline __m256i _mm256_loadu_si256(const __m256i* p) { return whole<32>(p); }
inline __m512i _mm512_loadu_si512(const void* p) { return whole<64>(p); }
inline __m512 _mm512_loadu_ps(const float* p) { return whole<64>(p); }
inline __m512 _mm512_maskz_loadu_ps(__mmask16 m, const void* p) {
  return masked_load<float, 64>(m, p);
}
inline __m512i _mm512_maskz_loadu_epi8(__mmask64 m, const void* p) {
  return masked_load<int8_t, 64>(m, p);
}
inline __m256i _mm256_maskz_loadu_epi8(__mmask32 m, const void* p) {
  return masked_load<int8_t, 32>(m, p);
}
inline __m128i _mm_maskz_loadu_epi8(__mmask16 m, const void* p) {
  return masked_load<int8_t, 16>(m, p);
}
inline void _mm_storeu_si128(__m128i* p, __m128i x) { std::memcpy(p, x.bytes, 16); }
inline void _mm256_storeu_si256(__m256i* p, __m256i x) { std::memcpy(p, x.bytes, 32); }
inline void _mm512_storeu_si512(void* p, __m512i x) { std::memcpy(p, x.bytes, 64); }
inline void _mm512_storeu_ps(float* p, __m512 x) { std::memcpy(p, x.bytes, 64); }
inline void _mm_mask_storeu_epi8(void* p, __mmask16 m, __m128i x) { masked_store<int8_t>(p, m, x); }
inline __m512i _mm512_maskz_loadu_epi32(__mmask16 m, const void* p) {
  return masked_load<int32_t, 64>(m, p);
}
inline void _mm512_mask_storeu_ps(float* p, __mmask16 m, __m512 x) { masked_store<float>(p, m, x); }
inline void _mm_storeu_ps(float* p, __m128 x) { std::memcpy(p, x.bytes, 16); }
inline void _mm256_mask_storeu_epi16(void* p, __mmask16 m, __m256i x) {
  masked_store<int16_t>(p, m, x);
}
inline __m512 _mm512_setzero_ps() { return {}; }
inline __m512d _mm512_setzero_pd() { return {}; }
inline __m512i _mm512_setzero_si512() { return {}; }
inline __m512 _mm512_set1_ps(float x) { return repeat<64>(x); }
inline __m512i _mm512_set1_epi32(int x) { return repeat<64>(static_cast<int32_t>(x)); }
inline __m512i _mm512_set1_epi8(int8_t x) { return repeat<64>(x); }
inline __m512i _mm512_set1_epi16(int16_t x) { return repeat<64>(x); }
inline __m512i _mm512_set1_epi64(long long x) { return repeat<64>(static_cast<int64_t>(x)); }
// The last argument is the lowest lane.
template <class... Lanes>
__m512i _mm512_set_epi64(Lanes... lanes) {
  static_assert(sizeof...(lanes) == 8);
  __m512i r{};
  size_t i = 8;
  (r.set<int64_t>(--i, lanes), ...);
  return r;
}
inline __m512i _mm512_broadcast_i32x4(__m128i x) {
  __m512i r;
  for (size_t i = 0; i < 4; ++i) std::memcpy(r.bytes + 16 * i, x.bytes, 16);
  return r;
}
inline __m128d _mm_set_sd(double x) {
  __m128d r{};
  r.set<double>(0, x);
  return r;
}

// ---- casts, halves, scalars ----

inline __m512d _mm512_castps_pd(__m512 x) { return x; }
inline __m256 _mm256_castpd_ps(__m256d x) { return x; }
inline __m256 _mm512_castps512_ps256(__m512 x) { return half(x, 0); }
inline __m256d _mm512_castpd512_pd256(__m512d x) { return half(x, 0); }
inline __m256i _mm512_castsi512_si256(__m512i x) { return half(x, 0); }
inline __m128 _mm256_castps256_ps128(__m256 x) { return half(x, 0); }
inline __m128d _mm256_castpd256_pd128(__m256d x) { return half(x, 0); }
inline __m128i _mm256_castsi256_si128(__m256i x) { return half(x, 0); }
inline __m256d _mm512_extractf64x4_pd(__m512d x, int i) { return half(x, static_cast<size_t>(i)); }
inline __m256i _mm512_extracti64x4_epi64(__m512i x, int i) {
  return half(x, static_cast<size_t>(i));
}
inline __m128 _mm256_extractf128_ps(__m256 x, int i) { return half(x, static_cast<size_t>(i)); }
inline __m128d _mm256_extractf128_pd(__m256d x, int i) { return half(x, static_cast<size_t>(i)); }
inline __m128i _mm256_extracti128_si256(__m256i x, int i) {
  return half(x, static_cast<size_t>(i));
}
inline float _mm_cvtss_f32(__m128 x) { return x.get<float>(0); }
inline double _mm_cvtsd_f64(__m128d x) { return x.get<double>(0); }
inline int _mm_cvtsi128_si32(__m128i x) { return x.get<int32_t>(0); }

// ---- float ----

inline __m512 _mm512_add_ps(__m512 a, __m512 b) { return lanewise<float>(a, b, kPlus); }
inline __m512 _mm512_sub_ps(__m512 a, __m512 b) { return lanewise<float>(a, b, kMinus); }
inline __m512 _mm512_mul_ps(__m512 a, __m512 b) { return lanewise<float>(a, b, kTimes); }
inline __m256 _mm256_add_ps(__m256 a, __m256 b) { return lanewise<float>(a, b, kPlus); }
inline __m128 _mm_add_ps(__m128 a, __m128 b) { return lanewise<float>(a, b, kPlus); }
inline __m512d _mm512_add_pd(__m512d a, __m512d b) { return lanewise<double>(a, b, kPlus); }
inline __m256d _mm256_add_pd(__m256d a, __m256d b) { return lanewise<double>(a, b, kPlus); }
inline __m128d _mm_add_pd(__m128d a, __m128d b) { return lanewise<double>(a, b, kPlus); }
inline __m128 _mm_add_ss(__m128 a, __m128 b) {
  a.set<float>(0, a.get<float>(0) + b.get<float>(0));
  return a;
}
inline __m128d _mm_add_sd(__m128d a, __m128d b) {
  a.set<double>(0, a.get<double>(0) + b.get<double>(0));
  return a;
}
inline __m128d _mm_sqrt_sd(__m128d a, __m128d b) {
  a.set<double>(0, std::sqrt(b.get<double>(0)));
  return a;
}
// The second operand if either is NaN.
inline __m512 _mm512_max_ps(__m512 a, __m512 b) {
  return lanewise<float>(a, b, [](float x, float y) { return x > y ? x : y; });
}
inline __m512 _mm512_min_ps(__m512 a, __m512 b) {
  return lanewise<float>(a, b, [](float x, float y) { return x < y ? x : y; });
}
template <class T>
__m512 emulated_fma(const __m512& a, const __m512& b, __m512 c) {
  for (size_t i = 0; i < 64 / sizeof(T); ++i) {
    c.set<T>(i, std::fma(a.get<T>(i), b.get<T>(i), c.get<T>(i)));
  }
  return c;
}
inline __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) { return emulated_fma<float>(a, b, c); }
inline __m512d _mm512_fmadd_pd(__m512d a, __m512d b, __m512d c) {
  return emulated_fma<double>(a, b, c);
}
inline __m128 _mm_movehl_ps(__m128 a, __m128 b) {
  std::memcpy(a.bytes, b.bytes + 8, 8);
  return a;
}
inline __m128 _mm_movehdup_ps(__m128 a) {
  a.set<float>(0, a.get<float>(1));
  a.set<float>(2, a.get<float>(3));
  return a;
}
inline __m128d _mm_unpackhi_pd(__m128d a, __m128d b) {
  a.set<double>(0, a.get<double>(1));
  a.set<double>(1, b.get<double>(1));
  return a;
}
// Within each quarter, the lane that each two bits of `order` name.
inline __m512 _mm512_permute_ps(__m512 a, int order) {
  __m512 r;
  for (size_t i = 0; i < 16; ++i) {
    const auto lane = static_cast<size_t>(order >> (2 * (i % 4)) & 3);
    r.set<float>(i, a.get<float>(i / 4 * 4 + lane));
  }
  return r;
}
// Quarters: the first two from a, the last two from b.
inline __m512 _mm512_shuffle_f32x4(__m512 a, __m512 b, int order) {
  __m512 r;
  for (size_t i = 0; i < 4; ++i) {
    const auto quarter = static_cast<size_t>(order >> (2 * i) & 3);
    std::memcpy(r.bytes + 16 * i, (i < 2 ? a : b).bytes + 16 * quarter, 16);
  }
  return r;
}
inline __mmask16 _mm512_mask_cmp_ps_mask(__mmask16 m, __m512 a, __m512 b, EmulatedPredicate p) {
  unsigned held = 0;
  for (size_t i = 0; i < 16; ++i) {
    const float x = a.get<float>(i), y = b.get<float>(i);
    const bool holds = p == kEmulatedLess ? x < y : p == kEmulatedLessEqual ? x <= y : x > y;
    held |= static_cast<unsigned>(holds) << i;
  }
  return static_cast<__mmask16>(held & m);
}
inline __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, EmulatedPredicate p) {
  return _mm512_mask_cmp_ps_mask(0xFFFF, a, b, p);
}

template <class T, class Holds>
__mmask8 emulated_mask_8(__m512i a, __m512i b, Holds holds) {
  unsigned held = 0;
  for (size_t i = 0; i < 8; ++i) held |= (holds(a.get<T>(i), b.get<T>(i)) ? 1u : 0u) << i;
  return static_cast<__mmask8>(held);
}
inline __mmask8 _mm512_cmpeq_epi64_mask(__m512i a, __m512i b) {
  return emulated_mask_8<uint64_t>(a, b, [](uint64_t x, uint64_t y) { return x == y; });
}
inline __mmask8 _mm512_cmple_epu64_mask(__m512i a, __m512i b) {
  return emulated_mask_8<uint64_t>(a, b, [](uint64_t x, uint64_t y) { return x <= y; });
}
inline __mmask8 _mm512_cmp_pd_mask(__m512d a, __m512d b, EmulatedPredicate p) {
  return emulated_mask_8<double>(
      a, b, [=](double x, double y) { return p == kEmulatedLess ? x < y : x <= y; });
}
inline __m512d _mm512_castsi512_pd(__m512i x) { return x; }
inline __m512i _mm512_srli_epi64(__m512i a, unsigned count) {
  for (size_t i = 0; i < 8; ++i) a.set<uint64_t>(i, a.get<uint64_t>(i) >> count);
  return a;
}

inline __m512 _mm512_mask_blend_ps(__mmask16 m, __m512 a, __m512 b) {
  for (size_t i = 0; i < 16; ++i) {
    if ((m >> i & 1) != 0) a.set<float>(i, b.get<float>(i));
  }
  return a;
}
inline __m512i _mm512_mask_blend_epi32(__mmask16 m, __m512i a, __m512i b) {
  return _mm512_mask_blend_ps(m, a, b);
}
// The lanes from `first` on of b, then those of a.
inline __m512i _mm512_alignr_epi32(__m512i a, __m512i b, int first) {
  __m512i r;
  for (size_t i = 0; i < 16; ++i) {
    const size_t from = i + static_cast<size_t>(first);
    r.set<uint32_t>(i, from < 16 ? b.get<uint32_t>(from) : a.get<uint32_t>(from - 16));
  }
  return r;
}

// ---- conversions ----

inline __m128 _mm_cvtepi32_ps(__m128i x) { return convert<int32_t, float, 16>(x, kSame); }
inline __m512 _mm512_cvtepi32_ps(__m512i x) { return convert<int32_t, float, 64>(x, kSame); }
inline __m512d _mm512_cvtps_pd(__m256 x) { return convert<float, double, 64>(x, kSame); }
inline __m512i _mm512_cvtepi8_epi16(__m256i x) { return convert<int8_t, int16_t, 64>(x, kSame); }
inline __m512i _mm512_cvtepu8_epi16(__m256i x) { return convert<uint8_t, int16_t, 64>(x, kSame); }
inline __m512i _mm512_cvtepu8_epi32(__m128i x) { return convert<uint8_t, int32_t, 64>(x, kSame); }
inline __m128i _mm512_cvtepi32_epi8(__m512i x) { return convert<int32_t, int8_t, 16>(x, kSame); }
inline __m256i _mm512_cvtepi32_epi16(__m512i x) { return convert<int32_t, int16_t, 32>(x, kSame); }
inline __m512i _mm512_cvtps_epi32(__m512 x) {
  return convert<float, int32_t, 64>(x, [](float f) {
    return std::abs(f) < 0x1p31f ? static_cast<int32_t>(std::nearbyint(f)) : INT32_MIN;
  });
}

// ---- integers; sums wrap ----

inline __m512i _mm512_add_epi32(__m512i a, __m512i b) { return lanewise<uint32_t>(a, b, kPlus); }
inline __m256i _mm256_add_epi32(__m256i a, __m256i b) { return lanewise<uint32_t>(a, b, kPlus); }
inline __m128i _mm_add_epi32(__m128i a, __m128i b) { return lanewise<uint32_t>(a, b, kPlus); }
inline __m512i _mm512_sub_epi32(__m512i a, __m512i b) { return lanewise<uint32_t>(a, b, kMinus); }
inline __m512i _mm512_sub_epi16(__m512i a, __m512i b) { return lanewise<int16_t>(a, b, kMinus); }
inline __m512i _mm512_add_epi16(__m512i a, __m512i b) { return lanewise<uint16_t>(a, b, kPlus); }
inline __m256i _mm256_add_epi16(__m256i a, __m256i b) { return lanewise<uint16_t>(a, b, kPlus); }
inline __m128i _mm_add_epi16(__m128i a, __m128i b) { return lanewise<uint16_t>(a, b, kPlus); }
inline __m512i _mm512_and_si512(__m512i a, __m512i b) {
  return lanewise<uint64_t>(a, b, [](uint64_t x, uint64_t y) { return x & y; });
}
inline __m512i _mm512_srlv_epi64(__m512i a, __m512i bits) {
  return lanewise<uint64_t>(a, bits, [](uint64_t x, uint64_t n) { return n < 64 ? x >> n : 0; });
}
inline __m512i _mm512_xor_si512(__m512i a, __m512i b) {
  return lanewise<uint64_t>(a, b, [](uint64_t x, uint64_t y) { return x ^ y; });
}
inline __m512i _mm512_or_si512(__m512i a, __m512i b) {
  return lanewise<uint64_t>(a, b, [](uint64_t x, uint64_t y) { return x | y; });
}
inline __m512i _mm512_min_epi32(__m512i a, __m512i b) {
  return lanewise<int32_t>(a, b, [](int32_t x, int32_t y) { return x < y ? x : y; });
}
inline __m512i _mm512_max_epi32(__m512i a, __m512i b) {
  return lanewise<int32_t>(a, b, [](int32_t x, int32_t y) { return x > y ? x : y; });
}
inline __m512i _mm512_castps_si512(__m512 x) { return x; }
inline __m512 _mm512_castsi512_ps(__m512i x) { return x; }
// Within each quarter of 128 bits: elements first, first + 1, ... of a and b in turn.
template <class T>
__m512i emulated_unpack(__m512i a, __m512i b, size_t first) {
  constexpr size_t kPerQuarter = 16 / sizeof(T);
  __m512i r;
  for (size_t i = 0; i < 64 / sizeof(T); ++i) {
    const size_t from = i / kPerQuarter * kPerQuarter + first + i % kPerQuarter / 2;
    r.set<T>(i, i % 2 == 0 ? a.get<T>(from) : b.get<T>(from));
  }
  return r;
}
inline __m512i _mm512_unpacklo_epi32(__m512i a, __m512i b) {
  return emulated_unpack<uint32_t>(a, b, 0);
}
inline __m512i _mm512_unpackhi_epi32(__m512i a, __m512i b) {
  return emulated_unpack<uint32_t>(a, b, 2);
}
inline __m512i _mm512_unpacklo_epi64(__m512i a, __m512i b) {
  return emulated_unpack<uint64_t>(a, b, 0);
}
inline __m512i _mm512_unpackhi_epi64(__m512i a, __m512i b) {
  return emulated_unpack<uint64_t>(a, b, 1);
}
// Two quarters of a, then two of b, two bits of `order` for each.
inline __m512i _mm512_shuffle_i32x4(__m512i a, __m512i b, int order) {
  __m512i r;
  for (size_t i = 0; i < 4; ++i) {
    const __m512i& from = i < 2 ? a : b;
    const size_t quarter = static_cast<size_t>(order >> 2 * i & 3);
    std::memcpy(r.bytes + 16 * i, from.bytes + 16 * quarter, 16);
  }
  return r;
}
inline __m512i _mm512_slli_epi16(__m512i x, unsigned bits) {
  return convert<uint16_t, uint16_t, 64>(x, [=](uint16_t v) { return v << bits; });
}
inline __m512i _mm512_srli_epi16(__m512i x, unsigned bits) {
  return convert<uint16_t, uint16_t, 64>(x, [=](uint16_t v) { return v >> bits; });
}
// Within each quarter of 128 bits: byte b of `order` picks byte b % 16, or zero if it is negative.
inline __m512i _mm512_shuffle_epi8(__m512i x, __m512i order) {
  __m512i r;
  for (size_t i = 0; i < 64; ++i) {
    const uint8_t pick = order.get<uint8_t>(i);
    r.set<uint8_t>(i, pick >= 128 ? uint8_t{0} : x.get<uint8_t>(i / 16 * 16 + pick % 16));
  }
  return r;
}
inline __m128i _mm_unpacklo_epi16(__m128i a, __m128i b) {
  __m128i r;
  for (size_t i = 0; i < 8; ++i) r.set<uint16_t>(i, (i % 2 ? b : a).get<uint16_t>(i / 2));
  return r;
}
inline __m128i _mm_unpackhi_epi16(__m128i a, __m128i b) {
  __m128i r;
  for (size_t i = 0; i < 8; ++i) r.set<uint16_t>(i, (i % 2 ? b : a).get<uint16_t>(4 + i / 2));
  return r;
}
inline __m256i _mm256_set_m128i(__m128i high, __m128i low) {
  __m256i r;
  std::memcpy(r.bytes, low.bytes, 16);
  std::memcpy(r.bytes + 16, high.bytes, 16);
  return r;
}
inline __m512i _mm512_cvtepu16_epi32(__m256i x) {
  return convert<uint16_t, uint32_t, 64>(x, kSame);
}
inline __m512i _mm512_slli_epi32(__m512i x, unsigned bits) {
  return convert<uint32_t, uint32_t, 64>(x, [=](uint32_t v) { return v << bits; });
}
inline __m512i _mm512_srli_epi32(__m512i x, unsigned bits) {
  return convert<uint32_t, uint32_t, 64>(x, [=](uint32_t v) { return v >> bits; });
}
inline __m512i _mm512_srai_epi32(__m512i x, unsigned bits) {
  return convert<int32_t, int32_t, 64>(x, [=](int32_t v) { return v >> bits; });
}
inline __m512i _mm512_mask_add_epi32(__m512i from, __mmask16 m, __m512i a, __m512i b) {
  for (size_t i = 0; i < 16; ++i) {
    if (m >> i & 1) from.set<uint32_t>(i, a.get<uint32_t>(i) + b.get<uint32_t>(i));
  }
  return from;
}
inline __m512i _mm512_madd_epi16(__m512i a, __m512i b) {
  __m512i r;
  for (size_t i = 0; i < 16; ++i) {
    const int32_t even = a.get<int16_t>(2 * i) * b.get<int16_t>(2 * i);
    const int32_t odd = a.get<int16_t>(2 * i + 1) * b.get<int16_t>(2 * i + 1);
    r.set<uint32_t>(i, static_cast<uint32_t>(even) + static_cast<uint32_t>(odd));
  }
  return r;
}
inline __m512i _mm512_dpwssd_epi32(__m512i sum, __m512i a, __m512i b) {
  return lanewise<uint32_t>(sum, _mm512_madd_epi16(a, b), kPlus);
}
// Products of unsigned and signed bytes, summed in pairs and saturated.
inline __m512i _mm512_maddubs_epi16(__m512i u, __m512i s) {
  __m512i r;
  for (size_t i = 0; i < 32; ++i) {
    const int even = u.get<uint8_t>(2 * i) * s.get<int8_t>(2 * i);
    const int odd = u.get<uint8_t>(2 * i + 1) * s.get<int8_t>(2 * i + 1);
    const int sum = even + odd;
    r.set<int16_t>(i, static_cast<int16_t>(sum < -32768 ? -32768 : sum > 32767 ? 32767 : sum));
  }
  return r;
}
inline __m512i _mm512_dpbusd_epi32(__m512i sum, __m512i u, __m512i s) {
  for (size_t i = 0; i < 16; ++i) {
    uint32_t lane = sum.get<uint32_t>(i);
    for (size_t j = 4 * i; j < 4 * i + 4; ++j) {
      lane += static_cast<uint32_t>(u.get<uint8_t>(j) * s.get<int8_t>(j));
    }
    sum.set<uint32_t>(i, lane);
  }
  return sum;
}
// Within each half of 128 bits: two sums of neighbours from a, then two from b.
inline __m256i _mm256_hadd_epi32(__m256i a, __m256i b) {
  __m256i r;
  for (size_t i = 0; i < 8; ++i) {
    const __m256i& from = i % 4 < 2 ? a : b;
    const size_t pair = i / 4 * 4 + i % 2 * 2;
    r.set<uint32_t>(i, from.get<uint32_t>(pair) + from.get<uint32_t>(pair + 1));
  }
  return r;
}
inline __m128i _mm_unpackhi_epi64(__m128i a, __m128i b) { return _mm_unpackhi_pd(a, b); }
inline __m128i _mm_shuffle_epi32(__m128i a, int order) {
  __m128i r;
  for (size_t i = 0; i < 4; ++i) {
    r.set<int32_t>(i, a.get<int32_t>(static_cast<size_t>(order >> (2 * i) & 3)));
  }
  return r;
}

}  // namespace omen::simd
