// Salvage: whatever was done to the files, what is whole in them comes back, and nothing else.
#include <set>

#include "db/salvage.h"
#include "db_disk_support.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr char kOut[] = "/out";
constexpr uint32_t kDimensions = 8;

// A database that was closed, and what was ever true of its records.
struct Stored {
  explicit Stored(uint64_t seed) : env(seed) {}
  SimEnv env;
  DiskFixture fixture;
  std::string text;             // At the end.
  std::set<std::string> parts;  // Metadata and vector of each record, at any time, with its id.
};

// A record's line of dump() as its metadata and its vector.
std::vector<std::string> parts_of(const std::string& line) {
  const size_t key = line.find(" [");
  const size_t end = line.rfind(']') + 1;
  return {line.substr(0, end), line.substr(0, key) + " at" + line.substr(end)};
}

template <class Visit>
void for_each_record(const std::string& text, const Visit& visit) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    if (line.starts_with("  ")) visit(line);
    at = end + 1;
  }
}

std::unique_ptr<Stored> store(uint64_t seed, int operations) {
  auto stored = std::make_unique<Stored>(seed);
  Twin twin(&stored->fixture.executor);
  Random random(seed);
  std::shared_ptr<Database> database;
  for (int i = 0; i < operations; ++i) {
    const DatabaseOptions options = stored->fixture.options(&stored->env);
    if (database == nullptr) database = Database::open(options).take();
    const Operation operation(random.next());
    CHECK_OK(operation.apply(*database));
    CHECK_OK(twin.apply(operation));
    stored->text = twin.text();
    for_each_record(stored->text, [&](const std::string& line) {
      for (const std::string& part : parts_of(line)) stored->parts.insert(part);
    });
    const uint64_t next = random.below(12);
    if (next == 0) CHECK_OK(database->checkpoint());
    if (next == 1) database.reset();
  }
  return stored;
}

// Opens what a salvage has made; nothing if it made none.
std::string read_out(Stored& stored, SimEnv* env) {
  DatabaseOptions o = stored.fixture.options(env);
  o.path = kOut;
  const auto database = Database::open(o).take();
  CHECK_OK(check_database(*database));
  return dump(*database);
}

Result<SalvageReport> run_salvage(Stored& stored, SimEnv* env) {
  return Database::salvage(stored.fixture.options(env), kOut);
}

std::vector<std::string> database_files(const SimEnv& env) {
  std::vector<std::string> files;
  for (const std::string& path : env.paths()) {
    const bool has_content = !path.ends_with("LOCK") && !path.ends_with("RESERVE");
    if (path.starts_with("/db/") && has_content) files.push_back(path);
  }
  return files;
}

void check_parts(const Stored& stored, const std::string& text) {
  for_each_record(text, [&](const std::string& line) {
    for (const std::string& part : parts_of(line)) CHECK(stored.parts.count(part) > 0);
  });
}

// Rows under their numbers in a collection of some extents.
std::unique_ptr<Stored> store_rows(size_t rows) {
  auto stored = std::make_unique<Stored>(5);
  DatabaseOptions o = stored->fixture.options(&stored->env);
  o.checkpoint_bytes = uint64_t{1} << 40;
  o.record_bytes = 4096;
  const auto database = Database::open(o).take();
  CollectionOptions options;
  options.given = CollectionOptions::kGivenMetric | CollectionOptions::kGivenM;
  options.metric = Metric::kDot;
  options.m = 5;
  const auto c = database->collection("c", options, OpenMode::kCreate).take();
  Commit commit;
  commit.kind = Commit::Kind::kUpsert;
  commit.batch = c->begin_write(rows, kDimensions).take();
  for (size_t i = 0; i < rows; ++i) {
    Random random(i);
    float v[kDimensions];
    for (float& x : v) x = static_cast<float>(random.below(1000)) / 500;
    CHECK_OK(commit.batch->stage_vectors(i, 1, v));
    CHECK_OK(commit.batch->stage_integer_id(i, i));
    CHECK_OK(commit.batch->stage_metadata(i, "{\"n\":" + std::to_string(i % 7) + "}"));
  }
  c->run(&commit);
  CHECK_OK(commit.status);
  CHECK_OK(database->checkpoint());
  stored->text = dump(*database);
  return stored;
}

// The one with the rows and the table: the newest.
std::string segment_of(const SimEnv& env) {
  std::string newest;
  for (const std::string& path : env.paths()) {
    if (path.ends_with(".seg")) newest = std::max(newest, path);
  }
  return newest;
}

std::string log_of(const SimEnv& env) {
  std::string newest;
  for (const std::string& path : env.paths()) {
    if (path.ends_with(".wal")) newest = std::max(newest, path);
  }
  return newest;
}

size_t count_records(const std::string& text) {
  size_t n = 0;
  for_each_record(text, [&](const std::string&) { ++n; });
  return n;
}

}  // namespace

// Nothing is lost where nothing was: neither whole, nor without the one file that names the others.
TEST(a_whole_database_comes_back_also_without_its_manifest) {
  const uint64_t seed = test_seed();
  for (uint64_t round = 0; round < 30; ++round) {
    const auto stored = store(mix64(seed) ^ round, 30);
    for (const bool has_manifest : {true, false}) {
      const auto env = stored->env.copy(round);
      if (!has_manifest) CHECK_EQ(env->remove("/db/MANIFEST"), 0);
      const auto report = run_salvage(*stored, env.get());
      CHECK_OK(report.status());
      CHECK(report.value().is_whole());
      CHECK(report.value().has_manifest == has_manifest);
      CHECK_EQ(read_out(*stored, env.get()), stored->text);
    }
  }
}

// A group of records that is damaged costs its own records and no other.
TEST(one_damaged_extent_costs_its_own_records) {
  const auto stored = store_rows(5000);
  const std::string segment = segment_of(stored->env);
  size_t losses = 0;
  for (size_t at = 70; at < 5000 * kDimensions * 4; at += 20011) {
    const auto env = stored->env.copy(at);
    (*env->bytes(segment))[at] ^= 4;
    const auto report = run_salvage(*stored, env.get()).take();
    const std::string text = read_out(*stored, env.get());
    CHECK(report.loss.extents <= 1);
    CHECK(report.is_whole() == (report.loss.extents == 0));
    CHECK_EQ(report.loss.told.size(), report.loss.extents);
    if (report.is_whole()) {
      CHECK_EQ(text, stored->text);
      continue;
    }
    ++losses;
    CHECK(report.loss.told[0].find(segment + " is damaged at byte") == 0);
    const size_t left = count_records(text);
    CHECK(left < 5000 && left + 1024 >= 5000);
    std::set<std::string> all;
    for_each_record(stored->text, [&](const std::string& line) { all.insert(line); });
    for_each_record(text, [&](const std::string& line) { CHECK_EQ(all.count(line), 1u); });
  }
  CHECK(losses > 3);
}

// Without the table extents are found by their headers; the log that made the collection is gone,
// so nothing tells its name.
TEST(extents_are_found_without_the_table) {
  const auto stored = store_rows(3000);
  SimEnv::Bytes& bytes = *stored->env.bytes(segment_of(stored->env));
  bytes[bytes.size() - 1] ^= 1;
  for (const bool has_manifest : {true, false}) {
    const auto env = stored->env.copy(3);
    if (!has_manifest) CHECK_EQ(env->remove("/db/MANIFEST"), 0);
    const auto report = run_salvage(*stored, env.get()).take();
    CHECK(!report.has_table && !report.is_whole());
    CHECK_EQ(report.loss.tables, 1u);
    CHECK_EQ(report.collections.size(), 1u);
    CHECK_EQ(report.collections[0].name, "salvaged-1");
    CHECK(!report.collections[0].has_options);
    const std::string text = read_out(*stored, env.get());
    CHECK_EQ(text.substr(text.find('\n')), stored->text.substr(stored->text.find('\n')));
  }
}

// Entries of the log behind a bad one are applied, and what is missing is counted.
TEST(a_damaged_entry_of_the_log_costs_itself) {
  auto stored = std::make_unique<Stored>(6);
  DatabaseOptions o = stored->fixture.options(&stored->env);
  o.checkpoint_bytes = uint64_t{1} << 40;
  {
    const auto database = Database::open(o).take();
    const auto c = database->collection("c", {}, OpenMode::kCreate).take();
    for (uint64_t i = 0; i < 40; ++i) {
      Commit commit;
      commit.kind = Commit::Kind::kUpsert;
      commit.batch = c->begin_write(1, 2).take();
      const float v[] = {1, static_cast<float>(i)};
      CHECK_OK(commit.batch->stage_vectors(0, 1, v));
      CHECK_OK(commit.batch->stage_integer_id(0, i));
      c->run(&commit);
      CHECK_OK(commit.status);
    }
    stored->text = dump(*database);
  }
  const std::string log = "/db/000001.wal";
  const size_t size = stored->env.bytes(log)->size();
  for (size_t at = 64; at < size; at += 13) {
    const auto env = stored->env.copy(at);
    (*env->bytes(log))[at] ^= 0x40;
    const auto report = run_salvage(*stored, env.get()).take();
    const std::string text = read_out(*stored, env.get());
    CHECK(count_records(text) >= 39);
    if (at >= size - kRecordHeaderBytes) {  // The seal: nothing tells whether it was ever written.
      CHECK(report.is_whole() && report.cut_bytes > 0);
      CHECK_EQ(text, stored->text);
      continue;
    }
    CHECK_EQ(report.loss.records, 1u);
    CHECK(!report.loss.told.empty() && !report.is_whole());
  }
}

// OMEN_SALVAGE_ROUNDS (12): so many databases are damaged in 25 ways each.
// Bits flipped, files cut, removed, overwritten: it never crashes, and what it brings was stored.
TEST(whatever_is_done_to_the_files_what_comes_back_was_stored) {
  const uint64_t seed = test_seed();
  Random random(seed);
  size_t whole = 0;
  size_t lossy = 0;
  const char* given = std::getenv("OMEN_SALVAGE_ROUNDS");
  const uint64_t rounds = given == nullptr ? 12 : std::strtoul(given, nullptr, 10);
  for (uint64_t round = 0; round < rounds; ++round) {
    const auto stored = store(mix64(seed + round), 25);
    for (int i = 0; i < 25; ++i) {
      const auto env = stored->env.copy(random.next());
      for (uint64_t n = 1 + random.below(3); n > 0; --n) {
        const std::vector<std::string> files = database_files(*env);
        if (files.empty()) break;
        const std::string& file = files[random.below(files.size())];
        SimEnv::Bytes& bytes = *env->bytes(file);
        const uint64_t how = random.below(6);
        if (bytes.empty() || how == 0) {
          CHECK_EQ(env->remove(file), 0);
        } else if (how == 1) {
          bytes.resize(random.below(bytes.size()));
        } else if (how == 2) {
          const size_t at = random.below(bytes.size());
          const size_t end = std::min<size_t>(bytes.size(), at + random.below(600));
          for (size_t j = at; j < end; ++j) bytes[j] = static_cast<uint8_t>(random.next());
        } else {
          bytes[random.below(bytes.size())] ^= static_cast<uint8_t>(1u << random.below(8));
        }
      }
      const auto before = env->copy(1);
      const auto report = run_salvage(*stored, env.get());
      for (const std::string& file : database_files(*before)) {
        CHECK(*env->bytes(file) == *before->bytes(file));
      }
      CHECK_EQ(database_files(*env).size(), database_files(*before).size());
      if (!report.is_ok()) {
        CHECK(report.status().code() == ErrorCode::kNotFound);
        continue;
      }
      const std::string text = read_out(*stored, env.get());
      check_parts(*stored, text);
      ++(report.value().is_whole() ? whole : lossy);
      CHECK(report.value().is_whole() || !report.value().loss.told.empty());
    }
  }
  std::printf("# %zu whole, %zu with losses\n", whole, lossy);
  CHECK(whole >= rounds && lossy > 4 * rounds);
}

// What was there before is not touched, and what failed leaves nothing.
TEST(the_destination_is_a_directory_of_its_own) {
  const auto stored = store(7, 20);
  SimEnv& env = stored->env;
  const auto code_of = [&](const std::string& from, const std::string& to) {
    DatabaseOptions o = stored->fixture.options(&env);
    o.path = from;
    return Database::salvage(o, to).status().code();
  };
  CHECK(code_of(kPath, kPath) == ErrorCode::kArgument);
  CHECK(code_of(kPath, "/db/out") == ErrorCode::kArgument);
  CHECK(code_of(kPath, "") == ErrorCode::kArgument);
  CHECK(code_of("/nowhere", kOut) == ErrorCode::kNotFound);
  CHECK_EQ(env.make_directory("/empty"), 0);
  CHECK(code_of("/empty", kOut) == ErrorCode::kNotFound);
  FileStat found;
  CHECK(env.stat(kOut, &found) < 0);
  // A full disk at every write in turn.
  for (uint64_t at = 0;; ++at) {
    const auto full = env.copy(at);
    uint64_t writes = 0;
    full->fault = [&](uint64_t, SimEnv::Call call) {
      SimEnv::Fault f;
      if (call == SimEnv::Call::kWrite && writes++ >= at) f.result = -ENOSPC;
      return f;
    };
    const auto report = run_salvage(*stored, full.get());
    full->fault = nullptr;
    if (report.is_ok()) {
      CHECK(at > 2);
      CHECK_EQ(read_out(*stored, full.get()), stored->text);
      break;
    }
    CHECK(report.status().code() == ErrorCode::kNoSpace);
    CHECK_OK(run_salvage(*stored, full.get()).status());
    CHECK_EQ(read_out(*stored, full.get()), stored->text);
  }
  CHECK_OK(run_salvage(*stored, &env).status());
  CHECK(run_salvage(*stored, &env).status().code() == ErrorCode::kExists);
}

// A process without a descriptor to open a file by learns nothing of the file: it was told as lost,
// and the salvage said yes.
TEST(what_cannot_be_opened_for_want_of_descriptors_is_not_lost) {
  const auto stored = store(8, 60);
  for (const bool has_manifest : {true, false}) {
    for (uint64_t at = 0;; ++at) {
      const auto env = stored->env.copy(at);
      if (!has_manifest) CHECK_EQ(env->remove("/db/MANIFEST"), 0);
      uint64_t opened = 0;
      env->fault = [&](uint64_t, SimEnv::Call call) {
        SimEnv::Fault f;
        if (call == SimEnv::Call::kOpen && opened++ == at) f.result = -EMFILE;
        return f;
      };
      const auto report = run_salvage(*stored, env.get());
      env->fault = nullptr;
      if (opened <= at) {
        CHECK(at > 3);
        CHECK_OK(report.status());
        break;
      }
      if (report.is_ok()) {  // A checkpoint of the new database failed and was made later.
        CHECK(report.value().is_whole());
      } else {
        CHECK(report.status().code() == ErrorCode::kBusy);
        CHECK_OK(run_salvage(*stored, env.get()).status());  // Nothing is in its way.
      }
      CHECK_EQ(read_out(*stored, env.get()), stored->text);
    }
  }
}

// The header is on the device before a manifest names the log: what has none is no torn tail.
TEST(a_log_that_cannot_be_read_is_told_as_lost) {
  auto stored = std::make_unique<Stored>(9);
  DatabaseOptions o = stored->fixture.options(&stored->env);
  o.checkpoint_bytes = uint64_t{1} << 40;
  {
    const auto database = Database::open(o).take();
    const auto c = database->collection("c", {}, OpenMode::kCreate).take();
    Commit commit;
    commit.kind = Commit::Kind::kUpsert;
    commit.batch = c->begin_write(1, 2).take();
    const float v[] = {1, 2};
    CHECK_OK(commit.batch->stage_vectors(0, 1, v));
    c->run(&commit);
    CHECK_OK(commit.status);
  }
  const std::string log = log_of(stored->env);
  const SimEnv::Bytes whole = *stored->env.bytes(log);
  SimEnv::Bytes flipped = whole;
  flipped[41] ^= 1;  // Of the seed.
  flipped[44] ^= 1;
  SimEnv::Bytes headless = whole;
  std::fill(headless.begin(), headless.begin() + 64, uint8_t{0});
  const SimEnv::Bytes zeros(whole.size());
  const SimEnv::Bytes cut(whole.begin(), whole.begin() + 10);
  for (const SimEnv::Bytes& bytes : {flipped, headless, zeros, cut, SimEnv::Bytes()}) {
    for (const bool has_manifest : {true, false}) {
      const auto env = stored->env.copy(1);
      *env->bytes(log) = bytes;
      if (!has_manifest) CHECK_EQ(env->remove("/db/MANIFEST"), 0);
      const auto report = run_salvage(*stored, env.get()).take();
      CHECK(!report.is_whole() && report.loss.files == 1 && report.cut_bytes == 0);
      CHECK_EQ(report.loss.bytes, bytes.size());
      CHECK(!report.loss.told.empty());
    }
  }
  // Where the records can be made out, nothing of them is lost: one byte of the header, whichever,
  // follows from its checksum.
  for (size_t at = 0; at < 64; ++at) {
    const auto env = stored->env.copy(1);
    (*env->bytes(log))[at] ^= static_cast<uint8_t>(1 + at);
    const auto report = run_salvage(*stored, env.get()).take();
    CHECK(report.is_whole() && !report.loss.told.empty());
    CHECK_EQ(report.collections.at(0).records, 1u);
  }
}

TEST(a_database_with_neither_manifest_nor_log_has_lost_records) {
  const auto stored = store_rows(3000);
  for (const std::string& path : stored->env.paths()) {
    if (path.ends_with(".wal") || path.ends_with("MANIFEST")) {
      CHECK_EQ(stored->env.remove(path), 0);
    }
  }
  const auto report = run_salvage(*stored, &stored->env).take();
  CHECK(!report.is_whole() && report.loss.files == 1);
  CHECK_EQ(read_out(*stored, &stored->env).substr(0, 2), "c ");
}
