// Collections on disk that keep codes alone, while codes are trained beside checkpoints: the floats
// that a checkpoint reads must not go meanwhile. Made for ThreadSanitizer.
#include <atomic>
#include <cmath>
#include <thread>

#include "base/test_points.h"
#include "db_disk_support.h"
#include "exec/thread_pool.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDims = 8;
constexpr uint64_t kWriters = 3;
constexpr uint64_t kBatches = 30;
constexpr uint64_t kBatch = 60;  // 5 400 records: codes are trained at 4 096.

std::vector<float> row_of(uint64_t id) {
  std::vector<float> row(kDims);
  for (uint32_t i = 0; i < kDims; ++i) row[i] = static_cast<float>(mix64(id * kDims + i) % 100);
  return row;
}

// How far records are from what was given, at most.
double farthest(Collection& c) {
  double most = 0;
  uint64_t cursor = 0;
  do {
    Rows found;
    CHECK_OK(c.scroll(&cursor, 500, nullptr, kIncludeVector, &found));
    for (size_t i = 0; i < found.ids.size(); ++i) {
      const std::vector<float> given = row_of(found.ids[i].value);
      for (uint32_t d = 0; d < kDims; ++d) {
        const double delta = found.vectors[i * kDims + d] - given[d];
        most = std::max(most, std::abs(delta));
      }
    }
  } while (cursor != 0);
  return most;
}

// On threads of its own, without a checkpointer that comes by itself.
struct Threaded : OneCollection {
  Threaded() : OneCollection(test_seed()) {
    auto made = ThreadPool::create(2);
    REQUIRE_OK(made);
    pool = made.take();
    o = fixture.options(static_cast<Env*>(&env), Durability::kOs);
    o.executor = pool.get();
    o.has_committer = true;
    o.record_bytes = 64 << 10;
    o.checkpoint_bytes = uint64_t{1} << 40;
    options = options_of(kDims, Metric::kL2, Quantization::kSq8);
    options.keep_vectors = false;
    options.given = CollectionOptions::kGivenDimensions | CollectionOptions::kGivenMetric |
                    CollectionOptions::kGivenKeepVectors;
    reopen();
  }
  ~Threaded() { close(); }
  void reopen() { open(o, options); }
  void add(uint64_t first, uint64_t count) {
    std::vector<uint64_t> ids;
    std::vector<float> rows;
    for (uint64_t id = first; id < first + count; ++id) {
      ids.push_back(id);
      const std::vector<float> row = row_of(id);
      rows.insert(rows.end(), row.begin(), row.end());
    }
    CHECK_OK(write(*collection, kUpsert, rows.data(), count, kDims, ids));
  }
  // That all is near what was given, here and after an opening.
  void check(uint64_t count) {
    CHECK_EQ(collection->count(), count);
    CHECK(collection->stats().trained);
    CHECK_EQ(collection->stats().bytes.vectors, 0);
    CHECK(farthest(*collection) < 2);
    CHECK_OK(check_database(*database));
    CHECK_OK(database->checkpoint());
    const std::string before = dump(*database);
    reopen();
    CHECK(dump(*database) == before);
    CHECK_OK(check_database(*database));
  }

  std::unique_ptr<ThreadPool> pool;
  DatabaseOptions o;
  CollectionOptions options;
};

}  // namespace

// Writers, a reader and one checkpoint after the other: all records are there, near what was given,
// in this process and after an opening.
TEST(codes_are_trained_beside_checkpoints) {
  Threaded db;
  std::atomic<uint64_t> writing{kWriters};
  std::vector<std::thread> threads;
  for (uint64_t w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      for (uint64_t b = 0; b < kBatches; ++b) db.add((b * kWriters + w) * kBatch, kBatch);
      --writing;
    });
  }
  std::atomic<uint64_t> checkpoints{0};
  threads.emplace_back([&] {
    while (writing > 0) checkpoints += db.database->checkpoint().is_ok() ? 1 : 0;
  });
  threads.emplace_back([&] {
    for (uint64_t q = 0; writing > 0; ++q) {
      Rows hits;
      SearchOptions search;
      search.include = kIncludeVector;
      search.mode = q % 2 == 0 ? Mode::kExact : Mode::kPlan;
      CHECK_OK(db.collection->search(row_of(q % 1000).data(), kDims, search, &hits));
    }
  });
  for (std::thread& thread : threads) thread.join();
  db.add(0, 1);  // Training that was put off goes with the next commit.
  CHECK(checkpoints > 0);
  db.check(kWriters * kBatches * kBatch);
}

#ifdef OMENDB_TEST_POINTS
// Floats that a checkpoint has still to read stay until it has, although codes are due.
TEST(training_waits_for_a_checkpoint) {
  Threaded db;
  db.add(0, 4000);
  REQUIRE(test_point_arm("extent_layout"));
  std::thread saver([&] { CHECK_OK(db.database->checkpoint()); });
  while (!test_point_paused("extent_layout")) std::this_thread::yield();
  db.add(4000, 400);
  CHECK(!db.collection->stats().trained);
  CHECK(test_point_release("extent_layout"));
  saver.join();
  CHECK_EQ(farthest(*db.collection), 0);
  db.reopen();
  CHECK_EQ(db.collection->count(), 4400);
  db.add(4400, 1);
  db.check(4401);
}
#endif
