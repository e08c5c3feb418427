// engine_bench: build and search of one set through db::Collection, without JavaScript.
//
//   engine_bench DIR [metric=l2|cosine|dot] [codec=sq8|none|binary] [layout=compact|fast]
//                [n=ROWS] [batch=ROWS] [m=16] [efc=96] [churn=ROWS] [efs=10,16,..]
//                [batch_efs=32,64] [rounds=3] [seed=1]
//
// DIR holds base.f32, query.f32 (row-major) and gt.i32 (100 ids a query), as export.mjs writes
// them; with n, the truth is still that of all rows. Prints the build rate, then for each ef
// recall@10, queries per second of thread CPU time (the median of the rounds and the best), rows
// scored, hops and rows re-ranked (exact), and the wall time of one query, median and 99th
// percentile; then how two threads that search at once compare with one, the rate of batches, and
// bytes per vector.
// With churn, every id first holds another row's vector, and all are replaced in upserts of so many
// rows before the search.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>
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

// "10,16": numbers between commas.
std::vector<uint32_t> numbers(const std::string& list) {
  std::vector<uint32_t> out;
  for (size_t at = 0; at < list.size(); at = std::min(list.find(',', at), list.size() - 1) + 1) {
    out.push_back(static_cast<uint32_t>(std::stoul(list.substr(at))));
  }
  return out;
}

// The same queries asked by one thread, then by two at once: queries per second of wall time.
void print_scaling(omen::Collection& collection, const std::vector<float>& queries,
                   uint32_t dimensions, uint32_t ef) {
  const size_t query_count = queries.size() / dimensions;
  const auto ask_all = [&] {
    omen::SearchOptions search;
    search.k = 10;
    search.ef = ef;
    omen::Rows hits;
    for (size_t q = 0; q < 2 * query_count; ++q) {
      check(collection.search(&queries[q % query_count * dimensions], dimensions, search, &hits,
                              nullptr));
    }
  };
  std::vector<double> ratios;
  for (int round = 0; round < 5; ++round) {
    const double begin = wall_seconds();
    ask_all();
    const double alone = wall_seconds() - begin;
    std::thread other(ask_all);
    ask_all();
    other.join();
    ratios.push_back(2 * alone / (wall_seconds() - begin - alone));
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("two threads, ef %u: %.2f times one\n", ef, ratios[2]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr,
                 "usage: engine_bench DIR [metric=l2] [codec=sq8] [layout=compact] [n=] [batch=] "
                 "[m=] [efc=] [churn=] [efs=] [batch_efs=] [rounds=] [seed=]\n");
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
  database_options.seed = std::stoull(argument(argc, argv, "seed", "1"));
  database_options.given_seed = true;
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
  std::printf("%6s %9s %10s %10s %10s %8s %8s %8s %8s\n", "ef", "recall@10", "QPS", "best", "rows",
              "hops", "exact", "p50 us", "p99 us");
  const auto efs = numbers(argument(argc, argv, "efs", "10,16,24,32,48,64,96,128,200,300"));
  const int rounds = std::max(1, std::stoi(argument(argc, argv, "rounds", "3")));
  for (const uint32_t ef : efs) {
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
    std::vector<double> times;
    for (int round = 0; round <= rounds + 1; ++round) {
      const double begin = cpu_seconds();
      for (size_t q = 0; q < query_count; ++q) {
        const double asked = round > rounds ? wall_seconds() : 0;
        check(collection.search(&queries[q * dimensions], dimensions, search, &hits,
                                round == 0 ? &plan : nullptr));
        if (round > rounds) times.push_back(1e6 * (wall_seconds() - asked));
        if (round > 0) continue;
        scored += plan.rows_scored;
        hops += plan.hops;
        reranked += plan.reranked;
        for (const omen::IdOut& id : hits.ids) {
          const auto* t = &truth[q * 100];
          found += std::find(t, t + 10, static_cast<int32_t>(id.value)) != t + 10;
        }
      }
      if (round > 0 && round <= rounds) {
        rates.push_back(static_cast<double>(query_count) / (cpu_seconds() - begin));
      }
    }
    std::sort(rates.begin(), rates.end());
    std::sort(times.begin(), times.end());
    const double n = static_cast<double>(query_count);
    std::printf("%6u %9.4f %10.0f %10.0f %10.0f %8.0f %8.0f %8.1f %8.1f\n", ef,
                static_cast<double>(found) / (10 * n), rates[rates.size() / 2], rates.back(),
                static_cast<double>(scored) / n, static_cast<double>(hops) / n,
                static_cast<double>(reranked) / n, times[times.size() / 2],
                times[times.size() * 99 / 100]);
  }
  print_scaling(collection, queries, dimensions, efs.back());
  // All queries at once, on all threads: per second of CPU, which is per core.
  for (const uint32_t ef : numbers(argument(argc, argv, "batch_efs", "32,64"))) {
    omen::SearchOptions search;
    search.k = 10;
    search.ef = ef;
    search.mode = omen::Mode::kGraph;
    omen::Rows hits;
    std::vector<uint32_t> counts(query_count);
    std::vector<double> rates;
    for (int round = 0; round < rounds + 2; ++round) {
      const double begin = process_cpu_seconds();
      check(collection.search_batch(queries.data(), query_count, dimensions, search, &hits,
                                    counts.data()));
      rates.push_back(static_cast<double>(query_count) / (process_cpu_seconds() - begin));
    }
    std::sort(rates.begin(), rates.end());
    std::printf("batch, ef %u: %.0f queries per second of CPU, best %.0f\n", ef,
                rates[rates.size() / 2], rates.back());
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
