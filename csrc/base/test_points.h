// Test points: named places where a test can hold a thread, to know that an operation is in flight.
//
// Why: "what if the process exits in the middle of a search?" can only be tested when the search is
// known to be in the middle. In every build but the test build OMEN_TEST_POINT is nothing at all.
// Invariants:
//   1. An armed point holds each thread that comes to it until it is released, at most
//      kTestPauseSeconds: a test that dies leaves nobody waiting.
//   2. Points are never destroyed: threads may still come by while the process exits.
// Threads: all functions from any thread.
#pragma once

#ifdef OMENDB_TEST_POINTS

#include <cstdint>

namespace omen {

inline constexpr uint32_t kTestPauseSeconds = 5;

// Return false if the name is over-long or the table of points is full.
bool test_point_arm(const char* name);
bool test_point_release(const char* name);
// Whether a thread is held at the point now.
bool test_point_paused(const char* name);
// What OMEN_TEST_POINT calls.
void test_point_reached(const char* name);

}  // namespace omen

#define OMEN_TEST_POINT(name) ::omen::test_point_reached(name)

#else

#define OMEN_TEST_POINT(name) static_cast<void>(0)

#endif
