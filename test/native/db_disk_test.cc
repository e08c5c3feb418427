// Databases on disk: what failing calls do to them, what is refused to be opened, who shares them.
#include <atomic>
#include <thread>

#include "db_disk_support.h"
#include "recycled_blocks.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr char kLogPath[] = "/db/000001.wal";
constexpr size_t kOperations = 14;

struct Outcome {
  std::shared_ptr<Database> database;
  bool is_poisoned = false;
};

// Runs a workload while calls fail. What was refused must not be seen: the database is the twin
// that was told only of what was not. Once it is poisoned it takes nothing more.
Outcome run_workload(DiskFixture& fixture, SimEnv* env, Twin* twin, uint64_t seed,
                     std::vector<std::string>* may_be) {
  Random random(seed);
  Outcome out;
  // A fault may stop the opening; without it, it goes.
  auto opened = Database::open(fixture.options(env));
  if (!opened.is_ok()) {
    CHECK(!opened.status().message().empty());
    opened = Database::open(fixture.options(env));
  }
  if (!opened.is_ok()) return out;
  out.database = opened.take();
  uint64_t previous = 0;
  for (size_t i = 0; i < 2 * kOperations; ++i) {
    // Each operation is two changes: the collection, and what is done to it.
    const uint64_t drawn = i % 2 == 0 ? random.next() : mix64(i);
    const Operation operation(i % 2 == 0 ? drawn : previous);
    previous = drawn;
    const bool is_first = i % 2 == 0;
    // Whatever becomes of it: it changes nothing that can be read, but may find the log broken.
    if (i % 8 == 5) (void)out.database->checkpoint().is_ok();
    Status status = is_first ? operation.prepare(*out.database) : operation.finish(*out.database);
    if (status.code() == ErrorCode::kNotFound)
      status = Status::ok();  // Refused before.
    else if (status.is_ok())
      status = out.database->flush(Database::Extent::kPromised);
    const auto tell = [&] { return is_first ? twin->prepare(operation) : twin->finish(operation); };
    if (status.is_ok()) {
      (void)tell().is_ok();
      CHECK_EQ(dump(*out.database), twin->text());
      continue;
    }
    const ErrorCode code = status.code();
    CHECK(code == ErrorCode::kIoPoisoned || code == ErrorCode::kIo || code == ErrorCode::kNoSpace);
    if (code != ErrorCode::kIoPoisoned) {
      CHECK_EQ(dump(*out.database), twin->text());  // Invisible.
      continue;
    }
    // What was in the way of a failed sync may be stored or not. Nothing more is taken.
    out.is_poisoned = true;
    may_be->push_back(twin->text());
    (void)tell().is_ok();
    may_be->push_back(twin->text());
    CollectionOptions options;
    CHECK(out.database->collection("other", options, OpenMode::kCreate).status().code() ==
          ErrorCode::kIoPoisoned);
    return out;
  }
  return out;
}

// OMEN_FAULT_STEP (1): of all calls every so manieth fails.
uint64_t fault_step() {
  const char* given = std::getenv("OMEN_FAULT_STEP");
  return given == nullptr ? 1 : std::max<uint64_t>(1, std::strtoul(given, nullptr, 10));
}

void fail_every_call(const SimEnv::Fault& fault, bool for_ever) {
  const uint64_t seed = test_seed();
  DiskFixture fixture;
  uint64_t calls = 0;
  {
    SimEnv env(seed);
    Twin twin(&fixture.executor);
    std::vector<std::string> none;
    run_workload(fixture, &env, &twin, seed, &none).database.reset();
    calls = env.calls();
  }
  CHECK(calls > 50);
  for (uint64_t at = seed % fault_step(); at < calls; at += fault_step()) {
    SimEnv env(seed);
    Twin twin(&fixture.executor);
    std::vector<std::string> may_be;
    env.fault = [&](uint64_t number, SimEnv::Call call) {
      const bool is_it = for_ever ? number >= at && call == SimEnv::Call::kWrite : number == at;
      return is_it ? fault : SimEnv::Fault();
    };
    Outcome out = run_workload(fixture, &env, &twin, seed, &may_be);
    out.database.reset();
    env.fault = nullptr;
    auto again = Database::open(fixture.options(&env));
    if (!CHECK_OK(again)) continue;
    const std::string found = dump(*again.value());
    const bool is_known =
        found == twin.text() ||
        (out.is_poisoned && std::find(may_be.begin(), may_be.end(), found) != may_be.end());
    if (!CHECK(is_known)) {
      std::printf("    call %llu: found\n%s    wanted\n%s", static_cast<unsigned long long>(at),
                  found.c_str(), twin.text().c_str());
    }
    CHECK_OK(check_database(*again.value()));
    CHECK_OK(Operation(seed).apply(*again.value()));
  }
}

// A database with some records, closed.
// All of it in the log.
std::unique_ptr<SimEnv> closed_database(uint64_t seed, std::string* text) {
  auto env = std::make_unique<SimEnv>(seed);
  DiskFixture fixture;
  DatabaseOptions o = fixture.options(env.get());
  o.checkpoint_bytes = uint64_t{1} << 40;
  auto database = Database::open(o).take();
  Random random(seed);
  for (int i = 0; i < 8; ++i) CHECK_OK(Operation(random.next()).apply(*database));
  *text = dump(*database);
  return env;
}

ErrorCode open_code(SimEnv* env, bool read_only = false, bool create = true) {
  DiskFixture fixture;
  DatabaseOptions o = fixture.options(env);
  o.read_only = read_only;
  o.create_if_missing = create;
  const auto opened = Database::open(o);
  if (!opened.is_ok()) {
    CHECK(opened.status().message().find(kPath) != std::string::npos);
    CHECK(!opened.status().path().empty());
  }
  return opened.status().code();
}

}  // namespace

TEST(every_call_that_fails_once_leaves_a_whole_database) {
  for (const int64_t error : {EIO, ENOSPC}) {
    fail_every_call({.result = -error}, false);
    fail_every_call({.result = -error, .does_work = true}, false);
  }
}

TEST(a_disk_that_stays_full_refuses_and_keeps_what_it_has) {
  fail_every_call({.result = -ENOSPC}, true);
}

TEST(interrupted_calls_change_nothing) { fail_every_call({.result = -EINTR}, false); }

TEST(short_reads_and_writes_change_nothing) {
  fail_every_call({.bytes_max = 1}, false);
  fail_every_call({.bytes_max = 13}, false);
}

TEST(a_second_writer_is_locked_out) {
  SimEnv env;
  DiskFixture fixture;
  const auto first = Database::open(fixture.options(&env)).take();
  // Another process: the same files and locks, and not this process's registry.
  auto lock = File::open(&env, "/db/LOCK", Env::kWrite).take();
  CHECK(lock->lock().code() == ErrorCode::kLocked);
  // A reader comes in beside it.
  DatabaseOptions o = fixture.options(&env);
  o.read_only = true;
  CHECK_OK(Database::open(o));
}

TEST(handles_of_one_directory_share_one_engine) {
  SimEnv env;
  DiskFixture fixture;
  auto first = Database::open(fixture.options(&env)).take();
  auto second = Database::open(fixture.options(&env)).take();
  CHECK(first == second);
  DatabaseOptions o = fixture.options(&env);
  o.given_durability = true;
  o.durability = Durability::kOs;
  CHECK(Database::open(o).status().code() == ErrorCode::kOptions);
  o = fixture.options(&env);
  o.given_seed = true;
  o.seed = 99;
  CHECK(Database::open(o).status().code() == ErrorCode::kOptions);
  first.reset();
  second.reset();
  CHECK(Database::open(o).status().code() == ErrorCode::kOptions);  // The stored one.
  CHECK_OK(Database::open(fixture.options(&env)));
}

TEST(threads_that_open_and_close_one_directory_never_see_it_locked) {
  SimEnv env;
  std::vector<std::thread> threads;
  std::atomic<int> opened{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      InlineExecutor executor;
      for (int i = 0; i < 40; ++i) {
        DatabaseOptions o;
        o.path = kPath;
        o.env = &env;
        o.executor = &executor;
        const auto database = Database::open(o);
        if (CHECK_OK(database)) ++opened;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(opened.load(), 160);
}

TEST(read_only_sees_everything_and_changes_nothing) {
  std::string text;
  const auto env = closed_database(test_seed(), &text);
  DiskFixture fixture;
  DatabaseOptions o = fixture.options(env.get());
  o.read_only = true;
  const size_t changes = env->changes();
  const auto database = Database::open(o).take();
  CHECK_EQ(dump(*database), text);
  CollectionOptions options;
  options.metric = Metric::kL2;
  CHECK(database->collection("new", options, OpenMode::kOpenOrCreate).status().code() ==
        ErrorCode::kNotFound);
  for (const std::string& name : database->list_collections()) {
    CHECK(database->drop_collection(name).status().code() == ErrorCode::kReadOnly);
    const auto c = database->collection(name, CollectionOptions(), OpenMode::kOpen).take();
    CHECK(c->begin_write(1, 3).status().code() == ErrorCode::kReadOnly);
    Commit clear;
    clear.kind = Commit::Kind::kClear;
    c->run(&clear);
    CHECK(clear.status.code() == ErrorCode::kReadOnly);
  }
  CHECK_EQ(dump(*database), text);
  CHECK_EQ(env->changes(), changes);
}

TEST(what_is_no_database_is_refused_and_left_alone) {
  {
    SimEnv env;  // Nothing there.
    CHECK(open_code(&env, true) == ErrorCode::kNotFound);
    CHECK(open_code(&env, false, false) == ErrorCode::kNotFound);
    CHECK_EQ(env.changes(), 0);
  }
  {
    SimEnv env;  // A file.
    File::open(&env, kPath, Env::kWrite | Env::kCreate).take();
    CHECK(open_code(&env) == ErrorCode::kFormat);
  }
  {
    SimEnv env;  // Somebody's directory.
    CHECK_EQ(env.make_directory(kPath), 0);
    File::open(&env, "/db/diary.txt", Env::kWrite | Env::kCreate).take();
    const size_t changes = env.changes();
    CHECK(open_code(&env) == ErrorCode::kFormat);
    CHECK_EQ(env.changes(), changes);
  }
  {
    SimEnv env;  // A parent that is missing.
    DiskFixture fixture;
    DatabaseOptions o = fixture.options(&env);
    o.path = "/no/db";
    CHECK(Database::open(o).status().code() == ErrorCode::kNotFound);
  }
  std::string text;
  const auto env = closed_database(3, &text);
  const auto lost = env->copy(1);
  CHECK_EQ(lost->remove("/db/MANIFEST"), 0);
  CHECK(open_code(lost.get()) == ErrorCode::kCorrupt);  // Its data are never overwritten.
  const auto without_log = env->copy(1);
  CHECK_EQ(without_log->remove(kLogPath), 0);
  CHECK(open_code(without_log.get()) == ErrorCode::kCorrupt);
  const auto newer = env->copy(1);
  (*newer->bytes("/db/MANIFEST"))[8] = 2;
  CHECK(open_code(newer.get()) == ErrorCode::kFormat);
  const auto full = env->copy(1);
  full->fault = [](uint64_t, SimEnv::Call call) {
    return SimEnv::Fault{.result = call == SimEnv::Call::kOpen ? -EMFILE : 0};
  };
  CHECK(open_code(full.get()) == ErrorCode::kBusy);
}

// A log that was closed cleanly and is shorter now, even by whole records, or has a flipped bit:
// never a wrong answer. (The last record is the seal, whose loss loses nothing.)
TEST(damage_after_a_clean_close_is_reported) {
  std::string text;
  const auto env = closed_database(test_seed(), &text);
  const SimEnv::Bytes whole = *env->bytes(kLogPath);
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto damaged = env->copy(size);
    damaged->bytes(kLogPath)->resize(size);
    const bool may_open = size >= whole.size() - kRecordHeaderBytes;
    CHECK(open_code(damaged.get()) == (may_open ? ErrorCode::kOk : ErrorCode::kCorrupt));
  }
  for (size_t at = 0; at < whole.size() - kRecordHeaderBytes; ++at) {
    const auto damaged = env->copy(at);
    (*damaged->bytes(kLogPath))[at] ^= static_cast<uint8_t>(1 << at % 8);
    const ErrorCode code = open_code(damaged.get());
    CHECK(code == ErrorCode::kCorrupt || code == ErrorCode::kFormat);
  }
  CHECK(open_code(env.get()) == ErrorCode::kOk);
}

TEST(a_memory_limit_that_is_too_small_refuses_to_open) {
  SimEnv env;
  DiskFixture fixture;
  {
    const auto database = Database::open(fixture.options(&env)).take();
    const auto c =
        database
            ->collection("a", options_of(64, Metric::kL2, Quantization::kNone), OpenMode::kCreate)
            .take();
    const std::vector<float> rows(3000 * 64, 1.5f);
    CHECK_OK(write(*c, kAdd, rows.data(), 3000, 64, {}));
  }
  DatabaseOptions o = fixture.options(&env);
  o.max_memory_bytes = 400 << 10;
  CHECK(Database::open(o).status().code() == ErrorCode::kMemory);
  o.max_memory_bytes = 0;
  CHECK_OK(Database::open(o));
}

// Replay builds codes and graph in bulk: what is found afterwards is what the data say.
TEST(a_large_collection_comes_back_with_codes_and_graph) {
  constexpr uint32_t kDimensions = 16;
  constexpr size_t kRows = 12000;
  SimEnv env;
  DiskFixture fixture;
  DatabaseOptions o = fixture.options(&env, Durability::kOs);
  o.record_bytes = Journal::kRecordBytes;
  Clusters clusters(kDimensions, 20, test_seed());
  const std::vector<float> rows = clusters.draw_many(kRows);
  const std::vector<float> queries = clusters.draw_many(50);
  {
    const auto database = Database::open(o).take();
    const auto c = database
                       ->collection("a", options_of(kDimensions, Metric::kL2, Quantization::kSq8),
                                    OpenMode::kCreate)
                       .take();
    for (size_t at = 0; at < kRows; at += 1000) {
      CHECK_OK(write(*c, kAdd, &rows[at * kDimensions], 1000, kDimensions, {}));
    }
    std::vector<uint64_t> some;
    for (uint64_t id = 0; id < kRows; id += 3) some.push_back(id);
    CHECK_EQ(remove(*c, some), some.size());
    // Replaced again and again: replay must not keep them all.
    std::vector<uint64_t> ids(1000);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = 100000 + i;
    for (int round = 0; round < 15; ++round) {
      CHECK_OK(write(*c, kUpsert, &rows[round * 500 * kDimensions], 1000, kDimensions, ids));
    }
  }
  const auto database = Database::open(o).take();
  const auto c = database->collection("a", CollectionOptions(), OpenMode::kOpen).take();
  CHECK_EQ(c->count(), kRows - kRows / 3 + 1000);
  CHECK(c->stats().trained);
  CHECK(c->stats().free_slots + c->stats().deleted < 2 * c->count());
  CHECK_OK(check_database(*database));
  CHECK(recall(*c, queries, kDimensions, 10, 64) > 0.95);
}
