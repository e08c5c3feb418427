// A full disk, on which deleting goes on.
#include "db_disk_support.h"
#include "storage/manifest.h"
#include "storage/reserve.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDims = 32;
constexpr uint64_t kDisk = 700 << 10;

// A database of one collection, and the ids of its records.
struct FullDisk : OneCollection {
  explicit FullDisk(uint64_t seed) : OneCollection(seed), random(seed) { open(); }
  ~FullDisk() { close_files(); }

  void open() {
    DatabaseOptions o = fixture.options(&env);
    o.checkpoint_bytes = checkpoint_bytes;
    o.has_committer = has_checkpointer;
    o.executor = has_checkpointer ? nullptr : o.executor;
    OneCollection::open(o, options_of(kDims, Metric::kL2, Quantization::kSq8));
  }
  Status add(size_t count) {
    std::vector<float> rows(count * kDims);
    for (float& x : rows) x = static_cast<float>(random.below(1000));
    std::vector<uint64_t> fresh(count);
    for (size_t i = 0; i < count; ++i) fresh[i] = next_id + i;
    const Status status = write(*collection, kAdd, rows.data(), count, kDims, fresh);
    if (!status.is_ok()) return status;
    ids.insert(ids.end(), fresh.begin(), fresh.end());
    next_id += count;
    return status;
  }
  // As the checkpointer's thread would, which this database has not: now and then.
  void work_behind() {
    if (++changes % 50 == 0) (void)database->checkpoint().is_ok();
  }
  // Until not even one record finds room.
  void fill() {
    for (size_t rows = 16; rows > 0;) {
      const Status status = add(rows);
      CHECK(status.is_ok() || status.code() == ErrorCode::kNoSpace);
      if (!status.is_ok()) rows /= 2;
      work_behind();
    }
    check();
  }
  Status remove_some(size_t most) {
    Commit commit;
    commit.kind = Commit::Kind::kDeleteIds;
    for (size_t n = std::min(most, ids.size()); n > 0; --n) {
      std::swap(ids[random.below(ids.size() - commit.ids.size())],
                ids[ids.size() - 1 - commit.ids.size()]);
      commit.ids.push_back(IdOut{false, 0, ids[ids.size() - 1 - commit.ids.size()]});
    }
    // A server's: it needs room as well.
    if (has_receipts && random.below(4) == 0) commit.receipt = Receipt{};
    collection->run(&commit);
    if (!commit.status.is_ok()) return commit.status;
    CHECK_EQ(commit.count, commit.ids.size());
    ids.resize(ids.size() - commit.ids.size());
    return Status::ok();
  }
  Status remove_one() { return remove_some(1); }
  void check() {
    CHECK_EQ(collection->count(), ids.size());
    Commit upkeep;  // Looks for what no path of the graph leads to.
    upkeep.kind = Commit::Kind::kOptimize;
    collection->run(&upkeep);
    CHECK_OK(upkeep.status);
    // What a checkpoint that found no room had written takes none.
    const Result<Manifest> manifest = read_manifest(&env, kPath);
    if (!CHECK_OK(manifest.status())) return;
    const std::set<std::string> named = manifest.value().paths(kPath);
    for (const std::string& path : env.paths()) {
      const std::string name = path.substr(path.find_last_of('/') + 1);
      CHECK((!is_log_name(name) && !is_segment_name(name)) || named.count(path) > 0);
    }
    CHECK_OK(check_database(*database));
  }

  uint64_t checkpoint_bytes = 60 << 10;
  bool has_receipts = true;
  bool has_checkpointer = false;
  Random random;
  std::vector<uint64_t> ids;
  uint64_t next_id = 0;
  uint64_t changes = 0;
};

}  // namespace

// On a full disk all records can be deleted, in pieces of any size, also by who opens the database
// then; and when they are gone there is room for others.
TEST(deleting_works_on_a_full_disk) {
  FullDisk disk(test_seed());
  disk.env.capacity = kDisk;
  for (int round = 0; round < 3; ++round) {
    disk.fill();
    CHECK(disk.ids.size() > 300);
    for (int i = 0; i < 100; ++i) {
      if (!CHECK_OK(disk.remove_one())) return;
    }
    bool is_opened = false;
    for (const size_t half = disk.ids.size() / 2; !disk.ids.empty(); disk.work_behind()) {
      if (!CHECK_OK(disk.remove_some(1 + disk.random.below(60)))) return;
      if (is_opened || disk.ids.size() > half) continue;
      is_opened = true;
      disk.check();
      disk.close();
      disk.open();
      disk.check();
    }
    CHECK_OK(disk.database->checkpoint());
    CHECK_OK(disk.add(64));
    disk.check();
  }
}

// A disk that fills up is refused while the next checkpoint still fits, however small the commits:
// so that it can be done, the log goes, and deletions of any number find room, one by one as well.
TEST(a_disk_that_fills_up_keeps_room_for_the_next_checkpoint) {
  FullDisk disk(test_seed());
  disk.checkpoint_bytes = 100 << 10;  // Far more log than the reserve has room.
  disk.has_receipts = false;          // The snapshot keeps them.
  disk.close();
  disk.open();
  disk.env.capacity = 2 * kDisk;
  for (size_t rows = 64; rows > 0;) {
    const Status status = disk.add(rows);
    REQUIRE(status.is_ok() || status.code() == ErrorCode::kNoSpace);
    if (status.is_ok()) continue;
    CHECK(!status.path().empty());
    // What the checkpointer's thread would do: it is asked for by the refusal.
    if (!CHECK_OK(disk.database->checkpoint())) return;
    if (!disk.add(rows).is_ok()) rows /= 2;
  }
  CHECK(disk.env.capacity - disk.env.used() < 160 << 10);  // Little is left unused.
  disk.check();
  while (!disk.ids.empty()) {
    if (!CHECK_OK(disk.remove_one())) return;
    if (disk.ids.size() % 500 == 0 && !CHECK_OK(disk.database->checkpoint())) return;
  }
  CHECK_OK(disk.database->checkpoint());
  CHECK(disk.env.used() < 200 << 10);
  CHECK_OK(disk.add(64));
  disk.check();
}

// Deletions take from the room that the next checkpoint needs, so it comes before there is too
// little of that: with whatever room the last write was refused, and however short the log was.
TEST(what_is_deleted_leaves_the_checkpoint_its_room) {
  for (uint64_t room = 104 << 10; room <= 152 << 10; room += 16 << 10) {
    FullDisk disk(test_seed() + room);
    disk.has_receipts = false;
    disk.has_checkpointer = true;
    disk.checkpoint_bytes = 0;
    disk.open();
    REQUIRE_OK(disk.add(6000));
    REQUIRE_OK(disk.database->checkpoint());
    disk.env.capacity = disk.env.used() + room;
    while (disk.add(4).is_ok()) {
    }
    while (!disk.ids.empty()) {
      if (!CHECK_OK(disk.remove_one())) return;
    }
  }
}

// What is kept for deletions is for nothing else: a write that would fit into it is refused, until
// the disk has room again.
TEST(only_deletions_get_the_reserve) {
  FullDisk disk(test_seed());
  disk.env.capacity = kDisk;
  disk.fill();
  while (disk.env.used() + 200 <= disk.env.capacity) CHECK_OK(disk.remove_one());
  const uint64_t before = disk.env.used();
  for (int i = 0; i < 20 && disk.env.used() >= before; ++i) CHECK_OK(disk.remove_one());
  CHECK(disk.env.used() < before);  // Some of it was given back.
  const Status refused = disk.add(1);
  CHECK(refused.code() == ErrorCode::kNoSpace && !refused.path().empty());
  CHECK_OK(disk.remove_one());
  disk.check();
  disk.env.capacity = 2 * kDisk;
  CHECK_OK(disk.add(1));
  disk.check();
}

// Where a file system cannot allocate, all is as it would be without a reserve.
TEST(a_database_does_without_a_reserve) {
  FullDisk disk(test_seed());
  disk.close();
  disk.env.fault = [](uint64_t, SimEnv::Call call) {
    return call == SimEnv::Call::kAllocate ? SimEnv::Fault{-EOPNOTSUPP} : SimEnv::Fault();
  };
  CHECK_OK(disk.env.remove(std::string(kPath) + "/RESERVE") >= 0
               ? Status::ok()
               : Status::error(ErrorCode::kIo, "there was no reserve"));
  disk.open();
  disk.env.capacity = disk.env.used() + (100 << 10);
  disk.fill();
  Status status;
  while (status.is_ok() && !disk.ids.empty()) status = disk.remove_one();
  CHECK(status.is_ok() || status.code() == ErrorCode::kNoSpace);
  disk.check();
  disk.env.capacity = UINT64_MAX;
  CHECK_OK(disk.add(10));
  disk.check();
}

// Its size follows what is stored, within bounds, and is taken up again where it was left.
TEST(the_reserve_follows_what_is_stored) {
  SimEnv env(test_seed());
  REQUIRE(env.make_directory(kPath) >= 0);
  {
    Reserve reserve(&env, kPath);
    CHECK(!reserve.spend() && reserve.is_whole());  // There is none yet.
    reserve.aim(1000);
    CHECK_EQ(env.used(), 64 << 10);
    reserve.aim(64 << 20);
    CHECK_EQ(env.used(), 1 << 20);
    reserve.aim(uint64_t{1} << 40);
    CHECK_EQ(env.used(), 16 << 20);
    env.capacity = 16 << 20;
    CHECK(reserve.spend() && !reserve.is_whole());
    CHECK_EQ(env.used(), 8 << 20);
    env.capacity = 10 << 20;
    CHECK(!reserve.restore() && !reserve.is_whole());
    CHECK(env.used() > 9 << 20);  // What could be had.
    CHECK(reserve.spend() && reserve.spend());
    CHECK(env.used() < 3 << 20);
    env.capacity = 20 << 20;
    CHECK(reserve.restore() && reserve.is_whole());
    CHECK_EQ(env.used(), 16 << 20);
    reserve.aim(64 << 20);
    CHECK_EQ(env.used(), 1 << 20);
    CHECK_EQ(reserve.spendings(), 3);
  }
  Reserve again(&env, kPath);
  CHECK(again.is_whole() && again.spend_all());
  CHECK_EQ(env.used(), 0);
  CHECK(!again.spend() && !again.is_whole());
}
