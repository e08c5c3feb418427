// Recall floors: metric x codec x state, always on the graph, against the exact scan.
#include "db_support.h"
#include "exec/thread_pool.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDimensions = 32;
constexpr size_t kRows = 6000;

std::vector<std::string> groups_of(size_t rows) {
  std::vector<std::string> metadata;
  for (size_t i = 0; i < rows; ++i) {
    metadata.push_back("{\"half\":" + std::to_string(i % 2) + ",\"tenth\":" +
                       std::to_string(i % 10) + ",\"hundredth\":" + std::to_string(i % 100) + "}");
  }
  return metadata;
}

void check_floor(Collection& c, const std::vector<float>& queries, const char* state) {
  const double r = recall(c, queries, kDimensions, 10, 64);
  if (!CHECK(r >= 0.95)) std::printf("  %s: recall@10 %.4f\n", state, r);
  const CheckReport report = c.check();
  CHECK_EQ(report.problem, std::string());
  // Upkeep looks for unreachable records after every 5 % of inserts: a few may wait for it.
  CHECK(report.unreachable * 1000 <= report.records);
}

void run(Metric metric, Quantization codec, uint64_t seed, Layout layout = Layout::kCompact) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  const auto c = fixture.make(options_of(kDimensions, metric, codec, layout));
  Clusters clusters(kDimensions, 40, seed);
  const auto base = clusters.draw_many(kRows);
  const auto queries = clusters.draw_many(40);
  CHECK_OK(write(*c, kAdd, base.data(), kRows - 1000, kDimensions, {}, groups_of(kRows - 1000)));
  check_floor(*c, queries, "built");
  for (size_t i = kRows - 1000; i < kRows; i += 10) {
    CHECK_OK(write(*c, kAdd, &base[i * kDimensions], 10, kDimensions, {}, groups_of(10)));
  }
  check_floor(*c, queries, "after inserts");
  // At a hundredth a walk of so few rows meets them all: the bench has the sizes for that.
  for (const char* filter : {"{\"half\":1}", "{\"tenth\":3}"}) {
    const double r =
        recall(*c, queries, kDimensions, 10, 64, Filter::parse(filter, nullptr).take());
    if (!CHECK(r >= 0.95)) std::printf("  filtered by %s: recall@10 %.4f\n", filter, r);
  }
  std::vector<uint64_t> gone;
  for (uint64_t id = 0; id < kRows; id += 3) gone.push_back(id);
  CHECK_EQ(remove(*c, gone), gone.size());
  check_floor(*c, queries, "after deletes");
  // Replace everything that is left, once, in batches.
  std::vector<uint64_t> ids;
  for (uint64_t id = 0; id < kRows; ++id) {
    if (id % 3 != 0) ids.push_back(id);
  }
  const auto fresh = clusters.draw_many(ids.size());
  for (size_t i = 0; i < ids.size(); i += 200) {
    const std::vector<uint64_t> some(
        ids.begin() + static_cast<ptrdiff_t>(i),
        ids.begin() + static_cast<ptrdiff_t>(std::min(i + 200, ids.size())));
    CHECK_OK(write(*c, kUpsert, &fresh[i * kDimensions], some.size(), kDimensions, some));
  }
  check_floor(*c, queries, "after replacing all");
  CHECK_OK(optimize(*c));
  CHECK_EQ(c->check().unreachable, 0u);
}

}  // namespace

TEST(l2_sq8_keeps_its_recall) { run(Metric::kL2, Quantization::kSq8, test_seed()); }
TEST(l2_none_keeps_its_recall) { run(Metric::kL2, Quantization::kNone, test_seed()); }
TEST(l2_binary_keeps_its_recall) { run(Metric::kL2, Quantization::kBinary, test_seed()); }
TEST(cosine_sq8_keeps_its_recall) { run(Metric::kCosine, Quantization::kSq8, test_seed()); }
TEST(cosine_none_keeps_its_recall) { run(Metric::kCosine, Quantization::kNone, test_seed()); }
TEST(cosine_binary_keeps_its_recall) { run(Metric::kCosine, Quantization::kBinary, test_seed()); }
TEST(dot_sq8_keeps_its_recall) { run(Metric::kDot, Quantization::kSq8, test_seed()); }
TEST(dot_none_keeps_its_recall) { run(Metric::kDot, Quantization::kNone, test_seed()); }
TEST(dot_binary_keeps_its_recall) { run(Metric::kDot, Quantization::kBinary, test_seed()); }

// Re-ranking by bounds reads a part of the candidates, and finds what reading all of them would.
void run_fast(Metric metric) {
  run(metric, Quantization::kBinary, test_seed(), Layout::kFast);
}
TEST(l2_fast_keeps_its_recall) { run_fast(Metric::kL2); }
TEST(cosine_fast_keeps_its_recall) { run_fast(Metric::kCosine); }
TEST(dot_fast_keeps_its_recall) { run_fast(Metric::kDot); }

TEST(binary_reranks_what_its_bounds_leave) {
  constexpr uint32_t kEf = 400;
  InlineExecutor executor;
  Fixture fixture(&executor);
  for (const Metric metric : {Metric::kL2, Metric::kCosine, Metric::kDot}) {
    const auto c = fixture.make(options_of(kDimensions, metric, Quantization::kBinary));
    Clusters clusters(kDimensions, 40, test_seed());
    const auto base = clusters.draw_many(kRows);
    const auto queries = clusters.draw_many(100);
    CHECK_OK(write(*c, kAdd, base.data(), kRows, kDimensions, {}));
    CHECK(c->stats().trained);
    SearchOptions o;
    o.ef = kEf;
    o.mode = Mode::kGraph;
    uint64_t reranked = 0;
    for (size_t q = 0; q < 100; ++q) {
      Rows rows;
      Plan plan;
      CHECK_OK(c->search(&queries[q * kDimensions], kDimensions, o, &rows, &plan));
      CHECK(plan.reranked >= 18);  // k, and what is spare for racing writes.
      CHECK(plan.reranked <= kEf);
      reranked += plan.reranked;
    }
    CHECK(reranked < 100 * kEf / 2);
    const double r = recall(*c, queries, kDimensions, 10, kEf);
    if (!CHECK(r >= 0.99)) std::printf("  recall@10 %.4f\n", r);
  }
}

// 99 % deleted still gives min(k, live), and a collection emptied by deletes works on.
TEST(deletes_do_not_starve_searches) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  const auto c = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kSq8));
  Clusters clusters(kDimensions, 10, test_seed());
  const auto base = clusters.draw_many(2000);
  CHECK_OK(write(*c, kAdd, base.data(), 2000, kDimensions, {}));
  std::vector<uint64_t> gone;
  for (uint64_t id = 20; id < 2000; ++id) gone.push_back(id);
  CHECK_EQ(remove(*c, gone), gone.size());
  SearchOptions o;
  o.k = 50;
  Rows rows;
  for (const Mode mode : {Mode::kPlan, Mode::kExact, Mode::kGraph}) {
    o.mode = mode;
    CHECK_OK(c->search(base.data(), kDimensions, o, &rows));
    CHECK_EQ(rows.ids.size(), 20u);
  }
  gone.clear();
  for (uint64_t id = 0; id < 20; ++id) gone.push_back(id);
  CHECK_EQ(remove(*c, gone), 20u);
  CHECK_OK(c->search(base.data(), kDimensions, o, &rows));
  CHECK_EQ(rows.ids.size(), 0u);
  CHECK_OK(write(*c, kAdd, base.data(), 500, kDimensions, {}));
  CHECK_EQ(c->check().problem, std::string());
  CHECK_EQ(c->check().unreachable, 0u);
  CHECK_EQ(recall(*c, clusters.draw_many(20), kDimensions, 10, 64), 1.0);
}

// Replacing every record once costs no recall: rows that lose neighbours are refilled as well as a
// fresh build fills them, and optimize() chooses them anew.
TEST(replacing_all_is_as_good_as_a_fresh_build) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  constexpr uint32_t kMany = 24;
  // As many degrees of freedom as dimensions: hard enough for a difference to show.
  Clusters source(kMany, 1, test_seed());
  const auto cloud = [&](size_t rows) {
    std::vector<float> out(rows * kMany);
    for (float& x : out) x = static_cast<float>(source.normal());
    return out;
  };
  const auto earlier = cloud(kRows);
  const auto later = cloud(kRows);
  const auto queries = cloud(300);
  const auto fresh = fixture.make(options_of(kMany, Metric::kL2, Quantization::kSq8));
  const auto churned = fixture.make(options_of(kMany, Metric::kL2, Quantization::kSq8));
  CHECK_OK(write(*fresh, kAdd, later.data(), kRows, kMany, {}));
  CHECK_OK(write(*churned, kAdd, earlier.data(), kRows, kMany, {}));
  for (size_t first = 0; first < kRows; first += 100) {
    std::vector<uint64_t> ids;
    for (uint64_t id = first; id < first + 100; ++id) ids.push_back(id);
    CHECK_OK(write(*churned, kUpsert, &later[first * kMany], ids.size(), kMany, ids));
  }
  const double r = recall(*churned, queries, kMany, 10, 64);
  const double r_fresh = recall(*fresh, queries, kMany, 10, 64);
  if (!CHECK(r >= r_fresh - 0.01)) std::printf("  recall@10 %.4f, fresh %.4f\n", r, r_fresh);
  // Whoever asks for it gets a graph that is none the worse for how it came about.
  Commit renewal;
  renewal.kind = Commit::Kind::kOptimize;
  churned->run(&renewal);
  CHECK_OK(renewal.status);
  CHECK_EQ(renewal.done.load(), kRows);
  CHECK_EQ(churned->check().problem, std::string());
  CHECK_EQ(churned->check().unreachable, 0u);
  const double r_renewed = recall(*churned, queries, kMany, 10, 64);
  if (!CHECK(r_renewed >= r_fresh - 0.003)) {
    std::printf("  recall@10 %.4f, renewed %.4f, fresh %.4f\n", r, r_renewed, r_fresh);
  }
  CHECK_EQ(churned->impl().store()->linked_apart, 0u);  // The next time there is nothing to do.
}

// Where a plain walk would have to keep more than 10 000 candidates, the graph is walked among what
// matches: that finds the neighbours, without the scan's help and without meeting everything.
TEST(a_walk_among_matches_finds_them) {
  constexpr uint32_t kFew = 16;
  constexpr size_t kMany = 30000;
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  Clusters clusters(kFew, 60, test_seed());
  const auto base = clusters.draw_many(kMany);
  const auto queries = clusters.draw_many(30);
  Random random(test_seed());
  std::vector<std::string> metadata;
  for (size_t i = 0; i < kMany; ++i) {
    metadata.push_back("{\"r\":" + std::to_string(random.below(10)) + "}");
  }
  for (const Quantization codec :
       {Quantization::kSq8, Quantization::kNone, Quantization::kBinary}) {
    const auto c = fixture.make(options_of(kFew, Metric::kL2, codec));
    CHECK_OK(write(*c, kAdd, base.data(), kMany, kFew, {}, metadata));
    const std::shared_ptr<const Filter> filter = Filter::parse("{\"r\":4}", nullptr).take();
    SearchOptions o;
    o.ef = 1200;
    o.mode = Mode::kGraph;
    o.filter = filter;
    Rows rows;
    Plan plan;
    for (size_t q = 0; q < 30; ++q) {
      CHECK_OK(c->search(&queries[q * kFew], kFew, o, &rows, &plan));
      CHECK_EQ(std::string(plan.plan), std::string("filtered-graph"));
      CHECK(!plan.fallback);
      CHECK(plan.rows_scored < kMany / 2);
    }
    const double r = recall(*c, queries, kFew, 10, 1200, filter);
    if (!CHECK(r >= 0.95)) std::printf("  recall@10 %.4f\n", r);
  }
}

// A dimension a hundred times larger than the others keeps codes as good as floats.
TEST(codes_bear_one_large_dimension) {
  for (const auto& [codec, layout] : {std::pair(Quantization::kSq8, Layout::kCompact),
                                      std::pair(Quantization::kBinary, Layout::kCompact),
                                      std::pair(Quantization::kBinary, Layout::kFast)}) {
    InlineExecutor executor;
    Fixture fixture(&executor);
    const auto c = fixture.make(options_of(kDimensions, Metric::kL2, codec, layout));
    Clusters clusters(kDimensions, 40, test_seed());
    auto base = clusters.draw_many(kRows);
    auto queries = clusters.draw_many(40);
    for (size_t i = 5; i < base.size(); i += kDimensions) base[i] *= 100;
    for (size_t i = 5; i < queries.size(); i += kDimensions) queries[i] *= 100;
    CHECK_OK(write(*c, kAdd, base.data(), kRows, kDimensions, {}));
    check_floor(*c, queries, "one dimension times 100");
  }
}

// Rows in the order of their content, and data that drift out of the trained range.
TEST(ordered_and_drifting_data_keep_their_recall) {
  Clusters clusters(kDimensions, 20, test_seed());
  auto base = clusters.draw_many(2 * kRows);
  std::vector<size_t> order(2 * kRows);
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return base[a * kDimensions] < base[b * kDimensions]; });
  std::vector<float> sorted;
  for (size_t i = 0; i < order.size(); ++i) {
    const float drift = static_cast<float>(i) * 0.002f;
    for (uint32_t d = 0; d < kDimensions; ++d) {
      sorted.push_back(base[order[i] * kDimensions + d] + drift);
    }
  }
  std::vector<float> queries;
  for (size_t i = 0; i < order.size(); i += 300) {
    for (uint32_t d = 0; d < kDimensions; ++d)
      queries.push_back(sorted[i * kDimensions + d] + 0.05f);
  }
  for (const Quantization codec : {Quantization::kSq8, Quantization::kBinary}) {
    InlineExecutor executor;
    Fixture fixture(&executor);
    const auto c = fixture.make(options_of(kDimensions, Metric::kL2, codec));
    for (size_t i = 0; i < order.size(); i += 500) {
      CHECK_OK(write(*c, kAdd, &sorted[i * kDimensions], 500, kDimensions, {}));
    }
    check_floor(*c, queries, "ordered and drifting");
  }
}
