// Checks of the kernels that test cells of columns. See simd_checks.h.
#pragma once

#include <span>

#include "simd_checks.h"

namespace omen::simd::checks {

// Cells lie in a range of numbers or words, and have a tag or not, whatever the table: among them
// are NaNs of every kind, infinities, and the range's own ends.
inline void check_cells(const Kernels& k, uint64_t seed) {
  Random random(seed);
  constexpr uint64_t kTag = 0xFFF3;
  for (int round = 0; round < 500; ++round) {
    double ends[2];
    uint64_t words[2];
    for (int i = 0; i < 2; ++i) {
      ends[i] = random.below(8) == 0 ? std::ldexp(static_cast<double>(i * 2 - 1), 1024)
                                     : std::floor(random.unit() * 20) - 10;
      words[i] = random.below(2) == 0 ? random.next() : 0x7FF0000000000000 + random.below(40);
    }
    const Guarded<uint64_t> cells(64, round % 3);
    for (uint64_t& c : std::span<uint64_t>(cells.data(), 64)) {
      const double number = std::floor(random.unit() * 20) - 10;
      std::memcpy(&c, &number, sizeof(c));
      if (random.below(3) == 0) c = 0x7FF0000000000000 + random.below(40);
      if (random.below(3) == 0) c = (0xFFF0 + random.below(8)) << 48 | random.below(100);
      if (random.below(8) == 0) c = words[random.below(2)];
    }
    for (const bool strict : {false, true}) {
      const Kernels::NumberRange range{ends[0], ends[1], strict, kTag};
      const auto got = k.cells_of_numbers(cells.data(), range);
      const auto expected = reference().cells_of_numbers(cells.data(), range);
      CHECK_EQ(got.hits, expected.hits);
      CHECK_EQ(got.tagged, expected.tagged);
    }
    const Kernels::WordRange range{words[0], words[1], kTag};
    const auto got = k.cells_of_words(cells.data(), range);
    for (size_t i = 0; i < 64; ++i) {
      CHECK_EQ(got.hits >> i & 1, uint64_t{words[0] <= cells[i] && cells[i] <= words[1]});
      CHECK_EQ(got.tagged >> i & 1, uint64_t{cells[i] >> 48 == kTag || cells[i] >> 48 == kTag + 1});
    }
  }
}

}  // namespace omen::simd::checks
