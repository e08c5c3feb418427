// Checkpoints and backups beside four writers and a reader: what comes back is what was written,
// and a backup is a moment that there was. Made for ThreadSanitizer.
#include <atomic>
#include <thread>

#include "base/test_points.h"
#include "db_disk_support.h"
#include "exec/thread_pool.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDimensions = 8;
constexpr size_t kWriters = 4;
constexpr uint64_t kIdsEach = 1200;  // So that codes are trained.
constexpr uint64_t kRowsMax = 60;

uint64_t operations() {
  const char* given = std::getenv("OMEN_CHECKPOINT_OPERATIONS");
  return given == nullptr ? 40 : std::strtoul(given, nullptr, 10);
}

float value_of(uint64_t id, uint64_t version) {
  return static_cast<float>(mix64(id ^ version << 32) % 1000);
}

// A writer's history: which ids each of its operations wrote (or deleted). Operation i also writes
// the record that tells i, in the same batch.
struct Writer {
  uint64_t first;
  std::vector<std::vector<uint64_t>> written;
  std::vector<std::vector<uint64_t>> deleted;

  uint64_t marker() const { return 1000000 + first; }
  // The version of an id after `count` operations; 0: it is not there.
  uint64_t version(uint64_t id, uint64_t count) const {
    for (uint64_t i = count; i-- > 0;) {
      if (std::find(written[i].begin(), written[i].end(), id) != written[i].end()) return i + 1;
      if (std::find(deleted[i].begin(), deleted[i].end(), id) != deleted[i].end()) return 0;
    }
    return 0;
  }
};

void stage(WriteBatch& batch, size_t row, uint64_t id, uint64_t version) {
  float v[kDimensions];
  for (uint32_t i = 0; i < kDimensions; ++i) v[i] = value_of(id + i, version);
  CHECK_OK(batch.stage_vectors(row, 1, v));
  CHECK_OK(batch.stage_integer_id(row, id));
  CHECK_OK(batch.stage_metadata(row, "{\"v\":" + std::to_string(version) + "}"));
}

void write_one(Collection& c, Writer& w, Random& random) {
  const uint64_t version = w.written.size() + 1;
  std::vector<uint64_t> ids;
  const uint64_t rows = version == 1 ? kIdsEach : 1 + random.below(kRowsMax);
  const uint64_t start = version == 1 ? 0 : random.below(kIdsEach - rows);
  for (uint64_t i = 0; i < rows; ++i) ids.push_back(w.first + start + i);
  Commit commit;
  commit.kind = Commit::Kind::kUpsert;
  commit.batch = c.begin_write(ids.size() + 1, kDimensions).take();
  for (size_t i = 0; i < ids.size(); ++i) stage(*commit.batch, i, ids[i], version);
  stage(*commit.batch, ids.size(), w.marker(), version);
  c.run(&commit);
  CHECK_OK(commit.status);
  w.written.push_back(ids);
  w.deleted.emplace_back();
}

// Metadata alone: the block is swapped under whoever is copying it.
void touch_marker(Collection& c, const Writer& w) {
  Commit commit;
  commit.kind = Commit::Kind::kUpdate;
  commit.ids.push_back({false, 0, w.marker()});
  commit.metadata = "{\"touched\":true}";
  c.run(&commit);
  CHECK_OK(commit.status);
}

// Whether each writer's records are those after some number of its operations.
void check_moment(Database& database, const std::vector<Writer>& writers) {
  const auto c = database.collection("c", CollectionOptions(), OpenMode::kOpen).take();
  uint64_t live = 0;
  for (const Writer& w : writers) {
    Rows rows;
    const IdView marker{false, w.marker(), {}};
    CHECK_OK(c->get(&marker, 1, kIncludeMetadata, &rows));
    uint64_t count = 0;
    if (rows.found[0] != 0) {
      count = std::strtoul(rows.metadata.c_str() + rows.metadata.find(':') + 1, nullptr, 10);
      ++live;
    }
    CHECK(count <= w.written.size());
    for (uint64_t id = w.first; id < w.first + kIdsEach; ++id) {
      const uint64_t version = w.version(id, count);
      const IdView view{false, id, {}};
      Rows row;
      CHECK_OK(c->get(&view, 1, kIncludeMetadata | kIncludeVector, &row));
      if (!CHECK_EQ(row.found[0] != 0, version != 0)) return;
      if (version == 0) continue;
      ++live;
      CHECK_EQ(row.metadata, "[{\"v\":" + std::to_string(version) + "}]");
      CHECK_EQ(row.vectors[3], value_of(id + 3, version));
    }
  }
  CHECK_EQ(c->count(), live);
  CHECK_OK(check_database(database));
}

}  // namespace

TEST(checkpoints_and_backups_beside_writers_are_moments_that_there_were) {
  const uint64_t seed = test_seed();
  SimEnv env(seed);
  auto pool = ThreadPool::create(2).take();
  DatabaseOptions o;
  o.path = kPath;
  o.env = &env;
  o.executor = pool.get();
  o.durability = Durability::kOs;
  o.checkpoint_bytes = 40000;
  std::vector<Writer> writers(kWriters);
  for (size_t t = 0; t < kWriters; ++t) writers[t].first = t * kIdsEach;
  size_t backups = 0;
  {
    auto database = Database::open(o).take();
    CollectionOptions options;
    options.metric = Metric::kL2;
    options.given = CollectionOptions::kGivenMetric;
    const auto c = database->collection("c", options, OpenMode::kCreate).take();
    std::vector<std::thread> threads;
    std::atomic<size_t> running{kWriters};
    for (size_t t = 0; t < kWriters; ++t) {
      threads.emplace_back([&, t] {
        Random random(seed + t);
        for (uint64_t i = 0; i < operations(); ++i) {
          write_one(*c, writers[t], random);
          if (i % 3 == 0) touch_marker(*c, writers[t]);
        }
        --running;
      });
    }
    threads.emplace_back([&] {
      while (running > 0) {
        CHECK_OK(database->checkpoint());
        CHECK_OK(database->backup("/backup" + std::to_string(backups++)));
      }
    });
    threads.emplace_back([&] {
      Rows rows;
      const float query[kDimensions] = {1, 2, 3, 4, 5, 6, 7, 8};
      while (running > 0) {
        const Status status = c->search(query, kDimensions, SearchOptions(), &rows);
        CHECK(status.is_ok() || status.code() == ErrorCode::kDimensions);
      }
    });
    for (std::thread& thread : threads) thread.join();
    check_moment(*database, writers);
    CHECK(database->stats().storage.checkpoints > 0);
  }
  {
    auto database = Database::open(o).take();
    check_moment(*database, writers);
  }
  std::printf("# %zu backups\n", backups);
  for (size_t i = 0; i < backups; i += std::max<size_t>(1, backups / 6)) {
    DatabaseOptions copied = o;
    copied.path = "/backup" + std::to_string(i);
    auto copy = Database::open(copied);
    if (!CHECK_OK(copy)) continue;
    if (copy.value()->list_collections().empty()) continue;
    check_moment(*copy.value(), writers);
  }
}

#ifdef OMENDB_TEST_POINTS
namespace {

// What `meanwhile` does while a checkpoint is held at the point comes back at the next opening.
template <class F>
void change_at(const char* point, const F& meanwhile) {
  SimEnv env(test_seed());
  DatabaseOptions o;
  o.path = kPath;
  o.env = &env;
  o.durability = Durability::kOs;
  std::string before;
  {
    auto database = Database::open(o).take();
    const auto c = database->collection("c", CollectionOptions(), OpenMode::kCreate).take();
    Commit commit;
    commit.kind = Commit::Kind::kAdd;
    commit.batch = c->begin_write(2, kDimensions).take();
    for (uint64_t id = 0; id < 2; ++id) stage(*commit.batch, id, id, 1);
    c->run(&commit);
    CHECK_OK(commit.status);
    CHECK(test_point_arm(point));
    std::thread saver([&] { CHECK_OK(database->checkpoint()); });
    while (!test_point_paused(point)) std::this_thread::yield();
    meanwhile(*database, *c);
    CHECK(test_point_release(point));
    saver.join();
    before = dump(*database);
  }
  auto database = Database::open(o);
  if (CHECK_OK(database)) CHECK_EQ(dump(*database.value()), before);
}

}  // namespace

// The size of an extent was once of other metadata than those that were written.
TEST(metadata_that_change_while_their_extent_is_written_come_back) {
  change_at("extent_layout", [](Database&, Collection& c) {
    Commit update;
    update.kind = Commit::Kind::kUpdate;
    update.replaces = true;
    update.ids.push_back({false, 0, 1});
    update.metadata = "{\"v\":1,\"longer\":\"than what was there\"}";
    c.run(&update);
    CHECK_OK(update.status);
  });
}

// Its drop was once taken for a second one, and the whole database for damaged.
TEST(a_collection_that_is_dropped_while_a_checkpoint_begins_stays_dropped) {
  change_at("checkpoint-parts",
            [](Database& database, Collection&) { CHECK(database.drop_collection("c").take()); });
  change_at("checkpoint-parts", [](Database& database, Collection&) {
    CHECK(database.drop_collection("c").take());
    CHECK_OK(database.collection("c", CollectionOptions(), OpenMode::kCreate));
  });
}
#endif
