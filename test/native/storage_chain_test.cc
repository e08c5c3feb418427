// Chains of logs, rotation and the switch to a snapshot: what is promised holds at every step, and
// after a crash at any.
#include <atomic>
#include <thread>

#include "exec/thread_pool.h"
#include "storage_support.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr char kPath[] = "/db";

// One record that holds a text.
class TextSource final : public LogSource {
 public:
  explicit TextSource(std::string text, size_t records = 1)
      : text_(std::move(text)), records_(records) {}
  RecordType type() const override { return RecordType::kClear; }
  Status next(Array<std::byte>* record, bool* more) override {
    *more = --records_ > 0;
    return record->append(reinterpret_cast<const std::byte*>(text_.data()), text_.size());
  }

 private:
  const std::string text_;
  size_t records_;
};

// A toy database: its state is the list of texts that were ever logged; a snapshot is a blob of them
// all. It checkpoints as a real one does.
class Toy {
 public:
  static Result<std::unique_ptr<Toy>> open(Env* env, bool read_only = false) {
    std::unique_ptr<Toy> toy(new Toy(env));
    OMEN_TRY(toy->load(read_only));
    return toy;
  }
  ~Toy() {
    if (wal_ != nullptr) (void)wal_->close().is_ok();
  }
  const std::vector<std::string>& texts() const { return texts_; }
  uint64_t cut_bytes() const { return cut_bytes_; }
  Wal& wal() { return *wal_; }
  Directory& directory() { return *directory_; }

  Status add(const std::string& text, bool is_synced, size_t records = 1) {
    TextSource source(text, records);
    OMEN_ASSIGN(const uint64_t sequence, wal_->append(&source));
    for (size_t i = 0; i < records; ++i) texts_.push_back(text);
    return is_synced ? wal_->wait_durable(sequence) : Status::ok();
  }
  // How far a checkpoint goes.
  enum class Until : uint8_t { kBegun, kRotated, kWritten, kInstalled };
  Status checkpoint(Until until = Until::kInstalled) {
    SnapshotFiles files;
    OMEN_ASSIGN(std::unique_ptr<LogWriter> log, directory_->begin_log(&files.log_number));
    if (until == Until::kBegun) return Status::ok();
    OMEN_ASSIGN(files.sequence, wal_->rotate(std::move(log)));
    if (until == Until::kRotated) return Status::ok();
    OMEN_ASSIGN(const auto writer,
                SegmentWriter::create(env_, kPath, directory_->take_number(),
                                      directory_->manifest().database_id, &memory_.account));
    OMEN_TRY(writer->begin_blob());
    for (const std::string& text : texts_) {
      const uint64_t length = text.size();
      OMEN_TRY(writer->append(&length, sizeof(length)));
      OMEN_TRY(writer->append(text.data(), text.size()));
    }
    Snapshot snapshot;
    snapshot.sequence = files.sequence;
    snapshot.next_collection = 2;
    CollectionSnapshot& c = snapshot.collections.emplace_back();
    c.collection = 1;
    OMEN_ASSIGN(const BlobPlace texts, writer->end_blob());
    c.blobs.push_back({1, texts});
    Array<std::byte> table(&memory_.account, Use::kScratch);
    OMEN_TRY(encode_snapshot(snapshot, &table));
    OMEN_TRY(writer->begin_blob());
    OMEN_TRY(writer->append(table.data(), table.size()));
    OMEN_ASSIGN(files.table, writer->end_blob());
    OMEN_TRY(writer->finish());
    if (until == Until::kWritten) return Status::ok();
    files.segments.push_back(writer->manifest_file());
    return directory_->install(files);
  }
  Status close() {
    OMEN_TRY(wal_->close());
    return directory_->note_durable(wal_->synced());
  }

 private:
  explicit Toy(Env* env) : env_(env) {}
  Status load(bool read_only) {
    Directory::Options how;
    how.read_only = read_only;
    OMEN_ASSIGN(directory_, Directory::open(env_, kPath, how, &memory_.account));
    if (directory_->has_snapshot()) OMEN_TRY(load_snapshot());
    directory_->start();
    for (LogRecord record;;) {
      OMEN_ASSIGN(const bool is_one, directory_->next(&record));
      if (!is_one) break;
      if (record.header.type == RecordType::kSeal) continue;
      texts_.emplace_back(reinterpret_cast<const char*>(record.payload), record.header.length);
    }
    cut_bytes_ = directory_->log_end().cut_bytes;
    if (read_only) return Status::ok();
    OMEN_ASSIGN(Directory::Writer writer, directory_->open_writer());
    Wal::Options options;
    options.executor = &executor_;
    options.has_committer = false;
    options.synced = writer.synced;
    options.log_bytes = writer.bytes;
    OMEN_ASSIGN(wal_, Wal::start(std::move(writer.log), &memory_.account, options));
    return Status::ok();
  }
  Status load_snapshot() {
    OMEN_ASSIGN(const Snapshot snapshot, directory_->read_snapshot());
    const BlobPlace place = snapshot.collections.at(0).blobs.at(0).place;
    OMEN_ASSIGN(const auto reader, directory_->segment(place.segment));
    std::string bytes(place.bytes, '\0');
    OMEN_TRY(reader->read_blob(place, 0, bytes.data(), bytes.size()));
    for (size_t at = 0; at < bytes.size();) {
      const auto length = load_number<uint64_t>(reinterpret_cast<std::byte*>(bytes.data()) + at);
      texts_.push_back(bytes.substr(at + 8, length));
      at += 8 + length;
    }
    return Status::ok();
  }

  Env* const env_;
  InlineExecutor executor_;
  Memory memory_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<Wal> wal_;
  std::vector<std::string> texts_;
  uint64_t cut_bytes_ = 0;
};

void make_directory(SimEnv* env) { CHECK_EQ(env->make_directory(kPath), 0); }

std::vector<std::string> files_of(const SimEnv& env, const std::string& suffix) {
  std::vector<std::string> found;
  for (const std::string& path : env.paths()) {
    if (path.size() > suffix.size() && path.substr(path.size() - suffix.size()) == suffix) {
      found.push_back(path);
    }
  }
  return found;
}

std::vector<std::string> texts_in(Env* env, bool read_only = false) {
  const auto toy = Toy::open(env, read_only);
  if (!CHECK_OK(toy)) return {};
  return toy.value()->texts();
}

ErrorCode code_of(Env* env) { return Toy::open(env).status().code(); }

}  // namespace

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
