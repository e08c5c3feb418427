// Databases on disk after crashes: whatever part of the unsynced writes a crash left, the database
// opens, and holds all that was acknowledged, in the order of the commits.
//
// Every prefix of a workload's changes is a moment to crash at. At each some states are drawn that
// a crash may leave; one that was opened before is known by its bytes, and only its place in the
// workload is checked again. Environment variables: OMEN_CRASH_WORKLOADS (3) and OMEN_CRASH_DRAWS
// (1), times 3 the states that are drawn at each moment beside the two extremes. Parts of a large
// run: OMEN_CRASH_PART=1/2 takes every second workload.
#include <unordered_map>

#include "db_disk_support.h"
#include "recycled_blocks.h"

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
  out->states.push_back(twin.all());
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
      if (CHECK_OK(database->checkpoint())) flushed = i + 1;
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
    out->states.push_back(twin.all());
    CHECK_EQ(dump_all(*database), out->states.back());
  }
}

// How many states were drawn, and the distinct ones with what they hold. Of several workloads: ids
// and seeds of files differ between them, so that none has a state of another.
struct States {
  size_t drawn = 0;
  std::unordered_map<uint64_t, size_t> operations;
};

// Opens what a crash left. Answers how many operations it holds, which must be in [least, most].
size_t reopen(DiskFixture& fixture, SimEnv* env, const Recording& r, const Range& range) {
  auto opened = Database::open(fixture.options(env));
  if (!CHECK_OK(opened)) return 0;
  const std::string text = dump_all(*opened.value());
  for (size_t i = range.begun + 1; i-- > range.ended;) {
    if (r.states[i] == text) return i;
  }
  CHECK(text == "one of the states that it may have");
  std::printf("    operations %zu to %zu; found:\n%s    wanted:\n%s", range.ended, range.begun,
              text.c_str(), r.states[range.ended].c_str());
  return range.ended;
}

// Goes on after a crash, crashes again, and looks again: what was recovered must not be lost.
void go_on(DiskFixture& fixture, const SimEnv& recovered, uint64_t seed) {
  const auto env = recovered.copy(seed);  // Its changes are counted from here.
  Random random(seed);
  Recording again(seed);
  again.start = env->copy(seed);
  {
    auto opened = Database::open(fixture.options(env.get()));
    if (!CHECK_OK(opened)) return;
    const std::shared_ptr<Database> database = opened.take();
    again.states.push_back(dump_all(*database));
    const Operation operation(random.next());
    for (const bool is_first : {true, false}) {
      again.begun.push_back(env->changes());
      CHECK_OK(is_first ? operation.prepare(*database) : operation.finish(*database));
      CHECK_OK(database->flush(Database::Extent::kPromised));
      again.ended.push_back(env->changes());
      again.states.push_back(dump_all(*database));
    }
    CHECK_OK(check_database(*database));
  }
  const size_t at = random.below(env->changes() + 1);
  const auto keep = static_cast<SimEnv::Keep>(random.below(4));
  const auto left = env->after_crash(*again.start, at, keep, random.next());
  const Range range = again.range(at);
  reopen(fixture, left.get(), again, range);
}

size_t number_of(const char* name, size_t otherwise) {
  const char* given = std::getenv(name);
  return given == nullptr ? otherwise : std::strtoul(given, nullptr, 10);
}

// Whether a process that shares the workloads with others takes this one.
bool is_mine(size_t workload) {
  const char* given = std::getenv("OMEN_CRASH_PART");
  if (given == nullptr) return true;
  char* rest = nullptr;
  const size_t part = std::strtoul(given, &rest, 10);
  return workload % std::strtoul(rest + 1, nullptr, 10) == part - 1;
}

// One state, opened unless it was before.
void try_state(DiskFixture& fixture, const Recording& r, const Range& range, States* states,
               std::unique_ptr<SimEnv> left, Random& random) {
  ++states->drawn;
  const auto [known, is_new] = states->operations.emplace(left->fingerprint(), 0);
  if (!is_new) {  // The same operations, or as many as make no difference.
    const std::string& text = r.states[known->second];
    CHECK((known->second >= range.ended && known->second <= range.begun) ||
          std::find(r.states.begin() + static_cast<ptrdiff_t>(range.ended),
                    r.states.begin() + static_cast<ptrdiff_t>(range.begun) + 1,
                    text) != r.states.begin() + static_cast<ptrdiff_t>(range.begun) + 1);
    return;
  }
  const bool goes_on = random.below(4) == 0;
  const auto before = goes_on ? left->copy(random.next()) : nullptr;
  known->second = reopen(fixture, left.get(), r, range);
  if (goes_on) go_on(fixture, *before, random.next());
}

void crash_everywhere(uint64_t seed, Durability durability, size_t operations, States* states) {
  Recording r(seed);
  record(seed, durability, operations, &r);
  DiskFixture fixture;
  Random random(seed ^ 1);
  SimEnv::Device device(r.env, *r.start);
  const size_t draws = number_of("OMEN_CRASH_DRAWS", 1);
  for (size_t at = 0; at <= r.env.changes(); ++at) {
    device.advance(at);
    const Range range = r.range(at);
    const auto try_one = [&](SimEnv::Keep keep) {
      // A process that dies loses nothing that was written; a machine, what was not flushed.
      const size_t least = keep == SimEnv::Keep::kAll ? range.ended : r.flushed[range.ended];
      try_state(fixture, r, {least, range.begun}, states, device.crash(keep, random.next()),
                random);
    };
    try_one(SimEnv::Keep::kAll);
    if (device.waiting() == 0) continue;  // All that a crash may leave is the same.
    try_one(SimEnv::Keep::kNothing);
    for (size_t i = 0; i < 3 * draws; ++i) {
      try_one(i % 3 == 0 ? SimEnv::Keep::kSome : SimEnv::Keep::kTorn);
    }
  }
}

void crash_workloads(std::initializer_list<Durability> durabilities) {
  const uint64_t seed = test_seed();
  States all;
  const size_t workloads = number_of("OMEN_CRASH_WORKLOADS", 3);
  size_t distinct = 0;
  for (size_t i = 0; i < workloads; ++i) {
    if (!is_mine(i)) continue;
    States states;
    crash_everywhere(mix64(seed + i), *(durabilities.begin() + i % durabilities.size()), 24,
                     &states);
    all.drawn += states.drawn;
    distinct += states.operations.size();
    if (workloads > 3) std::printf("# workload %zu: %zu distinct so far\n", i + 1, distinct);
    std::fflush(stdout);
  }
  std::printf("# %zu crash states, %zu of them distinct\n", all.drawn, distinct);
  CHECK(distinct > 0 || std::getenv("OMEN_CRASH_PART") != nullptr);
}

}  // namespace

TEST(every_crash_of_synced_workloads_keeps_what_was_acknowledged) {
  crash_workloads({Durability::kSync});
}

TEST(every_crash_of_unsynced_workloads_leaves_a_prefix) {
  crash_workloads({Durability::kOs, Durability::kPeriodic});
}

// A crash while a database is recovered must not cost it anything either.
TEST(a_crash_within_recovery_loses_nothing) {
  const uint64_t seed = test_seed();
  Random random(seed);
  DiskFixture fixture;
  States states;
  const size_t draws = number_of("OMEN_CRASH_DRAWS", 1);
  for (size_t workload = 0; workload < number_of("OMEN_CRASH_WORKLOADS", 3); ++workload) {
    Recording r(random.next());
    record(random.next(), Durability::kSync, 12, &r);
    if (!is_mine(workload)) continue;
    const auto left = r.env.after_crash(*r.start, r.env.changes(), SimEnv::Keep::kTorn, seed);
    const auto start = left->copy(seed);
    reopen(fixture, left.get(), r, {24, 24});
    SimEnv::Device device(*left, *start);
    for (size_t at = 0; at <= left->changes(); ++at) {
      device.advance(at);
      for (size_t i = 0; i < 2 + 3 * draws; ++i) {
        const auto keep = static_cast<SimEnv::Keep>(i < 4 ? i : 2 + i % 2);
        try_state(fixture, r, {24, 24}, &states, device.crash(keep, random.next()), random);
      }
    }
  }
  std::printf("# %zu crash states, %zu of them distinct\n", states.drawn,
              states.operations.size());
  CHECK(states.drawn > 0 || std::getenv("OMEN_CRASH_PART") != nullptr);
}
