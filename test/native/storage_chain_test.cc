// Chains of logs and rotation: read as one, damage in an earlier log told from a torn tail.
#include <atomic>
#include <functional>
#include <thread>

#include "exec/thread_pool.h"
#include "storage_toy.h"

using namespace omen;
using namespace omen::test;

// Checkpoints that fail leave their logs in the chain, and nothing is lost or read twice.
TEST(checkpoints_that_fail_leave_a_chain_that_is_read_as_one) {
  Random random(test_seed());
  for (int round = 0; round < 60; ++round) {
    SimEnv env(random.next());
    make_directory(&env);
    auto toy = Toy::open(&env).take();
    std::vector<std::string> wanted;
    for (int i = 0; i < 20; ++i) {
      for (uint64_t n = random.below(3); n > 0; --n) {
        CHECK_OK(toy->add(std::to_string(i), random.below(2) > 0, 1 + random.below(2)));
      }
      if (random.below(2) > 0) CHECK_OK(toy->checkpoint(static_cast<Toy::Until>(random.below(4))));
      wanted = toy->texts();
      if (random.below(4) > 0) continue;
      const bool is_clean = random.below(2) > 0;
      const size_t logs = files_of(env, ".wal").size();
      if (is_clean) CHECK_OK(toy->close());
      auto left = env.copy(random.next());
      if (!is_clean) {  // Killed: the chain is copied into one log.
        CHECK(texts_in(left.get(), true) == wanted);
        CHECK(texts_in(left.get()) == wanted);
        CHECK(texts_in(left.get()) == wanted);
        CHECK(files_of(*left, ".wal").size() <= logs);
      }
      toy.reset();
      toy = Toy::open(&env).take();
      CHECK(toy->texts() == wanted);
    }
  }
}

// After a clean close the last log goes on, whatever the chain is.
TEST(a_clean_close_of_a_chain_copies_nothing) {
  for (const bool has_records : {false, true}) {
    for (const auto until : {Toy::Until::kBegun, Toy::Until::kRotated, Toy::Until::kWritten}) {
      SimEnv env;
      make_directory(&env);
      auto toy = Toy::open(&env).take();
      CHECK_OK(toy->add("one", true));
      CHECK_OK(toy->checkpoint(until));
      if (has_records) CHECK_OK(toy->add("two", true));
      CHECK_OK(toy->close());
      const std::vector<std::string> wanted = toy->texts();
      toy.reset();
      const auto names = files_of(env, ".wal");
      CHECK_EQ(names.size(), 2);
      toy = Toy::open(&env).take();
      CHECK(files_of(env, ".wal") == names);
      CHECK(toy->texts() == wanted);
      CHECK_OK(toy->add("three", true));
      toy.reset();
      CHECK_EQ(texts_in(&env).size(), wanted.size() + 1);
    }
  }
}

// The seal of a log is not synced; if another log goes on after it, it must be.
TEST(a_seal_is_on_the_device_before_the_next_log_goes_on) {
  SimEnv env;
  make_directory(&env);
  const auto start = env.copy(1);
  auto toy = Toy::open(&env).take();
  CHECK_OK(toy->add("one", true));
  CHECK_OK(toy->checkpoint(Toy::Until::kBegun));
  CHECK_OK(toy->close());  // The seal is in the first log, the second one is empty.
  toy.reset();
  toy = Toy::open(&env).take();
  CHECK_OK(toy->add("two", true));
  const auto left = env.after_crash(*start, env.changes(), SimEnv::Keep::kNothing, 5);
  CHECK_EQ(texts_in(left.get()).size(), 2);
}

TEST(damage_in_an_earlier_log_is_told) {
  SimEnv env;
  make_directory(&env);
  auto toy = Toy::open(&env).take();
  CHECK_OK(toy->add("first", true));
  CHECK_OK(toy->add("second", true));
  CHECK_OK(toy->checkpoint(Toy::Until::kRotated));
  CHECK_OK(toy->checkpoint(Toy::Until::kBegun));  // An empty one at the end.
  CHECK_OK(toy->add("third", false));
  const auto whole = env.copy(1);
  const std::string first = files_of(env, ".wal")[0];
  const std::string second = files_of(env, ".wal")[1];
  const SimEnv::Bytes log = *env.bytes(first);
  // Every bit of the first log, and every shorter length: the second log proves that it was whole.
  for (size_t bit = 0; bit < log.size() * 8; ++bit) {
    const auto left = whole->copy(1);
    (*left->bytes(first))[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const ErrorCode code = code_of(left.get());
    CHECK(code == ErrorCode::kCorrupt || code == ErrorCode::kFormat);
  }
  for (size_t size = 0; size < log.size(); ++size) {
    const auto left = whole->copy(1);
    left->bytes(first)->resize(size);
    CHECK(code_of(left.get()) == ErrorCode::kCorrupt);
    if (size >= kLogHeaderBytes) {
      CHECK(Toy::open(left.get()).status().message().find(first) != std::string::npos);
    }
  }
  // Bytes behind its end.
  const auto longer = whole->copy(1);
  longer->bytes(first)->push_back(1);
  CHECK(code_of(longer.get()) == ErrorCode::kCorrupt);
  // Without a record behind it, the same is a torn tail.
  for (size_t size = kLogHeaderBytes; size <= log.size(); ++size) {
    const auto left = whole->copy(1);
    left->bytes(first)->resize(size);
    left->bytes(second)->resize(kLogHeaderBytes);
    const auto opened = Toy::open(left.get());
    if (CHECK_OK(opened)) CHECK(opened.value()->texts().size() <= 2);
  }
  // Headers of the later ones were synced before they were named.
  for (size_t i = 1; i < 3; ++i) {
    for (size_t bit = 0; bit < kLogHeaderBytes * 8; ++bit) {
      const auto left = whole->copy(1);
      (*left->bytes(files_of(env, ".wal")[i]))[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
      const ErrorCode code = code_of(left.get());
      CHECK(code == ErrorCode::kCorrupt || code == ErrorCode::kFormat);
    }
    const auto left = whole->copy(1);
    CHECK_EQ(left->remove(files_of(env, ".wal")[i]), 0);
    CHECK(code_of(left.get()) == ErrorCode::kCorrupt);
  }
}

TEST(manifests_of_snapshots_are_whole_or_refused) {
  SimEnv env;
  make_directory(&env);
  Manifest m;
  m.log_number = 4;
  m.last_number = 9;
  m.files = {{2, 640, 0, 1, 5}, {3, 640, 0, 1, 6}, {5, 0, 0, 2, 0}, {7, 0, 0, 2, 0},
             {3, 100, 64, 3, 0}};
  const auto read_with = [&](const Manifest& manifest) {
    CHECK_OK(write_manifest(&env, kPath, manifest));
    return read_manifest(&env, kPath);
  };
  const auto read = read_with(m);
  REQUIRE_OK(read);
  CHECK(read.value().files == m.files);
  const auto refuses = [&](const std::function<void(Manifest&)>& change, ErrorCode code) {
    Manifest changed = m;
    change(changed);
    CHECK(read_with(changed).status().code() == code);
  };
  refuses([](Manifest& x) { x.files[4].kind = 4; }, ErrorCode::kFormat);
  refuses([](Manifest& x) { x.files[0].kind = 0; }, ErrorCode::kFormat);
  refuses([](Manifest& x) { x.files.pop_back(); }, ErrorCode::kCorrupt);
  refuses([](Manifest& x) { x.files.push_back(x.files[4]); }, ErrorCode::kCorrupt);
  refuses([](Manifest& x) { x.files[4].number = 4; }, ErrorCode::kCorrupt);
  refuses([](Manifest& x) { x.files[4].sequence = 63; }, ErrorCode::kCorrupt);
  refuses([](Manifest& x) { x.files[4].size = 577; }, ErrorCode::kCorrupt);
  refuses([](Manifest& x) { x.files[4].size = UINT64_MAX; }, ErrorCode::kCorrupt);
  refuses([](Manifest& x) { x.files[2].number = 4; }, ErrorCode::kCorrupt);
  refuses([](Manifest& x) { x.files[3].number = 5; }, ErrorCode::kCorrupt);
  refuses([](Manifest& x) { x.files[3].number = 10; }, ErrorCode::kCorrupt);
  refuses([](Manifest& x) { std::swap(x.files[0], x.files[1]); }, ErrorCode::kCorrupt);
  refuses([](Manifest& x) { std::swap(x.files[1], x.files[2]); }, ErrorCode::kCorrupt);
  refuses([](Manifest& x) { x.files[0].number = 0; }, ErrorCode::kCorrupt);
  refuses([](Manifest& x) { x.last_number = UINT64_MAX; }, ErrorCode::kCorrupt);
}

TEST(a_failed_sync_in_rotation_poisons_the_log) {
  SimEnv env;
  make_directory(&env);
  const auto toy = Toy::open(&env).take();
  CHECK_OK(toy->add("one", true));
  CHECK_OK(toy->add("two", false));
  uint64_t number = 0;
  auto next = toy->directory().begin_log(&number);
  REQUIRE_OK(next);
  env.fault = [&](uint64_t, SimEnv::Call call) {
    SimEnv::Fault f;
    if (call == SimEnv::Call::kSync) f.result = -EIO;
    return f;
  };
  CHECK(toy->wal().rotate(next.take()).status().code() == ErrorCode::kIoPoisoned);
  env.fault = nullptr;
  CHECK(toy->add("three", false).code() == ErrorCode::kIoPoisoned);
}

// Threads commit and wait while logs are rotated beside them.
TEST(rotation_beside_commits_loses_none) {
  SimEnv env;
  make_directory(&env);
  Memory memory;
  auto pool = ThreadPool::create(2).take();
  auto directory = Directory::open(&env, kPath, {}, &memory.account).take();
  Directory::Writer writer = directory->open_writer().take();
  Wal::Options options;
  options.executor = pool.get();
  options.interval_ms = 1;  // Seals come in between, too.
  auto wal = Wal::start(std::move(writer.log), &memory.account, options).take();
  constexpr size_t kThreads = 4;
  constexpr size_t kCommits = 80;
  std::atomic<size_t> left{kThreads};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < kCommits; ++i) {
        TextSource source("commit", 1 + i % 3);
        const auto sequence = wal->append(&source);
        if (CHECK_OK(sequence) && i % 4 == 0) CHECK_OK(wal->wait_durable(sequence.value()));
        if (i % 16 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      --left;
    });
  }
  uint64_t last = 0;
  size_t rotations = 0;
  while (left.load() > 0 && rotations < 200) {
    uint64_t number = 0;
    auto next = directory->begin_log(&number);
    if (!CHECK_OK(next)) break;
    const auto sequence = wal->rotate(next.take());
    if (!CHECK_OK(sequence)) break;
    CHECK(sequence.value() >= last && wal->synced() >= sequence.value());
    last = sequence.value();
    ++rotations;
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_OK(wal->close());
  CHECK(rotations > 1);
  directory.reset();
  const auto chain = Directory::open(&env, kPath, {}, &memory.account).take();
  size_t commits = 0;
  for (LogRecord record;;) {
    const auto next = chain->next(&record);
    if (!CHECK_OK(next) || !next.value()) break;
    commits += record.header.type != RecordType::kSeal && record.header.flags == 0;
  }
  CHECK_EQ(commits, kThreads * kCommits);
}
