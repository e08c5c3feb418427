// Every kernel table that this processor runs, against plain sums and the scalar table.
#include "simd/kernels.h"
#include "simd_bit_checks.h"
#include "simd_cell_checks.h"
#include "simd_tile_checks.h"
#include "simd_checks.h"

namespace {

using omen::simd::Kernels;

void for_each_table(void (*check)(const Kernels&, uint64_t)) {
  const uint64_t seed = test_seed();
  for (const Kernels* const* t = omen::simd::available_kernels(); *t != nullptr; ++t) {
    std::printf("  table %s %s\n", (*t)->name, (*t)->features);
    std::fflush(stdout);  // A crash past the end of a buffer then names its table.
    check(**t, seed);
  }
}

}  // namespace

// Float distances are right for every size, alignment and magnitude.
TEST(float_kernels_match_sums_in_double) { for_each_table(omen::simd::checks::check_f32); }

// A hit's distance does not depend on which other rows were scored with it.
TEST(float_rows_equal_single_bit_for_bit) { for_each_table(omen::simd::checks::check_f32_rows); }

// Byte distances are exact at the extremes of their type.
TEST(int8_kernels_are_exact) { for_each_table(omen::simd::checks::check_i8); }

// Codes score the same on every machine.
TEST(code_scores_are_exact) { for_each_table(omen::simd::checks::check_dot_u8); }

// A NaN or an overflow in any element is noticed by the norm.
TEST(norms_are_double_and_notice_bad_elements) {
  for_each_table(omen::simd::checks::check_norms);
}

// Codes are the same on every machine.
TEST(codes_are_equal_in_every_table) { for_each_table(omen::simd::checks::check_quantize); }

// Prepared queries are the same on every machine.
TEST(weights_are_equal_in_every_table) { for_each_table(omen::simd::checks::check_weights); }
TEST(cells_are_tested_alike_in_every_table) { for_each_table(omen::simd::checks::check_cells); }
TEST(rescaled_codes_are_equal_in_every_table) {
  for_each_table(omen::simd::checks::check_rescale);
}

// Codes of one and two bits score the same on every machine.
TEST(bit_scores_are_exact) { for_each_table(omen::simd::checks::check_dot_bits); }

// Neighbours' codes in a row score the same on every machine.
TEST(scans_are_exact) { for_each_table(omen::simd::checks::check_scan); }

// A rotation, and so every code made from it, is the same on every machine.
TEST(hadamard_is_equal_in_every_table) { for_each_table(omen::simd::checks::check_hadamard); }

// No neighbour is scored twice or lost.
TEST(gather_is_a_set) { for_each_table(omen::simd::checks::check_gather); }

// Distances of dot products are the same on every machine, and finite.
TEST(affine_dots_are_finite_and_equal) { for_each_table(omen::simd::checks::check_affine); }

// The threshold excludes equal and NaN distances.
TEST(mask_is_strictly_below) { for_each_table(omen::simd::checks::check_mask); }

// The search pool stays sorted, first come first among equals.
TEST(pool_is_a_sorted_list) { for_each_table(omen::simd::checks::check_pool); }

TEST(byte_tiles_are_exact) { for_each_table(omen::simd::checks::check_byte_tiles); }
// Bulk building compares the same points alike on every machine, and keeps the nearest.
TEST(tiles_are_exact) { for_each_table(omen::simd::checks::check_tiles); }
