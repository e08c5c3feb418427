// calls_bench: one search at a time through the C++ engine, asked for by lines on stdin.
//
//   calls_bench DIR METRIC DIMENSIONS
//
// The twin of bench/jobs/calls.mjs, which starts it, gives both the same rows and lets them take
// turns: what JavaScript takes longer is its overhead. DIR holds base.f32, query.f32 (row-major)
// and metadata.jsonl (a line a row). Rows are added in one batch under their numbers as ids, linked
// by one thread when OMENDB_THREADS is 1, so that both build the same graph.
// Lines:  search EF INCLUDE  one round over all queries, k 10, by the graph; INCLUDE 0, or 1 for
//                            metadata. Answers nanoseconds: CPU time of one without a clock around
//                            each, then the median and the 99th percentile.
//         batch EF           all queries in one search_batch. Answers nanoseconds of CPU a query.
//         work EF            how many rows all queries score: whether both graphs are the same.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <future>
#include <iostream>
#include <string>
#include <vector>

#include "db/database.h"

namespace {

constexpr uint32_t kHits = 10;

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}

void check(const omen::Status& status) {
  if (!status.is_ok()) fail(std::string(error_code_name(status.code())) + ": " + status.message());
}

std::vector<float> read_floats(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) fail("cannot open " + path);
  std::vector<float> values(static_cast<size_t>(file.tellg()) / sizeof(float));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(float)));
  return values;
}

double now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::nano>(now).count();
}

// Of all threads of the process.
double cpu_ns() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return 1e9 * static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec);
}

struct Set {
  std::vector<float> queries;
  size_t dimensions = 0;
  size_t count() const { return queries.size() / dimensions; }
  const float* query(size_t q) const { return &queries[q * dimensions]; }
};

// Adds all rows as one commit on the pool, as addBatch does.
void add_rows(omen::Collection& collection, const std::string& dir, size_t dimensions) {
  const std::vector<float> base = read_floats(dir + "/base.f32");
  const size_t rows = base.size() / dimensions;
  auto batch = collection.begin_write(rows, static_cast<uint32_t>(dimensions));
  check(batch.status());
  check(batch.value()->stage_vectors(0, rows, base.data()));
  std::ifstream metadata(dir + "/metadata.jsonl");
  std::string line;
  for (size_t i = 0; i < rows; ++i) {
    check(batch.value()->stage_integer_id(i, i));
    if (std::getline(metadata, line)) check(batch.value()->stage_metadata(i, line));
  }
  omen::Commit commit;
  std::promise<void> done;
  commit.kind = omen::Commit::Kind::kAdd;
  commit.batch = batch.take();
  commit.context = &done;
  commit.on_done = [](omen::Commit*, void* context) {
    static_cast<std::promise<void>*>(context)->set_value();
  };
  collection.submit(&commit);
  done.get_future().wait();
  check(commit.status);
}

void search_round(omen::Collection& collection, const Set& set, omen::SearchOptions options) {
  std::vector<double> times(set.count());
  omen::Rows hits;
  const double cpu = cpu_ns();
  for (size_t q = 0; q < set.count(); ++q) {
    check(collection.search(set.query(q), set.dimensions, options, &hits));
  }
  const double mean = (cpu_ns() - cpu) / static_cast<double>(set.count());
  for (size_t q = 0; q < set.count(); ++q) {
    const double start = now_ns();
    check(collection.search(set.query(q), set.dimensions, options, &hits));
    times[q] = now_ns() - start;
  }
  std::sort(times.begin(), times.end());
  std::printf("%.1f %.0f %.0f\n", mean, times[times.size() / 2], times[times.size() * 99 / 100]);
}

void batch_round(omen::Collection& collection, const Set& set, omen::SearchOptions options) {
  omen::Rows hits;
  std::vector<uint32_t> counts(set.count());
  const double start = cpu_ns();
  check(collection.search_batch(set.queries.data(), set.count(), set.dimensions, options, &hits,
                                counts.data()));
  std::printf("%.1f\n", (cpu_ns() - start) / static_cast<double>(set.count()));
}

void work_round(omen::Collection& collection, const Set& set, omen::SearchOptions options) {
  omen::Rows hits;
  omen::Plan plan;
  uint64_t scored = 0;
  for (size_t q = 0; q < set.count(); ++q) {
    check(collection.search(set.query(q), set.dimensions, options, &hits, &plan));
    scored += plan.rows_scored;
  }
  std::printf("%llu\n", static_cast<unsigned long long>(scored));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) fail("usage: calls_bench DIR METRIC DIMENSIONS");
  const std::string dir = argv[1];
  const std::string metric = argv[2];
  Set set;
  set.dimensions = std::strtoul(argv[3], nullptr, 10);
  set.queries = read_floats(dir + "/query.f32");
  auto database = omen::Database::open_memory({});
  check(database.status());
  omen::CollectionOptions options;
  options.given = omen::CollectionOptions::kGivenDimensions | omen::CollectionOptions::kGivenMetric;
  options.dimensions = static_cast<uint32_t>(set.dimensions);
  options.metric = metric == "cosine" ? omen::Metric::kCosine
                   : metric == "dot"  ? omen::Metric::kDot
                                      : omen::Metric::kL2;
  auto collection = database.value()->collection("bench", options, omen::OpenMode::kCreate);
  check(collection.status());
  add_rows(*collection.value(), dir, set.dimensions);
  std::puts("ready");
  std::fflush(stdout);

  std::string verb;
  while (std::cin >> verb) {
    omen::SearchOptions search;
    search.k = kHits;
    search.mode = omen::Mode::kGraph;
    std::cin >> search.ef;
    if (verb == "search") {
      std::cin >> search.include;
      search_round(*collection.value(), set, search);
    } else if (verb == "batch") {
      batch_round(*collection.value(), set, search);
    } else if (verb == "work") {
      work_round(*collection.value(), set, search);
    } else {
      fail("no verb " + verb);
    }
    std::fflush(stdout);
  }
  return 0;
}
