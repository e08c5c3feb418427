// filters_bench: filtered searches through db::Collection, and what their steps cost.
//
//   filters_bench DIR [metric=l2|cosine|dot] [codec=sq8|none] [n=ROWS] [ef=64] [queries=200]
//                 [kind=random|range|correlated|anticorrelated] [share=0.1]
//
// DIR holds base.f32, query.f32 and gt.i32, as export.mjs writes them; every filter's own truth is
// computed here. Filters that pass a share of the rows: random ones; ranges (rows that follow one
// another in the file, as the descriptors of one photo do); for each query the share nearest to it
// (correlated), and the share farthest from it (anticorrelated). For each, by plan, by the forced
// graph and by the exact scan, in turns that begin with another one at each query: recall@10,
// microseconds of thread CPU time a query with the row set cached, rows scored, and how many went
// to the scan after a walk. `cold` is the first search under a filter. `/ exact` is the median over
// queries of the planned time by the exact scan's. The rows and times of the forced ways are what
// csrc/db/plan.cc is calibrated by.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "base/random.h"
#include "db/database.h"
#include "support.h"

using omen::bench::argument;
using omen::bench::check;
using omen::bench::read_file;

namespace {

constexpr size_t kK = 10;
constexpr size_t kRanked = 40;   // Queries that have a field with the rank of each row.
constexpr size_t kScanned = 50;  // Queries at most that the exact scan answers too.
constexpr size_t kRounds = 5;
constexpr double kShares[] = {0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.01, 0.001};

double cpu_us() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return 1e6 * static_cast<double>(t.tv_sec) + 1e-3 * static_cast<double>(t.tv_nsec);
}

struct Set {
  uint32_t dimensions = 0;
  size_t rows = 0;
  size_t queries = 0;
  omen::Metric metric = omen::Metric::kL2;
  std::vector<float> base;
  std::vector<float> query;
  std::vector<uint32_t> random;              // Of each row: below a million.
  std::vector<std::vector<double>> exact;    // Of each query: the distance of each row.
  std::vector<std::vector<uint32_t>> ranks;  // Of the first kRanked: the rank of each row.

  const float* query_at(size_t q) const { return &query[q * dimensions]; }
};

double distance(const Set& set, const float* a, const float* b) {
  float dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < set.dimensions; ++i) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  if (set.metric == omen::Metric::kDot) return -dot;
  if (set.metric == omen::Metric::kCosine) return 1 - dot / std::sqrt(double{aa} * bb);
  return double{aa} + bb - 2 * double{dot};
}

void measure_distances(Set& set) {
  set.exact.resize(set.queries);
  for (size_t q = 0; q < set.queries; ++q) {
    auto& d = set.exact[q];
    d.resize(set.rows);
    for (size_t i = 0; i < set.rows; ++i) {
      d[i] = distance(set, set.query_at(q), &set.base[i * set.dimensions]);
    }
    if (q >= kRanked) continue;
    std::vector<uint32_t> order(set.rows);
    for (uint32_t i = 0; i < set.rows; ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return d[a] < d[b]; });
    auto& rank = set.ranks.emplace_back(set.rows);
    for (uint32_t i = 0; i < set.rows; ++i) rank[order[i]] = i;
  }
}

std::string metadata_of(const Set& set, size_t row) {
  std::string out = "{\"random\":" + std::to_string(set.random[row]);
  out += ",\"at\":" + std::to_string(row);
  for (size_t q = 0; q < set.ranks.size(); ++q) {
    out += ",\"rank" + std::to_string(q) + "\":" + std::to_string(set.ranks[q][row]);
  }
  return out + "}";
}

void build(const Set& set, omen::Collection& collection) {
  for (size_t first = 0; first < set.rows; first += 10000) {
    const size_t count = std::min<size_t>(10000, set.rows - first);
    auto batch = collection.begin_write(count, set.dimensions);
    check(batch.status());
    check(batch.value()->stage_vectors(0, count, &set.base[first * set.dimensions]));
    for (size_t i = 0; i < count; ++i) {
      check(batch.value()->stage_integer_id(i, first + i));
      check(batch.value()->stage_metadata(i, metadata_of(set, first + i)));
    }
    omen::Commit commit;
    commit.kind = omen::Commit::Kind::kAdd;
    commit.batch = batch.take();
    collection.run(&commit);
    check(commit.status);
  }
}

enum class Kind { kRandom, kRange, kNear, kFar };
constexpr Kind kKinds[] = {Kind::kRandom, Kind::kRange, Kind::kNear, Kind::kFar};
const char* name_of(Kind kind) {
  constexpr const char* kNames[] = {"random", "range", "correlated", "anticorrelated"};
  return kNames[static_cast<size_t>(kind)];
}

// One filter: its text, and which rows pass.
struct Case {
  std::string text;
  std::vector<uint8_t> passes;
};

Case make_case(const Set& set, Kind kind, double share, size_t q) {
  Case c;
  const auto count = static_cast<uint32_t>(std::lround(share * static_cast<double>(set.rows)));
  const auto wanted = std::max<uint32_t>(count, kK);
  const auto n = static_cast<uint32_t>(set.rows);
  const auto in = [&](const std::string& field, uint32_t from, uint32_t to, const auto& value) {
    c.text = "{\"" + field + "\":{\"$gte\":" + std::to_string(from) +
             ",\"$lt\":" + std::to_string(to) + "}}";
    for (uint32_t i = 0; i < n; ++i) c.passes.push_back(value(i) >= from && value(i) < to);
  };
  const auto rank = [&](uint32_t i) { return set.ranks[q][i]; };
  if (kind == Kind::kRandom) {
    in("random", 0, static_cast<uint32_t>(share * 1e6), [&](uint32_t i) { return set.random[i]; });
  } else if (kind == Kind::kRange) {
    const uint32_t from = std::min(n - wanted, n / 3);
    in("at", from, from + wanted, [](uint32_t i) { return i; });
  } else if (kind == Kind::kNear) {
    in("rank" + std::to_string(q), 0, wanted, rank);
  } else {
    in("rank" + std::to_string(q), n - wanted, n, rank);
  }
  return c;
}

// The distance of the last of the k nearest that pass, with room for rounding.
double worst_of(const Set& set, const Case& c, size_t q) {
  std::vector<double> d;
  for (size_t i = 0; i < set.rows; ++i) {
    if (c.passes[i] != 0) d.push_back(set.exact[q][i]);
  }
  const size_t k = std::min(kK, d.size());
  std::nth_element(d.begin(), d.begin() + static_cast<ptrdiff_t>(k - 1), d.end());
  const double worst = d[k - 1];
  return worst + 1e-6 * std::fabs(worst);
}

struct Figures {
  double found = 0, wanted = 0, us = 0, cold_us = 0, rows = 0, fallbacks = 0, count = 0;
  std::vector<double> each;  // Microseconds of each query.
  uint32_t ef = 0;
  const char* plan = "";
};

struct Asked {
  omen::Mode mode;
  uint32_t ef;
};

void measure(const Set& set, omen::Collection& collection, const Asked& asked, const Case& c,
             size_t q, Figures& out) {
  omen::SearchOptions o;
  o.k = kK;
  o.ef = asked.ef;
  o.mode = asked.mode;
  auto filter = omen::Filter::parse(c.text, nullptr);
  check(filter.status());
  o.filter = filter.take();
  omen::Rows hits;
  omen::Plan plan;
  const auto search = [&](omen::Plan* told) {
    const double begin = cpu_us();
    check(collection.search(set.query_at(q), set.dimensions, o, &hits, told));
    return cpu_us() - begin;
  };
  out.cold_us += search(nullptr);
  double times[kRounds];
  for (double& t : times) t = search(nullptr);
  std::sort(times, times + kRounds);
  out.us += times[kRounds / 2];
  out.each.push_back(times[kRounds / 2]);
  search(&plan);
  const double worst = worst_of(set, c, q);
  for (const omen::IdOut& id : hits.ids) out.found += set.exact[q][id.value] <= worst ? 1 : 0;
  out.wanted += kK;
  out.rows += static_cast<double>(plan.rows_scored);
  out.fallbacks += plan.fallback ? 1 : 0;
  out.ef = plan.ef;
  out.plan = plan.plan;
  out.count += 1;
}

struct Wanted {
  uint32_t ef = 64;
  std::string kind;  // Empty: all.
  double share = 0;  // 0: all.
};

// The median over queries of the times of one way by those of another.
double ratio_of(const Figures& a, const Figures& b) {
  std::vector<double> ratios;
  for (size_t q = 0; q < b.each.size(); ++q) ratios.push_back(a.each[q] / b.each[q]);
  const auto middle = ratios.begin() + static_cast<ptrdiff_t>(ratios.size() / 2);
  std::nth_element(ratios.begin(), middle, ratios.end());
  return *middle;
}

void print_header() {
  std::printf("%-14s %6s | %-14s %5s %6s %8s %8s %7s %5s | %6s %8s %7s %5s | %8s %7s %7s\n",
              "filter", "share", "plan", "ef", "recall", "us", "cold us", "rows", "scan", "graph",
              "us", "rows", "scan", "exact us", "ns/row", "/ exact");
}

void print_row(Kind kind, double share, const Figures (&f)[3]) {
  const auto mean = [](const Figures& of, double sum) { return sum / of.count; };
  std::printf(
      "%-14s %5.1f%% | %-14s %5u %6.4f %8.1f %8.1f %7.0f %4.0f%% | %6.4f %8.1f %7.0f %4.0f%% | "
      "%8.1f %7.1f %7.2f\n",
      name_of(kind), 100 * share, f[0].plan, f[0].ef, f[0].found / f[0].wanted, mean(f[0], f[0].us),
      mean(f[0], f[0].cold_us), mean(f[0], f[0].rows), 100 * mean(f[0], f[0].fallbacks),
      f[1].found / f[1].wanted, mean(f[1], f[1].us), mean(f[1], f[1].rows),
      100 * mean(f[1], f[1].fallbacks), mean(f[2], f[2].us), 1000 * f[2].us / f[2].rows,
      ratio_of(f[0], f[2]));
  std::fflush(stdout);
}

void run(const Set& set, omen::Collection& collection, const Wanted& wanted) {
  constexpr omen::Mode kModes[] = {omen::Mode::kPlan, omen::Mode::kGraph, omen::Mode::kExact};
  print_header();
  for (const Kind kind : kKinds) {
    const bool ranked = kind == Kind::kNear || kind == Kind::kFar;
    if (!wanted.kind.empty() && wanted.kind != name_of(kind)) continue;
    for (const double share : kShares) {
      if (wanted.share != 0 && wanted.share != share) continue;
      Figures f[3];
      const size_t queries = ranked ? set.ranks.size() : set.queries;
      Case c;
      for (size_t q = 0; q < queries; ++q) {
        if (ranked || q == 0) c = make_case(set, kind, share, q);
        for (size_t turn = 0; turn < 3; ++turn) {
          const size_t mode = (q + turn) % 3;
          if (kModes[mode] == omen::Mode::kExact && q >= kScanned) continue;
          measure(set, collection, {kModes[mode], wanted.ef}, c, q, f[mode]);
        }
      }
      print_row(kind, share, f);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr,
                 "usage: filters_bench DIR [metric=l2] [codec=sq8] [n=] [ef=64] [queries=200]\n"
                 "                     [kind=] [share=]\n");
    return 2;
  }
  const std::string dir = argv[1];
  Set set;
  set.base = read_file<float>(dir + "/base.f32");
  set.query = read_file<float>(dir + "/query.f32");
  const size_t query_count = read_file<int32_t>(dir + "/gt.i32").size() / 100;
  set.dimensions = static_cast<uint32_t>(set.query.size() / query_count);
  set.rows = std::min<size_t>(set.base.size() / set.dimensions,
                              std::stoul(argument(argc, argv, "n", "1000000000")));
  set.queries = std::min<size_t>(query_count, std::stoul(argument(argc, argv, "queries", "200")));
  const std::string metric = argument(argc, argv, "metric", "l2");
  set.metric = metric == "cosine" ? omen::Metric::kCosine
               : metric == "dot"  ? omen::Metric::kDot
                                  : omen::Metric::kL2;
  omen::Random random(11);
  for (size_t i = 0; i < set.rows; ++i) {
    set.random.push_back(static_cast<uint32_t>(random.below(1000000)));
  }
  measure_distances(set);

  omen::DatabaseOptions database_options;
  auto database = omen::Database::open_memory(database_options);
  check(database.status());
  omen::CollectionOptions options;
  options.given = ~0u & ~omen::CollectionOptions::kGivenSchema;
  options.dimensions = set.dimensions;
  options.metric = set.metric;
  options.quantization = argument(argc, argv, "codec", "sq8") == "none" ? omen::Quantization::kNone
                                                                        : omen::Quantization::kSq8;
  auto opened = database.value()->collection("bench", options, omen::OpenMode::kCreate);
  check(opened.status());
  build(set, *opened.value());
  run(set, *opened.value(),
      {static_cast<uint32_t>(std::stoul(argument(argc, argv, "ef", "64"))),
       argument(argc, argv, "kind", ""), std::stod(argument(argc, argv, "share", "0"))});
  return 0;
}
