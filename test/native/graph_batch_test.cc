// Linking in batches: members that are near each other and nothing else, rows that all of a batch
// choose, and that a batch is worth what the same slots are one by one.
#include "db_support.h"
#include "exec/thread_pool.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDimensions = 24;

// `rows` in batches of so many.
void add(Collection& c, const std::vector<float>& rows, size_t batch) {
  const size_t count = rows.size() / kDimensions;
  for (size_t i = 0; i < count; i += batch) {
    const size_t n = std::min(batch, count - i);
    CHECK_OK(write(c, kAdd, &rows[i * kDimensions], n, kDimensions, {}));
  }
}

std::vector<float> ball(size_t rows, float at, float radius, uint64_t seed) {
  Clusters normal(kDimensions, 1, seed);
  std::vector<float> out(rows * kDimensions);
  for (float& x : out) x = at + radius * static_cast<float>(normal.normal());
  return out;
}

// The graph is valid, and every record is reached, before any upkeep but for `unreached_max`, and
// after.
void check_graph(Collection& c, uint64_t unreached_max) {
  const Store& s = *c.impl().store();
  CHECK_OK(s.graph.validate(s.high_water()));
  CHECK(s.graph.count_unreachable(s.high_water()).take() <= unreached_max);
  CHECK_OK(optimize(c));
  CHECK_EQ(c.check().problem, std::string());
  CHECK_EQ(c.check().unreachable, 0u);
}

}  // namespace

// A batch that lies far from everything, or is nothing but copies, or nearly: its members are what
// their searches cannot find.
TEST(members_of_a_batch_find_each_other) {
  struct Kind {
    const char* name;
    float at;
    float radius;
    uint64_t unreached;  // Before repair.
  };
  const auto pool = ThreadPool::create(2).take();
  for (const Kind& kind : {Kind{"far away", 1000, 1, 9}, Kind{"copies", 300, 0, 0},
                           Kind{"nearly copies", 300, 1e-3f, 9}, Kind{"among others", 0, 1, 9}}) {
    for (const size_t batch : {2, 17, 100, 300, 900}) {
      Fixture fixture(pool.get());
      const auto c = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kNone));
      add(*c, ball(3000, 0, 1, test_seed()), 3000);
      const auto rows = ball(900, kind.at, kind.radius, test_seed() + 1);
      add(*c, rows, batch);
      check_graph(*c, kind.unreached);
      const std::vector<float> some(rows.begin(), rows.begin() + 50 * kDimensions);
      const double r = recall(*c, some, kDimensions, 10, 64);
      if (!CHECK(r >= 0.95))
        std::printf("  %s, batches of %zu: recall %.3f\n", kind.name, batch, r);
    }
  }
}

// One node is the nearest of all others, which lie in directions of their own: every batch wants
// its row, more of them than a row is chosen from at once.
TEST(a_hub_is_everyones_neighbour) {
  const auto pool = ThreadPool::create(8).take();
  for (const Quantization codec : {Quantization::kNone, Quantization::kSq8}) {
    Fixture fixture(pool.get());
    const auto c = fixture.make(options_of(kDimensions, Metric::kL2, codec));
    auto rows = ball(5000, 0, 1, test_seed());
    for (size_t i = 0; i < rows.size(); i += kDimensions) {
      double squares = 0;
      for (size_t d = 0; d < kDimensions; ++d) squares += rows[i + d] * rows[i + d];
      const auto scale = static_cast<float>(i == 0 ? 0 : 10 / std::sqrt(squares));
      for (size_t d = 0; d < kDimensions; ++d) rows[i + d] *= scale;
    }
    add(*c, std::vector<float>(rows.begin(), rows.begin() + 300 * kDimensions), 300);
    for (size_t i = 300; i < 5000; i += 940) {
      CHECK_OK(write(*c, kAdd, &rows[i * kDimensions], 940, kDimensions, {}));
    }
    check_graph(*c, 50);
    const std::vector<float> some(rows.begin(), rows.begin() + 50 * kDimensions);
    CHECK(recall(*c, some, kDimensions, 10, 128) >= 0.9);
  }
}

// A graph linked in batches finds what one of single insertions finds, for about as many distances.
TEST(batches_are_as_good_as_single_inserts) {
  Clusters clusters(kDimensions, 25, test_seed());
  const auto rows = clusters.draw_many(6000);
  const auto queries = clusters.draw_many(100);
  const auto pool = ThreadPool::create(2).take();
  for (const Metric metric : {Metric::kL2, Metric::kCosine, Metric::kDot}) {
    std::vector<double> recalls;
    for (const size_t batch : {1, 40, 400}) {
      Fixture fixture(pool.get());
      const auto c = fixture.make(options_of(kDimensions, metric, Quantization::kSq8));
      add(*c, rows, batch);
      // Under dot short vectors are nobody's neighbours until upkeep finds them.
      check_graph(*c, metric == Metric::kDot ? 240 : 9);
      recalls.push_back(recall(*c, queries, kDimensions, 10, 24));
    }
    for (const double r : recalls) {
      if (!CHECK(r >= recalls[0] - 0.02)) std::printf("  %.3f for %.3f\n", r, recalls[0]);
    }
  }
}

// With one thread batches of any size build the same graph again.
TEST(one_thread_links_batches_the_same_again) {
  Clusters clusters(kDimensions, 25, test_seed());
  const auto rows = clusters.draw_many(3000);
  const auto queries = clusters.draw_many(50);
  for (const size_t batch : {30, 500}) {
    std::vector<uint64_t> answers[2];
    for (auto& answer : answers) {
      InlineExecutor executor;
      Fixture fixture(&executor);
      const auto c = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kNone));
      add(*c, rows, batch);
      for (size_t q = 0; q < 50; ++q) {
        SearchOptions o;
        o.k = 10;
        o.ef = 10;
        o.mode = Mode::kGraph;
        Rows hits;
        Plan plan;
        CHECK_OK(c->search(&queries[q * kDimensions], kDimensions, o, &hits, &plan));
        for (const IdOut& id : hits.ids) answer.push_back(id.value);
        answer.push_back(plan.rows_scored);
      }
    }
    CHECK(answers[0] == answers[1]);
  }
}
