// Kernels: the arithmetic of the engine, and the choice of the table that does it.
//
// Why: the table is chosen once at first use, the best that this processor runs, or the one forced
// by OMENDB_SIMD (scalar | avx2 | avx512 | neon; empty is the same as unset). An unknown or
// unsupported value is an error, never a silent fallback. The scalar table is the reference in
// tests. The shape of a table and the contracts of every kernel are in table.h.
// Threads: the choice is made once (thread-safe static), everything else is constant.
#pragma once

#include "base/status.h"
#include "simd/table.h"

namespace omen::simd {

// The table in use; ERR_ARGUMENT or ERR_UNSUPPORTED when OMENDB_SIMD is wrong.
Result<const Kernels*> choose_kernels();
// What choose_kernels() answers when OMENDB_SIMD is `forced` (nullptr: not set). Keeps nothing.
Result<const Kernels*> choose_kernels(const char* forced);
// The chosen table; choose_kernels() must have succeeded (an engine bug otherwise). Keep the
// reference: a call costs a check of the static.
const Kernels& kernels();
// Tables that this processor can run, best first, ended by nullptr; scalar is always among them.
// A name occurs twice when an extension (vnni, dotprod) has a table of its own; the first is used.
const Kernels* const* available_kernels();

}  // namespace omen::simd
