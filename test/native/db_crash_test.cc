// Databases on disk after crashes: whatever part of the unsynced writes a crash left, the database
// opens, and holds all that was acknowledged, in the order of the commits.
#include "db_disk_support.h"

using namespace omen;
using namespace omen::test;

namespace {

// How many operations had ended at some moment, and how many begun.
struct Range {
  size_t ended;
  size_t begun;
};

// A workload that was recorded: what the database was after each operation, and when.
struct Recording {
  SimEnv env;
  std::unique_ptr<SimEnv> start;
  std::vector<std::string> states;  // states[i]: after i operations.
  std::vector<size_t> begun;        // Changes there were when operation i began,
  std::vector<size_t> ended;        // and when it was acknowledged.
  std::vector<size_t> flushed;      // Operations that were durable after i of them.
  explicit Recording(uint64_t seed) : env(seed) {}
  Range range(size_t at) const {
    Range r{0, 0};
    while (r.ended < ended.size() && ended[r.ended] <= at) ++r.ended;
    while (r.begun < begun.size() && begun[r.begun] < at) ++r.begun;
    r.begun = std::max(r.begun, r.ended);  // One that changed nothing.
    return r;
  }
};

void record(uint64_t seed, Durability durability, size_t operations, Recording* out) {
  DiskFixture fixture;
  Twin twin(&fixture.executor);
  Random random(seed);
  out->start = out->env.copy(seed);
  auto database = Database::open(fixture.options(&out->env, durability)).take();
  out->states.push_back(twin.text());
  out->flushed.push_back(0);
  uint64_t drawn = 0;
  for (size_t i = 0; i < 2 * operations; ++i) {
    const bool is_first = i % 2 == 0;  // Of the two changes that an operation is.
    if (is_first) drawn = random.next();
    const Operation operation(drawn);
    out->begun.push_back(out->env.changes());
    CHECK_OK(is_first ? operation.prepare(*database) : operation.finish(*database));
    CHECK_OK(database->flush(Database::Extent::kPromised));
    size_t flushed = durability == Durability::kSync ? i + 1 : out->flushed.back();
    if (random.below(8) == 0) {
      CHECK_OK(database->flush(Database::Extent::kDevice));
      flushed = i + 1;
    }
    if (random.below(6) == 0) {
      CHECK_OK(database->checkpoint());
      flushed = i + 1;
    }
    if (random.below(10) == 0) {  // Closed and opened: the log goes on.
      CHECK_OK(database->prepare_close());
      database.reset();
      flushed = i + 1;
      database = Database::open(fixture.options(&out->env, durability)).take();
    }
    out->flushed.push_back(flushed);
    out->ended.push_back(out->env.changes());
    CHECK_OK(is_first ? twin.prepare(operation) : twin.finish(operation));
    out->states.push_back(twin.text());
    CHECK_EQ(dump(*database), out->states.back());
  }
}

// Opens what a crash left. Answers how many operations it holds, which must be in [least, most].
size_t reopen(DiskFixture& fixture, SimEnv* env, const Recording& r, size_t least, size_t most) {
  auto opened = Database::open(fixture.options(env));
  if (!CHECK_OK(opened)) return 0;
  const std::string text = dump(*opened.value());
  for (size_t i = most + 1; i-- > least;) {
    if (r.states[i] == text) return i;
  }
  CHECK(text == "one of the states that it may have");
  std::printf("    operations %zu to %zu; found:\n%s    wanted:\n%s", least, most, text.c_str(),
              r.states[least].c_str());
  return least;
}

// Goes on after a crash, crashes again, and looks again: what was recovered must not be lost.
void go_on(DiskFixture& fixture, const SimEnv& recovered, uint64_t seed) {
  const auto env = recovered.copy(seed);  // Its changes are counted from here.
  Random random(seed);
  Recording again(seed);
  again.start = env->copy(seed);
  {
    auto database = Database::open(fixture.options(env.get())).take();
    again.states.push_back(dump(*database));
    const Operation operation(random.next());
    for (const bool is_first : {true, false}) {
      again.begun.push_back(env->changes());
      CHECK_OK(is_first ? operation.prepare(*database) : operation.finish(*database));
      CHECK_OK(database->flush(Database::Extent::kPromised));
      again.ended.push_back(env->changes());
      again.states.push_back(dump(*database));
    }
    CHECK_OK(check_database(*database));
  }
  const size_t at = random.below(env->changes() + 1);
  const auto keep = static_cast<SimEnv::Keep>(random.below(4));
  const auto left = env->after_crash(*again.start, at, keep, random.next());
  const Range range = again.range(at);
  reopen(fixture, left.get(), again, range.ended, range.begun);
}

void crash_everywhere(uint64_t seed, Durability durability, size_t operations, size_t* states) {
  Recording r(seed);
  record(seed, durability, operations, &r);
  DiskFixture fixture;
  Random random(seed ^ 1);
  for (size_t at = 0; at <= r.env.changes(); ++at) {
    const auto [ended, begun] = r.range(at);
    for (const auto keep : {SimEnv::Keep::kAll, SimEnv::Keep::kNothing, SimEnv::Keep::kSome,
                            SimEnv::Keep::kTorn, SimEnv::Keep::kTorn}) {
      const auto left = r.env.after_crash(*r.start, at, keep, random.next());
      // A process that dies loses nothing that was written; a machine, what was not flushed.
      const size_t least = keep == SimEnv::Keep::kAll ? ended : r.flushed[ended];
      reopen(fixture, left.get(), r, least, begun);
      ++*states;
      if (random.below(4) == 0) go_on(fixture, *left, random.next());
    }
  }
}

size_t workloads() {
  const char* given = std::getenv("OMEN_CRASH_WORKLOADS");
  return given == nullptr ? 3 : std::strtoul(given, nullptr, 10);
}

}  // namespace

TEST(every_crash_of_synced_workloads_keeps_what_was_acknowledged) {
  const uint64_t seed = test_seed();
  size_t states = 0;
  for (size_t i = 0; i < workloads(); ++i) {
    crash_everywhere(mix64(seed + i), Durability::kSync, 24, &states);
  }
  std::printf("# %zu crash states\n", states);
  CHECK(states > 0);
}

TEST(every_crash_of_unsynced_workloads_leaves_a_prefix) {
  const uint64_t seed = test_seed();
  size_t states = 0;
  for (size_t i = 0; i < workloads(); ++i) {
    const auto durability = i % 2 == 0 ? Durability::kOs : Durability::kPeriodic;
    crash_everywhere(mix64(seed + i), durability, 24, &states);
  }
  std::printf("# %zu crash states\n", states);
  CHECK(states > 0);
}

// A crash while a database is recovered must not cost it anything either.
TEST(a_crash_within_recovery_loses_nothing) {
  const uint64_t seed = test_seed();
  Random random(seed);
  DiskFixture fixture;
  for (size_t workload = 0; workload < workloads(); ++workload) {
    Recording r(random.next());
    record(random.next(), Durability::kSync, 12, &r);
    const auto left = r.env.after_crash(*r.start, r.env.changes(), SimEnv::Keep::kTorn, seed);
    const auto start = left->copy(seed);
    reopen(fixture, left.get(), r, 24, 24);
    for (size_t at = 0; at <= left->changes(); ++at) {
      for (const auto keep :
           {SimEnv::Keep::kAll, SimEnv::Keep::kNothing, SimEnv::Keep::kSome, SimEnv::Keep::kTorn}) {
        const auto again = left->after_crash(*start, at, keep, random.next());
        reopen(fixture, again.get(), r, 24, 24);
      }
    }
  }
}
