// A chain of two logs from bytes: it opens up to some end, or is refused; what is opened can be
// read again, copied and written on. The bytes are records to be written, and changes to the files.
#include <cstdint>

#include "../native/sim_env.h"
#include "storage/directory.h"

using namespace omen;

namespace {

constexpr char kPath[] = "/d";
constexpr size_t kChangesMax = 8;

// Takes numbers while there are any.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  uint32_t next() {
    uint32_t value = 0;
    for (int i = 0; i < 2 && size_ > 0; ++i, --size_) value = value << 8 | *data_++;
    return value;
  }
  bool has_more() const { return size_ > 0; }

 private:
  const uint8_t* data_;
  size_t size_;
};

// Records as the input says; sequences as a chain has them.
void write_logs(test::SimEnv* env, Input* in, MemoryAccount* account) {
  Manifest manifest;
  manifest.database_id = 1;
  manifest.log_number = 1;
  manifest.last_number = 2;
  manifest.files.push_back({2, 0, 0, static_cast<uint32_t>(ManifestKind::kLog), 0});
  uint64_t sequence = 0;
  for (uint64_t number = 1; number <= 2; ++number) {
    auto log = LogWriter::create(env, log_path(kPath, number), {1, number, number == 1 ? 1u : 0u});
    if (number == 2) log.value()->continue_after(sequence);
    uint64_t watermark = number == 2 ? sequence : 0;
    for (uint32_t n = in->next() % 8; n > 0; --n) {
      const uint32_t what = in->next();
      Array<std::byte> record(account, Use::kScratch);
      (void)record.resize(kRecordHeaderBytes + what % 64).is_ok();
      if ((what & 0x100) != 0) watermark = log.value()->place().sequence;
      const auto flags = static_cast<uint8_t>((what & 0x600) == 0x600 ? kMoreFollows : 0);
      const auto type = static_cast<RecordType>(1 + what / 0x800 % kRecordTypeMax);
      (void)log.value()->append({type, flags, watermark}, &record).is_ok();
    }
    sequence = log.value()->place().sequence;
  }
  (void)write_manifest(env, kPath, manifest).is_ok();
}

void change(test::SimEnv::Bytes* bytes, Input* in) {
  const uint32_t how = in->next();
  const size_t at = bytes->empty() ? 0 : in->next() % bytes->size();
  if (how % 4 == 0) {
    bytes->resize(at);
  } else if (how % 4 == 1) {
    bytes->push_back(static_cast<uint8_t>(in->next()));
  } else if (!bytes->empty()) {
    (*bytes)[at] ^= static_cast<uint8_t>(1u << in->next() % 8);
  }
}

// The records that are found; UINT64_MAX: it does not open.
uint64_t count(test::SimEnv* env, MemoryAccount* account, bool read_only) {
  Directory::Options how;
  how.read_only = read_only;
  const auto opened = Directory::open(env, kPath, how, account);
  if (!opened.is_ok()) return UINT64_MAX;
  uint64_t records = 0;
  for (LogRecord record;;) {
    const auto next = opened.value()->next(&record);
    OMEN_ASSERT(next.is_ok());
    if (!next.value()) break;
    ++records;
  }
  if (!read_only) OMEN_ASSERT(opened.value()->open_writer().is_ok());
  return records;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemoryBudget budget;
  MemoryAccount account(&budget);
  test::SimEnv env;
  (void)env.make_directory(kPath);
  Input in(data, size);
  write_logs(&env, &in, &account);
  for (size_t i = 0; i < kChangesMax && in.has_more(); ++i) {
    change(env.bytes(log_path(kPath, 1 + in.next() % 2)), &in);
  }
  const uint64_t seen = count(&env, &account, true);
  const uint64_t taken = count(&env, &account, false);
  OMEN_ASSERT(seen == taken);  // A reader sees what a writer recovers,
  if (taken != UINT64_MAX) OMEN_ASSERT(count(&env, &account, false) == taken);  // for good.
  return 0;
}
