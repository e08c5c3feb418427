// The choice of a table: best first, or the one that OMENDB_SIMD names.
#include <cstdlib>
#include <cstring>
#include <string>

#include "simd/cpu.h"
#include "simd/kernels.h"

namespace omen::simd {
namespace {

// Every name that OMENDB_SIMD may hold, on any processor.
constexpr const char* kNames[] = {"scalar", "avx2", "avx512", "neon"};

struct Tables {
  const Kernels* list[5] = {};
};

Tables find_tables() {
  Tables t;
  [[maybe_unused]] const CpuFeatures cpu = detect_cpu();
  size_t size = 0;
#if defined(__x86_64__) || defined(_M_X64)
  if (cpu.avx512_vnni) t.list[size++] = &avx512::vnni::kTable;
  if (cpu.avx512) t.list[size++] = &avx512::kTable;
  if (cpu.avx2) t.list[size++] = &avx2::kTable;
#elif defined(__aarch64__) || defined(_M_ARM64)
  if (cpu.dotprod) t.list[size++] = &neon::dotprod::kTable;
  if (cpu.neon) t.list[size++] = &neon::kTable;
#endif
  t.list[size++] = &scalar::kTable;
  OMEN_ASSERT(size < sizeof(t.list) / sizeof(t.list[0]));  // The last one stays nullptr.
  return t;
}

bool is_known(const char* name) {
  for (const char* known : kNames) {
    if (std::strcmp(known, name) == 0) return true;
  }
  return false;
}

std::string available_names() {
  std::string names;
  const char* last = "";
  for (const Kernels* const* t = available_kernels(); *t != nullptr; ++t) {
    if (std::strcmp(last, (*t)->name) == 0) continue;  // The same name, with an extension.
    last = (*t)->name;
    if (!names.empty()) names += ", ";
    names += last;
  }
  return names;
}

}  // namespace

const Kernels* const* available_kernels() {
  static const Tables tables = find_tables();
  return tables.list;
}

Result<const Kernels*> choose_kernels(const char* forced) {
  if (forced == nullptr || *forced == '\0') return available_kernels()[0];
  for (const Kernels* const* t = available_kernels(); *t != nullptr; ++t) {
    if (std::strcmp((*t)->name, forced) == 0) return *t;
  }
  if (is_known(forced)) {
    return Status::error(ErrorCode::kUnsupported,
                         "OMENDB_SIMD is '" + std::string(forced) +
                             "', which this processor cannot run; it runs " + available_names());
  }
  std::string allowed;
  for (const char* name : kNames) allowed += (allowed.empty() ? "" : ", ") + std::string(name);
  return Status::error(ErrorCode::kArgument, "OMENDB_SIMD is '" + std::string(forced) +
                                                 "'; allowed are " + allowed +
                                                 "; this processor runs " + available_names());
}

Result<const Kernels*> choose_kernels() {
  // Never destroyed: threads may still score while the process exits.
  static const auto* const choice =
      new Result<const Kernels*>(choose_kernels(std::getenv("OMENDB_SIMD")));
  return *choice;
}

const Kernels& kernels() {
  static const Kernels* const chosen = choose_kernels().take();
  return *chosen;
}

}  // namespace omen::simd
