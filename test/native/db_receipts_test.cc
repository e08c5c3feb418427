// Receipts: what writes came to is known to whoever opens the database next, for as long as is
// promised. That a receipt is there exactly if its commit is: db_crash_test.
#include <algorithm>

#include "db/receipts.h"
#include "db_disk_support.h"

using namespace omen;
using namespace omen::test;

namespace {

ReceiptTag tag_of(uint64_t n) {
  ReceiptTag tag{};
  store_number(tag.data(), n);
  return tag;
}

uint64_t number_of(const Receipt& receipt) { return load_number<uint64_t>(receipt.tag.data()); }

std::vector<uint64_t> numbers(const std::vector<Receipt>& receipts) {
  std::vector<uint64_t> out;
  for (const Receipt& receipt : receipts) out.push_back(number_of(receipt));
  return out;
}

}  // namespace

// Against a plain list: those not older than the limit, up to a sequence, in order, whatever came
// and went before.
TEST(receipts_are_kept_for_their_time) {
  Random random(test_seed());
  ManualClock clock(1);
  MemoryBudget budget;
  MemoryAccount account(&budget);
  Receipts receipts(&account, &clock);
  struct Noted {
    uint64_t sequence;
    uint64_t at_ns;
  };
  std::vector<Noted> model;
  uint64_t sequence = 0;
  for (int i = 0; i < 5000; ++i) {
    // Sometimes all of them age, sometimes none does.
    clock.advance_ns(random.below(i % 1000 < 500 ? Receipts::kKeptNs / 20 : 1000));
    sequence += random.below(3);
    REQUIRE_OK(receipts.reserve());
    receipts.note({.tag = tag_of(model.size()), .count = model.size()}, sequence);
    model.push_back({sequence, clock.now_ns()});
    if (random.below(10) > 0) continue;
    CHECK(receipts.validate());
    const uint64_t up_to = sequence - std::min(sequence, random.below(20));
    std::vector<uint64_t> wanted;
    for (size_t n = 0; n < model.size(); ++n) {
      const bool is_kept = clock.now_ns() - model[n].at_ns <= Receipts::kKeptNs;
      if (is_kept && model[n].sequence <= up_to) wanted.push_back(n);
    }
    CHECK(numbers(receipts.list(up_to)) == wanted);
  }
  CHECK(receipts.list(sequence).size() > 100);
  CHECK(account.used(Use::kScratch) < 500'000);  // The old ones went.
}

// Neither lost nor doubled by any number of checkpoints and openings, beside writes without tags.
TEST(receipts_outlive_checkpoints_and_openings) {
  Random random(test_seed());
  OneCollection on(test_seed());
  CollectionOptions options;
  options.metric = Metric::kL2;
  options.given = CollectionOptions::kGivenMetric;
  on.open(on.fixture.options(&on.env), options);
  const uint64_t id = on.database->id();
  CHECK(id != 0);
  std::vector<uint64_t> wanted;
  for (uint64_t n = 0; n < 300; ++n) {
    Commit commit;
    commit.kind = n % 5 == 4 ? Commit::Kind::kDeleteIds : Commit::Kind::kAdd;
    if (n % 5 == 4) {
      commit.ids.push_back({false, 0, random.below(n)});
    } else {
      const float vector[2] = {static_cast<float>(n), 1};
      commit.batch = on.collection->begin_write(1, 2).take();
      REQUIRE_OK(commit.batch->stage_vectors(0, 1, vector));
    }
    if (random.below(2) == 0) {
      commit.receipt = Receipt{.tag = tag_of(n)};
      wanted.push_back(n);
    }
    on.collection->run(&commit);
    CHECK_OK(commit.status);
    if (random.below(12) == 0) CHECK_OK(on.database->checkpoint());
    if (random.below(12) == 0) {
      on.open(on.fixture.options(&on.env), options);
      CHECK_EQ(on.database->id(), id);
    }
    CHECK(numbers(on.database->receipts()) == wanted);
  }
}

// A write that is refused leaves none, nor does one on a disk that takes no more.
TEST(what_was_not_done_has_no_receipt) {
  OneCollection on(test_seed());
  on.open(on.fixture.options(&on.env), CollectionOptions());
  Commit commit;
  commit.kind = Commit::Kind::kUpdate;
  commit.ids.push_back({false, 0, 7});
  commit.metadata = "{}";
  commit.receipt = Receipt{.tag = tag_of(1)};
  on.collection->run(&commit);
  CHECK(commit.status.code() == ErrorCode::kNotFound);
  CHECK(on.database->receipts().empty());
  const ReceiptTag tag = tag_of(2);
  const auto made = on.database->collection("a", CollectionOptions(), OpenMode::kCreate, &tag);
  CHECK(made.status().code() == ErrorCode::kExists);
  CHECK(on.database->receipts().empty());
  on.open(on.fixture.options(&on.env), CollectionOptions());
  CHECK(on.database->receipts().empty());
}

TEST(a_database_in_memory_keeps_none) {
  DiskFixture fixture;
  DatabaseOptions options;
  options.executor = &fixture.executor;
  const auto database = Database::open_memory(options).take();
  const ReceiptTag tag = tag_of(1);
  REQUIRE_OK(database->collection("a", CollectionOptions(), OpenMode::kCreate, &tag));
  CHECK_OK(database->drop_collection("a", &tag));
  CHECK(database->receipts().empty());
  CHECK_EQ(database->id(), 0u);
}
