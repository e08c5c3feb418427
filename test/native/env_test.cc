// The system's own Env, whichever it is: each call does what env.h says, with the numbers of errors
// that File understands, on a directory with a name that is not ASCII; and a database lives in it.
#include <filesystem>

#include "db_disk_support.h"
#include "io/file.h"

using namespace omen;
using namespace omen::test;

namespace {

std::string utf8(const std::filesystem::path& path) {
  const auto text = path.generic_u8string();
  return std::string(reinterpret_cast<const char*>(text.data()), text.size());
}

// An empty directory that goes with the test.
class Home {
 public:
  Home() {
    const std::string name = "omendb-env-" + std::to_string(system_env()->random());
    path_ = std::filesystem::temp_directory_path() / name;
    path_ /= std::filesystem::path(u8"données-データ");
    std::filesystem::create_directories(path_);
  }
  ~Home() {
    std::error_code ignored;
    std::filesystem::remove_all(path_.parent_path(), ignored);
  }
  std::string operator/(const char* name) const { return utf8(path_) + "/" + name; }
  std::string path() const { return utf8(path_); }

 private:
  std::filesystem::path path_;
};

constexpr uint32_t kMake = Env::kWrite | Env::kCreate;

}  // namespace

TEST(files_are_read_and_written_at_any_place) {
  Env* env = system_env();
  const Home home;
  const int64_t file = env->open(home / "a", kMake);
  REQUIRE(file >= 0);
  CHECK_EQ(env->write(file, "world", 5, 6), 5);
  CHECK_EQ(env->write(file, "hello ", 6, 0), 6);
  char text[32] = {};
  CHECK_EQ(env->read(file, text, sizeof(text), 0), 11);
  CHECK(std::string(text) == "hello world");
  CHECK_EQ(env->read(file, text, 3, 11), 0);  // The end is no error.
  CHECK_EQ(env->read(file, text, 3, 1000), 0);
  CHECK_EQ(env->sync(file), 0);
  CHECK_EQ(env->truncate(file, 5), 0);
  FileStat found;
  CHECK_EQ(env->stat_open(file, &found), 0);
  CHECK_EQ(found.size, 5);
  CHECK(!found.is_directory);
  CHECK_EQ(env->truncate(file, 9), 0);  // What is new is zero.
  CHECK_EQ(env->read(file, text, 9, 0), 9);
  CHECK(std::string(text, 9) == std::string("hello\0\0\0\0", 9));
  CHECK_EQ(env->close(file), 0);
}

TEST(paths_answer_the_numbers_of_cerrno) {
  Env* env = system_env();
  const Home home;
  FileStat found;
  CHECK_EQ(env->open(home / "none", Env::kRead), -ENOENT);
  CHECK_EQ(env->open(home / "no/where", kMake), -ENOENT);
  CHECK_EQ(env->stat(home / "none", &found), -ENOENT);
  CHECK_EQ(env->remove(home / "none"), -ENOENT);
  CHECK_EQ(env->make_directory(home / "sub"), 0);
  CHECK_EQ(env->make_directory(home / "sub"), -EEXIST);
  CHECK_EQ(env->stat(home / "sub", &found), 0);
  CHECK(found.is_directory);
  const int64_t file = env->open(home / "a", kMake | Env::kExclusive);
  REQUIRE(file >= 0);
  CHECK_EQ(env->write(file, "1", 1, 0), 1);
  CHECK_EQ(env->close(file), 0);
  CHECK_EQ(env->open(home / "a", kMake | Env::kExclusive), -EEXIST);
  const int64_t emptied = env->open(home / "a", kMake | Env::kTruncate);
  CHECK_EQ(env->stat(home / "a", &found), 0);
  CHECK_EQ(found.size, 0);
  CHECK_EQ(env->close(emptied), 0);
}

// A rename takes the place of what is there, and the file keeps who it is.
TEST(names_are_changed_listed_and_removed) {
  Env* env = system_env();
  const Home home;
  FileStat before;
  FileStat after;
  for (const char* name : {"old", "new"}) {
    const int64_t file = env->open(home / name, kMake);
    CHECK_EQ(env->write(file, name, 3, 0), 3);
    CHECK_EQ(env->close(file), 0);
  }
  CHECK_EQ(env->stat(home / "new", &before), 0);
  CHECK_EQ(env->rename(home / "new", home / "old"), 0);
  CHECK_EQ(env->sync_directory(home.path()), 0);
  CHECK_EQ(env->stat(home / "old", &after), 0);
  CHECK(before.device == after.device && before.inode == after.inode);
  std::vector<std::string> names;
  CHECK_EQ(env->list(home.path(), &names), 0);
  CHECK(names == std::vector<std::string>{"old"});
  CHECK_EQ(env->remove(home / "old"), 0);
  CHECK_EQ(env->list(home.path(), &names), 0);
  CHECK(names.empty());
  CHECK_EQ(env->list(home / "none", &names), -ENOENT);
}

TEST(a_lock_keeps_out_every_other_opening_until_it_is_closed) {
  Env* env = system_env();
  const Home home;
  const int64_t first = env->open(home / "LOCK", kMake);
  const int64_t second = env->open(home / "LOCK", kMake);
  CHECK_EQ(env->lock(first), 0);
  CHECK_EQ(env->lock(second), -EAGAIN);
  CHECK_EQ(env->close(first), 0);
  CHECK_EQ(env->lock(second), 0);
  CHECK_EQ(env->close(second), 0);
}

TEST(clock_chance_and_relative_paths) {
  Env* env = system_env();
  const uint64_t start = env->now_ns();
  CHECK(env->now_ns() >= start);
  CHECK(env->random() != env->random());
  std::string here;
  std::string below;
  CHECK_EQ(env->absolute(".", &here), 0);
  CHECK_EQ(env->absolute("some", &below), 0);
  CHECK(std::filesystem::path(below).is_absolute());
  std::string same;
  CHECK_EQ(env->absolute(below, &same), 0);
  CHECK(same == below);
}

TEST(a_database_lives_in_a_directory_of_the_system) {
  const Home home;
  DiskFixture fixture;
  DatabaseOptions options = fixture.options(system_env());
  options.path = home / "db";
  Random random(test_seed());
  std::string text;
  for (int round = 0; round < 4; ++round) {
    const auto opened = Database::open(options);
    REQUIRE_OK(opened);
    Database& database = *opened.value();
    if (round > 0) CHECK(dump(database) == text);
    for (int i = 0; i < 6; ++i) CHECK_OK(Operation(random.next()).apply(database));
    CHECK_OK(check_database(database));
    text = dump(database);
    // Another opening of the lock, as another process would make it.
    const auto lock = File::open(system_env(), options.path + "/LOCK", Env::kWrite);
    if (CHECK_OK(lock)) CHECK(lock.value()->lock().code() == ErrorCode::kLocked);
  }
}
