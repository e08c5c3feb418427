// open_bench: how long a database on disk takes from opening to its first correct answer, and what
// it costs to write.
//
//   open_bench DIR PATH [metric=l2|cosine] [codec=sq8|none|binary] [metadata=1] [rounds=5]
//              [residency=memory|mapped|both]
//
// DIR holds base.f32, query.f32 and gt.i32, as export.mjs writes them. A database is made at PATH
// by batches of 20 000, unless one is there; then it is closed and opened again and again (the
// files are in the system's cache by then). The first answer is a search for the first query, whose
// recall@10 is printed with the times, as is that of all queries. With residency=both, as it does
// by itself, it takes turns.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "db/database.h"
#include "support.h"

using omen::bench::argument;
using omen::bench::check;
using omen::bench::read_file;

namespace {

double now_ms() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double, std::milli>(Clock::now().time_since_epoch()).count();
}

uint64_t bytes_in(const std::string& path) {
  uint64_t sum = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path)) sum += entry.file_size();
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: open_bench DIR PATH [metric=l2] [codec=sq8] [metadata=1]\n");
    return 2;
  }
  const std::string dir = argv[1];
  const auto base = read_file<float>(dir + "/base.f32");
  const auto queries = read_file<float>(dir + "/query.f32");
  const auto truth = read_file<int32_t>(dir + "/gt.i32");
  const size_t query_count = truth.size() / 100;
  const auto dimensions = static_cast<uint32_t>(queries.size() / query_count);
  const size_t rows = base.size() / dimensions;
  const bool has_metadata = argument(argc, argv, "metadata", "1") == "1";
  const std::string codec = argument(argc, argv, "codec", "sq8");

  omen::DatabaseOptions options;
  options.path = argv[2];
  options.durability = omen::Durability::kOs;
  omen::CollectionOptions collection_options;
  collection_options.given = omen::CollectionOptions::kGivenMetric |
                             omen::CollectionOptions::kGivenQuantization;
  collection_options.metric = argument(argc, argv, "metric", "l2") == "cosine"
                                  ? omen::Metric::kCosine
                                  : omen::Metric::kL2;
  collection_options.quantization = codec == "none"     ? omen::Quantization::kNone
                                    : codec == "binary" ? omen::Quantization::kBinary
                                                        : omen::Quantization::kSq8;
  const auto open = [&] {
    auto database = omen::Database::open(options);
    check(database.status());
    return database.take();
  };
  const auto collection_of = [&](omen::Database& database) {
    auto c = database.collection("c", collection_options, omen::OpenMode::kOpenOrCreate);
    check(c.status());
    return c.take();
  };
  double began = now_ms();
  if (!std::filesystem::exists(options.path)) {
    auto database = open();
    const auto c = collection_of(*database);
    for (size_t first = 0; first < rows; first += 20000) {
      const size_t count = std::min<size_t>(20000, rows - first);
      omen::Commit commit;
      commit.kind = omen::Commit::Kind::kAdd;
      commit.batch = c->begin_write(count, dimensions).take();
      check(commit.batch->stage_vectors(0, count, base.data() + first * dimensions));
      for (size_t i = 0; i < count; ++i) {
        check(commit.batch->stage_integer_id(i, first + i));
        if (!has_metadata) continue;
        const std::string json = "{\"year\":" + std::to_string(1950 + (first + i) % 70) +
                                 ",\"kind\":\"k" + std::to_string((first + i) % 9) + "\"}";
        check(commit.batch->stage_metadata(i, json));
      }
      c->run(&commit);
      check(commit.status);
    }
    std::printf("written: %zu x %u in %.0f ms\n", rows, dimensions, now_ms() - began);
    began = now_ms();
  }
  std::printf("closed in %.0f ms; %.1f bytes a vector on disk, the vector itself %zu\n",
              now_ms() - began, static_cast<double>(bytes_in(options.path)) /
                                    static_cast<double>(rows), dimensions * sizeof(float));
  const size_t rounds = std::stoul(argument(argc, argv, "rounds", "5"));
  const std::string residency = argument(argc, argv, "residency", "both");
  struct Times {
    omen::Residency residency;
    const char* name;
    std::vector<double> opened;
    std::vector<double> answered;
  };
  std::vector<Times> all;
  if (residency != "mapped") all.push_back({omen::Residency::kMemory, "memory", {}, {}});
  if (residency != "memory") all.push_back({omen::Residency::kMapped, "mapped", {}, {}});
  for (size_t round = 0; round < rounds; ++round) {
    for (Times& times : all) {
      options.residency = times.residency;
      // What the last one left to the pool is over by then.
      std::this_thread::sleep_for(std::chrono::milliseconds(400));
      began = now_ms();
      auto database = open();
      times.opened.push_back(now_ms() - began);
      const auto c = collection_of(*database);
      size_t found = 0;
      for (size_t q = 0; q < query_count; ++q) {
        omen::SearchOptions search;
        omen::Rows hits;
        check(c->search(&queries[q * dimensions], dimensions, search, &hits));
        if (q == 0) times.answered.push_back(now_ms() - began);
        for (const omen::IdOut& id : hits.ids) {
          const auto* t = &truth[q * 100];
          found += std::find(t, t + 10, static_cast<int32_t>(id.value)) != t + 10;
        }
        if (q == 0) {
          std::printf("%s: first answer: recall@10 %.1f; ", times.name,
                      static_cast<double>(found) / 10);
        }
      }
      const auto recovery = database->stats().recovery;
      std::printf("all: %.4f; from the snapshot %llu, from the log %llu\n",
                  static_cast<double>(found) / (10 * static_cast<double>(query_count)),
                  static_cast<unsigned long long>(recovery.snapshot_records),
                  static_cast<unsigned long long>(recovery.records));
    }
  }
  for (Times& times : all) {
    std::sort(times.opened.begin(), times.opened.end());
    std::sort(times.answered.begin(), times.answered.end());
    std::printf("%s: opened in %.1f ms, first answer after %.1f ms (medians of %zu)\n", times.name,
                times.opened[rounds / 2], times.answered[rounds / 2], rounds);
  }
  return 0;
}
