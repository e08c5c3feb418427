// Options agreed on later, dropped collections, and what failed writes leave behind.
#include <chrono>
#include <thread>

#include "db_support.h"
#include "exec/thread_pool.h"

using namespace omen;
using namespace omen::test;

namespace {

CollectionOptions open_options(uint32_t dimensions) {
  CollectionOptions o;
  o.metric = Metric::kL2;
  o.given = CollectionOptions::kGivenMetric;
  o.dimensions = dimensions;
  if (dimensions != 0) o.given |= CollectionOptions::kGivenDimensions;
  return o;
}

std::shared_ptr<Database> open_database(uint64_t limit = 0) {
  DatabaseOptions o;
  o.max_memory_bytes = limit;
  return Database::open_memory(o).take();
}

}  // namespace

// Dimensions named at a later open count from then on, as if they had been named at the first.
TEST(dimensions_can_be_named_at_a_later_open) {
  const auto db = open_database();
  const auto first = db->collection("c", open_options(0), OpenMode::kOpenOrCreate).take();
  const auto second = db->collection("c", open_options(128), OpenMode::kOpenOrCreate).take();
  CHECK(first == second);
  CHECK_EQ(first->dimensions(), 128u);
  CHECK_EQ(db->collection("c", open_options(64), OpenMode::kOpenOrCreate).status().code(),
           ErrorCode::kOptions);
  CHECK_EQ(db->collection("c", open_options(20000), OpenMode::kOpenOrCreate).status().code(),
           ErrorCode::kArgument);
  const float vector[3] = {1, 2, 3};
  CHECK_EQ(write(*first, kAdd, vector, 1, 3, {}).code(), ErrorCode::kDimensions);
  // An empty collection knows its dimensions too.
  SearchOptions o;
  Rows rows;
  CHECK_EQ(first->search(vector, 3, o, &rows).code(), ErrorCode::kDimensions);
}

// A write that failed has fixed nothing, and the next one may have other dimensions.
TEST(a_failed_write_fixes_no_dimensions) {
  const auto db = open_database();
  const auto c = db->collection("c", open_options(0), OpenMode::kOpenOrCreate).take();
  const float vectors[4] = {1, 2, 3, 4};
  CHECK_EQ(write(*c, kAdd, vectors, 2, 2, {5, 5}).code(), ErrorCode::kDuplicate);
  CHECK_EQ(c->dimensions(), 0u);
  CHECK_OK(write(*c, kAdd, vectors, 1, 4, {5}));
  CHECK_EQ(c->dimensions(), 4u);
}

// Dropping gives the memory back at once, also while a handle is held.
TEST(a_dropped_collection_frees_its_memory) {
  const auto db = open_database();
  const auto c = db->collection("c", open_options(64), OpenMode::kOpenOrCreate).take();
  Clusters clusters(64, 10, test_seed());
  const auto vectors = clusters.draw_many(5000);
  CHECK_OK(write(*c, kAdd, vectors.data(), 5000, 64, {}));
  const uint64_t before = db->stats().bytes;
  CHECK(db->drop_collection("c").take());
  // The pool frees it, in its turn.
  for (int i = 0; i < 500 && db->stats().bytes > before / 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(db->stats().bytes < before / 20);
  CHECK_EQ(write(*c, kAdd, vectors.data(), 1, 64, {}).code(), ErrorCode::kNotFound);
  CHECK_EQ(c->count(), 0u);
}

// A write that failed gives its rows' memory back: it must not count against the next one.
TEST(a_failed_write_gives_its_memory_back) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  const auto c = fixture.make(options_of(64, Metric::kL2, Quantization::kNone));
  Clusters clusters(64, 10, test_seed());
  const auto vectors = clusters.draw_many(20000);
  CHECK_OK(write(*c, kAdd, vectors.data(), 100, 64, {}));
  const uint64_t before = c->stats().bytes.vectors;
  std::vector<uint64_t> ids(20000);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = 1000 + i / 2;
  CHECK_EQ(write(*c, kAdd, vectors.data(), 20000, 64, ids).code(), ErrorCode::kDuplicate);
  CHECK_EQ(c->stats().bytes.vectors, before);
  CHECK_OK(write(*c, kAdd, vectors.data() + 64 * 100, 5000, 64, {}));
  CHECK_EQ(c->check().problem, std::string());
  CHECK_EQ(c->count(), 5100u);
}

// While records are replaced in batches, the collection does not outgrow a fresh one: consolidation
// keeps up although nobody waits for it.
TEST(replacing_everything_does_not_grow_the_collection) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(options_of(32, Metric::kL2, Quantization::kSq8));
  Clusters clusters(32, 10, test_seed());
  const auto vectors = clusters.draw_many(8000);
  CHECK_OK(write(*c, kAdd, vectors.data(), 8000, 32, {}));
  for (uint64_t first = 0; first < 8000; first += 200) {
    std::vector<uint64_t> ids(200);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = first + i;
    CHECK_OK(write(*c, kUpsert, &vectors[(7999 - first - 200 + 1) * 32], 200, 32, ids));
  }
  const Store* s = c->impl().store();
  CHECK(s->slots.high_water() < 8900u);
}

// Each commit of a group is told of its own rows alone.
TEST(progress_counts_ones_own_rows) {
  InlineExecutor executor(1);
  Fixture fixture(&executor);
  const auto c = fixture.make(options_of(8, Metric::kL2, Quantization::kNone));
  Clusters clusters(8, 4, test_seed());
  const auto vectors = clusters.draw_many(1000);
  Commit commits[2];
  const size_t rows[2] = {10, 990};
  static uint64_t seen = 0;  // Of the second, when the first is answered.
  commits[0].context = &commits[1];
  commits[0].on_done = [](Commit*, void* other) { seen = static_cast<Commit*>(other)->done; };
  for (int i = 0; i < 2; ++i) {
    commits[i].batch = c->begin_write(rows[i], 8).take();
    CHECK_OK(commits[i].batch->stage_vectors(0, rows[i], vectors.data()));
    c->submit(&commits[i]);
  }
  executor.run_all();
  CHECK_OK(commits[0].status);
  CHECK_OK(commits[1].status);
  CHECK_EQ(seen, rows[1]);
}

TEST(options_of_codes_must_agree) {
  const auto db = Database::open_memory({}).take();
  CollectionOptions o = options_of(4, Metric::kL2, Quantization::kNone);
  o.keep_vectors = false;
  CHECK(db->collection("a", o, OpenMode::kOpenOrCreate).status().code() == ErrorCode::kOptions);
  o.quantization = Quantization::kBinary;
  CHECK_OK(db->collection("a", o, OpenMode::kOpenOrCreate).status());
  o.keep_vectors = true;
  CHECK_OK(db->collection("a", o, OpenMode::kOpen).status());  // Not given.
  o.given = CollectionOptions::kGivenKeepVectors;
  CHECK(db->collection("a", o, OpenMode::kOpen).status().code() == ErrorCode::kOptions);
  o.keep_vectors = false;
  CHECK_OK(db->collection("a", o, OpenMode::kOpen).status());
}
