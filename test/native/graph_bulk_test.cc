// Bulk building: data that break graphs, every way into the graph, and the parts it is made of.
#include <cmath>
#include <set>

#include "db_support.h"
#include "exec/thread_pool.h"
#include "graph/bulk/near_lists.h"
#include "graph/bulk/partition.h"
#include "graph/bulk/twins.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDimensions = 24;

struct Data {
  const char* name;
  std::vector<float> rows;
  std::vector<float> queries;
  Metric metric = Metric::kL2;
};

void shuffle_rows(std::vector<float>& rows, uint64_t seed) {
  Random random(seed);
  for (size_t i = rows.size() / kDimensions; i > 1; --i) {
    const size_t j = random.below(i);
    std::swap_ranges(&rows[(i - 1) * kDimensions], &rows[(i - 1) * kDimensions] + kDimensions,
                     &rows[j * kDimensions]);
  }
}

Data copies(size_t each, size_t rows, uint64_t seed) {
  Clusters clusters(kDimensions, 30, seed);
  const auto kinds = clusters.draw_many(rows / each);
  Data data{each == 8 ? "8 copies of each point" : "64 copies of each point", {}, {}};
  for (size_t copy = 0; copy < each; ++copy) {
    data.rows.insert(data.rows.end(), kinds.begin(), kinds.end());
  }
  shuffle_rows(data.rows, seed);
  data.queries = clusters.draw_many(60);
  return data;
}

// Points around centres `apart` from each other, in order of the centres.
Data balls(const char* name, size_t centres, size_t rows, float apart, uint64_t seed) {
  Clusters normal(kDimensions, 1, seed);
  std::vector<float> at(centres * kDimensions);
  for (float& x : at) x = static_cast<float>(normal.normal()) * apart;
  Data data{name, {}, {}};
  const auto put = [&](size_t c, std::vector<float>& to) {
    for (size_t d = 0; d < kDimensions; ++d) {
      to.push_back(at[c * kDimensions + d] + static_cast<float>(normal.normal()));
    }
  };
  for (size_t i = 0; i < rows; ++i) put(i * centres / rows, data.rows);
  for (size_t i = 0; i < 40; ++i) put(i * 37 % centres, data.queries);
  return data;
}

Data sorted(size_t rows, uint64_t seed) {
  Clusters clusters(kDimensions, 20, seed);
  const auto drawn = clusters.draw_many(rows);
  std::vector<size_t> order(rows);
  for (size_t i = 0; i < rows; ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return drawn[a * kDimensions] < drawn[b * kDimensions]; });
  Data data{"sorted by a coordinate", {}, clusters.draw_many(40)};
  for (const size_t i : order) {
    data.rows.insert(data.rows.end(), &drawn[i * kDimensions],
                     &drawn[i * kDimensions] + kDimensions);
  }
  return data;
}

Data all_equal(size_t rows) {
  return {"all points equal", std::vector<float>(rows * kDimensions, 1.5f),
          std::vector<float>(kDimensions, 1.0f)};
}

// Batches of so many rows, the last of what is left: one batch is built in bulk, small ones are
// inserted one by one, and some large ones join what is there in bulk.
void check_way(const Data& data, Quantization codec, const std::vector<size_t>& batches) {
  const auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(options_of(kDimensions, data.metric, codec));
  const size_t rows = data.rows.size() / kDimensions;
  size_t batch = 0;
  for (size_t i = 0; i < rows;) {
    const size_t n = std::min(rows - i, batches[std::min(batch++, batches.size() - 1)]);
    CHECK_OK(write(*c, kAdd, &data.rows[i * kDimensions], n, kDimensions, {}));
    i += n;
  }
  CHECK_OK(optimize(*c));
  const CheckReport report = c->check();
  const double r = recall(*c, data.queries, kDimensions, 10, 128);
  const bool is_whole = CHECK_EQ(report.problem, std::string());
  const bool is_reachable = CHECK_EQ(report.unreachable, 0u);
  const bool good = CHECK(r >= 0.95) && is_whole && is_reachable;
  if (!good) {
    std::printf("  %s, batches of %zu, codec %d: recall@10 %.4f, %llu unreachable\n", data.name,
                batches.back(), static_cast<int>(codec), r,
                static_cast<unsigned long long>(report.unreachable));
  }
}

// The same under the dot product, its rows of a length between 3 and 3 (1 + spread).
Data as_dot(Data data, double spread) {
  Random random(test_seed());
  data.metric = Metric::kDot;
  for (size_t i = 0; i < data.rows.size(); i += kDimensions) {
    double norm = 0;
    for (size_t d = 0; d < kDimensions; ++d) norm += double{data.rows[i + d]} * data.rows[i + d];
    const double length = 3 * (1 + spread * random.unit()) / std::sqrt(norm);
    for (size_t d = 0; d < kDimensions; ++d) {
      data.rows[i + d] = static_cast<float>(data.rows[i + d] * length);
    }
  }
  return data;
}

void check_every_way(const Data& data) {
  const size_t rows = data.rows.size() / kDimensions;
  for (const Quantization codec : {Quantization::kSq8, Quantization::kNone}) {
    // Its memory is looked at elsewhere, and a sanitizer takes its time.
    if (kSanitized && codec == Quantization::kNone) continue;
    check_way(data, codec, {rows});
    check_way(data, codec, {100});
    check_way(data, codec, {rows / 3});
  }
}

}  // namespace

// A record is found however many copies of it there are, and so are its copies.
TEST(copies_are_found) {
  check_every_way(copies(8, 8000, test_seed()));
  check_every_way(copies(64, 8000, test_seed()));
}

// Clusters that nothing connects are all reached.
TEST(separate_clusters_are_reached) {
  check_every_way(balls("100 separate clusters", 100, 8000, 100, test_seed()));
}

// Among very many clusters a search finds the right one.
TEST(tight_clusters_are_told_apart) {
  check_every_way(balls("2 000 tight clusters", 2000, 10000, 20, test_seed()));
}

// The order of insertion does not matter.
TEST(sorted_rows_make_a_good_graph) { check_every_way(sorted(8000, test_seed())); }

// efConstruction makes a better graph in bulk too: at the same ef more is found, the more was done.
TEST(more_effort_makes_a_better_graph) {
  const auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  Clusters clusters(kDimensions, 1, test_seed());
  constexpr size_t kRows = 24000;  // Past what is few.
  const auto draw = [&](size_t count) {  // As many directions as dimensions: hard to search.
    std::vector<float> out(count * kDimensions);
    for (float& x : out) x = static_cast<float>(clusters.normal());
    return out;
  };
  const std::vector<float> rows = draw(kRows);
  const std::vector<float> queries = draw(300);
  std::vector<double> found;
  for (const uint32_t ef_construction : {64u, 96u, 192u}) {
    CollectionOptions options = options_of(kDimensions, Metric::kL2, Quantization::kSq8);
    options.ef_construction = ef_construction;
    const auto c = fixture.make(options);
    CHECK_OK(write(*c, kAdd, rows.data(), kRows, kDimensions, {}));
    CHECK_EQ(c->check().unreachable, 0u);
    found.push_back(recall(*c, queries, kDimensions, 10, 40));
  }
  std::printf("# recall@10 at ef 40: %.4f, %.4f, %.4f\n", found[0], found[1], found[2]);
  CHECK(found[1] > found[0] + 0.005);
  CHECK(found[2] > found[1] + 0.005);
}

// Nothing but copies of one record is a collection like any other.
TEST(all_equal_rows_are_a_graph) { check_every_way(all_equal(5000)); }

// Under the dot product rows of one length are built in bulk, others one by one: both well.
TEST(dot_products_are_searched) {
  const uint64_t seed = test_seed();
  check_every_way(as_dot(sorted(4000, seed), 0.04));
  check_way(as_dot(copies(8, 8000, seed), 0), Quantization::kSq8, {8000});
  check_way(as_dot(balls("100 separate clusters", 100, 8000, 100, seed), 0), Quantization::kNone,
            {8000});
  check_way(as_dot(sorted(4000, seed), 0.5), Quantization::kSq8, {4000});
}

// What was linked in bulk lives on: replaced, deleted and repaired like any other.
TEST(bulk_graphs_live_on) {
  const auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(options_of(kDimensions, Metric::kCosine, Quantization::kSq8));
  const Data data = copies(8, 9600, test_seed());
  CHECK_OK(write(*c, kAdd, data.rows.data(), 9600, kDimensions, {}));
  Random random(test_seed());
  for (int round = 0; round < 30; ++round) {
    std::vector<uint64_t> ids;
    while (ids.size() < 200) {
      const uint64_t id = random.below(9600);
      if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
    }
    if (round % 3 == 0) {
      (void)remove(*c, ids);
      continue;
    }
    std::vector<float> rows;
    for (const uint64_t id : ids) {
      const float* row = &data.rows[(id * 7 + static_cast<uint64_t>(round)) % 9600 * kDimensions];
      rows.insert(rows.end(), row, row + kDimensions);
    }
    CHECK_OK(write(*c, kUpsert, rows.data(), ids.size(), kDimensions, ids));
  }
  CHECK_OK(optimize(*c));
  CHECK_EQ(c->check().problem, std::string());
  CHECK_EQ(c->check().unreachable, 0u);
  CHECK(recall(*c, data.queries, kDimensions, 10, 128) >= 0.95);
}

// With one thread a graph is the same every time.
TEST(one_thread_builds_the_same_graph_again) {
  const Data data = sorted(3000, test_seed());
  std::vector<std::vector<uint64_t>> answers;
  for (int round = 0; round < 2; ++round) {
    InlineExecutor executor;
    Fixture fixture(&executor);
    const auto c = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kNone));
    CHECK_OK(write(*c, kAdd, data.rows.data(), 3000, kDimensions, {}));
    answers.emplace_back();
    for (size_t q = 0; q < 40; ++q) {
      SearchOptions o;
      o.k = 10;
      o.ef = 10;
      o.mode = Mode::kGraph;
      Rows hits;
      Plan plan;
      CHECK_OK(c->search(&data.queries[q * kDimensions], kDimensions, o, &hits, &plan));
      for (const IdOut& id : hits.ids) answers.back().push_back(id.value);
      answers.back().push_back(plan.rows_scored);
    }
  }
  CHECK(answers[0] == answers[1]);
}

// Equal rows are one kind, whatever order they come in, and nothing else is.
TEST(twins_are_equal_rows) {
  class RowsSpace final : public Space {
   public:
    std::vector<float> rows;
    std::unique_ptr<SlotScorer> make_slot_scorer() const override { return nullptr; }
    size_t dimensions() const override { return kDimensions; }
    FloatRow row(uint32_t slot, float*) const override { return {&rows[slot * kDimensions], 1.0f}; }
    bool is_euclidean() const override { return true; }
  };
  MemoryBudget budget(0);
  MemoryAccount account(&budget);
  InlineExecutor executor;
  Random random(test_seed());
  for (int round = 0; round < 20; ++round) {
    RowsSpace space;
    const size_t kinds = 1 + random.below(300);
    const auto count = static_cast<uint32_t>(1 + random.below(1000));
    std::vector<uint32_t> slots;
    std::vector<size_t> kind_of;
    for (uint32_t i = 0; i < count; ++i) {
      kind_of.push_back(random.below(kinds));
      // Kinds differ in one coordinate, by little.
      std::vector<float> row(kDimensions, 3.0f);
      row[kind_of[i] % kDimensions] += static_cast<float>(1 + kind_of[i]) * 1e-5f;
      space.rows.insert(space.rows.end(), row.begin(), row.end());
      slots.push_back(i);
    }
    const BulkPoints points{space, *simd::choose_kernels().value(), slots.data(), count,
                            kDimensions};
    Twins twins(&account);
    CHECK_OK(twins.find(points, 1, executor));
    std::vector<uint32_t> first(kinds, kNoSlot);
    for (uint32_t i = 0; i < count; ++i) first[kind_of[i]] = std::min(first[kind_of[i]], i);
    size_t met = 0;
    for (const uint32_t head : twins.heads()) met += first[kind_of[head]] == head ? 1 : 0;
    CHECK_EQ(met, twins.heads().size());
    CHECK_EQ(twins.heads().size() + twins.others().size(), size_t{count});
    for (const Twins::Twin& twin : twins.others()) {
      CHECK_EQ(kind_of[twin.point], kind_of[twins.heads()[twin.head]]);
    }
  }
}

// A bounded list is what its words say: the nearest of each bucket, the nearest buckets.
TEST(near_lists_keep_the_nearest_of_each_bucket) {
  MemoryBudget budget(0);
  MemoryAccount account(&budget);
  Random random(test_seed());
  for (int round = 0; round < 200; ++round) {
    NearLists lists(&account, 32);
    CHECK_OK(lists.reserve(2));
    const uint64_t buckets = 1 + random.below(100);
    std::vector<std::pair<uint32_t, uint32_t>> best(buckets, {UINT32_MAX, 0});  // Key, id.
    std::set<uint32_t> keys;
    for (uint32_t i = 0; i < 300; ++i) {
      const auto bucket = static_cast<uint16_t>(random.below(buckets));
      const auto key = static_cast<uint32_t>(random.below(uint64_t{1} << 31));
      if (!keys.insert(key).second) continue;
      lists.offer(1, bucket, i, key);
      best[bucket] = std::min(best[bucket], {key, i});
    }
    CHECK_OK(lists.validate(2));
    CHECK_EQ(lists.size(0), 0u);
    std::sort(best.begin(), best.end());
    // The nearest stay whatever came between; what was once given up may be missing at the end.
    std::set<uint32_t> held(lists.ids(1), lists.ids(1) + lists.size(1));
    const size_t sure = std::min<size_t>(best.size(), 32);
    for (size_t i = 0; i < sure; ++i) {
      if (best[i].first != UINT32_MAX) CHECK(held.contains(best[i].second));
    }
  }
}
