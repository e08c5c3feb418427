// Columns that are filled behind an opening: whoever needs them sooner, whatever is done meanwhile,
// and where memory or the metadata fail. Made for ThreadSanitizer.
#include <thread>

#include "db_disk_support.h"
#include "exec/thread_pool.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDimensions = 4;
constexpr uint64_t kRecords = 6000;
constexpr uint64_t kGroups = 10;

std::string metadata_of(uint64_t id) {
  return "{\"group\":" + std::to_string(id % kGroups) + ",\"name\":\"n" + std::to_string(id) +
         "\",\"tags\":[\"t" + std::to_string(id % 7) + "\",\"all\"]}";
}

void write_all(const DatabaseOptions& options) {
  auto database = Database::open(options).take();
  CollectionOptions collection_options;
  collection_options.metric = Metric::kL2;
  collection_options.given = CollectionOptions::kGivenMetric;
  const auto c = database->collection("c", collection_options, OpenMode::kCreate).take();
  Commit commit;
  commit.kind = Commit::Kind::kAdd;
  commit.batch = c->begin_write(kRecords, kDimensions).take();
  for (uint64_t id = 0; id < kRecords; ++id) {
    float v[kDimensions];
    for (uint32_t i = 0; i < kDimensions; ++i) v[i] = static_cast<float>(mix64(id * 4 + i) % 999);
    CHECK_OK(commit.batch->stage_vectors(id, 1, v));
    CHECK_OK(commit.batch->stage_integer_id(id, id));
    if (id % 11 != 10) CHECK_OK(commit.batch->stage_metadata(id, metadata_of(id)));
  }
  c->run(&commit);
  CHECK_OK(commit.status);
}

uint64_t matching(uint64_t group) {
  uint64_t n = 0;
  for (uint64_t id = group; id < kRecords; id += kGroups) n += id % 11 != 10 ? 1 : 0;
  return n;
}

std::shared_ptr<Collection> collection_of(Database& database) {
  return database.collection("c", CollectionOptions(), OpenMode::kOpen).take();
}

}  // namespace

TEST(filters_and_writes_right_after_an_opening_find_all_columns) {
  SimEnv env(test_seed());
  auto pool = ThreadPool::create(2).take();
  DatabaseOptions o;
  o.path = kPath;
  o.env = &env;
  o.executor = pool.get();
  o.checkpoint_bytes = 1000;
  write_all(o);
  std::string before;
  for (int round = 0; round < 3; ++round) {
    auto database = Database::open(o).take();
    CHECK_EQ(database->stats().recovery.snapshot_records, kRecords);
    const auto c = collection_of(*database);
    std::vector<std::thread> threads;
    for (uint64_t group = 0; group < 2; ++group) {
      threads.emplace_back([&, group] {
        const auto n = c->count_matching(filter_of("{\"group\":" + std::to_string(group) + "}"),
                                         nullptr);
        CHECK_OK(n);
        CHECK_EQ(n.value(), matching(group));
        SearchOptions search;
        search.filter = filter_of("{\"tags\":\"t3\"}");
        Rows rows;
        const float query[kDimensions] = {1, 2, 3, 4};
        CHECK_OK(c->search(query, kDimensions, search, &rows));
        CHECK_EQ(rows.ids.size(), size_t{10});
        for (const IdOut& id : rows.ids) CHECK_EQ(id.value % 7, uint64_t{3});
      });
    }
    threads.emplace_back([&] {  // Group 9 goes to group 8 and back, record by record.
      for (uint64_t id = 9; id < 300; id += kGroups) {
        for (const std::string& to : {std::string("{\"group\":8}"), metadata_of(id)}) {
          Commit commit;
          commit.kind = Commit::Kind::kUpdate;
          commit.replaces = true;
          commit.ids.push_back({false, 0, id});
          commit.metadata = to;
          c->run(&commit);
          CHECK_OK(commit.status);
        }
      }
    });
    for (std::thread& thread : threads) thread.join();
    CHECK_OK(check_database(*database));
    if (round == 0) before = dump(*database);
    // The update above gave these metadata, whatever they had.
    CHECK_EQ(dump(*database), before);
  }
}

TEST(a_database_that_is_closed_or_cleared_while_its_columns_are_filled_stays_whole) {
  SimEnv env(test_seed());
  auto pool = ThreadPool::create(2).take();
  DatabaseOptions o;
  o.path = kPath;
  o.env = &env;
  o.executor = pool.get();
  o.checkpoint_bytes = 1000;
  write_all(o);
  for (int round = 0; round < 5; ++round) Database::open(o).take();
  {
    auto database = Database::open(o).take();
    Commit commit;
    commit.kind = Commit::Kind::kDeleteFilter;
    commit.filter = filter_of("{\"group\":{\"$gte\":5}}");
    collection_of(*database)->run(&commit);
    CHECK_OK(commit.status);
    uint64_t gone = 0;
    for (uint64_t group = 5; group < kGroups; ++group) gone += matching(group);
    CHECK_EQ(commit.count, gone);
    CHECK_OK(check_database(*database));
  }
  auto database = Database::open(o).take();
  Commit commit;
  commit.kind = Commit::Kind::kClear;
  collection_of(*database)->run(&commit);
  CHECK_OK(commit.status);
  const auto none = collection_of(*database)->count_matching(filter_of("{\"group\":1}"), nullptr);
  CHECK_OK(none);
  CHECK_EQ(none.value(), uint64_t{0});
  CHECK_OK(check_database(*database));
}

TEST(what_cannot_be_indexed_for_want_of_memory_is_an_error_of_the_filter_and_of_no_search) {
  SimEnv env(test_seed());
  InlineExecutor executor;
  DatabaseOptions o;
  o.path = kPath;
  o.env = &env;
  o.executor = &executor;
  o.has_committer = false;
  o.checkpoint_bytes = 1000;
  write_all(o);
  o.read_only = true;
  // The least memory with which it opens, by halving; columns take more.
  uint64_t low = 0;
  uint64_t high = 64 << 20;
  while (high - low > 16 << 10) {
    o.max_memory_bytes = (low + high) / 2;
    (Database::open(o).is_ok() ? high : low) = o.max_memory_bytes;
  }
  o.max_memory_bytes = high + (64 << 10);  // Scratch of the searches.
  auto database = Database::open(o).take();
  const auto c = collection_of(*database);
  SearchOptions search;
  search.include = kIncludeMetadata;
  Rows rows;
  const float query[kDimensions] = {1, 2, 3, 4};
  CHECK_OK(c->search(query, kDimensions, search, &rows));
  CHECK_EQ(rows.ids.size(), size_t{10});
  CHECK(rows.metadata.find("\"group\"") != std::string::npos);
  search.filter = filter_of("{\"group\":1}");
  for (int i = 0; i < 2; ++i) {
    const Status status = c->search(query, kDimensions, search, &rows);
    CHECK(status.code() == ErrorCode::kMemory);
  }
}
