// Mapped vectors under searches, while writers take extents over and checkpoints leave old files.
// Made for ThreadSanitizer.
#include <atomic>
#include <thread>

#include "db_disk_support.h"
#include "exec/thread_pool.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDimensions = 16;
constexpr uint64_t kRecords = 3000;

// A record's vector tells its id, whatever its version.
void stage(WriteBatch& batch, size_t row, uint64_t id, uint64_t version) {
  float v[kDimensions];
  for (uint32_t i = 0; i < kDimensions; ++i) v[i] = static_cast<float>(mix64(id + i) % 100);
  v[0] = static_cast<float>(id);
  v[1] = static_cast<float>(version);
  CHECK_OK(batch.stage_vectors(row, 1, v));
  CHECK_OK(batch.stage_integer_id(row, id));
}

void write(Collection& c, uint64_t first, uint64_t count, uint64_t version) {
  Commit commit;
  commit.kind = Commit::Kind::kUpsert;
  commit.batch = c.begin_write(count, kDimensions).take();
  for (uint64_t i = 0; i < count; ++i) stage(*commit.batch, i, first + i, version);
  c.run(&commit);
  CHECK_OK(commit.status);
}

}  // namespace

TEST(searches_beside_writers_and_checkpoints_read_what_was_stored) {
  const uint64_t seed = test_seed();
  SimEnv env(seed);
  auto pool = ThreadPool::create(2).take();
  DatabaseOptions o;
  o.path = kPath;
  o.env = &env;
  o.executor = pool.get();
  o.durability = Durability::kOs;
  o.residency = Residency::kMapped;
  {
    auto database = Database::open(o).take();
    CollectionOptions options;
    options.metric = Metric::kL2;
    options.quantization = Quantization::kNone;
    options.given = CollectionOptions::kGivenMetric | CollectionOptions::kGivenQuantization;
    write(*database->collection("c", options, OpenMode::kCreate).take(), 0, kRecords, 1);
    CHECK_OK(database->checkpoint());
  }
  std::string before;
  {
    auto database = Database::open(o).take();
    const auto c = database->collection("c", CollectionOptions(), OpenMode::kOpen).take();
    CHECK(c->stats().bytes.mapped > 0);
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        Random random(seed + t);
        while (!done) {
          SearchOptions search;
          search.include = kIncludeVector;
          search.mode = random.below(8) == 0 ? Mode::kExact : Mode::kGraph;
          Rows rows;
          float query[kDimensions];
          for (float& x : query) x = static_cast<float>(random.below(100));
          query[0] = static_cast<float>(random.below(kRecords));
          CHECK_OK(c->search(query, kDimensions, search, &rows));
          for (size_t i = 0; i < rows.ids.size(); ++i) {
            CHECK_EQ(rows.vectors[i * kDimensions], static_cast<float>(rows.ids[i].value));
          }
        }
      });
    }
    Random random(seed);
    for (uint64_t round = 0; round < 12; ++round) {
      write(*c, random.below(kRecords - 200), 1 + random.below(200), round + 2);
      if (round % 2 == 1) CHECK_OK(database->checkpoint());
    }
    done = true;
    for (std::thread& thread : threads) thread.join();
    CHECK_OK(check_database(*database));
    before = dump(*database);
  }
  CHECK_EQ(env.mapped(), 0u);
  auto database = Database::open(o).take();
  CHECK_EQ(dump(*database), before);
}
