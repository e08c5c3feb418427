// Filters: scans that read codes first, and walks that never cost much more than the scan, however
// the filter lies to the query.
#include "db_support.h"
#include "exec/thread_pool.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDimensions = 16;

struct Ranked {
  static constexpr size_t kQueries = 8;
  size_t rows = 20000;
  uint32_t ef = 64;
  std::vector<float> base;
  std::vector<float> queries;
  std::shared_ptr<Collection> collection;

  const float* query(size_t q) const { return &queries[q * kDimensions]; }
};

// Every query has a field with each row's rank from it; `random` is a permutation.
Ranked make_ranked(Fixture& fixture, size_t rows, uint64_t seed) {
  Ranked out;
  out.rows = rows;
  Clusters clusters(kDimensions, 20, seed);
  out.base = clusters.draw_many(rows);
  out.queries = clusters.draw_many(Ranked::kQueries);
  out.collection = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kSq8));
  std::vector<std::vector<uint32_t>> ranks;
  for (size_t q = 0; q < Ranked::kQueries; ++q) {
    std::vector<std::pair<float, uint32_t>> order;
    for (uint32_t i = 0; i < rows; ++i) {
      float sum = 0;
      for (uint32_t d = 0; d < kDimensions; ++d) {
        const float x = out.base[i * kDimensions + d] - out.query(q)[d];
        sum += x * x;
      }
      order.emplace_back(sum, i);
    }
    std::sort(order.begin(), order.end());
    auto& rank = ranks.emplace_back(rows);
    for (uint32_t i = 0; i < rows; ++i) rank[order[i].second] = i;
  }
  std::vector<std::string> metadata;
  for (size_t i = 0; i < rows; ++i) {
    std::string text = "{\"random\":" + std::to_string(i * 7919 % rows);
    for (size_t q = 0; q < Ranked::kQueries; ++q) {
      text += ",\"rank" + std::to_string(q) + "\":" + std::to_string(ranks[q][i]);
    }
    metadata.push_back(text + "}");
  }
  CHECK_OK(write(*out.collection, kAdd, out.base.data(), rows, kDimensions, {}, metadata));
  return out;
}

struct Outcome {
  double recall = 0;
  double rows = 0;    // Scored, a query.
  size_t walked = 0;  // Queries that a walk answered.
  uint64_t matches = 0;
};

enum class Lie { kRandom, kNear, kFar };

Outcome ask(const Ranked& set, Lie lie, size_t passing, Mode mode) {
  Outcome out;
  double found = 0;
  for (size_t q = 0; q < Ranked::kQueries; ++q) {
    const std::string field = lie == Lie::kRandom ? "random" : "rank" + std::to_string(q);
    const bool far = lie == Lie::kFar;
    const size_t bound = far ? set.rows - passing : passing;
    SearchOptions o;
    o.ef = set.ef;
    o.filter = filter_of("{\"" + field + "\":{\"" + (far ? "$gte" : "$lt") +
                         "\":" + std::to_string(bound) + "}}");
    Rows exact;
    Rows rows;
    Plan plan;
    o.mode = Mode::kExact;
    CHECK_OK(set.collection->search(set.query(q), kDimensions, o, &exact));
    o.mode = mode;
    CHECK_OK(set.collection->search(set.query(q), kDimensions, o, &rows, &plan));
    CHECK_EQ(rows.ids.size(), exact.ids.size());
    for (const float d : rows.distances) found += d <= exact.distances.back() ? 1 : 0;
    out.rows += static_cast<double>(plan.rows_scored) / Ranked::kQueries;
    out.walked += std::string(plan.plan) == "graph" && !plan.fallback ? 1 : 0;
    out.matches = plan.matches;
  }
  out.recall = found / (10.0 * Ranked::kQueries);
  return out;
}

}  // namespace

// Against the filter a walk finds nothing: it must see that early, and the scan must answer.
TEST(no_filter_costs_much_more_than_its_scan) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const Ranked set = make_ranked(fixture, 20000, test_seed());
  for (const Lie lie : {Lie::kRandom, Lie::kNear, Lie::kFar}) {
    for (const size_t passing : {10000, 6000, 2000, 200, 20}) {
      const Outcome walked = ask(set, lie, passing, Mode::kGraph);
      CHECK(walked.recall >= 0.95);
      const Outcome planned = ask(set, lie, passing, Mode::kPlan);
      CHECK_EQ(planned.matches, passing);
      const bool recalls = CHECK(planned.recall >= 0.99);
      // A walk scores a row of codes in about the time in which a scan scores three.
      const bool cheap = CHECK(planned.rows <= 1.05 * static_cast<double>(passing) + 2000);
      if (recalls && cheap) continue;
      std::printf("  filter %d, %zu pass: recall@10 %.4f, %.0f rows\n", static_cast<int>(lie),
                  passing, planned.recall, planned.rows);
    }
  }
}

// With the filter, a walk ends as early as one without: it need not go on until ef / share.
TEST(a_walk_sees_how_dense_matches_are_around_it) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const Ranked set = make_ranked(fixture, 20000, test_seed());
  const Outcome near = ask(set, Lie::kNear, 1000, Mode::kGraph);
  const Outcome random = ask(set, Lie::kRandom, 1000, Mode::kGraph);
  CHECK(near.recall >= 0.99);
  CHECK(random.recall >= 0.98);
  if (!CHECK(near.rows * 2 < random.rows)) {
    std::printf("  %.0f rows near, %.0f at random\n", near.rows, random.rows);
  }
}

// Where a scan is cheaper by the share of all records, a walk that meets nothing but matches is
// cheaper still: it is tried, and left at once where the query's neighbours do not pass.
TEST(a_walk_is_tried_where_matches_may_lie_around_the_query) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  Ranked set = make_ranked(fixture, 40000, test_seed());
  set.ef = 16;
  constexpr size_t kPassing = 5200;
  const Outcome near = ask(set, Lie::kNear, kPassing, Mode::kPlan);
  CHECK_EQ(near.walked, Ranked::kQueries);
  CHECK(near.recall >= 0.95);
  CHECK(near.rows < 2500);
  for (const Lie lie : {Lie::kRandom, Lie::kFar}) {
    const Outcome other = ask(set, lie, kPassing, Mode::kPlan);
    CHECK(other.walked <= (lie == Lie::kFar ? 0 : Ranked::kQueries / 2));
    CHECK(other.recall >= 0.95);
    // Half of the walks tried among random matches may go on: chance brings them some.
    CHECK(other.rows <= kPassing + 700);
  }
}

// Codes are read first where many rows match. What they leave out is not missed, also where rows
// lie beyond the range that the codes were trained on.
TEST(a_scan_over_codes_misses_next_to_nothing) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  for (const Metric metric : {Metric::kL2, Metric::kCosine, Metric::kDot}) {
    Clusters clusters(kDimensions, 20, test_seed());
    auto base = clusters.draw_many(7000);
    for (size_t i = 5000; i < 7000; ++i) {
      for (uint32_t d = 0; d < kDimensions; ++d) base[i * kDimensions + d] *= 1.7f;
    }
    const auto c = fixture.make(options_of(kDimensions, metric, Quantization::kSq8));
    std::vector<std::string> metadata;
    for (size_t i = 0; i < 7000; ++i) {
      metadata.push_back(i % 3 == 0 || i >= 5000 ? "{\"in\":true}" : "{}");
    }
    const auto part = [&](size_t from, size_t to) {
      return std::vector<std::string>(metadata.begin() + static_cast<ptrdiff_t>(from),
                                      metadata.begin() + static_cast<ptrdiff_t>(to));
    };
    CHECK_OK(write(*c, kAdd, base.data(), 5000, kDimensions, {}, part(0, 5000)));
    CHECK_OK(write(*c, kAdd, &base[5000 * kDimensions], 2000, kDimensions, {}, part(5000, 7000)));
    SearchOptions o;
    o.k = 20;
    o.ef = 2000;  // No walk is cheaper than the scan.
    o.filter = filter_of("{\"in\":true}");
    double found = 0;
    constexpr size_t kAsked = 60;
    for (size_t q = 0; q < kAsked; ++q) {
      Rows exact;
      Rows rows;
      Plan plan;
      const float* query = &base[(q * 113 % 7000) * kDimensions];
      o.mode = Mode::kExact;
      CHECK_OK(c->search(query, kDimensions, o, &exact, &plan));
      CHECK_EQ(std::string(plan.plan), std::string("exact"));
      o.mode = Mode::kPlan;
      CHECK_OK(c->search(query, kDimensions, o, &rows, &plan));
      CHECK_EQ(std::string(plan.plan), std::string("scan"));
      CHECK(plan.reranked < plan.rows_scored);
      CHECK_EQ(rows.ids.size(), size_t{20});
      for (const float d : rows.distances) found += d <= exact.distances.back() ? 1 : 0;
    }
    const double recall = found / (20.0 * kAsked);
    // Under dot the longest rows are the nearest, and here they all lie beyond that range.
    if (!CHECK(recall >= (metric == Metric::kDot ? 0.985 : 0.998))) {
      std::printf("  metric %d: recall@20 %.4f\n", static_cast<int>(metric), recall);
    }
  }
}

// Where all rows lie about as far from the query, codes tell none apart: floats alone are read,
// until codes help again.
TEST(a_scan_leaves_codes_that_help_nothing) {
  constexpr size_t kRows = 12000;
  InlineExecutor executor;
  Fixture fixture(&executor);
  Random random(test_seed());
  std::vector<float> base(kRows * kDimensions);
  for (size_t i = 0; i < kRows; ++i) {
    double squares = 0;
    float* row = &base[i * kDimensions];
    for (uint32_t d = 0; d < kDimensions; ++d) {
      row[d] = static_cast<float>(random.unit() - 0.5);
      squares += double{row[d]} * row[d];
    }
    // On a sphere first, and then well outside it.
    const double radius = i < kRows / 2 ? 1 : 2 + random.unit();
    for (uint32_t d = 0; d < kDimensions; ++d) {
      row[d] = static_cast<float>(row[d] * radius / std::sqrt(squares));
    }
  }
  const auto c = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kSq8));
  const std::vector<std::string> metadata(kRows, "{\"in\":true}");
  CHECK_OK(write(*c, kAdd, base.data(), kRows, kDimensions, {}, metadata));
  CHECK_OK(write(*c, kAdd, base.data(), 1, kDimensions, {}, {"{}"}));
  const std::vector<float> query(kDimensions, 0);
  SearchOptions o;
  o.ef = 2000;  // No walk is cheaper than the scan.
  o.filter = filter_of("{\"in\":true}");
  Rows rows;
  Rows exact;
  Plan plan;
  CHECK_OK(c->search(query.data(), kDimensions, o, &rows, &plan));
  CHECK_EQ(std::string(plan.plan), std::string("scan"));
  CHECK_EQ(plan.rows_scored, kRows);
  // One block in 64, the first few, and next to none of those outside.
  if (!CHECK(plan.reranked < kRows / 10)) {
    std::printf("  %llu scored twice\n", static_cast<unsigned long long>(plan.reranked));
  }
  o.mode = Mode::kExact;
  CHECK_OK(c->search(query.data(), kDimensions, o, &exact));
  for (size_t i = 0; i < exact.distances.size(); ++i) {
    CHECK(rows.distances[i] <= exact.distances[i] + 1e-6f);
  }
}
