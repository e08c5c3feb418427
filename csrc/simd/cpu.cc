// Detection by CPUID and XGETBV on x86-64, by the operating system's word on AArch64.
#include "simd/cpu.h"

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#if defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_M_ARM64)
#include <windows.h>
#endif

namespace omen::simd {

#if defined(__x86_64__) || defined(_M_X64)
namespace {

struct CpuidLeaf {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};

CpuidLeaf cpuid(uint32_t leaf) {
  CpuidLeaf r;
#if defined(_MSC_VER)
  int v[4];
  __cpuidex(v, static_cast<int>(leaf), 0);
  r.a = static_cast<uint32_t>(v[0]);
  r.b = static_cast<uint32_t>(v[1]);
  r.c = static_cast<uint32_t>(v[2]);
  r.d = static_cast<uint32_t>(v[3]);
#else
  __cpuid_count(leaf, 0, r.a, r.b, r.c, r.d);
#endif
  return r;
}

// XCR0: the register states that the operating system saves at a switch. Only after OSXSAVE.
uint64_t saved_states() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low;
  uint32_t high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
#endif
}

constexpr bool bits(uint64_t word, uint64_t mask) { return (word & mask) == mask; }
constexpr uint64_t bit(int i) { return uint64_t{1} << i; }

}  // namespace

// Bit numbers: Intel SDM volume 2A, CPUID; volume 1, section 14.3 and 15.2 for the order of checks.
CpuFeatures detect_cpu() {
  CpuFeatures f;
  if (cpuid(0).a < 7) return f;
  const CpuidLeaf one = cpuid(1);
  constexpr uint64_t kFma = bit(12), kPopcnt = bit(23), kOsxsave = bit(27), kAvx = bit(28);
  if (!bits(one.c, kFma | kPopcnt | kOsxsave | kAvx)) return f;
  const uint64_t saved = saved_states();
  constexpr uint64_t kXmmYmm = bit(1) | bit(2);
  if (!bits(saved, kXmmYmm)) return f;
  const CpuidLeaf seven = cpuid(7);
  constexpr uint64_t kBmi1 = bit(3), kAvx2 = bit(5), kBmi2 = bit(8);
  f.avx2 = bits(seven.b, kBmi1 | kAvx2 | kBmi2);
  constexpr uint64_t kMasksZmm = bit(5) | bit(6) | bit(7);
  constexpr uint64_t kF = bit(16), kDq = bit(17), kBw = bit(30), kVl = bit(31);
  f.avx512 = f.avx2 && bits(saved, kMasksZmm) && bits(seven.b, kF | kDq | kBw | kVl);
  constexpr uint64_t kVnni = bit(11);
  f.avx512_vnni = f.avx512 && bits(seven.c, kVnni);
  return f;
}

#elif defined(__aarch64__) || defined(_M_ARM64)

CpuFeatures detect_cpu() {
  CpuFeatures f;
  f.neon = true;
#if defined(__linux__)
  constexpr unsigned long kAsimdDp = 1ul << 20;  // HWCAP_ASIMDDP, named only by newer headers.
  f.dotprod = (getauxval(AT_HWCAP) & kAsimdDp) != 0;
#elif defined(__APPLE__)
  int value = 0;
  size_t size = sizeof(value);
  f.dotprod = sysctlbyname("hw.optional.arm.FEAT_DotProd", &value, &size, nullptr, 0) == 0 &&
              value != 0;
#elif defined(_M_ARM64)
  constexpr DWORD kDotprod = 43;  // PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE, named by newer headers.
  f.dotprod = IsProcessorFeaturePresent(kDotprod) != 0;
#endif
  return f;
}

#else

CpuFeatures detect_cpu() { return {}; }

#endif

}  // namespace omen::simd
