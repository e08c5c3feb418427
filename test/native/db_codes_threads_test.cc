// Collections on disk that keep codes alone, while codes are trained beside checkpoints: the floats
// that a checkpoint reads must not go meanwhile. Made for ThreadSanitizer.
#include <atomic>
#include <cmath>
#include <thread>

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

}  // namespace

// Writers, a reader and one checkpoint after the other: all records are there, near what was given,
// in this process and after an opening.
TEST(codes_are_trained_beside_checkpoints) {
  auto pool = ThreadPool::create(2);
  REQUIRE_OK(pool);
  OneCollection db(test_seed());
  DatabaseOptions o = db.fixture.options(static_cast<Env*>(&db.env), Durability::kOs);
  o.executor = pool.value().get();
  o.has_committer = true;
  o.record_bytes = 64 << 10;
  CollectionOptions options = options_of(kDims, Metric::kL2, Quantization::kSq8);
  options.keep_vectors = false;
  options.given = CollectionOptions::kGivenDimensions | CollectionOptions::kGivenMetric |
                  CollectionOptions::kGivenKeepVectors;
  db.open(o, options);
  std::atomic<uint64_t> writing{kWriters};
  std::vector<std::thread> threads;
  for (uint64_t w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      for (uint64_t b = 0; b < kBatches; ++b) {
        std::vector<uint64_t> ids;
        std::vector<float> rows;
        for (uint64_t i = 0; i < kBatch; ++i) {
          ids.push_back((b * kWriters + w) * kBatch + i);
          const std::vector<float> row = row_of(ids.back());
          rows.insert(rows.end(), row.begin(), row.end());
        }
        CHECK_OK(write(*db.collection, kAdd, rows.data(), kBatch, kDims, ids));
      }
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
  // Training that was put off goes with the next commit.
  CHECK_OK(write(*db.collection, kUpsert, row_of(0).data(), 1, kDims, {0}));
  CHECK(checkpoints > 0);
  const uint64_t count = kWriters * kBatches * kBatch;
  CHECK_EQ(db.collection->count(), count);
  CHECK(db.collection->stats().trained);
  CHECK_EQ(db.collection->stats().bytes.vectors, 0);
  CHECK(farthest(*db.collection) < 2);
  CHECK_OK(check_database(*db.database));
  CHECK_OK(db.database->checkpoint());
  const std::string before = dump(*db.database);
  db.open(o, options);
  CHECK(dump(*db.database) == before);
  CHECK_OK(check_database(*db.database));
  db.close();
}
