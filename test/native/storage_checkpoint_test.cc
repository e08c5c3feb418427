// Checkpoints: what is promised holds after a crash at any change, and after any call that fails.
#include "storage_toy.h"

using namespace omen;
using namespace omen::test;

TEST(a_snapshot_replaces_the_log_before_it) {
  SimEnv env;
  make_directory(&env);
  std::vector<std::string> wanted;
  for (int round = 0; round < 5; ++round) {
    const auto toy = Toy::open(&env).take();
    CHECK(toy->texts() == wanted);
    CHECK_OK(toy->add("a" + std::to_string(round), true));
    CHECK_OK(toy->checkpoint());
    CHECK_EQ(files_of(env, ".wal").size(), 1);
    CHECK_EQ(files_of(env, ".seg").size(), 1);
    CHECK_EQ(toy->wal().log_bytes(), 0);
    if (round % 2 == 0) CHECK_OK(toy->add("b" + std::to_string(round), false, 3));
    CHECK(toy->wal().log_bytes() > 0 || round % 2 == 1);
    wanted = toy->texts();
    if (round != 3) CHECK_OK(toy->close());
  }
  CHECK(texts_in(&env) == wanted);
}

// A crash at every change of workloads that checkpoint, and go wrong in doing so.
TEST(every_crash_around_checkpoints_keeps_what_was_acknowledged) {
  Random random(test_seed());
  size_t states = 0;
  for (int workload = 0; workload < 12; ++workload) {
    SimEnv env(random.next());
    make_directory(&env);
    const auto start = env.copy(1);
    const size_t first_change = env.changes();
    std::vector<std::string> texts;
    std::vector<std::pair<size_t, size_t>> synced{{0, 0}};  // Changes, texts on the device by then.
    std::vector<std::pair<size_t, size_t>> begun{{0, 0}};   // Changes, texts begun by then.
    {
      auto toy = Toy::open(&env).take();
      for (int i = 0; i < 8; ++i) {
        for (uint64_t n = random.below(4); n > 0; --n) {
          begun.emplace_back(env.changes(), toy->texts().size() + 1);
          const bool is_synced = random.below(2) > 0;
          CHECK_OK(toy->add(std::to_string(texts.size() + n), is_synced));
          if (is_synced) synced.emplace_back(env.changes(), toy->texts().size());
        }
        if (random.below(3) > 0) {
          CHECK_OK(toy->checkpoint(static_cast<Toy::Until>(random.below(5) * 3 / 4)));
        }
        texts = toy->texts();
        if (random.below(5) > 0) continue;
        CHECK_OK(toy->close());
        synced.emplace_back(env.changes(), toy->texts().size());
        toy.reset();
        toy = Toy::open(&env).take();
      }
    }
    for (size_t at = first_change; at <= env.changes(); ++at) {
      size_t least = 0;
      size_t most = 0;
      for (const auto& [changes, count] : synced) least = changes <= at ? count : least;
      for (const auto& [changes, count] : begun) most = changes <= at ? count : most;
      for (const auto keep : {SimEnv::Keep::kAll, SimEnv::Keep::kNothing, SimEnv::Keep::kSome,
                              SimEnv::Keep::kTorn, SimEnv::Keep::kTorn}) {
        const auto left = env.after_crash(*start, at, keep, random.next());
        const auto again = left->copy(random.next());
        const std::vector<std::string> found = texts_in(left.get());
        ++states;
        CHECK(found.size() >= least && found.size() <= most);
        CHECK(std::equal(found.begin(), found.end(), texts.begin()));
        // Recovery can itself be cut off.
        if (random.below(4) > 0) continue;
        const bool is_made = again->bytes("/db/MANIFEST") != nullptr;
        if (is_made) CHECK(texts_in(again.get(), true) == found);
        const auto kept = again->copy(1);
        (void)texts_in(again.get());
        const auto twice =
            again->after_crash(*kept, random.below(again->changes() + 1), keep, random.next());
        CHECK(texts_in(twice.get()) == found);
      }
    }
  }
  std::printf("# %zu crash states\n", states);
}

// Each system call of a checkpoint fails once: the database goes on, and loses nothing.
TEST(checkpoints_survive_every_failing_call) {
  for (const int64_t error : {-ENOSPC, -EIO}) {
    for (const bool does_work : {false, true}) {
      for (uint64_t fails_at = 0;; ++fails_at) {
        SimEnv env(fails_at);
        make_directory(&env);
        auto toy = Toy::open(&env).take();
        CHECK_OK(toy->add("one", true));
        CHECK_OK(toy->checkpoint());
        CHECK_OK(toy->add("two", true));
        uint64_t calls = 0;
        bool has_failed = false;
        env.fault = [&](uint64_t, SimEnv::Call call) {
          SimEnv::Fault f;
          if (call == SimEnv::Call::kClose || calls++ != fails_at) return f;
          f.result = error;
          f.does_work = does_work;
          has_failed = true;
          return f;
        };
        (void)toy->checkpoint().is_ok();
        env.fault = nullptr;
        const bool is_poisoned = !toy->add("three", true).is_ok();
        const std::vector<std::string> wanted =
            is_poisoned ? std::vector<std::string>{"one", "two"} : toy->texts();
        CHECK(texts_in(env.copy(1).get()) == wanted);
        (void)toy->checkpoint().is_ok();
        CHECK(texts_in(env.copy(1).get()) == wanted);
        toy.reset();
        CHECK(texts_in(&env) == wanted);
        CHECK_EQ(files_of(env, ".tmp").size(), 0);
        CHECK_EQ(files_of(env, ".seg").size(), 1);
        if (!has_failed) break;
      }
    }
  }
}

TEST(a_reader_beside_checkpoints_sees_one_snapshot) {
  SimEnv env;
  make_directory(&env);
  const auto toy = Toy::open(&env).take();
  CHECK_OK(toy->add("one", true));
  CHECK_OK(toy->checkpoint());
  const auto reader = Toy::open(&env, true).take();
  CHECK(!reader->directory().has_changed().value());
  CHECK_OK(toy->add("two", true));
  CHECK(!reader->directory().has_changed().value());
  CHECK_OK(toy->checkpoint(Toy::Until::kRotated));
  CHECK(reader->directory().has_changed().value());
  CHECK(texts_in(&env, true) == toy->texts());
  CHECK_OK(toy->checkpoint());
  CHECK(reader->directory().has_changed().value());
  // What it has open it can read on, although it was removed.
  const auto old = reader->directory().segments();
  REQUIRE(old.size() == 1);
  CHECK(env.bytes(segment_path(kPath, old[0].number)) == nullptr);
  CHECK_OK(reader->directory().read_snapshot());
  CHECK(texts_in(&env, true) == toy->texts());
}

// Leftovers are removed, their numbers not given again, and others' files left alone.
TEST(leftover_segments_are_swept_and_their_numbers_not_reused) {
  SimEnv env;
  make_directory(&env);
  CHECK_OK(Toy::open(&env).take()->add("one", true));
  for (const char* name : {"000031.seg", "000032.wal", "notes.seg", "99999999999999999999.seg"}) {
    const int64_t file = env.open(std::string(kPath) + "/" + name, Env::kWrite | Env::kCreate);
    CHECK_EQ(env.write(file, "x", 1, 0), 1);
    env.close(file);
  }
  const auto toy = Toy::open(&env).take();
  CHECK(toy->directory().take_number() > 32);
  CHECK_EQ(files_of(env, ".seg").size(), 1);
  CHECK(env.bytes("/db/notes.seg") != nullptr);
}

TEST(a_segment_without_a_manifest_is_not_overwritten) {
  SimEnv env;
  make_directory(&env);
  {
    const auto toy = Toy::open(&env).take();
    CHECK_OK(toy->add("one", true));
    CHECK_OK(toy->checkpoint());
  }
  CHECK_EQ(env.remove("/db/MANIFEST"), 0);
  for (const std::string& path : files_of(env, ".wal")) CHECK_EQ(env.remove(path), 0);
  CHECK(code_of(&env) == ErrorCode::kCorrupt);
}

// Another process makes the database between the look for its manifest and the look at its files.
TEST(opening_beside_who_makes_the_database_finds_it_or_nothing) {
  for (const bool read_only : {true, false}) {
    SimEnv env;
    make_directory(&env);
    CHECK_OK(Toy::open(&env).take()->add("a", true));
    uint64_t opens = 0;
    env.fault = [&](uint64_t, SimEnv::Call call) {
      SimEnv::Fault f;
      if (call == SimEnv::Call::kOpen && opens++ == 0) f.result = -ENOENT;  // Not yet.
      return f;
    };
    Memory memory;
    Directory::Options options;
    options.read_only = read_only;
    CHECK_OK(Directory::open(&env, "/db", options, &memory.account).status());
    CHECK(opens > 1);
  }
}

// Without a file descriptor to open the directory by nothing was synced, so nothing was dropped.
// What a sync itself fails of is never tried again.
TEST(a_directory_that_cannot_be_opened_for_its_sync_is_synced_later) {
  for (const int64_t error : {-EMFILE, -ENFILE, -EIO}) {
    const bool is_tried_again = error != -EIO;
    for (uint64_t at = 0;; ++at) {
      SimEnv env(at + 1);
      make_directory(&env);
      const auto toy = Toy::open(&env).take();
      CHECK_OK(toy->add("a", true));
      const auto start = env.copy(1);
      const size_t first_change = env.changes();
      uint64_t syncs = 0;
      env.fault = [&](uint64_t, SimEnv::Call call) {
        SimEnv::Fault f;
        if (call == SimEnv::Call::kSyncDirectory && syncs++ == at) f.result = error;
        return f;
      };
      const Status failed = toy->checkpoint();
      env.fault = nullptr;
      if (failed.is_ok()) {
        CHECK_EQ(at, 4u);  // The new log, its switch, the segment, its switch.
        break;
      }
      CHECK(failed.code() == (is_tried_again ? ErrorCode::kBusy : ErrorCode::kIo));
      CHECK_OK(toy->add("b", true));
      CHECK_EQ(toy->checkpoint().is_ok(), is_tried_again);
      CHECK_OK(toy->add("c", true));
      for (const auto keep : {SimEnv::Keep::kAll, SimEnv::Keep::kNothing, SimEnv::Keep::kSome}) {
        const auto left = env.after_crash(*start, env.changes(), keep, at);
        CHECK(texts_in(left.get()) == toy->texts());
      }
      CHECK(env.changes() > first_change);
      CHECK_EQ(files_of(env, ".wal").size() == 1, is_tried_again);
    }
  }
}
