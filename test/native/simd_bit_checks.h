// Checks of one kernel table's codes of one and two bits, and of its Hadamard transform. As
// simd_checks.h, of which it is a part.
#pragma once

#include <bit>

#include "simd_checks.h"

namespace omen::simd::checks {

// One block, both sides of where sums are widened, the sizes of real models and the largest.
inline constexpr size_t kBitDims[] = {0,   64,  128, 192,  256,  512,  576,
                                      640, 832, 960, 1024, 1536, 4096, 16384};

// The value of dimension i, as table.h lays codes out, said in other words than the kernels'.
inline int value_in_code(const uint8_t* code, size_t i, size_t width) {
  const size_t byte_of_block = i % (8 * width);
  const size_t slot_of_byte = i % 64 / (8 * width);
  const unsigned byte = code[i / 64 * 8 * width + byte_of_block];
  return static_cast<int>(byte >> (slot_of_byte * width)) % (1 << width);
}

// Exact for random and extreme codes and weights, at every alignment, for any number of rows.
inline void check_dot_bits(const Kernels& k, uint64_t seed) {
  Random random(seed);
  for (const size_t width : {size_t{1}, size_t{2}}) {
    const auto dot_rows = width == 1 ? k.dot_u1_rows : k.dot_u2_rows;
    for (const size_t n : kBitDims) {
      for (size_t count = 0; count <= 9; ++count) {
        const Guarded<int8_t> q(n);
        fill_bytes(q, random, static_cast<Bytes>(random.below(4)));
        std::vector<Guarded<uint8_t>> rows;
        std::vector<const uint8_t*> pointers;
        for (size_t r = 0; r < count; ++r) {
          rows.emplace_back(n * width / 8, random.below(64));
          fill_bytes(rows.back(), random, r % 2 ? Bytes::kHighest : Bytes::kRandom);
          pointers.push_back(rows.back().data());
        }
        std::vector<int32_t> got(count + 1, 77);
        dot_rows(q.data(), pointers.data(), count, n, got.data());
        for (size_t r = 0; r < count; ++r) {
          int64_t exact = 0;
          for (size_t i = 0; i < n; ++i) exact += q[i] * value_in_code(pointers[r], i, width);
          CHECK_EQ(got[r], exact);
        }
        CHECK_EQ(got[count], 77);
      }
    }
  }
}

// Exact for random tables and codes, and for the largest sums, at every alignment.
inline void check_scan(const Kernels& k, uint64_t seed) {
  Random random(seed);
  for (const size_t n : kBitDims) {
    for (int kind = 0; kind < 6; ++kind) {
      const Guarded<uint8_t> tables(4 * n, random.below(64));
      const Guarded<uint8_t> codes(4 * n, random.below(64));
      fill_bytes(tables, random, kind == 0 ? Bytes::kHighest : Bytes::kRandom);
      fill_bytes(codes, random, kind == 1 ? Bytes::kHighest : Bytes::kRandom);
      uint32_t got[33];
      std::fill_n(got, 33, 77u);
      k.scan_u1(tables.data(), codes.data(), n, got);
      for (size_t row = 0; row < 32; ++row) {
        uint64_t exact = 0;
        for (size_t at = row % 16; at < 4 * n; at += 16) {
          const unsigned bits = row < 16 ? codes[at] % 16 : codes[at] / 16;
          exact += tables[at / 16 * 16 + bits];
        }
        CHECK_EQ(uint64_t{got[row]}, exact);
      }
      CHECK_EQ(got[32], 77u);
    }
  }
}

// Equal to the scalar table bit for bit, and the transform that it claims to be: entry i is the sum
// of x[j] with the sign of the parity of i & j.
inline void check_hadamard(const Kernels& k, uint64_t seed) {
  Random random(seed);
  for (size_t n = 64; n <= 16384; n *= 2) {
    for (const float magnitude : {1.0f, 1e30f, 1e-40f}) {
      const Guarded<float> x(n, random.below(16));
      const Guarded<float> same(n);
      fill_floats(x, random, magnitude);
      std::memcpy(same.data(), x.data(), n * sizeof(float));
      double exact[4] = {};
      size_t places[4];
      for (size_t p = 0; p < 4; ++p) {
        places[p] = random.below(n);
        for (size_t j = 0; j < n; ++j) {
          exact[p] += (std::popcount(places[p] & j) % 2 == 1) ? -static_cast<double>(x[j]) : x[j];
        }
      }
      k.hadamard_f32(x.data(), n);
      reference().hadamard_f32(same.data(), n);
      CHECK(std::memcmp(x.data(), same.data(), n * sizeof(float)) == 0);
      for (size_t p = 0; p < 4; ++p) {
        check_sum(x[places[p]], exact[p], static_cast<double>(magnitude) * static_cast<double>(n),
                  20);
      }
    }
  }
}

}  // namespace omen::simd::checks
