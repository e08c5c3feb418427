// The collection against a plain model: whatever sequence of writes, every read agrees with a list
// of records.
#include <map>

#include "db_support.h"

using namespace omen;
using namespace omen::test;

namespace {

struct Record {
  std::vector<float> vector;
  int group = 0;
};

// Small integers: exact distances in every order of summation, and plenty of ties and duplicates.
std::vector<float> small_vector(Random& random, uint32_t dimensions) {
  std::vector<float> v(dimensions);
  for (float& x : v) x = static_cast<float>(random.below(7)) - 3;
  v[0] += 0.5f;
  return v;
}

double distance(Metric metric, const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0;
  double squares = 0;
  double aa = 0;
  double bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    squares += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return metric == Metric::kL2    ? squares
         : metric == Metric::kDot ? -dot
                                  : 1 - dot / std::sqrt(aa * bb);
}

using Model = std::map<uint64_t, Record>;

std::vector<double> expected(const Model& model, Metric metric, const std::vector<float>& q,
                             int group, size_t k) {
  std::vector<double> all;
  for (const auto& [id, record] : model) {
    if (group < 0 || record.group == group) all.push_back(distance(metric, q, record.vector));
  }
  std::sort(all.begin(), all.end());
  all.resize(std::min(all.size(), k));
  return all;
}

void compare_search(Collection& c, const Model& model, Metric metric, Random& random, Mode mode) {
  const auto q = small_vector(random, 6);
  const int group = static_cast<int>(random.below(5)) - 1;
  SearchOptions o;
  o.k = 1 + static_cast<uint32_t>(random.below(20));
  o.mode = mode;
  o.include = kIncludeMetadata;
  if (group >= 0) {
    o.filter = Filter::parse("{\"group\":" + std::to_string(group) + "}", nullptr).take();
  }
  Rows rows;
  CHECK_OK(c.search(q.data(), 6, o, &rows));
  const auto truth = expected(model, metric, q, group, o.k);
  CHECK_EQ(rows.ids.size(), truth.size());  // Never fewer than min(k, matching), whatever the plan.
  std::map<uint64_t, int> seen;
  for (size_t i = 0; i < rows.ids.size(); ++i) {
    const auto it = model.find(rows.ids[i].value);
    if (!CHECK(it != model.end())) continue;
    CHECK_EQ(++seen[rows.ids[i].value], 1);
    CHECK(group < 0 || it->second.group == group);
    CHECK_NEAR(rows.distances[i], distance(metric, q, it->second.vector), 1e-4);
    if (mode == Mode::kExact && i < truth.size()) CHECK_NEAR(rows.distances[i], truth[i], 1e-4);
    if (i > 0) CHECK(rows.distances[i - 1] <= rows.distances[i]);
  }
}

void check_all_ids(Collection& c, const Model& model) {
  CHECK_EQ(c.count(), model.size());
  for (const auto& [id, record] : model) {
    IdView view;
    view.integer = id;
    Rows rows;
    CHECK_OK(c.get(&view, 1, kIncludeVector | kIncludeMetadata, &rows));
    CHECK_EQ(int{rows.found[0]}, 1);
    CHECK(rows.vectors == record.vector);
    CHECK_EQ(rows.metadata, "[{\"group\":" + std::to_string(record.group) + "}]");
  }
}

void churn(Metric metric, Quantization codec, uint64_t seed, int steps) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  const auto c = fixture.make(options_of(6, metric, codec));
  Random random(seed);
  Model model;
  for (int step = 0; step < steps; ++step) {
    const uint64_t what = random.below(20);
    if (what < 8) {  // Upsert a batch of fresh and old ids.
      std::vector<uint64_t> ids;
      std::vector<float> vectors;
      std::vector<std::string> metadata;
      const size_t rows = 1 + random.below(12);
      for (size_t i = 0; i < rows; ++i) {
        const uint64_t id = random.below(150);
        if (std::find(ids.begin(), ids.end(), id) != ids.end()) continue;
        Record record{small_vector(random, 6), static_cast<int>(random.below(4))};
        ids.push_back(id);
        vectors.insert(vectors.end(), record.vector.begin(), record.vector.end());
        metadata.push_back("{\"group\":" + std::to_string(record.group) + "}");
        model[id] = record;
      }
      CHECK_OK(write(*c, kUpsert, vectors.data(), ids.size(), 6, ids, metadata));
    } else if (what < 11 && !model.empty()) {  // Delete some, absent ones too.
      std::vector<uint64_t> ids;
      uint64_t there = 0;
      for (size_t i = 0; i < 1 + random.below(30); ++i) {
        ids.push_back(random.below(170));
        there += model.erase(ids.back());
      }
      CHECK_EQ(remove(*c, ids), there);
    } else if (what < 12) {  // Update a record's metadata, or its vector too.
      const uint64_t id = random.below(170);
      Commit commit;
      commit.kind = Commit::Kind::kUpdate;
      commit.ids.push_back(IdOut{false, 0, id});
      const int group = static_cast<int>(random.below(4));
      commit.metadata = "{\"group\":" + std::to_string(group) + "}";
      if (random.below(2) == 0) commit.vector = small_vector(random, 6);
      const auto vector = commit.vector;
      c->run(&commit);
      const auto it = model.find(id);
      CHECK_EQ(commit.status.code(), it == model.end() ? ErrorCode::kNotFound : ErrorCode::kOk);
      if (it != model.end()) {
        it->second.group = group;
        if (!vector.empty()) it->second.vector = vector;
      }
    } else if (what == 12 && random.below(8) == 0) {
      Commit commit;
      commit.kind = Commit::Kind::kClear;
      c->run(&commit);
      CHECK_OK(commit.status);
      model.clear();
    } else if (what == 13 && random.below(3) == 0) {
      const int group = static_cast<int>(random.below(4));
      Commit commit;
      commit.kind = Commit::Kind::kDeleteFilter;
      commit.filter = Filter::parse("{\"group\":" + std::to_string(group) + "}", nullptr).take();
      c->run(&commit);
      CHECK_EQ(commit.count,
               std::erase_if(model, [&](const auto& r) { return r.second.group == group; }));
    } else if (what == 14 && random.below(4) == 0) {
      CHECK_OK(optimize(*c));
    } else {
      compare_search(*c, model, metric, random,
                     what < 16   ? Mode::kPlan
                     : what < 18 ? Mode::kExact
                                 : Mode::kGraph);
    }
    if (step % 50 == 49) {
      const CheckReport report = c->check();
      if (!CHECK_EQ(report.problem, std::string())) return;
      check_all_ids(*c, model);
    }
  }
}

}  // namespace

// Random sequences of every write, each read compared with a list of records, for each metric and
// codec.
TEST(every_sequence_of_writes_reads_as_the_model_says) {
  const uint64_t seed = test_seed();
  int i = 0;
  for (const Metric metric : {Metric::kL2, Metric::kCosine, Metric::kDot}) {
    for (const Quantization codec :
         {Quantization::kSq8, Quantization::kNone, Quantization::kBinary}) {
      churn(metric, codec, seed + static_cast<uint64_t>(i++), 700);
    }
  }
}

// A refused batch stores nothing: no record, no id, no memory of it.
TEST(a_refused_batch_leaves_nothing) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  const auto c = fixture.make(options_of(4, Metric::kCosine, Quantization::kSq8));
  std::vector<float> v = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
  CHECK_OK(write(*c, kAdd, v.data(), 2, 4, {1, 2}));
  const uint64_t used = fixture.env.budget->used();
  v[9] = NAN;
  const Status nan = write(*c, kAdd, v.data(), 3, 4, {5, 6, 7});
  CHECK_EQ(nan.code(), ErrorCode::kVector);
  CHECK_EQ(nan.row(), 2);
  v[9] = v[10] = 0;
  CHECK_EQ(write(*c, kAdd, v.data(), 3, 4, {5, 6, 7}).code(), ErrorCode::kVector);
  v[10] = 1;
  CHECK_EQ(write(*c, kAdd, v.data(), 3, 4, {5, 2, 7}).code(), ErrorCode::kExists);
  CHECK_EQ(write(*c, kAdd, v.data(), 3, 4, {5, 7, 5}).code(), ErrorCode::kDuplicate);
  CHECK_EQ(write(*c, kAdd, v.data(), 1, 3, {5}).code(), ErrorCode::kDimensions);
  CHECK_EQ(write(*c, kAdd, v.data(), 3, 4, {5, 6, 7}, {"{}", "{\"a\":1}", "{\"a.b\":1}"}).code(),
           ErrorCode::kMetadata);
  CHECK_EQ(c->count(), 2u);
  CHECK_EQ(c->check().problem, std::string());
  CHECK(fixture.env.budget->used() <= used + (64 << 10));  // Pages may be kept, records not.
  CHECK_OK(write(*c, kAdd, v.data(), 3, 4, {5, 6, 7}));
  CHECK_EQ(c->count(), 5u);
}

// The memory limit refuses a batch whole, and the collection goes on with what it has.
TEST(the_memory_limit_refuses_and_the_collection_goes_on) {
  InlineExecutor executor;
  Fixture fixture(&executor, 8 << 20);
  const auto c = fixture.make(options_of(64, Metric::kL2, Quantization::kSq8));
  Clusters clusters(64, 10, test_seed());
  Status status;
  size_t rows = 0;
  const auto v = clusters.draw_many(1000);
  while ((status = write(*c, kAdd, v.data(), 1000, 64, {})).is_ok() && rows < 200000) rows += 1000;
  CHECK_EQ(status.code(), ErrorCode::kMemory);
  CHECK(rows >= 2000);
  CHECK_EQ(c->count(), rows);
  CHECK_EQ(c->check().problem, std::string());
  CHECK(fixture.env.budget->used() <= uint64_t{8} << 20);
  SearchOptions o;
  Rows hits;
  CHECK_OK(c->search(v.data(), 64, o, &hits));
  CHECK_EQ(hits.ids.size(), 10u);
}

// Equal distances come in insertion order, also after slots were reused.
TEST(ties_come_in_insertion_order) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  const auto c = fixture.make(options_of(2, Metric::kL2, Quantization::kSq8));
  std::vector<float> same(2 * 200, 1.0f);
  std::vector<uint64_t> first;
  for (uint64_t i = 0; i < 200; ++i) first.push_back(1000 - i);
  CHECK_OK(write(*c, kAdd, same.data(), 200, 2, first));
  CHECK_EQ(remove(*c, {1000, 995, 990, 985}), 4u);
  CHECK_OK(optimize(*c));
  CHECK_OK(write(*c, kAdd, same.data(), 4, 2, {1, 2, 3, 4}));  // In the freed slots.
  SearchOptions o;
  o.k = 200;
  o.mode = Mode::kExact;
  Rows rows;
  const float q[2] = {1, 1};
  CHECK_OK(c->search(q, 2, o, &rows));
  CHECK_EQ(rows.ids.size(), 200u);
  CHECK_EQ(rows.ids[0].value, 999u);
  CHECK_EQ(rows.ids[196].value, 1u);
  CHECK_EQ(rows.ids[199].value, 4u);
}

// With one inline thread the same writes give the same graph: every search answers alike.
TEST(one_thread_builds_the_same_graph_twice) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  Clusters clusters(16, 20, test_seed());
  const auto v = clusters.draw_many(3000);
  const auto q = clusters.draw_many(50);
  std::vector<uint64_t> answers[2];
  for (auto& answer : answers) {
    const auto c = fixture.make(options_of(16, Metric::kL2, Quantization::kNone));
    CHECK_OK(write(*c, kAdd, v.data(), 3000, 16, {}));
    for (size_t i = 0; i < 50; ++i) {
      SearchOptions o;
      o.ef = 10;
      o.mode = Mode::kGraph;
      Rows rows;
      Plan plan;
      CHECK_OK(c->search(&q[i * 16], 16, o, &rows, &plan));
      for (const IdOut& id : rows.ids) answer.push_back(id.value);
      answer.push_back(plan.rows_scored);
    }
  }
  CHECK(answers[0] == answers[1]);
}

// Records written without metadata read back as {}, also beside others that have some.
TEST(records_without_metadata_are_empty_objects) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  const auto c = fixture.make(options_of(4, Metric::kL2, Quantization::kSq8));
  const std::vector<float> v = {1, 0, 0, 0, 0, 1, 0, 0};
  CHECK_OK(write(*c, kAdd, v.data(), 2, 4, {}));
  SearchOptions o;
  o.include = kIncludeMetadata;
  Rows rows;
  CHECK_OK(c->search(v.data(), 4, o, &rows));
  CHECK_EQ(rows.metadata, std::string("[{},{}]"));
  CHECK_OK(write(*c, kAdd, v.data(), 1, 4, {7}, {"{\"a\":1}"}));
  CHECK_OK(write(*c, kAdd, v.data(), 1, 4, {8}));
  IdView ids[2];
  ids[0].integer = 7;
  ids[1].integer = 8;
  CHECK_OK(c->get(ids, 2, kIncludeMetadata, &rows));
  CHECK_EQ(rows.metadata, std::string("[{\"a\":1},{}]"));
}
