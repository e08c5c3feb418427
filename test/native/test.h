// The harness of the C++ tests: tests that register themselves, checks that count, a seed, a main.
//
// Why: the tests must build wherever a C++ compiler and CMake exist and nothing else does.
//   TEST(rows_keep_their_address) { CHECK_EQ(page.row(3), before); }
// One executable per *_test.cc. Arguments are parts of names: only the tests that contain one of
// them run. The last line of the output is "N passed, N failed"; the exit status is 1 if any
// failed.
// Invariants:
//   1. A failed CHECK is counted and the test goes on; a failed REQUIRE ends it.
//   2. A test that made no check, and was not skipped, fails: it protects nothing.
//   3. test_seed() depends on the test's name alone, unless OMEN_SEED is set to a number (replays
//      it) or to "random" (draws one; what the soak does).
// Threads: CHECK may be used from any thread of a test; REQUIRE and SKIP only from its own.
#pragma once

#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "base/random.h"
#include "base/status.h"

namespace omen::test {

// A sanitizer takes memory of its own, and several times as long.
#if defined(OMENDB_SANITIZED)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

struct Case {
  const char* name;
  const char* file;
  void (*run)();
};

// State of the run. Failures past kPrintedMax of one test are counted, not printed.
struct Run {
  static constexpr int kPrintedMax = 10;
  std::vector<Case> cases;
  const Case* current = nullptr;
  std::atomic<int> checks{0};
  std::atomic<int> failures{0};
  std::string skip_reason;
  bool seed_printed = false;
};

inline Run& run() {
  static Run r;
  return r;
}

struct Register {
  Register(const char* name, const char* file, void (*body)()) {
    run().cases.push_back({name, file, body});
  }
};

template <class T>
std::string text_of(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_enum_v<T>) {
    return std::to_string(static_cast<long long>(value));
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(value);  // A char too: a byte is a number here.
  } else if constexpr (requires(std::ostringstream & o, const T& v) { o << v; }) {
    std::ostringstream out;
    out.precision(17);
    out << value;
    return out.str();
  } else {
    return "(a value without text)";
  }
}

inline bool report(bool passed, const char* file, int line, const char* what,
                   const std::string& detail = {}) {
  run().checks.fetch_add(1, std::memory_order_relaxed);
  if (passed) return true;
  if (run().failures.fetch_add(1, std::memory_order_relaxed) < Run::kPrintedMax) {
    std::printf("  %s:%d: %s%s%s\n", file, line, what, detail.empty() ? "" : ": ", detail.c_str());
    std::fflush(stdout);
  }
  return false;
}

// Integers of different signedness compare by value; all else by its own ==.
template <class A, class B>
bool equal(const A& a, const B& b) {
  if constexpr (std::is_integral_v<A> && std::is_integral_v<B> && !std::is_same_v<A, bool> &&
                !std::is_same_v<B, bool>) {
    if ((a < A{0}) != (b < B{0})) return false;
    return static_cast<uint64_t>(a) == static_cast<uint64_t>(b);
  } else {
    return a == b;
  }
}

template <class A, class B>
bool report_equal(const A& a, const B& b, const char* file, int line, const char* what) {
  const bool same = equal(a, b);
  return report(same, file, line, what, same ? "" : text_of(a) + " is not " + text_of(b));
}

inline bool report_near(double a, double b, double tolerance, const char* file, int line,
                        const char* what) {
  const bool near = std::abs(a - b) <= tolerance;  // False for NaN.
  return report(near, file, line, what,
                near ? "" : text_of(a) + " and " + text_of(b) + " differ by more than " +
                                text_of(tolerance));
}

inline bool report_ok(const Status& s, const char* file, int line, const char* what) {
  return report(s.is_ok(), file, line, what,
                s.is_ok() ? "" : std::string(error_code_name(s.code())) + " " + s.message());
}
template <class T>
bool report_ok(const Result<T>& r, const char* file, int line, const char* what) {
  return r.is_ok() ? report(true, file, line, what) : report_ok(r.status(), file, line, what);
}

// The seed of the running test: printed, and replayed by OMEN_SEED.
inline uint64_t test_seed() {
  const char* name = run().current->name;
  uint64_t seed = hash_bytes(name, std::strlen(name));
  if (const char* given = std::getenv("OMEN_SEED"); given && *given) {
    if (std::strcmp(given, "random") == 0) {
      static const uint64_t drawn =
          (uint64_t{std::random_device()()} << 32) ^ std::random_device()();
      seed = drawn ^ seed;
    } else {
      seed = std::strtoull(given, nullptr, 0);
    }
  }
  if (!run().seed_printed) {
    run().seed_printed = true;
    std::printf("# %s: OMEN_SEED=%llu\n", name, static_cast<unsigned long long>(seed));
    std::fflush(stdout);
  }
  return seed;
}

// An assertion of the engine aborts: say which test it was.
inline void on_abort(int) {
  if (run().current) {
    std::printf("not ok - %s (aborted)\n0 passed, 1 failed\n", run().current->name);
  }
  std::fflush(stdout);
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

inline bool selected(const char* name, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strstr(name, argv[i])) return true;
  }
  return argc <= 1;
}

// Runs one test and prints its line; true if it passed or was skipped.
inline bool run_case(const Case& c) {
  Run& r = run();
  r.current = &c;
  r.checks = 0;
  r.failures = 0;
  r.skip_reason.clear();
  r.seed_printed = false;
  const auto start = std::chrono::steady_clock::now();
  c.run();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                      std::chrono::steady_clock::now() - start)
                      .count();
  if (r.skip_reason.empty() && r.checks == 0) report(false, c.file, 0, "the test checked nothing");
  const bool passed = r.failures == 0;
  std::printf("%s - %s (%lld ms)", passed ? "ok" : "not ok", c.name, static_cast<long long>(ms));
  if (!r.skip_reason.empty()) std::printf(" # SKIP %s", r.skip_reason.c_str());
  if (!passed) std::printf(" # %d of %d checks failed", r.failures.load(), r.checks.load());
  std::printf("\n");
  std::fflush(stdout);
  r.current = nullptr;
  return passed;
}

inline int main_of_tests(int argc, char** argv) {
  std::signal(SIGABRT, on_abort);
  int passed = 0;
  int failed = 0;
  int skipped = 0;
  for (const Case& c : run().cases) {
    if (!selected(c.name, argc, argv)) continue;
    (run_case(c) ? passed : failed) += 1;
    skipped += run().skip_reason.empty() ? 0 : 1;
  }
  if (skipped > 0) std::printf("# %d skipped, counted as passed\n", skipped);
  if (passed + failed == 0) std::printf("no test of this file has such a name\n");
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 || passed + failed == 0 ? 1 : 0;
}

}  // namespace omen::test

using omen::test::test_seed;

#define TEST(name)                                                                    \
  static void omen_test_##name();                                                     \
  static const ::omen::test::Register omen_register_##name(#name, __FILE__,           \
                                                           omen_test_##name);         \
  static void omen_test_##name()

#define CHECK(condition) ::omen::test::report(!!(condition), __FILE__, __LINE__, #condition)
#define CHECK_EQ(a, b) ::omen::test::report_equal((a), (b), __FILE__, __LINE__, #a " == " #b)
#define CHECK_NEAR(a, b, tolerance) \
  ::omen::test::report_near((a), (b), (tolerance), __FILE__, __LINE__, #a " near " #b)
#define CHECK_OK(status) ::omen::test::report_ok((status), __FILE__, __LINE__, #status)

// As CHECK and CHECK_OK, but what follows would make no sense after a failure.
#define REQUIRE(condition)           \
  do {                               \
    if (!CHECK(condition)) return;   \
  } while (0)
#define REQUIRE_OK(status)           \
  do {                               \
    if (!CHECK_OK(status)) return;   \
  } while (0)

// Ends a test that cannot run here. CI fails unless test/skips.json declares it.
#define SKIP(reason)                          \
  do {                                        \
    ::omen::test::run().skip_reason = reason; \
    return;                                   \
  } while (0)

#ifndef TEST_MAIN  // Define it as 0 where a file brings its own main.
#define TEST_MAIN 1
#endif
#if TEST_MAIN
int main(int argc, char** argv) { return ::omen::test::main_of_tests(argc, argv); }
#endif
