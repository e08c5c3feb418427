// What this processor, under this operating system, can run.
//
// Why: an instruction set counts only if the operating system also saves its registers, so both are
// asked; the answer is grouped as the tables need it.
// Threads: pure; asks the processor at each call.
#pragma once

namespace omen::simd {

struct CpuFeatures {
  bool avx2 = false;         // AVX2, FMA, BMI1, BMI2 and POPCNT.
  bool avx512 = false;       // The above, and AVX-512 F, BW, DQ and VL.
  bool avx512_vnni = false;  // The above, and VNNI.
  bool neon = false;         // AArch64's base.
  bool dotprod = false;      // SDOT on bytes.
};

CpuFeatures detect_cpu();

}  // namespace omen::simd
