// engine_bench: build and search of one set through db::Collection, without JavaScript.
//
//   engine_bench DIR [metric=l2|cosine|dot] [codec=sq8|none|binary] [layout=compact|fast]
//                [n=ROWS] [batch=ROWS] [m=16] [efc=96] [churn=ROWS]
//
// DIR holds base.f32, query.f32 (row-major) and gt.i32 (100 ids a query), as export.mjs writes
// them; with n, the truth is still that of all rows. Prints the build rate, then for each ef
// recall@10, queries per second of thread CPU time, rows scored, hops and rows
// re-ranked (exact); last, bytes per vector.
// With churn, every id first holds another row's vector, and all are replaced in upserts of so many
// rows before the search.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "db/database.h"
#include "support.h"

using omen::bench::argument;
using omen::bench::check;
using omen::bench::read_file;

namespace {

double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double process_cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr,
                 "usage: engine_bench DIR [metric=l2] [codec=sq8] [layout=compact] [n=] [batch=] "
                 "[m=] [efc=] [churn=]\n");
    return 2;
  }
  const std::string dir = argv[1];
  const auto base = read_file<float>(dir + "/base.f32");
  const auto queries = read_file<float>(dir + "/query.f32");
  const auto truth = read_file<int32_t>(dir + "/gt.i32");
  const size_t query_count = truth.size() / 100;
  const auto dimensions = static_cast<uint32_t>(queries.size() / query_count);
  const size_t rows = std::min<size_t>(base.size() / dimensions,
                                       std::stoul(argument(argc, argv, "n", "1000000000")));
  const size_t batch_rows = std::stoul(argument(argc, argv, "batch", "20000"));

  omen::DatabaseOptions database_options;
  auto database = omen::Database::open_memory(database_options);
  check(database.status());
  omen::CollectionOptions options;
  options.given = ~0u & ~omen::CollectionOptions::kGivenSchema;
  options.dimensions = dimensions;
  const std::string metric = argument(argc, argv, "metric", "l2");
  options.metric = metric == "cosine" ? omen::Metric::kCosine
                   : metric == "dot"  ? omen::Metric::kDot
                                      : omen::Metric::kL2;
  const std::string codec = argument(argc, argv, "codec", "sq8");
  options.quantization = codec == "none"     ? omen::Quantization::kNone
                         : codec == "binary" ? omen::Quantization::kBinary
                                             : omen::Quantization::kSq8;
  const std::string layout = argument(argc, argv, "layout", "compact");
  options.layout = layout == "fast" ? omen::Layout::kFast : omen::Layout::kCompact;
  options.m = static_cast<uint32_t>(std::stoul(argument(argc, argv, "m", "16")));
  options.ef_construction = static_cast<uint32_t>(std::stoul(argument(argc, argv, "efc", "96")));
  auto opened = database.value()->collection("bench", options, omen::OpenMode::kCreate);
  check(opened.status());
  omen::Collection& collection = *opened.value();

  // Writes rows [0, rows) under their numbers as ids; id i gets the vector of row i + shift.
  const auto write = [&](omen::Commit::Kind kind, size_t step, size_t shift) {
    for (size_t first = 0; first < rows; first += step) {
      const size_t count = std::min(step, rows - first);
      auto batch = collection.begin_write(count, dimensions);
      check(batch.status());
      for (size_t i = 0; i < count;) {  // As far as rows follow each other.
        const size_t from = (first + i + shift) % rows;
        const size_t n = std::min(count - i, rows - from);
        check(batch.value()->stage_vectors(i, n, base.data() + from * dimensions));
        i += n;
      }
      for (size_t i = 0; i < count; ++i) {
        check(batch.value()->stage_integer_id(i, first + i));
      }
      omen::Commit commit;
      commit.kind = kind;
      commit.batch = batch.take();
      collection.run(&commit);
      check(commit.status);
    }
  };
  const size_t churn_rows = std::stoul(argument(argc, argv, "churn", "0"));
  const double start = wall_seconds();
  const double start_cpu = process_cpu_seconds();
  write(omen::Commit::Kind::kAdd, batch_rows, churn_rows > 0 ? rows / 2 : 0);
  const double built = wall_seconds() - start;
  const double built_cpu = process_cpu_seconds() - start_cpu;
  if (churn_rows > 0) {
    const double began = wall_seconds();
    write(omen::Commit::Kind::kUpsert, churn_rows, 0);
    omen::Commit commit;
    commit.kind = omen::Commit::Kind::kOptimize;
    collection.run(&commit);
    check(commit.status);
    std::printf("churn: %.0f records/s\n", static_cast<double>(rows) / (wall_seconds() - began));
  }
  const omen::CheckReport report = collection.check();
  std::printf(
      "build: %zu x %u in %.2f s, %.0f vectors/s, %.0f per second of CPU; %s, %llu "
      "unreachable\n",
      rows, dimensions, built, static_cast<double>(rows) / built,
      static_cast<double>(rows) / built_cpu, report.ok ? "valid" : report.problem.c_str(),
      static_cast<unsigned long long>(report.unreachable));
  std::printf("%6s %9s %10s %10s %8s %8s\n", "ef", "recall@10", "QPS", "rows", "hops", "exact");
  for (const uint32_t ef : {10u, 16u, 24u, 32u, 48u, 64u, 96u, 128u, 200u, 300u}) {
    omen::SearchOptions search;
    search.k = 10;
    search.ef = ef;
    search.mode = omen::Mode::kGraph;
    omen::Rows hits;
    omen::Plan plan;
    uint64_t found = 0;
    uint64_t scored = 0;
    uint64_t hops = 0;
    uint64_t reranked = 0;
    std::vector<double> rates;
    for (int round = 0; round < 4; ++round) {
      const double begin = cpu_seconds();
      for (size_t q = 0; q < query_count; ++q) {
        check(collection.search(&queries[q * dimensions], dimensions, search, &hits,
                                round == 0 ? &plan : nullptr));
        if (round > 0) continue;
        scored += plan.rows_scored;
        hops += plan.hops;
        reranked += plan.reranked;
        for (const omen::IdOut& id : hits.ids) {
          const auto* t = &truth[q * 100];
          found += std::find(t, t + 10, static_cast<int32_t>(id.value)) != t + 10;
        }
      }
      if (round > 0) rates.push_back(static_cast<double>(query_count) / (cpu_seconds() - begin));
    }
    std::sort(rates.begin(), rates.end());
    const double n = static_cast<double>(query_count);
    std::printf("%6u %9.4f %10.0f %10.0f %8.0f %8.0f\n", ef, static_cast<double>(found) / (10 * n),
                rates[1], static_cast<double>(scored) / n, static_cast<double>(hops) / n,
                static_cast<double>(reranked) / n);
  }
  // All queries at once, on all threads: per second of CPU, which is per core.
  for (const uint32_t ef : {32u, 64u}) {
    omen::SearchOptions search;
    search.k = 10;
    search.ef = ef;
    search.mode = omen::Mode::kGraph;
    omen::Rows hits;
    std::vector<uint32_t> counts(query_count);
    std::vector<double> rates;
    for (int round = 0; round < 5; ++round) {
      const double begin = process_cpu_seconds();
      check(collection.search_batch(queries.data(), query_count, dimensions, search, &hits,
                                    counts.data()));
      rates.push_back(static_cast<double>(query_count) / (process_cpu_seconds() - begin));
    }
    std::sort(rates.begin(), rates.end());
    std::printf("batch, ef %u: %.0f queries per second of CPU\n", ef, rates[2]);
  }
  const omen::CollectionStats stats = collection.stats();
  const double n = static_cast<double>(rows);
  const auto& b = stats.bytes;
  std::printf(
      "bytes/vector: vectors %.1f, codes %.1f, graph %.1f, ids %.1f, scratch %.1f, all but vectors "
      "%.1f\n",
      static_cast<double>(b.vectors) / n, static_cast<double>(b.codes) / n,
      static_cast<double>(b.graph) / n, static_cast<double>(b.ids) / n,
      static_cast<double>(b.scratch) / n, static_cast<double>(b.total - b.vectors) / n);
  return report.ok ? 0 : 1;
}
