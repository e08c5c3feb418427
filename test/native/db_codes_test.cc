// Codes as the truth (keepVectors: false), and codes of data that drift.
#include <atomic>
#include <thread>

#include "db_support.h"
#include "exec/thread_pool.h"

namespace omen::test {
namespace {

constexpr uint32_t kDimensions = 48;
constexpr size_t kTrained = 10000;

CollectionOptions codes_only(Metric metric, Quantization codec) {
  CollectionOptions o = options_of(kDimensions, metric, codec);
  o.keep_vectors = false;
  return o;
}

std::vector<uint64_t> ids_from(uint64_t first, size_t count) {
  std::vector<uint64_t> ids(count);
  for (size_t i = 0; i < count; ++i) ids[i] = first + i;
  return ids;
}

std::vector<float> stored(Collection& c, uint64_t id, bool approximate) {
  const IdView view{.is_string = false, .integer = id, .text = {}};
  Rows rows;
  CHECK_OK(c.get(&view, 1, kIncludeVector, &rows));
  CHECK_EQ(int{rows.found[0]}, 1);
  CHECK_EQ(rows.approximate, approximate);
  return rows.vectors;
}

double dot(const float* a, const float* b) {
  double sum = 0;
  for (size_t i = 0; i < kDimensions; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

double distance(Metric metric, const float* a, const float* b) {
  if (metric == Metric::kDot) return -dot(a, b);
  if (metric == Metric::kCosine) return 1 - dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
  return dot(a, a) + dot(b, b) - 2 * dot(a, b);
}

// Share of the k records nearest by `vectors`, whose ids are their places, that a search finds.
double recall_of(Collection& c, const std::vector<float>& vectors,
                 const std::vector<float>& queries, const SearchOptions& options) {
  const Metric metric = c.options().metric;
  const size_t count = vectors.size() / kDimensions;
  size_t found = 0;
  size_t wanted = 0;
  for (size_t q = 0; q < queries.size(); q += kDimensions) {
    std::vector<std::pair<double, uint64_t>> truth;
    for (size_t i = 0; i < count; ++i) {
      truth.push_back({distance(metric, &queries[q], &vectors[i * kDimensions]), i});
    }
    std::partial_sort(truth.begin(), truth.begin() + options.k, truth.end());
    Rows rows;
    CHECK_OK(c.search(&queries[q], kDimensions, options, &rows));
    for (const IdOut& id : rows.ids) {
      for (size_t i = 0; i < options.k; ++i) found += truth[i].second == id.value ? 1 : 0;
    }
    wanted += options.k;
  }
  return static_cast<double>(found) / static_cast<double>(wanted);
}

void check_whole(Collection& c) {
  const CheckReport report = c.check();
  CHECK_EQ(report.problem, std::string());
  CHECK(report.ok);
  CHECK_EQ(report.unreachable, uint64_t{0});
}

// Every hit's distance is that of the vector that get() gives for it: what "exact" means here.
void check_distances(Collection& c, const std::vector<float>& queries, Mode mode) {
  SearchOptions o;
  o.mode = mode;
  o.include = kIncludeVector;
  for (size_t q = 0; q < queries.size(); q += kDimensions) {
    Rows rows;
    Plan plan;
    CHECK_OK(c.search(&queries[q], kDimensions, o, &rows, &plan));
    CHECK(rows.approximate);
    CHECK(plan.approximate);
    CHECK_EQ(rows.ids.size(), size_t{10});
    for (size_t i = 0; i < rows.ids.size(); ++i) {
      const float* x = &rows.vectors[i * kDimensions];
      const double d = distance(c.options().metric, &queries[q], x);
      const double size = dot(x, x) + dot(&queries[q], &queries[q]);
      CHECK(std::fabs(d - static_cast<double>(rows.distances[i])) <= 1e-5 * (1 + size));
      if (i > 0) CHECK(rows.distances[i - 1] <= rows.distances[i]);
    }
  }
}

TEST(originals_go_when_codes_are_trained) {
  const auto pool = ThreadPool::create(2).take();
  for (const Metric metric : {Metric::kL2, Metric::kCosine, Metric::kDot}) {
    for (const Quantization codec : {Quantization::kSq8, Quantization::kBinary}) {
      Fixture fixture(pool.get());
      const auto c = fixture.make(codes_only(metric, codec));
      Clusters clusters(kDimensions, 40, test_seed());
      const std::vector<float> data = clusters.draw_many(kTrained);
      const std::vector<float> queries = clusters.draw_many(15);
      constexpr size_t kFirst = kTrainRows - 1;
      CHECK_OK(write(*c, kAdd, data.data(), kFirst, kDimensions, ids_from(0, kFirst)));
      CHECK(!c->stats().trained);
      CHECK(c->stats().bytes.vectors >= kFirst * kDimensions * sizeof(float));
      CHECK_EQ(c->stats().bytes.codes > 0, metric == Metric::kCosine);
      const std::vector<float> before = stored(*c, 5, false);
      CHECK(std::equal(before.begin(), before.end(), &data[5 * kDimensions]));

      CHECK_OK(write(*c, kAdd, &data[kFirst * kDimensions], kTrained - kFirst, kDimensions,
                     ids_from(kFirst, kTrained - kFirst)));
      const CollectionStats stats = c->stats();
      CHECK(stats.trained);
      CHECK_EQ(stats.bytes.vectors, uint64_t{0});
      CHECK(stats.bytes.scratch < kTrained * kDimensions * sizeof(float));
      CHECK_OK(optimize(*c));
      check_whole(*c);
      for (const uint64_t id : {5, 4094, 4095, 9999}) {
        const std::vector<float> got = stored(*c, id, true);
        const float* given = &data[id * kDimensions];
        std::vector<float> error(kDimensions);
        for (size_t i = 0; i < kDimensions; ++i) error[i] = got[i] - given[i];
        const double share = std::sqrt(dot(error.data(), error.data()) / dot(given, given));
        CHECK(share < (codec == Quantization::kSq8 ? 0.02 : 0.5));
      }
      SearchOptions o;
      o.mode = Mode::kExact;
      const double exact = recall_of(*c, data, queries, o);
      o.mode = Mode::kGraph;
      o.ef = 128;
      const double graph = recall_of(*c, data, queries, o);
      printf("# %d %d: recall of the scan %.3f, of the graph %.3f\n", static_cast<int>(metric),
             static_cast<int>(codec), exact, graph);
      CHECK(exact >= (codec == Quantization::kSq8 ? 0.93 : 0.4));
      CHECK(graph >= exact - 0.05);
      if (codec == Quantization::kSq8) {
        for (const Mode mode : {Mode::kExact, Mode::kGraph, Mode::kPlan}) {
          check_distances(*c, queries, mode);
        }
      }
    }
  }
}

Status update(Collection& c, uint64_t id, const std::string& metadata,
              const std::vector<float>& vector = {}) {
  Commit commit;
  commit.kind = Commit::Kind::kUpdate;
  commit.ids.push_back(IdOut{false, 0, id});
  commit.metadata = metadata;
  commit.vector = vector;
  c.run(&commit);
  return commit.status;
}

Status clear(Collection& c) {
  Commit commit;
  commit.kind = Commit::Kind::kClear;
  c.run(&commit);
  return commit.status;
}

// Codes are never decoded and encoded again: what a record reads as changes with its vector alone.
TEST(codes_outlive_updates_and_churn) {
  for (const Quantization codec : {Quantization::kSq8, Quantization::kBinary}) {
    InlineExecutor executor;
    Fixture fixture(&executor);
    const auto c = fixture.make(codes_only(Metric::kCosine, codec));
    Clusters clusters(kDimensions, 40, test_seed());
    constexpr size_t kRows = 5000;
    const std::vector<float> data = clusters.draw_many(kRows);
    CHECK_OK(write(*c, kAdd, data.data(), kRows, kDimensions, ids_from(0, kRows)));
    const std::vector<float> first = stored(*c, 7, true);
    for (int i = 0; i < 20; ++i) CHECK_OK(update(*c, 7, "{\"n\":" + std::to_string(i) + "}"));
    CHECK(stored(*c, 7, true) == first);
    // The same vector under another id has the same code.
    const std::vector<float> vector(&data[8 * kDimensions], &data[9 * kDimensions]);
    CHECK_OK(update(*c, 7, "", vector));
    CHECK(stored(*c, 7, true) == stored(*c, 8, true));
    CHECK_EQ(c->stats().bytes.vectors, uint64_t{0});

    Random random(test_seed());
    const uint64_t codes = c->stats().bytes.codes;
    for (int round = 0; round < 12; ++round) {
      std::vector<uint64_t> ids;
      std::vector<float> rows;
      while (ids.size() < 500) {
        const uint64_t id = 10 + random.below(kRows - 10);
        if (std::find(ids.begin(), ids.end(), id) != ids.end()) continue;
        ids.push_back(id);
        rows.insert(rows.end(), &data[id * kDimensions], &data[(id + 1) * kDimensions]);
      }
      if (round % 3 == 2) {
        CHECK_EQ(remove(*c, ids), uint64_t{500});
        CHECK_OK(write(*c, kAdd, rows.data(), 500, kDimensions, ids));
      } else {
        CHECK_OK(write(*c, kUpsert, rows.data(), 500, kDimensions, ids));
      }
    }
    CHECK_OK(optimize(*c));
    check_whole(*c);
    CHECK_EQ(c->count(), uint64_t{kRows});
    CHECK(c->stats().bytes.codes <= codes + codes / 4);
    std::vector<float> now = data;
    std::copy(vector.begin(), vector.end(), &now[7 * kDimensions]);
    SearchOptions o;
    o.mode = Mode::kGraph;
    o.ef = 128;
    const double graph = recall_of(*c, now, clusters.draw_many(30), o);
    std::printf("# %d: recall after churn %.3f\n", static_cast<int>(codec), graph);
    CHECK(graph >= (codec == Quantization::kSq8 ? 0.93 : 0.4));

    CHECK_OK(clear(*c));
    CHECK_EQ(c->count(), uint64_t{0});
    CHECK(!c->stats().trained);
    CHECK_OK(write(*c, kAdd, data.data(), 100, kDimensions, ids_from(0, 100)));
    const std::vector<float> again = stored(*c, 5, false);
    CHECK(std::equal(again.begin(), again.end(), &data[5 * kDimensions]));
    check_whole(*c);
  }
}

// A batch that was staged while clear() took its collection's codes away commits its floats.
TEST(a_batch_outlives_the_codes_it_was_staged_for) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  const auto c = fixture.make(codes_only(Metric::kL2, Quantization::kSq8));
  Clusters clusters(kDimensions, 40, test_seed());
  const std::vector<float> data = clusters.draw_many(6000);
  CHECK_OK(write(*c, kAdd, data.data(), 5000, kDimensions, ids_from(0, 5000)));
  CHECK_EQ(c->stats().bytes.scratch < 5000 * kDimensions * sizeof(float), true);
  auto batch = c->begin_write(1000, kDimensions).take();
  CHECK_OK(batch->stage_vectors(0, 1000, &data[size_t{5000} * kDimensions]));
  CHECK(c->stats().bytes.scratch >= 1000 * kDimensions * sizeof(float));
  for (size_t i = 0; i < 1000; ++i) CHECK_OK(batch->stage_integer_id(i, i));
  CHECK_OK(clear(*c));
  Commit commit;
  commit.kind = kAdd;
  commit.batch = std::move(batch);
  c->run(&commit);
  CHECK_OK(commit.status);
  for (const uint64_t id : {0, 999}) {
    const std::vector<float> got = stored(*c, id, false);
    CHECK(std::equal(got.begin(), got.end(), &data[(5000 + id) * kDimensions]));
  }
  check_whole(*c);
}

// What lies outside of the trained range is clamped, counted, and found by what is left of it.
TEST(clamped_rows_are_counted) {
  for (const bool keep : {false, true}) {
    InlineExecutor executor;
    Fixture fixture(&executor);
    CollectionOptions options = codes_only(Metric::kL2, Quantization::kSq8);
    options.keep_vectors = keep;
    const auto c = fixture.make(options);
    Clusters clusters(kDimensions, 40, test_seed());
    const std::vector<float> data = clusters.draw_many(5000);
    CHECK_OK(write(*c, kAdd, data.data(), 5000, kDimensions, ids_from(0, 5000)));
    CHECK(c->stats().clamped < 500);  // Beyond the extremes of the sample, by little.
    const uint64_t before = c->stats().clamped;
    std::vector<float> far(data.begin(), data.begin() + 40 * kDimensions);
    for (float& x : far) x *= 100;
    CHECK_OK(write(*c, kAdd, far.data(), 40, kDimensions, ids_from(5000, 40)));
    CHECK_EQ(c->stats().clamped, before + 40);
    const std::vector<float> got = stored(*c, 5003, !keep);
    CHECK_EQ(std::equal(got.begin(), got.end(), &far[3 * kDimensions]), keep);
    SearchOptions o;
    o.k = 40;
    Rows rows;
    CHECK_OK(c->search(far.data(), kDimensions, o, &rows));
    CHECK_EQ(rows.ids.size(), size_t{40});
    CHECK_OK(optimize(*c));
    CHECK_EQ(c->stats().clamped, keep ? 0 : before + 40);
    check_whole(*c);
  }
}

// A limit that originals would pass holds codes.
TEST(a_limit_bounds_codes_alone) {
  constexpr size_t kRows = 24000;
  constexpr uint64_t kLimit = uint64_t{17} << 19;
  for (const bool keep : {false, true}) {
    InlineExecutor executor;
    Fixture fixture(&executor, kLimit);
    CollectionOptions options = codes_only(Metric::kL2, Quantization::kSq8);
    options.keep_vectors = keep;
    const auto c = fixture.make(options);
    Clusters clusters(kDimensions, 40, test_seed());
    const std::vector<float> data = clusters.draw_many(2000);
    size_t added = 0;
    Status status;
    while (status.is_ok() && added < kRows) {
      status = write(*c, kAdd, data.data(), 2000, kDimensions, ids_from(added, 2000));
      if (status.is_ok()) added += 2000;
    }
    CHECK_EQ(added == kRows, !keep);
    CHECK_EQ(status.code() == ErrorCode::kMemory, keep);
    CHECK_EQ(c->count(), uint64_t{added});
    CHECK_EQ(c->stats().bytes.vectors == 0, !keep);
  }
}

// Readers meet floats, then codes, and never neither.
TEST(readers_stand_beside_the_training_of_codes) {
  const auto pool = ThreadPool::create(2).take();
  for (const Quantization codec : {Quantization::kSq8, Quantization::kBinary}) {
    for (int round = 0; round < 3; ++round) {
      Fixture fixture(pool.get());
      const auto c = fixture.make(codes_only(Metric::kL2, codec));
      Clusters clusters(kDimensions, 40, test_seed() + round);
      const std::vector<float> data = clusters.draw_many(5000);
      CHECK_OK(write(*c, kAdd, data.data(), 4000, kDimensions, ids_from(0, 4000)));
      std::atomic<bool> stop{false};
      std::atomic<uint64_t> faults{0};
      std::vector<std::thread> readers;
      for (size_t t = 0; t < 3; ++t) {
        readers.emplace_back([&, t] {
          Rows rows;
          SearchOptions o;
          o.mode = t == 0 ? Mode::kExact : t == 1 ? Mode::kGraph : Mode::kPlan;
          o.include = kIncludeVector;
          for (size_t i = t; !stop; i = (i + 1) % 4000) {
            const float* query = &data[i * kDimensions];
            if (!c->search(query, kDimensions, o, &rows).is_ok()) ++faults;
            if (rows.ids.size() != o.k) ++faults;
            uint32_t counts[2];
            if (!c->search_batch(query, 1, kDimensions, o, &rows, counts).is_ok()) ++faults;
            const IdView id{.is_string = false, .integer = i, .text = {}};
            if (!c->get(&id, 1, kIncludeVector, &rows).is_ok()) ++faults;
            for (size_t d = 0; d < kDimensions; ++d) {
              if (!(std::fabs(rows.vectors[d] - query[d]) < 30)) ++faults;
            }
          }
        });
      }
      for (size_t i = 4000; i < 5000; i += 20) {
        CHECK_OK(write(*c, kAdd, &data[i * kDimensions], 20, kDimensions, ids_from(i, 20)));
      }
      stop = true;
      for (std::thread& reader : readers) reader.join();
      CHECK_EQ(faults.load(), uint64_t{0});
      CHECK_EQ(c->stats().bytes.vectors, uint64_t{0});
      CHECK_OK(optimize(*c));
      check_whole(*c);
    }
  }
}

// Equal distances come in insertion order, also past the last order there is.
TEST(orders_are_numbered_anew_when_they_end) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  const auto c = fixture.make(options_of(2, Metric::kL2, Quantization::kNone));
  const std::vector<float> same(2 * 50, 1.0f);
  CHECK_OK(write(*c, kAdd, same.data(), 20, 2, ids_from(0, 20)));
  CHECK_EQ(remove(*c, {3}), uint64_t{1});
  Store* store = c->impl().store();
  store->next_order = Orders::kMax - 7;
  CHECK_OK(write(*c, kAdd, same.data(), 5, 2, ids_from(100, 5)));
  CHECK_EQ(store->next_order, Orders::kMax - 2);
  CHECK_OK(write(*c, kAdd, same.data(), 5, 2, ids_from(50, 5)));
  CHECK_EQ(store->next_order, uint32_t{29});
  CHECK_OK(write(*c, kUpsert, same.data(), 5, 2, {0, 60, 2, 61, 62}));
  SearchOptions o;
  o.k = 32;
  const float query[2] = {1, 1};
  Rows rows;
  CHECK_OK(c->search(query, 2, o, &rows));
  std::vector<uint64_t> ids;
  for (const IdOut& id : rows.ids) ids.push_back(id.value);
  std::vector<uint64_t> expected = ids_from(0, 20);
  expected.erase(expected.begin() + 3);
  for (const uint64_t id : {100, 101, 102, 103, 104, 50, 51, 52, 53, 54, 60, 61, 62}) {
    expected.push_back(id);
  }
  CHECK(ids == expected);
}

}  // namespace
}  // namespace omen::test
