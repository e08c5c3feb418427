// The log after crashes, where an outside look at the database cannot tell: what was undone stays
// undone, and bytes that users store are never taken for records.
#include "sim_env.h"
#include "storage/log.h"
#include "test.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr char kLog[] = "/log";
const LogHeader kHeader{7, 8, 1};

struct Memory {
  MemoryBudget budget;
  MemoryAccount account{&budget};
};

Status append(LogWriter* log, Memory* memory, const std::string& text, uint64_t watermark) {
  Array<std::byte> record(&memory->account, Use::kScratch);
  OMEN_TRY(record.resize(kRecordHeaderBytes));
  OMEN_TRY(record.append(reinterpret_cast<const std::byte*>(text.data()), text.size()));
  return log->append({RecordType::kClear, 0, watermark}, &record);
}

Result<LogEnd> end_of(Env* env, Memory* memory) {
  OMEN_ASSIGN(const std::unique_ptr<File> file, File::open(env, kLog, Env::kRead));
  LogReader reader(file.get(), &memory->account);
  OMEN_TRY(reader.open(kHeader.database_id));
  return reader.scan();
}

}  // namespace

// A write may fail and yet have reached the file. It was refused, so no crash may bring it back.
TEST(a_refused_append_does_not_come_back_after_a_crash) {
  Memory memory;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SimEnv env;
    const auto start = env.copy(1);
    auto log = LogWriter::create(&env, kLog, kHeader).take();
    CHECK_EQ(env.sync_directory("/"), 0);
    CHECK_OK(append(log.get(), &memory, "kept", 0));
    CHECK_OK(log->sync());
    const LogWriter::Place place = log->place();
    env.fault = [](uint64_t, SimEnv::Call call) {
      return call == SimEnv::Call::kWrite ? SimEnv::Fault{-ENOSPC, true, 0} : SimEnv::Fault();
    };
    CHECK(append(log.get(), &memory, "refused", 1).code() == ErrorCode::kNoSpace);
    env.fault = nullptr;
    CHECK_OK(log->rewind(place));
    const auto left = env.after_crash(*start, env.changes(), SimEnv::Keep::kSome, seed);
    const auto end = end_of(left.get(), &memory);
    if (CHECK_OK(end)) CHECK_EQ(end.value().sequence, 1);
  }
}

// A whole record of this very log, with a watermark, stored by a user as data: behind a torn header
// it must not pass for a later record, which would make the torn tail look like damage.
TEST(a_record_is_valid_in_its_own_place_alone) {
  Memory memory;
  std::string stored;  // Record 3, as its bytes lie.
  {
    SimEnv env;
    auto log = LogWriter::create(&env, kLog, kHeader).take();
    CHECK_OK(append(log.get(), &memory, "one", 0));
    CHECK_OK(append(log.get(), &memory, "two", 1));
    const uint64_t from = log->place().offset;
    CHECK_OK(append(log.get(), &memory, "three", 2));
    const SimEnv::Bytes& bytes = *env.bytes(kLog);
    stored.assign(bytes.begin() + static_cast<ptrdiff_t>(from), bytes.end());
  }
  SimEnv env;
  auto log = LogWriter::create(&env, kLog, kHeader).take();
  CHECK_OK(append(log.get(), &memory, "one", 0));
  const uint64_t torn = log->place().offset;
  CHECK_OK(append(log.get(), &memory, std::string(512, 'x') + stored, 0));
  (*env.bytes(kLog))[torn] ^= 1;
  const auto end = end_of(&env, &memory);
  if (CHECK_OK(end)) CHECK_EQ(end.value().sequence, 1);
}
