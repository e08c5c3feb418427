// Rows that lie near each other take slots near each other, and queries of a batch are answered in
// the order in which they lie: nobody may notice but by the clock.
#include <numeric>

#include "db_support.h"
#include "exec/thread_pool.h"
#include "graph/locality.h"

using namespace omen;
using namespace omen::test;

namespace {

class Floats final : public LocalRows {
 public:
  Floats(const std::vector<float>& rows, size_t dimensions)
      : rows_(rows), dimensions_(dimensions) {}
  FloatRow row(size_t i) const override { return {&rows_[i * dimensions_], 1.0f}; }

 private:
  const std::vector<float>& rows_;
  const size_t dimensions_;
};

std::vector<uint32_t> order_of(const std::vector<float>& rows, size_t dimensions,
                               Executor& executor, size_t leaf_rows = 8) {
  MemoryBudget budget;
  MemoryAccount account(&budget);
  const auto kernels = simd::choose_kernels().take();
  Array<uint32_t> order(&account, Use::kScratch);
  const Floats source(rows, dimensions);
  const Locality locality{source,   rows.size() / dimensions, dimensions, leaf_rows,
                          *kernels, executor,                 &account};
  CHECK_OK(order_by_locality(locality, &order));
  return {order.begin(), order.end()};
}

// The mean distance of rows that follow each other.
double mean_step(const std::vector<float>& rows, size_t dimensions,
                 const std::vector<uint32_t>& order) {
  double sum = 0;
  for (size_t i = 1; i < order.size(); ++i) {
    double squared = 0;
    for (size_t d = 0; d < dimensions; ++d) {
      const double x = rows[order[i] * dimensions + d] - rows[order[i - 1] * dimensions + d];
      squared += x * x;
    }
    sum += std::sqrt(squared);
  }
  return sum / static_cast<double>(order.size() - 1);
}

}  // namespace

// An order by locality must name every row once, whatever the rows are: equal, few, so long that
// products overflow, or, as queries may be, no numbers.
TEST(orders_by_locality_are_permutations) {
  InlineExecutor inline_executor;
  constexpr size_t kDimensions = 24;
  Clusters clusters(kDimensions, 20, 5);
  std::vector<std::vector<float>> sets;
  for (const size_t count : {1, 7, 8, 15, 16, 17, 100, 2000}) {
    sets.push_back(clusters.draw_many(count));
  }
  sets.push_back(std::vector<float>(500 * kDimensions, 2.5f));
  sets.push_back(clusters.draw_many(500));
  for (size_t i = 0; i < sets.back().size(); ++i) {
    sets.back()[i] = (i / kDimensions % 2 == 0 ? 1.0f : -1.0f) * 3.7e18f;
  }
  sets.push_back(clusters.draw_many(500));
  for (size_t i = 0; i < sets.back().size(); i += 37) sets.back()[i] = std::nanf("");
  for (size_t i = 5; i < sets.back().size(); i += 91) sets.back()[i] = -INFINITY;
  for (const auto& rows : sets) {
    std::vector<uint32_t> order = order_of(rows, kDimensions, inline_executor);
    std::sort(order.begin(), order.end());
    CHECK_EQ(order.size(), rows.size() / kDimensions);
    for (size_t i = 0; i < order.size(); ++i) CHECK_EQ(order[i], i);
  }
}

// The order is what it is for: rows that follow each other lie near each other, on any number of
// threads in the same way.
TEST(orders_by_locality_keep_neighbours_together) {
  InlineExecutor inline_executor;
  constexpr size_t kDimensions = 24;
  Clusters clusters(kDimensions, 100, 6);
  const auto centres = clusters.draw_many(100);
  std::vector<float> rows(4000 * kDimensions);
  for (size_t i = 0; i < rows.size(); ++i) {
    const size_t centre = i / kDimensions * 37 % 100;
    rows[i] = centres[centre * kDimensions + i % kDimensions] +
              static_cast<float>(0.1 * clusters.normal());
  }
  std::vector<uint32_t> as_given(4000);
  std::iota(as_given.begin(), as_given.end(), 0u);
  const auto order = order_of(rows, kDimensions, inline_executor);
  CHECK(mean_step(rows, kDimensions, order) < 0.4 * mean_step(rows, kDimensions, as_given));
  const auto pool = ThreadPool::create(4).take();
  CHECK(order_of(rows, kDimensions, *pool) == order);
}

namespace {

constexpr uint32_t kDimensions = 16;
constexpr size_t kRows = 1500;
constexpr size_t kIdsMax = 4200;

enum class Ids { kGenerated, kIntegers, kStrings };

// Of the i-th row; the same for the i-th row that replaces it. In no order.
uint64_t number_of(Ids ids, size_t i) {
  return ids == Ids::kGenerated ? i : uint64_t{i} * 7919 % kIdsMax;
}
std::string text_of(size_t i) { return "row " + std::to_string(number_of(Ids::kStrings, i)); }
std::string metadata_of(size_t row) { return "{\"row\":" + std::to_string(row) + "}"; }

// Rows [first, first + count), under the ids of the first ones.
Status put(Collection& c, Ids ids, const std::vector<float>& vectors, size_t first, size_t count) {
  auto batch = c.begin_write(count, kDimensions);
  OMEN_TRY(batch.status());
  OMEN_TRY(batch.value()->stage_vectors(0, count, &vectors[first * kDimensions]));
  for (size_t i = 0; i < count; ++i) {
    if (ids == Ids::kIntegers) OMEN_TRY(batch.value()->stage_integer_id(i, number_of(ids, i)));
    if (ids == Ids::kStrings) OMEN_TRY(batch.value()->stage_string_id(i, text_of(i)));
    OMEN_TRY(batch.value()->stage_metadata(i, metadata_of(first + i)));
  }
  Commit commit;
  commit.kind = Commit::Kind::kUpsert;
  commit.batch = batch.take();
  c.run(&commit);
  return commit.status;
}

// Whether the id of row i has what `row` was given.
void check_row(Collection& c, Ids ids, const std::vector<float>& vectors, size_t i, size_t row) {
  const std::string text = text_of(i);
  const bool is_string = ids == Ids::kStrings;
  IdView id{is_string, is_string ? 0 : number_of(ids, i), {}};
  if (is_string) id.text = text;
  Rows got;
  CHECK_OK(c.get(&id, 1, kIncludeVector | kIncludeMetadata, &got));
  CHECK_EQ(got.found[0], 1);
  CHECK(got.metadata == "[" + metadata_of(row) + "]");
  const float* x = &vectors[row * kDimensions];
  if (!got.approximate) {
    CHECK(std::equal(x, x + kDimensions, got.vectors.begin()));
    return;
  }
  float off = 0;  // Values beyond what codes were trained on are off by more.
  for (uint32_t d = 0; d < kDimensions; ++d) off += std::fabs(x[d] - got.vectors[d]);
  CHECK(off < 0.3f * kDimensions);
}

}  // namespace

// Wherever the rows of a large batch are put, each id has its own vector and metadata: generated,
// integer and string ids, under cosine, without originals, and rows that replace others.
TEST(placed_rows_keep_what_they_are) {
  const auto pool = ThreadPool::create(3).take();
  Fixture fixture(pool.get());
  const auto vectors = Clusters(kDimensions, 40, 9).draw_many(2 * kIdsMax);
  const auto check = [&](Ids ids, Metric metric, bool keep_vectors, size_t count) {
    CollectionOptions options = options_of(kDimensions, metric, Quantization::kSq8);
    options.keep_vectors = keep_vectors;
    auto c = fixture.make(options);
    CHECK_OK(put(*c, ids, vectors, 0, count));
    const size_t replaced = ids == Ids::kGenerated ? 0 : count * 2 / 3;
    if (replaced > 0) CHECK_OK(put(*c, ids, vectors, count, replaced));
    CHECK_EQ(c->check().problem, std::string());
    CHECK_EQ(c->stats().count, count);
    for (size_t i = 0; i < count; ++i) {
      check_row(*c, ids, vectors, i, i < replaced ? count + i : i);
    }
  };
  for (const Ids ids : {Ids::kGenerated, Ids::kIntegers, Ids::kStrings}) {
    for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
      for (const bool keep_vectors : {true, false}) check(ids, metric, keep_vectors, 450);
    }
  }
  // So many that there are codes, which take the vectors' place.
  check(Ids::kStrings, Metric::kCosine, false, kIdsMax);
}

// Ties are broken by the order in which records came, not by where they lie.
TEST(placed_copies_are_found_in_their_order) {
  InlineExecutor inline_executor;
  Fixture fixture(&inline_executor);
  auto vectors = Clusters(kDimensions, 40, 10).draw_many(kRows);
  for (size_t i = 0; i < kRows; i += 50) {
    std::copy_n(&vectors[7 * kDimensions], kDimensions, &vectors[i * kDimensions]);
  }
  auto c = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kSq8));
  CHECK_OK(put(*c, Ids::kIntegers, vectors, 0, kRows));
  SearchOptions o;
  o.k = 20;
  for (const Mode mode : {Mode::kExact, Mode::kGraph}) {
    o.mode = mode;
    Rows hits;
    CHECK_OK(c->search(&vectors[7 * kDimensions], kDimensions, o, &hits));
    if (mode == Mode::kGraph) continue;
    size_t at = 0;
    for (size_t i = 0; at < o.k; ++i) {
      if (i % 50 != 0 && i != 7) continue;
      CHECK_EQ(hits.ids[at++].value, number_of(Ids::kIntegers, i));
    }
  }
}

// Records are read page by page in the order in which they came, whatever the size of a page and
// wherever they lie; one that was replaced keeps its place, one that was deleted and added again
// comes last.
TEST(records_are_read_in_the_order_they_came) {
  InlineExecutor inline_executor;
  Fixture fixture(&inline_executor);
  const auto vectors = Clusters(kDimensions, 40, 13).draw_many(3 * kRows);
  auto c = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kSq8));
  CHECK_OK(put(*c, Ids::kIntegers, vectors, 0, kRows));
  std::vector<uint64_t> wanted;
  for (size_t i = 0; i < kRows; ++i) wanted.push_back(number_of(Ids::kIntegers, i));
  const auto read_all = [&](size_t limit, const std::shared_ptr<const Filter>& filter) {
    std::vector<uint64_t> ids;
    uint64_t cursor = 0;
    size_t pages = 0;
    do {
      Rows page;
      CHECK_OK(c->scroll(&cursor, limit, filter, kIncludeNone, &page));
      CHECK(page.ids.size() == limit || cursor == 0);
      for (const IdOut& id : page.ids) ids.push_back(id.value);
      ++pages;
    } while (cursor != 0);
    CHECK_EQ(pages, std::max<size_t>((ids.size() + limit - 1) / limit, 1));
    return ids;
  };
  const auto check_all = [&] {
    for (const size_t limit : {1, 7, 100, 750, 1500, 5000}) {
      CHECK(read_all(limit, nullptr) == wanted);
    }
  };
  check_all();
  CHECK_OK(put(*c, Ids::kIntegers, vectors, kRows, kRows / 2));
  check_all();
  std::vector<uint64_t> gone;
  for (size_t i = 100; i < 900; i += 3) gone.push_back(number_of(Ids::kIntegers, i));
  CHECK_EQ(remove(*c, gone), gone.size());
  const auto is_gone = [&](uint64_t id) {
    return std::find(gone.begin(), gone.end(), id) != gone.end();
  };
  std::erase_if(wanted, is_gone);
  check_all();
  CHECK_OK(optimize(*c));
  CHECK_OK(put(*c, Ids::kIntegers, vectors, 2 * kRows, 600));  // Some anew, some again.
  for (size_t i = 0; i < 600; ++i) {
    const uint64_t id = number_of(Ids::kIntegers, i);
    if (is_gone(id)) wanted.push_back(id);
  }
  check_all();
  std::vector<uint64_t> some;
  for (const uint64_t id : wanted) {
    size_t row = 0;
    while (number_of(Ids::kIntegers, row) != id) ++row;
    if (row < 600) some.push_back(id);  // Whose metadata is of the last rows.
  }
  const auto filter = filter_of("{\"row\":{\"$gte\":" + std::to_string(2 * kRows) + "}}");
  for (const size_t limit : {3, 599, 600, 601}) CHECK(read_all(limit, filter) == some);
}

// However little memory there is, a batch is whole or refused: to place its rows is no reason to
// refuse it, and what is in the way of placing them leaves each row as it was.
TEST(placing_rows_may_fail) {
  InlineExecutor inline_executor;
  const auto vectors = Clusters(kDimensions, 40, 11).draw_many(kRows);
  size_t refused = 0;
  size_t written = 0;
  for (uint64_t limit = 400'000; limit < 1'400'000; limit += 50'000) {
    Fixture fixture(&inline_executor, limit);
    auto c = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kSq8));
    const Status status = put(*c, Ids::kStrings, vectors, 0, kRows);
    CHECK(c->check().ok);
    if (!status.is_ok()) {
      CHECK(status.code() == ErrorCode::kMemory);
      CHECK_EQ(c->stats().count, 0);
      ++refused;
      continue;
    }
    ++written;
    for (size_t i = 0; i < kRows; i += 11) check_row(*c, Ids::kStrings, vectors, i, i);
  }
  CHECK(refused > 5 && written > 5);
}

// A batch of queries is answered in another order than it is asked: each query must get its own
// hits, the same as alone, and of several faults the first row's is told.
TEST(queries_in_order_of_place_get_their_own_hits) {
  constexpr uint32_t kWide = 256;
  constexpr size_t kMany = 9000;
  const auto pool = ThreadPool::create(3).take();
  Fixture fixture(pool.get());
  Clusters clusters(kWide, 50, 12);
  for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
    auto c = fixture.make(options_of(kWide, metric, Quantization::kSq8));
    CHECK_OK(write(*c, kAdd, clusters.draw_many(kMany).data(), kMany, kWide, {}));
    auto queries = clusters.draw_many(101);
    SearchOptions o;
    o.k = 5;
    Rows together;
    std::vector<uint32_t> counts(101);
    CHECK_OK(c->search_batch(queries.data(), 101, kWide, o, &together, counts.data()));
    for (size_t q = 0; q < 101; ++q) {
      Rows alone;
      CHECK_OK(c->search(&queries[q * kWide], kWide, o, &alone));
      CHECK_EQ(counts[q], alone.ids.size());
      for (size_t i = 0; i < alone.ids.size(); ++i) {
        CHECK_EQ(together.ids[q * o.k + i].value, alone.ids[i].value);
        CHECK_EQ(together.distances[q * o.k + i], alone.distances[i]);
      }
    }
    for (const size_t bad : {40, 77, 13, 90}) queries[bad * kWide + 3] = std::nanf("");
    const Status status = c->search_batch(queries.data(), 101, kWide, o, &together, counts.data());
    CHECK(status.code() == ErrorCode::kVector);
    CHECK_EQ(status.row(), 13);
  }
}
