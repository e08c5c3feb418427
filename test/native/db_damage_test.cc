// Databases whose files are damaged: whatever lies there, opening, searching, changing and closing
// it ends without a crash, a hang or a large allocation; and an answer that is given is right: that
// of the database, or, where the end of a log was never sealed, of its beginning.
//
// OMEN_DAMAGE_STEP (97): of all bits and lengths every so manieth is tried; 1: each.
// OMEN_DAMAGE_RANDOM (60): how often a larger database is damaged at random.
#include <atomic>
#include <chrono>
#include <new>

#include "db_disk_support.h"
#include "recycled_blocks.h"

using namespace omen;
using namespace omen::test;

namespace {

// The largest allocation by new since it was set to zero. What the engine takes of its own kind is
// bounded by the memory limit of the database.
std::atomic<size_t> largest_new{0};

constexpr size_t kNewBytesMax = size_t{16} << 20;
constexpr uint64_t kMemoryBytesMax = 64 << 20;
constexpr auto kTimeMax = std::chrono::seconds(20);

size_t number_of(const char* name, size_t otherwise) {
  const char* given = std::getenv(name);
  return given == nullptr ? otherwise : std::strtoul(given, nullptr, 10);
}

// A workload and all that the database was in its course.
struct Course {
  std::unique_ptr<SimEnv> env;
  std::vector<std::string> states;
  size_t certain = 0;  // States from here on are those that damage must not take away.
};

// Closed: the log ends with a seal, and nothing less than all may be found. Else it ends as a crash
// leaves it, and what is behind the last seal may be taken for torn.
// With checkpoints most of it lies in a snapshot, else all in the log.
struct Kind {
  bool is_closed;
  bool has_checkpoints;
};

uint64_t bytes_written(const SimEnv& env) {
  uint64_t sum = 0;
  for (const SimEnv::Change& change : env.trace()) sum += change.data.size();
  return sum;
}

Course make(uint64_t seed, size_t bytes_min, const Kind& kind) {
  Course course;
  auto env = std::make_unique<SimEnv>(seed);
  DiskFixture fixture;
  Random random(seed);
  DatabaseOptions options = fixture.options(env.get(), Durability::kOs);
  if (!kind.has_checkpoints) options.checkpoint_bytes = uint64_t{1} << 40;
  auto database = Database::open(options).take();
  course.states.push_back(dump(*database));
  while (bytes_written(*env) < bytes_min) {
    const Operation operation(random.next());
    CHECK_OK(operation.prepare(*database));
    course.states.push_back(dump(*database));
    CHECK_OK(operation.finish(*database));
    course.states.push_back(dump(*database));
    if (random.below(40) == 0) {
      if (kind.has_checkpoints) CHECK_OK(database->checkpoint());
      CHECK_OK(database->flush(Database::Extent::kDevice));
    }
  }
  if (kind.is_closed) {
    database.reset();
    course.certain = course.states.size() - 1;
  }
  course.env = env->copy(seed);
  return course;
}

bool is_known(const Course& course, const std::string& text) {
  for (size_t i = course.states.size(); i-- > course.certain;) {
    if (course.states[i] == text) return true;
  }
  return false;
}

bool is_told(const Status& status) {
  return status.code() == ErrorCode::kCorrupt && !status.message().empty() &&
         !status.path().empty();
}

// Of mapped vectors damage is met when they are read: whoever does is told, and nothing else is
// lost.
void go_on_damaged(Database& database, uint64_t seed) {
  CHECK(!check_database(database).is_ok());
  size_t told = 0;
  for (const std::string& name : database.list_collections()) {
    const auto c = database.collection(name, CollectionOptions(), OpenMode::kOpen).take();
    const std::vector<float> query(c->stats().options.dimensions, 1.0f);
    if (query.empty()) continue;
    Rows rows;
    const Status status = c->search(query.data(), query.size(), SearchOptions(), &rows);
    CHECK(status.is_ok() || is_told(status));
    told += status.is_ok() ? 0 : 1;
  }
  CHECK(told > 0);
  const Status changed = Operation(seed).apply(database);
  CHECK(changed.is_ok() || is_told(changed));
}

// What could be opened, and what was found in it.
struct Opened {
  const DatabaseOptions& options;
  std::string text;
  uint64_t seed;
};

// It is one of the states that it was in, and a database like any other.
void go_on_whole(const Course& course, std::shared_ptr<Database> database, const Opened& found) {
  if (!CHECK(is_known(course, found.text))) std::printf("    found:\n%s", found.text.c_str());
  // What is damaged of a graph is told by a check until the next snapshot replaces it.
  if (!database->stats().recovery.rebuilt_graphs.empty()) CHECK_OK(database->checkpoint());
  // So is what is damaged of mapped vectors that no record has any more: nobody else reads them.
  const Status checked = check_database(*database);
  const bool is_mapped = found.options.residency == Residency::kMapped;
  CHECK(checked.is_ok() || (is_mapped && checked.code() == ErrorCode::kCorrupt));
  for (const std::string& name : database->list_collections()) {
    const auto c = database->collection(name, CollectionOptions(), OpenMode::kOpen).take();
    const uint32_t dimensions = c->stats().options.dimensions;
    if (dimensions == 0) continue;
    const std::vector<float> query(dimensions, 1.0f);
    Rows rows;
    CHECK_OK(c->search(query.data(), dimensions, SearchOptions(), &rows));
    CHECK_EQ(rows.ids.size(), std::min<size_t>(10, c->count()));
  }
  CHECK_OK(Operation(found.seed).apply(*database));
  const std::string text = dump(*database);
  database.reset();
  auto again = Database::open(found.options);
  if (CHECK_OK(again)) CHECK(dump(*again.value()) == text);
}

// Opens it, and if that goes does everything with it.
void try_out(const Course& course, SimEnv* env, uint64_t seed, size_t* opened_count) {
  const auto start = std::chrono::steady_clock::now();
  largest_new = 0;
  DiskFixture fixture;
  DatabaseOptions options = fixture.options(env);
  options.max_memory_bytes = kMemoryBytesMax;
  options.residency = seed % 2 == 0 ? Residency::kMemory : Residency::kMapped;
  {
    auto opened = Database::open(options);
    if (!opened.is_ok()) {
      const ErrorCode code = opened.status().code();
      CHECK(code == ErrorCode::kCorrupt || code == ErrorCode::kFormat);
      CHECK(!opened.status().message().empty() && !opened.status().path().empty());
      CHECK(largest_new < kNewBytesMax);
      return;
    }
    ++*opened_count;
    Database& database = *opened.value();
    Result<std::string> found = try_dump(database);
    if (found.is_ok()) {
      go_on_whole(course, opened.take(), {options, found.take(), seed});
    } else {
      CHECK(options.residency == Residency::kMapped && is_told(found.status()));
      go_on_damaged(database, seed);
    }
  }
  CHECK(largest_new < kNewBytesMax);
  CHECK(std::chrono::steady_clock::now() - start < kTimeMax);
}

// What lies between the parts of a segment, up to a multiple of 64 bytes, says nothing.
bool is_padding(const SimEnv::Bytes& bytes, size_t at) {
  const size_t end = std::min(bytes.size(), at / 64 * 64 + 64);
  return std::all_of(bytes.begin() + static_cast<ptrdiff_t>(at),
                     bytes.begin() + static_cast<ptrdiff_t>(end), [](uint8_t b) { return b == 0; });
}

// Who checks a database that was closed is told of every bit of its snapshot, also of what opening
// mends or passes over, and without writing.
void check_reading(SimEnv* env) {
  DiskFixture fixture;
  DatabaseOptions options = fixture.options(env);
  options.max_memory_bytes = kMemoryBytesMax;
  options.read_only = true;
  const auto opened = Database::open(options);
  if (opened.is_ok()) CHECK(!check_database(*opened.value()).is_ok());
}

void flip_and_cut(const Kind& kind, size_t bytes_min, size_t step) {
  const uint64_t seed = test_seed();
  const Course course = make(seed, bytes_min, kind);
  CHECK(course.env->remove(std::string(kPath) + "/RESERVE") == 0);  // Nothing is in it.
  size_t tried = 0;
  size_t opened = 0;
  for (const std::string& path : course.env->paths()) {
    const SimEnv::Bytes& bytes = *course.env->bytes(path);
    const bool is_snapshot = kind.is_closed && path.ends_with(".seg");
    const size_t size = bytes.size();
    for (size_t bit = 0; bit < size * 8; bit += step, ++tried) {
      const auto env = course.env->copy(bit);
      (*env->bytes(path))[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
      if (is_snapshot && !is_padding(bytes, bit / 8)) check_reading(env.get());
      try_out(course, env.get(), bit, &opened);
    }
    for (size_t length = 0; length < size; length += step, ++tried) {
      const auto env = course.env->copy(length);
      env->bytes(path)->resize(length);
      if (is_snapshot) check_reading(env.get());
      try_out(course, env.get(), length, &opened);
    }
  }
  std::printf("# %zu flips and lengths, %zu could be opened\n", tried, opened);
}

// What devices and people do to files: zeros, noise, foreign pages, pieces that are missing or
// twice there, a file of another length, a file that is gone.
void damage(SimEnv* env, Random& random) {
  const std::vector<std::string> paths = env->paths();
  const std::string path = paths[random.below(paths.size())];
  SimEnv::Bytes& bytes = *env->bytes(path);
  const size_t size = bytes.size();
  const size_t page = random.below(2) == 0 ? 512 : 4096;
  const size_t from = size == 0 ? 0 : random.below(size);
  const size_t length = size == 0 ? 0 : std::min(size - from, random.below(3) * page + 1);
  const auto at = [&](size_t i) { return bytes.begin() + static_cast<ptrdiff_t>(i); };
  switch (random.below(8)) {
    case 0:
      std::fill(at(from), at(from + length), 0);
      return;
    case 1:
      for (size_t i = 0; i < length; ++i) bytes[from + i] = static_cast<uint8_t>(random.next());
      return;
    case 2:
      for (uint64_t n = 1 + random.below(8); n > 0 && size > 0; --n) {
        bytes[random.below(size)] ^= static_cast<uint8_t>(1 << random.below(8));
      }
      return;
    case 3: {
      const SimEnv::Bytes piece(at(from), at(from + length));
      const size_t to = size == 0 ? 0 : random.below(size - length + 1);
      std::copy(piece.begin(), piece.end(), at(to));
      return;
    }
    case 4:
      bytes.erase(at(from), at(from + length));
      return;
    case 5: {
      const SimEnv::Bytes piece(at(from), at(from + length));
      bytes.insert(at(from), piece.begin(), piece.end());
      return;
    }
    case 6:
      bytes.resize(random.below(2 * size + 1));
      return;
    default:
      if (random.below(4) == 0) (void)env->remove(path);
  }
}

void damage_at_random(bool is_closed) {
  const uint64_t seed = test_seed();
  Random random(seed);
  const size_t rounds = number_of("OMEN_DAMAGE_RANDOM", 60);
  size_t opened = 0;
  for (size_t made = 0; made * 500 < rounds; ++made) {
    const Course course = make(random.next(), 400 << 10, {is_closed, made % 2 == 0});
    for (size_t i = 0; i < std::min<size_t>(500, rounds - made * 500); ++i) {
      const auto env = course.env->copy(random.next());
      for (uint64_t n = 1 + random.below(3); n > 0; --n) damage(env.get(), random);
      try_out(course, env.get(), random.next(), &opened);
    }
  }
  std::printf("# %zu times damaged at random, %zu could be opened\n", rounds, opened);
}

}  // namespace

#if !defined(OMENDB_SANITIZED)
void* operator new(size_t bytes) {
  if (bytes > largest_new) largest_new = bytes;
  void* memory = std::malloc(bytes);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

TEST(a_closed_database_survives_every_flip_and_length) {
  flip_and_cut({true, false}, 64 << 10, number_of("OMEN_DAMAGE_STEP", 97));
}

TEST(a_closed_database_with_a_snapshot_survives_every_flip_and_length) {
  flip_and_cut({true, true}, 64 << 10, number_of("OMEN_DAMAGE_STEP", 97));
}

TEST(a_database_as_a_crash_leaves_it_survives_every_flip_and_length) {
  flip_and_cut({false, true}, 8 << 10, number_of("OMEN_DAMAGE_STEP", 97));
}

TEST(a_closed_database_survives_damage_at_random) { damage_at_random(true); }

TEST(a_database_as_a_crash_leaves_it_survives_damage_at_random) { damage_at_random(false); }
