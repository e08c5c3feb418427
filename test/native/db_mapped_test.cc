// Vectors that stay in the files of a snapshot: the same answers as from memory, whatever is
// written, and no answer from a damaged file.
#include "db_disk_support.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDimensions = 24;
constexpr uint64_t kRecords = 5000;

struct Shape {
  Quantization quantization;
  Metric metric;
  Layout layout = Layout::kCompact;
};

DatabaseOptions options_of(DiskFixture& fixture, SimEnv* env, Residency residency) {
  DatabaseOptions o = fixture.options(env);
  o.record_bytes = 1 << 20;
  o.checkpoint_bytes = uint64_t{1} << 40;
  o.residency = residency;
  return o;
}

std::vector<float> vector_of(uint64_t id, uint64_t version) {
  Random random(mix64(id) ^ mix64(version));
  std::vector<float> v(kDimensions);
  const auto cluster = static_cast<float>(random.below(20));
  for (float& x : v) x = cluster + static_cast<float>(random.below(1000)) / 500;
  return v;
}

void write_rows(Collection& c, uint64_t first, uint64_t count, uint64_t version) {
  Commit commit;
  commit.kind = Commit::Kind::kUpsert;
  commit.batch = c.begin_write(count, kDimensions).take();
  for (uint64_t i = 0; i < count; ++i) {
    CHECK_OK(commit.batch->stage_vectors(i, 1, vector_of(first + i, version).data()));
    CHECK_OK(commit.batch->stage_integer_id(i, first + i));
    CHECK_OK(commit.batch->stage_metadata(i, "{\"version\":" + std::to_string(version) + "}"));
  }
  c.run(&commit);
  CHECK_OK(commit.status);
}

// A database of kRecords of one version, checkpointed and closed.
void make_database(DiskFixture& fixture, SimEnv* env, const Shape& shape) {
  auto database = Database::open(options_of(fixture, env, Residency::kMemory)).take();
  CollectionOptions o;
  o.given = CollectionOptions::kGivenMetric | CollectionOptions::kGivenQuantization |
            CollectionOptions::kGivenLayout;
  o.metric = shape.metric;
  o.quantization = shape.quantization;
  o.layout = shape.layout;
  const auto c = database->collection("c", o, OpenMode::kCreate).take();
  write_rows(*c, 0, kRecords, 1);
  CHECK_OK(database->checkpoint());
}

std::shared_ptr<Collection> collection_of(Database& database) {
  return database.collection("c", CollectionOptions(), OpenMode::kOpen).take();
}

Status search(Collection& c, uint64_t q, Mode mode, Rows* hits) {
  SearchOptions o;
  o.mode = mode;
  return c.search(vector_of(q, 99).data(), kDimensions, o, hits);
}

std::string answers(Collection& c, Mode mode) {
  std::string out;
  for (uint64_t q = 0; q < 20; ++q) {
    Rows hits;
    CHECK_OK(search(c, q, mode, &hits));
    for (size_t i = 0; i < hits.ids.size(); ++i) {
      out += std::to_string(hits.ids[i].value) + ":" + std::to_string(hits.distances[i]) + " ";
    }
    out += "\n";
  }
  return out;
}

size_t segments(const SimEnv& env) {
  size_t n = 0;
  for (const std::string& path : env.paths()) n += path.ends_with(".seg") ? 1 : 0;
  return n;
}

}  // namespace

TEST(mapped_vectors_answer_as_those_in_memory) {
  const Shape shapes[] = {
      {Quantization::kSq8, Metric::kL2},        {Quantization::kNone, Metric::kCosine},
      {Quantization::kBinary, Metric::kCosine}, {Quantization::kBinary, Metric::kL2, Layout::kFast},
  };
  for (const Shape& shape : shapes) {
    SimEnv env(test_seed());
    DiskFixture fixture;
    make_database(fixture, &env, shape);
    std::string text;
    std::string hits[2];
    for (const Residency residency : {Residency::kMemory, Residency::kMapped}) {
      auto database = Database::open(options_of(fixture, &env, residency)).take();
      const auto c = collection_of(*database);
      if (residency == Residency::kMemory) {
        text = dump(*database);
        hits[0] = answers(*c, Mode::kGraph);
        hits[1] = answers(*c, Mode::kExact);
        continue;
      }
      const CollectionStats stats = c->stats();
      CHECK(stats.bytes.mapped >= kRecords * kDimensions * sizeof(float));
      CHECK(stats.bytes.vectors < stats.bytes.mapped / 2);
      CHECK_EQ(env.mapped(), 1u);
      CHECK_EQ(answers(*c, Mode::kGraph), hits[0]);
      CHECK_EQ(answers(*c, Mode::kExact), hits[1]);
      CHECK_EQ(dump(*database), text);
      CHECK_OK(check_database(*database));
    }
    CHECK_EQ(env.mapped(), 0u);
  }
}

// Rows are written into extents that lie in files, checkpoints move those that stay, and files that
// went are let go.
TEST(what_is_written_beside_mapped_vectors_comes_back) {
  const uint64_t seed = test_seed();
  Random random(seed);
  SimEnv env(seed);
  DiskFixture fixture;
  make_database(fixture, &env, {Quantization::kSq8, Metric::kL2});
  std::map<uint64_t, uint64_t> versions;
  for (uint64_t id = 0; id < kRecords; ++id) versions[id] = 1;
  for (int round = 0; round < 4; ++round) {
    auto database = Database::open(options_of(fixture, &env, Residency::kMapped)).take();
    const auto c = collection_of(*database);
    for (int step = 0; step < 8; ++step) {
      const uint64_t version = static_cast<uint64_t>(round) * 8 + static_cast<uint64_t>(step) + 2;
      const uint64_t count = 1 + random.below(700);
      const uint64_t first = random.below(kRecords);
      write_rows(*c, first, count, version);
      for (uint64_t i = 0; i < count; ++i) versions[first + i] = version;
      Commit commit;
      commit.kind = Commit::Kind::kDeleteIds;
      for (uint64_t i = 0; i < 20; ++i) {
        const uint64_t id = random.below(kRecords);
        commit.ids.push_back({false, 0, id});
        versions.erase(id);
      }
      c->run(&commit);
      CHECK_OK(commit.status);
      if (step % 3 == 2) {
        CHECK_OK(database->checkpoint());
        CHECK(env.mapped() <= segments(env));
      }
    }
    CHECK_OK(check_database(*database));
    CHECK_EQ(c->count(), versions.size());
    for (const auto& [id, version] : versions) {
      const IdView view{false, id, {}};
      Rows rows;
      CHECK_OK(c->get(&view, 1, kIncludeVector, &rows));
      if (!CHECK(rows.vectors == vector_of(id, version))) break;
    }
  }
  CHECK_EQ(env.mapped(), 0u);
}

// The opening does not read them; whoever needs them is told.
TEST(a_damaged_vector_is_an_error_of_whoever_reads_it_and_of_nobody_else) {
  SimEnv env(test_seed());
  DiskFixture fixture;
  make_database(fixture, &env, {Quantization::kSq8, Metric::kL2});
  const std::vector<float> wanted = vector_of(2500, 1);
  SimEnv::Bytes& bytes = *env.bytes(newest_segment(env));
  const auto* const start = reinterpret_cast<const uint8_t*>(wanted.data());
  const auto at = std::search(bytes.begin(), bytes.end(), start, start + 16);
  REQUIRE(at != bytes.end());
  *at ^= 1;
  CHECK(Database::open(options_of(fixture, &env, Residency::kMemory)).status().code() ==
        ErrorCode::kCorrupt);
  auto database = Database::open(options_of(fixture, &env, Residency::kMapped)).take();
  const auto c = collection_of(*database);
  Rows rows;
  const Store& store = *c->impl().store();
  const auto extent_of = [&](uint64_t id) {
    return store.find({false, id, {}}) / store.extent_rows();
  };
  size_t others = 0;
  for (uint64_t i = 0; i < 5000; ++i) {
    if (extent_of(i) == extent_of(2500)) continue;
    const IdView id{false, i, {}};
    CHECK_OK(c->get(&id, 1, kIncludeVector, &rows));
    CHECK(rows.vectors == vector_of(i, 1));
    ++others;
  }
  CHECK(others >= 5000 - store.extent_rows());
  const IdView id{false, 2500, {}};
  CHECK_OK(c->get(&id, 1, kIncludeMetadata, &rows));
  const Status status = c->get(&id, 1, kIncludeVector, &rows);
  CHECK(status.code() == ErrorCode::kCorrupt);
  CHECK_EQ(status.path(), newest_segment(env));
  CHECK(search(*c, 1, Mode::kExact, &rows).code() == ErrorCode::kCorrupt);
  CHECK(!c->check().ok);
  // Nothing of it is written anew as if it were whole.
  write_rows(*c, 0, 5000, 2);
  CHECK(database->checkpoint().code() == ErrorCode::kCorrupt);
}

// Whatever bit flips: an answer is right, or there is an error.
TEST(no_answer_comes_from_a_damaged_file) {
  const uint64_t seed = test_seed();
  Random random(seed);
  SimEnv env(seed);
  DiskFixture fixture;
  make_database(fixture, &env, {Quantization::kNone, Metric::kL2});
  std::string right[2];
  std::string whole;
  {
    auto database = Database::open(options_of(fixture, &env, Residency::kMapped)).take();
    whole = dump(*database);
    for (const Mode mode : {Mode::kGraph, Mode::kExact}) {
      Rows hits;
      CHECK_OK(search(*collection_of(*database), 3, mode, &hits));
      std::string& ids = right[mode == Mode::kExact];
      for (const IdOut& id : hits.ids) ids += std::to_string(id.value) + " ";
    }
  }
  const std::string segment = newest_segment(env);
  size_t found = 0;
  for (int i = 0; i < 60; ++i) {
    const auto copy = env.copy(random.next());
    SimEnv::Bytes& bytes = *copy->bytes(segment);
    bytes[random.below(bytes.size())] ^= static_cast<uint8_t>(1u << random.below(8));
    auto opened = Database::open(options_of(fixture, copy.get(), Residency::kMapped));
    if (!opened.is_ok()) {
      CHECK(opened.status().code() == ErrorCode::kCorrupt);
      ++found;
      continue;
    }
    const auto all = try_dump(*opened.value());
    CHECK(all.is_ok() ? all.value() == whole : all.status().code() == ErrorCode::kCorrupt);
    const auto c = collection_of(*opened.value());
    for (const Mode mode : {Mode::kGraph, Mode::kExact}) {
      Rows hits;
      const Status status = search(*c, 3, mode, &hits);
      if (!status.is_ok()) {
        CHECK(status.code() == ErrorCode::kCorrupt);
        ++found;
        continue;
      }
      // A graph that was damaged is built anew, and may answer a little differently.
      const bool is_anew = !opened.value()->stats().recovery.rebuilt_graphs.empty();
      if (mode == Mode::kGraph && is_anew) continue;
      std::string ids;
      for (const IdOut& id : hits.ids) ids += std::to_string(id.value) + " ";
      CHECK_EQ(ids, right[mode == Mode::kExact]);
    }
  }
  CHECK(found > 10);
}

TEST(a_file_that_cannot_be_mapped_is_an_error_of_the_opening) {
  SimEnv env(test_seed());
  DiskFixture fixture;
  make_database(fixture, &env, {Quantization::kSq8, Metric::kL2});
  for (const int64_t error : {ENOMEM, EIO}) {
    env.fault = [&](uint64_t, SimEnv::Call call) {
      return call == SimEnv::Call::kMap ? SimEnv::Fault{.result = -error} : SimEnv::Fault();
    };
    const auto opened = Database::open(options_of(fixture, &env, Residency::kMapped));
    CHECK(opened.status().code() == (error == EIO ? ErrorCode::kIo : ErrorCode::kMemory));
    CHECK_EQ(env.mapped(), 0u);
  }
  env.fault = nullptr;
  CHECK_OK(Database::open(options_of(fixture, &env, Residency::kMapped)));
}

// A file that the database does not need any more keeps its room on the disk as long as it is
// mapped: that ends with the checkpoint that replaced it, not with a write that may never come.
TEST(a_checkpoint_unmaps_the_files_that_it_replaced) {
  SimEnv env(test_seed());
  DiskFixture fixture;
  make_database(fixture, &env, {Quantization::kSq8, Metric::kL2});
  const auto database = Database::open(options_of(fixture, &env, Residency::kMapped)).take();
  const auto c = collection_of(*database);
  CHECK(c->stats().bytes.mapped > 0);
  CHECK(env.mapped() > 0);
  write_rows(*c, 0, kRecords, 2);
  CHECK_OK(database->checkpoint());
  CHECK_EQ(c->stats().bytes.mapped, 0u);
  CHECK_EQ(env.mapped(), 0);
}

// By itself: what maxMemoryBytes has no room for stays in its files, and what has room does not.
TEST(what_does_not_fit_stays_mapped_and_what_fits_is_read) {
  SimEnv env(test_seed());
  DiskFixture fixture;
  make_database(fixture, &env, {Quantization::kBinary, Metric::kCosine});
  const auto open_with = [&](uint64_t limit, Residency residency) {
    DatabaseOptions o = options_of(fixture, &env, residency);
    o.max_memory_bytes = limit;
    return Database::open(o);
  };
  CHECK_EQ(collection_of(*open_with(0, Residency::kAuto).take())->stats().bytes.mapped, 0u);
  size_t rescued = 0;
  for (uint64_t limit = 1 << 20; limit < 8 << 20; limit += 128 << 10) {
    const bool fits = open_with(limit, Residency::kMemory).is_ok();
    const auto opened = open_with(limit, Residency::kAuto);
    CHECK(opened.is_ok() || !fits);
    if (!opened.is_ok() || fits) continue;
    CHECK(collection_of(*opened.value())->stats().bytes.mapped > 0);
    ++rescued;
  }
  CHECK(rescued > 0);
}

TEST(handles_of_one_directory_have_one_residency) {
  SimEnv env(test_seed());
  DiskFixture fixture;
  make_database(fixture, &env, {Quantization::kSq8, Metric::kL2});
  DatabaseOptions o = options_of(fixture, &env, Residency::kMapped);
  const auto database = Database::open(o).take();
  o.residency = Residency::kMemory;
  CHECK_OK(Database::open(o));  // Not given.
  o.given_residency = true;
  CHECK(Database::open(o).status().code() == ErrorCode::kOptions);
}
