// Planted bugs: mistakes of durability that a test build can be told to make, each by its name.
//
// Why: a test that never failed may be unable to. `npm run test:durability -- planted` makes each
// mistake in turn, by OMENDB_PLANTED=name, and expects the test that is named for it to fail:
// test/durability/planted.mjs lists them. In every other build OMEN_PLANTED is false, and nothing
// of it is compiled.
// Invariants:
//   1. A planted bug is one condition in one line, beside the code that it breaks.
// Threads: all functions from any thread.
#pragma once

#ifdef OMENDB_TEST_POINTS

namespace omen {

// Whether OMENDB_PLANTED was this name when it was first asked.
bool is_planted(const char* name);

}  // namespace omen

#define OMEN_PLANTED(name) ::omen::is_planted(name)

#else

#define OMEN_PLANTED(name) false

#endif
