// The AVX-512 tables, compiled from their own source over emulated intrinsics: checked on every
// machine. Where the processor has AVX-512, simd_kernels_test checks the real ones.
#include "emulated_avx512.h"
#include "simd_bit_checks.h"
#include "simd_cell_checks.h"
#include "simd_tile_checks.h"
#include "simd_checks.h"

// The engine's library holds the real tables under this name.
#define avx512 avx512_emulated
#define OMENDB_EMULATED_AVX512
#include "simd/avx512.cc"
#undef avx512

namespace {

using omen::simd::Kernels;

void for_both_tables(void (*check)(const Kernels&, uint64_t)) {
  const uint64_t seed = test_seed();
  check(omen::simd::avx512_emulated::kTable, seed);
  check(omen::simd::avx512_emulated::vnni::kTable, seed);
}

}  // namespace

// Float distances are right for every size, alignment and magnitude.
TEST(float_kernels_match_sums_in_double) { for_both_tables(omen::simd::checks::check_f32); }

// A hit's distance does not depend on which other rows were scored with it.
TEST(float_rows_equal_single_bit_for_bit) { for_both_tables(omen::simd::checks::check_f32_rows); }

// Byte distances are exact at the extremes of their type.
TEST(int8_kernels_are_exact) { for_both_tables(omen::simd::checks::check_i8); }

// Codes score the same by planes as by weights.
TEST(code_scores_are_exact) { for_both_tables(omen::simd::checks::check_dot_u8); }

// A NaN or an overflow in any element is noticed by the norm.
TEST(norms_are_double_and_notice_bad_elements) {
  for_both_tables(omen::simd::checks::check_norms);
}

// Codes are the same on every machine.
TEST(codes_are_equal_in_every_table) { for_both_tables(omen::simd::checks::check_quantize); }

// Prepared queries are the same on every machine.
TEST(weights_are_equal_in_every_table) { for_both_tables(omen::simd::checks::check_weights); }
TEST(cells_are_tested_alike_in_every_table) { for_both_tables(omen::simd::checks::check_cells); }
TEST(rescaled_codes_are_equal_in_every_table) {
  for_both_tables(omen::simd::checks::check_rescale);
}

// Neighbours' codes in a row score the same on every machine.
TEST(scans_are_exact) { for_both_tables(omen::simd::checks::check_scan); }

// Codes of one and two bits score the same on every machine.
TEST(bit_scores_are_exact) { for_both_tables(omen::simd::checks::check_dot_bits); }

// A rotation, and so every code made from it, is the same on every machine.
TEST(hadamard_is_equal_in_every_table) { for_both_tables(omen::simd::checks::check_hadamard); }

// The threshold excludes equal and NaN distances.
TEST(affine_dots_are_finite_and_equal) { for_both_tables(omen::simd::checks::check_affine); }
TEST(mask_is_strictly_below) { for_both_tables(omen::simd::checks::check_mask); }

// The search pool stays sorted, first come first among equals.
TEST(pool_is_a_sorted_list) { for_both_tables(omen::simd::checks::check_pool); }

// Bulk building compares the same points alike on every machine, and keeps the nearest.
TEST(tiles_are_exact) { for_both_tables(omen::simd::checks::check_tiles); }
TEST(byte_tiles_are_exact) { for_both_tables(omen::simd::checks::check_byte_tiles); }
