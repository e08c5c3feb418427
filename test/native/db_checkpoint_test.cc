// Checkpoints: what a snapshot holds comes back as it was, and costs what changed.
#include "db_disk_support.h"

using namespace omen;
using namespace omen::test;

namespace {

struct Shape {
  Quantization quantization;
  Metric metric;
  Layout layout = Layout::kCompact;
};

constexpr uint32_t kDimensions = 24;

CollectionOptions options_of(const Shape& shape) {
  CollectionOptions o;
  o.given = CollectionOptions::kGivenMetric | CollectionOptions::kGivenQuantization |
            CollectionOptions::kGivenLayout | CollectionOptions::kGivenM;
  o.metric = shape.metric;
  o.quantization = shape.quantization;
  o.layout = shape.layout;
  o.m = 8;
  return o;
}

// Rows [first, first + count) under their numbers, every third with metadata; vectors by `salt`.
void write_rows(Collection& c, size_t first, size_t count, uint64_t salt) {
  Commit commit;
  commit.kind = Commit::Kind::kUpsert;
  commit.batch = c.begin_write(count, kDimensions).take();
  for (size_t i = 0; i < count; ++i) {
    Random random(mix64(salt) ^ mix64(first + i));
    float v[kDimensions];
    const auto cluster = static_cast<float>(random.below(20));
    for (float& x : v) x = cluster + static_cast<float>(random.below(1000)) / 500;
    CHECK_OK(commit.batch->stage_vectors(i, 1, v));
    CHECK_OK(commit.batch->stage_integer_id(i, first + i));
    if ((first + i) % 3 == 0) {
      CHECK_OK(commit.batch->stage_metadata(i, "{\"n\":" + std::to_string((first + i) % 7) + "}"));
    }
  }
  c.run(&commit);
  CHECK_OK(commit.status);
}

void delete_rows(Collection& c, const std::vector<uint64_t>& ids) {
  Commit commit;
  commit.kind = Commit::Kind::kDeleteIds;
  for (const uint64_t id : ids) commit.ids.push_back({false, 0, id});
  c.run(&commit);
  CHECK_OK(commit.status);
}

std::shared_ptr<Collection> open_collection(Database& database, const Shape& shape) {
  return database.collection("c", options_of(shape), OpenMode::kOpenOrCreate).take();
}

// Ids and distances of searches, as text.
std::string answers(Collection& c, Mode mode) {
  std::string out;
  for (uint64_t q = 0; q < 20; ++q) {
    Random random(mix64(q));
    float v[kDimensions];
    const auto cluster = static_cast<float>(random.below(20));
    for (float& x : v) x = cluster + static_cast<float>(random.below(1000)) / 500;
    SearchOptions search;
    search.mode = mode;
    Rows hits;
    CHECK_OK(c.search(v, kDimensions, search, &hits));
    for (size_t i = 0; i < hits.ids.size(); ++i) {
      out += std::to_string(hits.ids[i].value) + ":" + std::to_string(hits.distances[i]) + " ";
    }
    out += "\n";
  }
  return out;
}

uint64_t bytes_written(const SimEnv& env, size_t from) {
  uint64_t sum = 0;
  for (size_t i = from; i < env.trace().size(); ++i) sum += env.trace()[i].data.size();
  return sum;
}

uint64_t bytes_used(SimEnv& env) {
  uint64_t sum = 0;
  for (const std::string& path : env.paths()) sum += env.bytes(path)->size();
  return sum;
}

}  // namespace

// The graph that was built is the graph that is opened: not a distance differs.
TEST(a_snapshot_brings_rows_codes_and_graph_back_without_building) {
  const Shape shapes[] = {
      {Quantization::kSq8, Metric::kL2},     {Quantization::kSq8, Metric::kCosine},
      {Quantization::kNone, Metric::kL2},    {Quantization::kBinary, Metric::kCosine},
      {Quantization::kBinary, Metric::kDot}, {Quantization::kBinary, Metric::kL2, Layout::kFast},
  };
  for (const Shape& shape : shapes) {
    SimEnv env(7);
    DiskFixture fixture;
    DatabaseOptions o = fixture.options(&env);
    o.record_bytes = 1 << 20;
    o.checkpoint_bytes = uint64_t{1} << 40;
    std::string text;
    std::string hits;
    {
      auto database = Database::open(o).take();
      const auto c = open_collection(*database, shape);
      write_rows(*c, 0, 5000, 1);
      CHECK_OK(check_database(*database));
      delete_rows(*c, {3, 77, 4999});
      CHECK_OK(database->checkpoint());
      CHECK_OK(check_database(*database));
      text = dump(*database);
      hits = answers(*c, Mode::kGraph);
    }
    for (int round = 0; round < 2; ++round) {
      auto database = Database::open(o).take();
      const DatabaseStats stats = database->stats();
      CHECK_EQ(stats.recovery.snapshot_records, 4997u);
      CHECK_EQ(stats.recovery.rebuilt_graphs.size(), 0u);
      CHECK_EQ(dump(*database), text);
      const auto c = open_collection(*database, shape);
      CHECK_EQ(answers(*c, Mode::kGraph), hits);
      CHECK_OK(check_database(*database));
      CHECK(c->stats().trained == (shape.quantization != Quantization::kNone));
    }
  }
}

// Little changed: little is written, and opening links the rest. Once in a while the graph is
// written, whole; rows go where most room is, so that a checkpoint without it writes no more than
// ten times what changed.
TEST(a_checkpoint_costs_what_changed) {
  const Shape shape{Quantization::kSq8, Metric::kL2};
  SimEnv env(8);
  DiskFixture fixture;
  DatabaseOptions o = fixture.options(&env);
  o.record_bytes = 1 << 20;
  o.checkpoint_bytes = uint64_t{1} << 40;
  constexpr size_t kRows = 40000;
  constexpr size_t kReplaced = kRows / 100;
  const int rounds = kSanitized ? 12 : 30;  // In the eleventh the graph is written.
  auto database = Database::open(o).take();
  auto c = open_collection(*database, shape);
  for (size_t i = 0; i < kRows; i += 10000) write_rows(*c, i, 10000, 1);
  CHECK_OK(database->checkpoint());
  constexpr double kReplacedBytes = kReplaced * (kDimensions * 4 + 8 + 4);
  constexpr double kGraphTimes = 40;
  Random random(test_seed());
  uint64_t salt = 2;
  double sum = 0;
  double worst = 0;
  int graphs = 0;
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < kReplaced; ++i) write_rows(*c, random.below(kRows), 1, salt++);
    const size_t from = env.changes();
    CHECK_OK(database->checkpoint());
    const double times = static_cast<double>(bytes_written(env, from)) / kReplacedBytes;
    if (times > kGraphTimes) {
      ++graphs;
      continue;
    }
    sum += times;
    worst = std::max(worst, times);
  }
  std::printf("# without the graph %.1f times what was replaced, %.1f at most; %d graphs of %d\n",
              sum / (rounds - graphs), worst, graphs, rounds);
  CHECK(sum / (rounds - graphs) < 10);
  CHECK(worst < kGraphTimes);
  CHECK(graphs >= 1 && graphs <= rounds / 8);
  const std::string text = dump(*database);
  c.reset();
  database.reset();
  database = Database::open(o).take();
  CHECK_EQ(database->stats().recovery.rebuilt_graphs.size(), 0u);
  CHECK_EQ(dump(*database), text);
  CHECK_OK(check_database(*database));
}

// A graph that cannot be one is made anew: vectors are the truth.
TEST(a_damaged_graph_is_built_anew) {
  const Shape shape{Quantization::kSq8, Metric::kL2};
  SimEnv env(9);
  DiskFixture fixture;
  DatabaseOptions o = fixture.options(&env);
  o.checkpoint_bytes = uint64_t{1} << 40;
  std::string text;
  {
    auto database = Database::open(o).take();
    const auto c = open_collection(*database, shape);
    write_rows(*c, 0, 4500, 1);
    CHECK_OK(database->checkpoint());
    text = dump(*database);
  }
  // Rows and the table lie in one file, graph and codes in the other.
  size_t rebuilt = 0;
  size_t refused = 0;
  std::vector<std::pair<std::string, size_t>> places;
  for (const std::string& path : env.paths()) {
    const size_t size = env.bytes(path)->size();
    if (!path.ends_with(".seg")) continue;
    const size_t step = size / (kSanitized ? 9 : 20);
    for (size_t at = 100; at < size; at += step) places.emplace_back(path, at);
  }
  for (const auto& [segment, at] : places) {
    const auto damaged = env.copy(at);
    (*damaged->bytes(segment))[at] ^= 0x10;
    DatabaseOptions again = o;
    again.env = damaged.get();
    const auto opened = Database::open(again);
    if (!opened.is_ok()) {
      CHECK(opened.status().code() == ErrorCode::kCorrupt);
      CHECK(!opened.status().path().empty());
      ++refused;
      continue;
    }
    CHECK_EQ(dump(*opened.value()), text);
    // The damage is told until a snapshot takes the place of the one that has it.
    const std::vector<std::string> anew = opened.value()->stats().recovery.rebuilt_graphs;
    CHECK(anew.size() <= 1);
    for (const std::string& name : anew) CHECK_EQ(name, "c");
    CHECK(check_database(*opened.value()).is_ok() == anew.empty());
    CHECK_OK(opened.value()->checkpoint());
    CHECK_OK(check_database(*opened.value()));
    rebuilt += anew.size();
  }
  CHECK(rebuilt > (kSanitized ? 2 : 5));
  CHECK(refused > (kSanitized ? 2 : 5));
}

// What is replaced again and again must not fill the disk.
TEST(disk_use_is_bounded_under_churn) {
  const Shape shape{Quantization::kSq8, Metric::kL2};
  SimEnv env(10);
  DiskFixture fixture;
  DatabaseOptions o = fixture.options(&env);
  o.record_bytes = 1 << 20;
  auto database = Database::open(o).take();
  const auto c = open_collection(*database, shape);
  constexpr size_t kRows = 20000;
  write_rows(*c, 0, kRows, 1);
  CHECK_OK(database->checkpoint());
  const uint64_t fresh = bytes_used(env);
  Random random(test_seed());
  uint64_t most = 0;
  // Before the manifest is switched, and with it everything that is about to go.
  uint64_t most_during = 0;
  env.fault = [&](uint64_t, SimEnv::Call call) {
    if (call == SimEnv::Call::kRename) most_during = std::max(most_during, bytes_used(env));
    return SimEnv::Fault();
  };
  const uint64_t salts = kSanitized ? 8 : 40;
  for (uint64_t salt = 2; salt < salts; ++salt) {
    for (int i = 0; i < 20; ++i) write_rows(*c, random.below(kRows - 100), 100, salt * 100 + i);
    CHECK_OK(database->checkpoint());
    most = std::max(most, bytes_used(env));
  }
  env.fault = nullptr;
  const auto times = [&](uint64_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(fresh);
  };
  std::printf("# fresh %llu bytes; at most %.2f times, during a checkpoint %.2f\n",
              static_cast<unsigned long long>(fresh), times(most), times(most_during));
  CHECK(times(most) < 2.5);
  CHECK(most_during >= most && times(most_during) < 3.5);
  CHECK_OK(check_database(*database));
}

// A backup is a database of its own, and what it was made from goes on.
TEST(a_backup_opens_as_what_was_there) {
  const uint64_t seed = test_seed();
  SimEnv env(seed);
  DiskFixture fixture;
  Twin twin(&fixture.executor);
  Random random(seed);
  auto database = Database::open(fixture.options(&env)).take();
  for (int i = 0; i < 40; ++i) {
    const Operation operation(random.next());
    CHECK_OK(operation.apply(*database));
    CHECK_OK(twin.apply(operation));
    if (i % 8 != 0) continue;
    const std::string to = "/backup" + std::to_string(i);
    CHECK_OK(database->backup(to));
    CHECK(database->backup(to).code() == ErrorCode::kExists);
    DatabaseOptions copied = fixture.options(&env);
    copied.path = to;
    auto copy = Database::open(copied).take();
    CHECK_EQ(dump(*copy), twin.text());
    CHECK_OK(check_database(*copy));
    CHECK_OK(Operation(random.next()).apply(*copy));
  }
  CHECK_EQ(dump(*database), twin.text());
}

// Damage is told while the database is whole in memory, and a backup can still be made of it.
TEST(check_finds_what_the_disk_has_lost) {
  const Shape shape{Quantization::kSq8, Metric::kCosine};
  SimEnv env(11);
  DiskFixture fixture;
  DatabaseOptions o = fixture.options(&env);
  o.checkpoint_bytes = uint64_t{1} << 40;
  auto database = Database::open(o).take();
  const auto c = open_collection(*database, shape);
  write_rows(*c, 0, 4500, 1);
  CHECK_OK(check_database(*database));
  CHECK_OK(database->checkpoint());
  CHECK_OK(check_database(*database));
  const std::string segment = newest_segment(env);
  SimEnv::Bytes& bytes = *env.bytes(segment);
  const size_t step = bytes.size() / 60;
  size_t silent = 0;
  for (size_t at = 40; at < bytes.size(); at += step) {
    const uint8_t whole = bytes[at];
    bytes[at] ^= 0x20;
    const std::vector<CheckReport> reports = database->check();
    CHECK_EQ(reports.size(), 1u);
    if (reports[0].ok) {
      CHECK_EQ(whole, 0);  // Between extents: belongs to nothing.
      ++silent;
    } else {
      CHECK(reports[0].problem.find(segment + " is damaged") != std::string::npos);
    }
    bytes[at] = whole;
  }
  CHECK(silent <= 2);
  const SimEnv::Bytes kept = bytes;
  bytes.resize(bytes.size() - 1);
  CHECK(!check_database(*database).is_ok());
  *env.bytes(segment) = kept;
  CHECK_OK(check_database(*database));
  env.bytes("/db/MANIFEST")->at(50) ^= 1;
  CHECK(!check_database(*database).is_ok());
  env.bytes("/db/MANIFEST")->at(50) ^= 1;
  // A collection that was dropped is in the snapshot still.
  CHECK(database->drop_collection("c").take());
  CHECK_OK(check_database(*database));
  bytes[100] ^= 1;
  CHECK(!check_database(*database).is_ok());
  bytes[100] ^= 1;
  CHECK_OK(database->checkpoint());
  CHECK_OK(check_database(*database));
}

// A checkpoint that fails when its log was begun leaves the logs before that one: they count.
TEST(the_log_bytes_are_those_of_all_logs_behind_the_snapshot) {
  SimEnv env(1);
  DiskFixture fixture;
  DatabaseOptions o = fixture.options(&env);
  o.checkpoint_bytes = uint64_t{1} << 40;
  const auto database = Database::open(o).take();
  const auto c = database->collection("c", {}, OpenMode::kCreate).take();
  const auto add = [&](uint64_t seed) {
    Commit commit;
    commit.kind = Commit::Kind::kAdd;
    commit.batch = c->begin_write(1, 2).take();
    const float v[] = {1, static_cast<float>(seed)};
    CHECK_OK(commit.batch->stage_vectors(0, 1, v));
    c->run(&commit);
    CHECK_OK(commit.status);
  };
  add(1);
  const uint64_t before = database->stats().storage.log_bytes;
  CHECK(before > 0);
  uint64_t syncs = 0;
  env.fault = [&](uint64_t, SimEnv::Call call) {
    SimEnv::Fault f;
    // The third: the new segment's, behind those of the log that was begun.
    if (call == SimEnv::Call::kSyncDirectory && ++syncs == 3) f.result = -EMFILE;
    return f;
  };
  CHECK(database->checkpoint().code() == ErrorCode::kBusy);
  env.fault = nullptr;
  CHECK_EQ(database->stats().storage.log_bytes, before);
  add(2);
  CHECK(database->stats().storage.log_bytes > before);
  CHECK_OK(database->checkpoint());
  CHECK_EQ(database->stats().storage.log_bytes, 0u);
}
