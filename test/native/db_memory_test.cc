// What stats().bytes tells is what the process grew by, within 5 % and what malloc keeps: built,
// churned, with originals and without.
#if defined(__linux__)
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <fstream>
#include <thread>

#include "db_support.h"
#include "exec/thread_pool.h"

namespace omen::test {
namespace {

#if defined(__linux__) && !defined(OMENDB_SANITIZED)

constexpr uint32_t kDimensions = 128;
constexpr size_t kRows = 40000;
constexpr size_t kBatch = 10000;
// What lies between living blocks of the heap, whatever the collection's size.
constexpr double kHeapKept = 2 << 20;

uint64_t resident_bytes() {
#if defined(__GLIBC__)
  malloc_trim(0);  // What malloc keeps of freed memory is nobody's.
#endif
  std::ifstream file("/proc/self/statm");
  uint64_t size = 0;
  uint64_t resident = 0;
  file >> size >> resident;
  return resident * page_bytes();
}

void check_memory(const char* what, const Collection& c, uint64_t before) {
  const auto grown = static_cast<double>(resident_bytes() - before);
  const auto b = c.stats().bytes;
  const auto total = static_cast<double>(b.total);
  std::printf(
      "# %s: %.1f bytes a row, counted %.1f (vectors %.1f codes %.1f graph %.1f ids %.1f "
      "metadata %.1f columns %.1f scratch %.1f retired %.1f)\n",
      what, grown / kRows, total / kRows, double(b.vectors) / kRows, double(b.codes) / kRows,
      double(b.graph) / kRows, double(b.ids) / kRows, double(b.metadata) / kRows,
      double(b.columns) / kRows, double(b.scratch) / kRows, double(b.retired) / kRows);
  CHECK(std::fabs(grown - total) <= 0.05 * total + kHeapKept);
}

void settle(Collection& c) {
  CHECK_OK(optimize(c));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

void build_and_churn(bool keep) {
  const auto pool = ThreadPool::create(2).take();
  Clusters clusters(kDimensions, 1000, 7);
  const std::vector<float> data = clusters.draw_many(kRows);
  Fixture fixture(pool.get());
  CollectionOptions options = options_of(kDimensions, Metric::kL2, Quantization::kSq8);
  options.keep_vectors = keep;
  {  // What the process allocates once, and the heap's first pages.
    const auto warm = fixture.make(options);
    CHECK_OK(write(*warm, kAdd, data.data(), 6000, kDimensions, {}));
    settle(*warm);
  }
  // Upkeep of the pool may hold it a little longer.
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const uint64_t before = resident_bytes();
  const auto c = fixture.make(options);
  for (size_t i = 0; i < kRows; i += kBatch) {
    CHECK_OK(write(*c, kAdd, &data[i * kDimensions], kBatch, kDimensions, {}));
  }
  settle(*c);
  check_memory(keep ? "built" : "built on codes", *c, before);
  Random random(1);
  for (size_t i = 0; i < kRows; i += kBatch) {
    std::vector<uint64_t> ids(kBatch);
    for (size_t j = 0; j < kBatch; ++j) ids[j] = i + j;
    CHECK_OK(write(*c, kUpsert, &data[random.below(kRows - kBatch) * kDimensions], kBatch,
                   kDimensions, ids));
  }
  settle(*c);
  check_memory("churned", *c, before);
  std::vector<uint64_t> gone;
  for (size_t i = 0; i < kRows; i += 2) gone.push_back(i);
  CHECK_EQ(remove(*c, gone), uint64_t{kRows / 2});
  settle(*c);
  check_memory("half deleted", *c, before);
}

// Each in a process of its own: freed memory that another left in the heap would hide growth.
TEST(bytes_are_what_the_process_grew_by) {
  for (const bool keep : {false, true}) {
    std::fflush(stdout);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      build_and_churn(keep);
      std::fflush(stdout);
      _exit(run().failures == 0 ? 0 : 1);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
}

#endif

}  // namespace
}  // namespace omen::test
