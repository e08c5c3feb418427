// The choice of the kernel table: best first, forced by name, never a silent fallback.
#include <cstdlib>
#include <string>

#include "simd/cpu.h"
#include "simd/kernels.h"
#include "test.h"

using omen::ErrorCode;
using omen::simd::available_kernels;
using omen::simd::choose_kernels;
using omen::simd::Kernels;

namespace {

bool is_available(const std::string& name) {
  for (const Kernels* const* t = available_kernels(); *t != nullptr; ++t) {
    if (name == (*t)->name) return true;
  }
  return false;
}

}  // namespace

// Any machine can run something, and the reference comes last.
TEST(scalar_is_always_available_and_last) {
  const Kernels* const* t = available_kernels();
  while (t[1] != nullptr) ++t;
  CHECK_EQ(std::string((*t)->name), "scalar");
}

// No table has a hole that a search would jump into.
TEST(tables_are_complete) {
  for (const Kernels* const* t = available_kernels(); *t != nullptr; ++t) {
    const Kernels& k = **t;
    CHECK(k.l2_f32 && k.dot_f32 && k.cosine_f32 && k.l2_i8 && k.dot_i8 && k.cosine_i8 && k.dot_u8);
    CHECK(k.l2_f32_rows && k.dot_f32_rows && k.cosine_f32_rows && k.l2_i8_rows && k.dot_i8_rows);
    CHECK(k.cosine_i8_rows && k.dot_u8_rows && k.copy_norm_f32 && k.norm_f32 && k.quantize_u8);
    CHECK(k.make_weights && k.code_weights && k.gather_unvisited && k.mask_below);
    CHECK(k.pool_insert && k.dot_square_u8_rows && k.affine_dots && k.rescale_u8);
    CHECK(k.cells_of_numbers && k.cells_of_words);
  }
}

// What the processor can do and what is offered agree.
TEST(tables_follow_the_processor) {
  const omen::simd::CpuFeatures cpu = omen::simd::detect_cpu();
  CHECK_EQ(is_available("avx2"), cpu.avx2);
  CHECK_EQ(is_available("avx512"), cpu.avx512);
  CHECK_EQ(is_available("neon"), cpu.neon);
}

// A forced table is used or refused; tests and bug reports rely on it.
TEST(forcing_gives_the_named_table_or_an_error) {
  for (const std::string name : {"scalar", "avx2", "avx512", "neon"}) {
    const auto choice = choose_kernels(name.c_str());
    CHECK_EQ(choice.is_ok(), is_available(name));
    if (choice.is_ok()) {
      CHECK_EQ(std::string(choice.value()->name), name);
    } else {
      CHECK(choice.status().code() == ErrorCode::kUnsupported);
      CHECK(choice.status().message().find("scalar") != std::string::npos);
    }
  }
}

// A typing error must not silently measure the wrong table.
TEST(unknown_names_are_errors_that_list_the_allowed) {
  for (const char* name : {"sse", "AVX2", "avx2 ", "avx", "none"}) {
    const auto choice = choose_kernels(name);
    REQUIRE(!choice.is_ok());
    CHECK(choice.status().code() == ErrorCode::kArgument);
    CHECK(choice.status().message().find("scalar, avx2, avx512, neon") != std::string::npos);
    CHECK(choice.status().message().find(name) != std::string::npos);
  }
}

// Without a wish, or with an empty one, the best table is taken.
TEST(default_is_the_best) {
  CHECK(choose_kernels(nullptr).value() == available_kernels()[0]);
  CHECK(choose_kernels("").value() == available_kernels()[0]);
}

// The run that CI forces to a table runs on that table.
TEST(environment_is_obeyed) {
  const char* wish = std::getenv("OMENDB_SIMD");
  const auto expected = choose_kernels(wish);
  const auto choice = choose_kernels();
  REQUIRE(choice.is_ok() == expected.is_ok());
  if (!choice.is_ok()) {
    CHECK(choice.status().code() == expected.status().code());
    return;
  }
  CHECK(choice.value() == expected.value());
  CHECK(&omen::simd::kernels() == choice.value());
}
