// Databases on disk with a real pool and committer: many threads write, flush, make and drop
// collections at once, and all that was acknowledged comes back. Made for ThreadSanitizer.
#include <atomic>
#include <thread>

#include "base/test_points.h"
#include "db_disk_support.h"
#include "exec/thread_pool.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDimensions = 4;
constexpr size_t kThreads = 4;
constexpr size_t kCommits = 40;

DatabaseOptions pool_options(Env* env, Executor* pool, Durability durability) {
  DatabaseOptions o;
  o.path = kPath;
  o.env = env;
  o.executor = pool;
  o.durability = durability;
  o.checkpoint_bytes = 2000;  // Checkpoints go on all the while.
  return o;
}

// Submitted as async writes are: deletes itself when it is answered.
struct AsyncWrite {
  Commit commit;
  std::atomic<uint64_t>* answered;
};

Status fill(Collection& c, Commit* commit, uint64_t id) {
  const float vector[kDimensions] = {static_cast<float>(id), 1, 2, 3};
  commit->kind = Commit::Kind::kAdd;
  OMEN_ASSIGN(commit->batch, c.begin_write(1, kDimensions));
  OMEN_TRY(commit->batch->stage_vectors(0, 1, vector));
  OMEN_TRY(commit->batch->stage_integer_id(0, id));
  return commit->batch->stage_metadata(0, "{\"n\":" + std::to_string(id) + "}");
}

void write_some(const std::shared_ptr<Collection>& c, size_t thread,
                std::atomic<uint64_t>* answered) {
  for (size_t i = 0; i < kCommits; ++i) {
    const uint64_t id = thread * kCommits + i;
    if (i % 3 == 0) {
      Commit commit;
      CHECK_OK(fill(*c, &commit, id));
      c->run(&commit);
      CHECK_OK(commit.status);
      ++*answered;
      continue;
    }
    auto* write = new AsyncWrite{{}, answered};
    CHECK_OK(fill(*c, &write->commit, id));
    write->commit.context = write;
    write->commit.on_done = [](Commit* done, void* context) {
      CHECK_OK(done->status);
      auto* self = static_cast<AsyncWrite*>(context);
      std::atomic<uint64_t>* count = self->answered;
      delete self;
      ++*count;
    };
    c->submit(&write->commit);
  }
}

void write_beside_everything(Durability durability) {
  SimEnv env;
  auto pool = ThreadPool::create(2).take();
  std::string before;
  {
    auto database = Database::open(pool_options(&env, pool.get(), durability)).take();
    CollectionOptions options = options_of(kDimensions, Metric::kL2, Quantization::kNone);
    std::shared_ptr<Collection> collections[2] = {
        database->collection("a", options, OpenMode::kCreate).take(),
        database->collection("b", options, OpenMode::kCreate).take()};
    std::atomic<uint64_t> answered{0};
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] { write_some(collections[t % 2], t, &answered); });
    }
    std::thread other([&] {
      for (int i = 0; i < 15; ++i) {
        const auto c = database->collection("c", options, OpenMode::kOpenOrCreate);
        CHECK_OK(c);
        const float row[kDimensions] = {1, 2, 3, 4};
        CHECK_OK(write(*c.value(), kAdd, row, 1, kDimensions, {}));
        CHECK_OK(database->flush(Database::Extent::kDevice));
        CHECK(database->drop_collection("c").take());
      }
    });
    std::thread reader([&] {
      while (!done) {
        SearchOptions o;
        Rows rows;
        const float query[kDimensions] = {1, 1, 1, 1};
        CHECK_OK(collections[0]->search(query, kDimensions, o, &rows));
      }
    });
    for (std::thread& thread : threads) thread.join();
    other.join();
    while (answered < kThreads * kCommits) std::this_thread::yield();
    done = true;
    reader.join();
    before = dump(*database);
    CHECK_OK(database->prepare_close());
  }
  // Upkeep that still runs holds collections, and not the directory.
  const auto crashed = env.copy(1);
  auto opened = Database::open(pool_options(&env, pool.get(), durability));
  REQUIRE_OK(opened);
  auto again = opened.take();
  CHECK_EQ(dump(*again), before);
  CHECK_EQ(again->collection("a", CollectionOptions(), OpenMode::kOpen).take()->count() +
               again->collection("b", CollectionOptions(), OpenMode::kOpen).take()->count(),
           kThreads * kCommits);
  CHECK_OK(check_database(*again));
  again.reset();
  opened = Database::open(pool_options(crashed.get(), pool.get(), durability));
  REQUIRE_OK(opened);
  again = opened.take();
  CHECK_EQ(dump(*again), before);
  again.reset();
  pool.reset();
}

}  // namespace

TEST(synced_writes_of_many_threads_come_back) { write_beside_everything(Durability::kSync); }
TEST(periodic_writes_of_many_threads_come_back) { write_beside_everything(Durability::kPeriodic); }

// The last reference to the database may go by the pool as soon as a commit is answered: that joins
// the committer, who answered. It may not go within the answer, which the committer gives itself.
TEST(the_last_reference_may_go_while_the_committer_answers) {
  SimEnv env;
  auto pool = ThreadPool::create(1).take();
  std::atomic<int> left{20};
  for (int i = 0; i < 20; ++i) {
    struct Last : Task {
      Commit commit;
      std::shared_ptr<Database> database;
      std::shared_ptr<Collection> collection;
      std::atomic<int>* left;
      Executor* pool;
    };
    auto* last = new Last;
    last->database = Database::open(pool_options(&env, pool.get(), Durability::kSync)).take();
    last->collection =
        last->database
            ->collection("a", options_of(kDimensions, Metric::kL2, Quantization::kNone),
                         OpenMode::kOpenOrCreate)
            .take();
    CHECK_OK(fill(*last->collection, &last->commit, static_cast<uint64_t>(i)));
    last->left = &left;
    last->pool = pool.get();
    last->Task::run = [](Task* task) {
      auto* own = static_cast<Last*>(task);
      std::atomic<int>* const count = own->left;
      delete own;
      count->fetch_sub(1);
    };
    last->commit.context = last;
    last->commit.on_done = [](Commit* done, void* context) {
      CHECK_OK(done->status);
      auto* own = static_cast<Last*>(context);
      own->pool->submit(own);
    };
    last->collection->submit(&last->commit);
  }
  // The pool outlives the databases. As long as a slow machine takes.
  for (int i = 0; i < 120000 && left > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  REQUIRE(left == 0);
  const auto database = Database::open(pool_options(&env, pool.get(), Durability::kSync)).take();
  const auto c = database->collection("a", CollectionOptions(), OpenMode::kOpen).take();
  CHECK_EQ(c->count(), 20);
}

// Closing takes the collection's lock, and so may whatever else an answer leads to.
TEST(a_commit_is_answered_without_the_lock_of_its_collection) {
  SimEnv env;
  auto pool = ThreadPool::create(1).take();
  const auto database =
      Database::open(pool_options(&env, pool.get(), Durability::kPeriodic)).take();
  const CollectionOptions options = options_of(kDimensions, Metric::kL2, Quantization::kNone);
  const auto c = database->collection("a", options, OpenMode::kCreate).take();
  struct Answered {
    Collection* collection;
    std::atomic<bool> is_over{false};
  } answered{c.get()};
  Commit commit;
  CHECK_OK(fill(*c, &commit, 1));
  commit.context = &answered;
  commit.on_done = [](Commit*, void* context) {
    auto* self = static_cast<Answered*>(context);
    Commit other;
    CHECK_OK(fill(*self->collection, &other, 2));
    self->collection->run(&other);
    CHECK_OK(other.status);
    self->is_over = true;
  };
  c->submit(&commit);
  for (int i = 0; i < 20000 && !answered.is_over; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  REQUIRE(answered.is_over);
  CHECK_EQ(c->count(), 2);
}

#ifdef OMENDB_TEST_POINTS
// A write takes as long as its linking or its sync, not both: the device writes meanwhile.
TEST(a_commit_is_synced_while_it_is_linked) {
  SimEnv env(1);
  const auto pool = ThreadPool::create(2).take();
  const auto database =
      Database::open(pool_options(&env, pool.get(), Durability::kSync)).take();
  const auto c = database->collection("a", CollectionOptions(), OpenMode::kCreate).take();
  CHECK_OK(database->flush(Database::Extent::kDevice));
  REQUIRE(test_point_arm("graph-insert") && test_point_arm("wal-sync"));
  std::thread writer([&] {
    Commit commit;
    CHECK_OK(fill(*c, &commit, 1));
    c->run(&commit);
    CHECK_OK(commit.status);
  });
  const auto comes = [](const char* point) {
    for (int i = 0; i < 3000 && !test_point_paused(point); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return test_point_paused(point);
  };
  CHECK(comes("graph-insert"));
  CHECK(comes("wal-sync"));
  CHECK(test_point_paused("graph-insert"));  // Still: neither waits for the other.
  CHECK(test_point_release("wal-sync") && test_point_release("graph-insert"));
  writer.join();
}
#endif
