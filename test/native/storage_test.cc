// The log and the manifest: checksums, torn tails beside damage, group commit, poisoning.
#include <atomic>
#include <thread>

#include "base/crc32c.h"
#include "exec/thread_pool.h"
#include "sim_env.h"
#include "storage/directory.h"
#include "storage/records.h"
#include "storage/wal.h"
#include "test.h"

using namespace omen;
using namespace omen::test;

namespace {

struct Memory {
  MemoryBudget budget;
  MemoryAccount account{&budget};
};

// One record of some bytes.
class BytesSource final : public LogSource {
 public:
  explicit BytesSource(std::string text, size_t records = 1)
      : text_(std::move(text)), records_(records) {}
  RecordType type() const override { return RecordType::kClear; }
  Status next(Array<std::byte>* record, bool* more) override {
    if (fails_at > 0 && records_ == fails_at) return Status::error(ErrorCode::kMemory, "asked to");
    *more = --records_ > 0;
    return record->append(reinterpret_cast<const std::byte*>(text_.data()), text_.size());
  }
  size_t fails_at = 0;  // When so many records are left.

 private:
  std::string text_;
  size_t records_;
};

constexpr char kLog[] = "/log";
const LogHeader kHeader{7, 8, 1};

std::unique_ptr<Wal> start_wal(SimEnv* env, Memory* memory, const Wal::Options& options) {
  auto writer = LogWriter::create(env, kLog, kHeader);
  CHECK_OK(writer);
  return Wal::start(writer.take(), &memory->account, options).take();
}

Wal::Options inline_options(InlineExecutor* executor) {
  Wal::Options o;
  o.executor = executor;
  o.has_committer = false;
  return o;
}

// What a reader finds in the log: the texts, one per record that is no seal.
struct Found {
  Status status;
  LogEnd end;
  std::vector<std::string> texts;
};
Found read_log(SimEnv* env) {
  Memory memory;
  Found found;
  auto file = File::open(env, kLog, Env::kRead);
  if (!file.is_ok()) {
    found.status = file.status();
    return found;
  }
  LogReader reader(file.value().get(), &memory.account);
  found.status = reader.open(kHeader.database_id);
  if (!found.status.is_ok()) return found;
  auto end = reader.scan();
  found.status = end.status();
  if (!end.is_ok()) return found;
  found.end = end.value();
  reader.start();
  for (LogRecord record;;) {
    auto next = reader.next(found.end, &record);
    if (!CHECK_OK(next) || !next.value()) break;
    if (record.header.type == RecordType::kSeal) continue;
    found.texts.emplace_back(reinterpret_cast<const char*>(record.payload), record.header.length);
  }
  return found;
}

}  // namespace

// RFC 3720, B.4, and the two ways to compute it.
TEST(checksums_are_those_of_the_standard) {
  const std::string zeros(32, '\0');
  CHECK_EQ(crc32c(0, zeros.data(), 32), 0x8A9136AAu);
  CHECK_EQ(crc32c_by_tables(0, zeros.data(), 32), 0x8A9136AAu);
  CHECK_EQ(crc32c(0, "123456789", 9), 0xE3069283u);
  Random random(test_seed());
  std::vector<uint8_t> bytes(4096);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(random.next());
  for (int i = 0; i < 2000; ++i) {
    const size_t from = random.below(64);
    const size_t length = random.below(bytes.size() - from);
    const auto start = static_cast<uint32_t>(random.next());
    const uint32_t whole = crc32c(start, &bytes[from], length);
    CHECK_EQ(whole, crc32c_by_tables(start, &bytes[from], length));
    const size_t cut = random.below(length + 1);
    CHECK_EQ(crc32c(crc32c(start, &bytes[from], cut), &bytes[from + cut], length - cut), whole);
  }
}

TEST(a_log_reads_back_what_was_appended) {
  SimEnv env;
  Memory memory;
  InlineExecutor executor;
  auto wal = start_wal(&env, &memory, inline_options(&executor));
  std::vector<std::string> texts;
  for (size_t i = 0; i < 50; ++i) {
    BytesSource source(std::string(i * 7, 'a'), i % 3 + 1);
    const auto sequence = wal->append(&source);
    if (CHECK_OK(sequence)) CHECK_EQ(sequence.value(), wal->appended());
    for (size_t n = 0; n < i % 3 + 1; ++n) texts.emplace_back(i * 7, 'a');
    if (i % 10 == 0) CHECK_OK(wal->wait_durable(sequence.value()));
  }
  CHECK_OK(wal->close());
  const Found found = read_log(&env);
  CHECK_OK(found.status);
  CHECK(found.texts == texts);
  CHECK(found.end.is_sealed);
  CHECK_EQ(found.end.cut_bytes, 0);
}

// Every length that a crash can leave: the whole commits before it, and nothing else.
TEST(every_prefix_of_a_log_opens) {
  SimEnv env;
  Memory memory;
  InlineExecutor executor;
  auto wal = start_wal(&env, &memory, inline_options(&executor));
  std::vector<std::pair<size_t, size_t>> ends;  // Bytes, and texts within them.
  size_t texts = 0;
  ends.emplace_back(kLogHeaderBytes, 0);
  for (size_t i = 0; i < 12; ++i) {
    BytesSource source(std::string(i * 5 + 1, 'x'), i % 3 + 1);
    CHECK_OK(wal->append(&source));
    texts += i % 3 + 1;
    ends.emplace_back(env.bytes(kLog)->size(), texts);
  }
  const SimEnv::Bytes whole = *env.bytes(kLog);
  for (size_t size = kLogHeaderBytes; size <= whole.size(); ++size) {
    env.bytes(kLog)->assign(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    const Found found = read_log(&env);
    CHECK_OK(found.status);
    size_t i = ends.size() - 1;
    while (ends[i].first > size) --i;
    CHECK_EQ(found.texts.size(), ends[i].second);
    CHECK_EQ(found.end.offset, ends[i].first);
    CHECK_EQ(found.end.cut_bytes, size - ends[i].first);
  }
  *env.bytes(kLog) = whole;
  CHECK_OK(wal->close());
}

// A flipped bit: in what was sealed it is damage, and told; in the last group it is a torn tail.
TEST(every_flipped_bit_is_found_or_cut) {
  SimEnv env;
  Memory memory;
  InlineExecutor executor;
  auto wal = start_wal(&env, &memory, inline_options(&executor));
  for (size_t i = 0; i < 6; ++i) {
    BytesSource source(std::string(i * 9 + 3, 'y'), i % 2 + 1);
    const auto sequence = wal->append(&source);
    if (i < 4) CHECK_OK(wal->wait_durable(sequence.value()));
  }
  const SimEnv::Bytes unsealed = *env.bytes(kLog);
  CHECK_OK(wal->close());
  const SimEnv::Bytes sealed = *env.bytes(kLog);
  // Of the sealed log all but the seal, whose loss says nothing.
  for (size_t bit = 0; bit < (sealed.size() - kRecordHeaderBytes) * 8; ++bit) {
    *env.bytes(kLog) = sealed;
    (*env.bytes(kLog))[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const ErrorCode code = read_log(&env).status.code();
    CHECK(code == ErrorCode::kCorrupt || code == ErrorCode::kFormat);
  }
  const size_t whole = [&] {
    *env.bytes(kLog) = unsealed;
    return read_log(&env).texts.size();
  }();
  for (size_t bit = kLogHeaderBytes * 8; bit < unsealed.size() * 8; ++bit) {
    *env.bytes(kLog) = unsealed;
    (*env.bytes(kLog))[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const Found found = read_log(&env);
    CHECK(!found.status.is_ok() || found.texts.size() < whole);
    CHECK(found.status.is_ok() || found.status.code() == ErrorCode::kCorrupt);
  }
}

TEST(a_failed_append_leaves_no_trace) {
  for (const bool is_full : {false, true}) {
    for (size_t fails_at = 1; fails_at <= 3; ++fails_at) {
      SimEnv env;
      Memory memory;
      InlineExecutor executor;
      auto wal = start_wal(&env, &memory, inline_options(&executor));
      BytesSource first("first");
      CHECK_OK(wal->append(&first));
      const SimEnv::Bytes before = *env.bytes(kLog);
      BytesSource second("second", 3);
      size_t writes = 0;
      if (is_full) {
        env.fault = [&](uint64_t, SimEnv::Call call) {
          SimEnv::Fault f;
          if (call == SimEnv::Call::kWrite && ++writes == fails_at) f.result = -ENOSPC;
          return f;
        };
      } else {
        second.fails_at = fails_at;
      }
      const auto refused = wal->append(&second);
      CHECK(refused.status().code() == (is_full ? ErrorCode::kNoSpace : ErrorCode::kMemory));
      env.fault = nullptr;
      CHECK(*env.bytes(kLog) == before);
      BytesSource third("third");
      CHECK_OK(wal->append(&third));
      CHECK_OK(wal->close());
      CHECK(read_log(&env).texts == (std::vector<std::string>{"first", "third"}));
    }
  }
}

TEST(a_failed_sync_poisons_the_log_and_is_not_repeated) {
  SimEnv env;
  Memory memory;
  InlineExecutor executor;
  auto wal = start_wal(&env, &memory, inline_options(&executor));
  BytesSource first("first");
  const uint64_t sequence = wal->append(&first).take();
  size_t syncs = 0;
  env.fault = [&](uint64_t, SimEnv::Call call) {
    SimEnv::Fault f;
    if (call == SimEnv::Call::kSync && ++syncs == 1) f.result = -EIO;
    return f;
  };
  CHECK(wal->wait_durable(sequence).code() == ErrorCode::kIoPoisoned);
  CHECK(wal->wait_durable(sequence).code() == ErrorCode::kIoPoisoned);
  BytesSource second("second");
  CHECK(wal->append(&second).status().code() == ErrorCode::kIoPoisoned);
  CHECK(wal->close().code() == ErrorCode::kIoPoisoned);
  CHECK_EQ(syncs, 1);
}

// Interrupted and partial calls are carried on with.
TEST(interrupted_and_short_calls_are_whole_in_the_end) {
  SimEnv env;
  Memory memory;
  InlineExecutor executor;
  env.fault = [&](uint64_t number, SimEnv::Call call) {
    SimEnv::Fault f;
    if (call != SimEnv::Call::kSync && number % 3 == 0) f.result = -EINTR;
    f.bytes_max = 1 + number % 7;
    return f;
  };
  auto wal = start_wal(&env, &memory, inline_options(&executor));
  BytesSource source(std::string(100, 'z'), 2);
  CHECK_OK(wal->append(&source));
  CHECK_OK(wal->close());
  CHECK_EQ(read_log(&env).texts.size(), 2);
}

// Many threads commit; each answer comes after a sync that covers it, and syncs are shared.
TEST(commits_of_many_threads_share_syncs) {
  SimEnv env;
  Memory memory;
  auto pool = ThreadPool::create(2).take();
  std::atomic<uint64_t> syncs{0};
  env.fault = [&](uint64_t, SimEnv::Call call) {
    if (call == SimEnv::Call::kSync) {
      ++syncs;
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
    return SimEnv::Fault();
  };
  Wal::Options options;
  options.executor = pool.get();
  auto wal = start_wal(&env, &memory, options);
  constexpr size_t kThreads = 6;
  constexpr size_t kCommits = 60;
  std::atomic<uint64_t> answered{0};
  std::vector<DurableWaiter> waiters(kThreads * kCommits);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < kCommits; ++i) {
        BytesSource source("commit");
        const auto sequence = wal->append(&source);
        CHECK_OK(sequence);
        if (i % 4 == 0) {
          CHECK_OK(wal->wait_durable(sequence.value()));
          CHECK(wal->is_durable(sequence.value()));
          ++answered;
          continue;
        }
        DurableWaiter& waiter = waiters[t * kCommits + i];
        waiter.sequence = sequence.value();
        waiter.context = &answered;
        waiter.on_durable = [](DurableWaiter* self) {
          CHECK_OK(self->status);
          ++*static_cast<std::atomic<uint64_t>*>(self->context);
        };
        wal->answer_when_durable(&waiter);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_OK(wal->close());
  pool.reset();  // Runs the answers that wait.
  CHECK_EQ(answered.load(), kThreads * kCommits);
  CHECK(syncs.load() < kThreads * kCommits / 2);
  CHECK_EQ(read_log(&env).texts.size(), kThreads * kCommits);
}

// Nobody waits, and yet the interval's end finds it on the device, and a seal behind it.
TEST(periodic_logs_sync_and_seal_by_themselves) {
  SimEnv env;
  Memory memory;
  auto pool = ThreadPool::create(1).take();
  Wal::Options options;
  options.executor = pool.get();
  options.durability = Durability::kPeriodic;
  options.interval_ms = 5;
  auto wal = start_wal(&env, &memory, options);
  BytesSource source("some");
  const uint64_t sequence = wal->append(&source).take();
  for (int i = 0; i < 2000 && wal->appended() == sequence; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(wal->is_durable(sequence));
  CHECK_EQ(wal->appended(), sequence + 1);
  CHECK_OK(wal->close());
  CHECK(read_log(&env).end.is_sealed);
}

// Payloads that are cut or changed are refused or read within their bounds, never beyond.
TEST(payloads_trust_no_length) {
  class Rows final : public RecordRows {
   public:
    RecordId id(size_t row) const override {
      return row % 2 == 0 ? RecordId{false, row * 1000, {}} : RecordId{true, 0, "text"};
    }
    std::string_view metadata(size_t row) const override { return row == 1 ? "{\"a\":1}" : ""; }
    const float* vector(size_t) const override { return values_; }

   private:
    float values_[3] = {1, 2, 3};
  };
  Memory memory;
  Random random(test_seed());
  Array<std::byte> put(&memory.account, Use::kScratch);
  const RowsShape shape{5, 3, true, false};
  CHECK_OK(encode_put(Rows(), shape, 0, 4, &put));
  PutRecord whole;
  REQUIRE(decode_put(put.data(), put.size(), &whole));
  CHECK_EQ(whole.rows, 4);
  CHECK_EQ(whole.dimensions, 3);
  for (size_t row = 0; row < 4; ++row) {
    const RecordId id = whole.ids.next();
    CHECK(id.is_string == (row % 2 == 1));
    CHECK(id.is_string ? id.text == "text" : id.integer == row * 1000);
  }
  CHECK_EQ(load_number<uint32_t>(whole.lengths + 4), 7);
  for (size_t size = 0; size < put.size(); ++size) {
    const std::vector<std::byte> cut(put.data(), put.data() + size);  // Its own memory: for ASan.
    PutRecord record;
    CHECK(!decode_put(cut.data(), cut.size(), &record));
  }
  for (int i = 0; i < 20000; ++i) {
    std::vector<std::byte> changed(put.data(), put.data() + put.size());
    for (uint64_t n = 1 + random.below(3); n > 0; --n) {
      changed[random.below(changed.size())] = static_cast<std::byte>(random.next());
    }
    PutRecord record;
    if (!decode_put(changed.data(), changed.size(), &record)) continue;
    size_t bytes = 0;
    for (size_t row = 0; row < record.rows; ++row) bytes += record.ids.next().text.size();
    CHECK(bytes <= changed.size());
  }
}

TEST(manifests_are_whole_or_refused) {
  SimEnv env;
  CHECK_EQ(env.make_directory("/db"), 0);
  Manifest m;
  m.database_id = 3;
  m.seed = 4;
  m.generation = 5;
  m.log_number = m.last_number = 6;
  m.durable_sequence = 9;
  CHECK_OK(write_manifest(&env, "/db", m));
  const auto read = read_manifest(&env, "/db");
  REQUIRE(read.is_ok());
  CHECK_EQ(read.value().durable_sequence, 9);
  CHECK_EQ(read.value().log_number, 6);
  SimEnv::Bytes* bytes = env.bytes("/db/MANIFEST");
  const SimEnv::Bytes whole = *bytes;
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    *bytes = whole;
    (*bytes)[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const ErrorCode code = read_manifest(&env, "/db").status().code();
    CHECK(code == ErrorCode::kCorrupt || code == ErrorCode::kFormat);
  }
  for (size_t size = 0; size < whole.size(); ++size) {
    bytes->assign(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    const ErrorCode code = read_manifest(&env, "/db").status().code();
    CHECK(code == ErrorCode::kCorrupt || code == ErrorCode::kFormat);
  }
  // A newer version: another number, and a checksum that is right.
  *bytes = whole;
  (*bytes)[8] = kFormatVersion + 1;
  const auto newer = read_manifest(&env, "/db");
  CHECK(newer.status().code() == ErrorCode::kFormat);
  CHECK(newer.status().message().find("/db/MANIFEST") != std::string::npos);
  CHECK(read_manifest(&env, "/nothing").status().code() == ErrorCode::kNotFound);
}
