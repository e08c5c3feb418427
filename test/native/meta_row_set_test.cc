// RowSet against a plain std::set.
#include <set>

#include "memory/budget.h"
#include "meta/row_set.h"
#include "test.h"

using namespace omen;
using namespace omen::test;

namespace {

std::set<uint32_t> slots_of(const RowSet& rows) {
  std::set<uint32_t> out;
  rows.for_each([&](uint32_t slot) { out.insert(slot); });
  return out;
}

std::set<uint32_t> below(const std::set<uint32_t>& from, uint32_t bound) {
  return {from.begin(), from.lower_bound(bound)};
}

void check_same(const RowSet& rows, const std::set<uint32_t>& model) {
  CHECK_OK(rows.validate());
  CHECK_EQ(rows.count(), model.size());
  CHECK_EQ(rows.is_empty(), model.empty());
  CHECK(slots_of(rows) == model);
}

}  // namespace

// Random operations of all kinds, at sizes around words, keep the bitmap equal to the set.
TEST(row_sets_agree_with_plain_sets) {
  Random r(test_seed());
  MemoryBudget budget;
  MemoryAccount account(&budget);
  for (int round = 0; round < 60; ++round) {
    RowSet a(&account), b(&account);
    std::set<uint32_t> ma, mb;
    uint32_t size_a = 0, size_b = 0;
    for (int step = 0; step < 100; ++step) {
      const uint32_t size = static_cast<uint32_t>(r.below(4) ? r.below(300) : 64 * r.below(5));
      switch (r.below(12)) {
        case 0:
          CHECK_OK(a.resize(size));
          size_a = size;
          ma = below(ma, size);
          break;
        case 1:
          CHECK_OK(b.resize(size));
          size_b = size;
          mb = below(mb, size);
          break;
        case 2:
          if (size_b <= size_a) {
            a.or_with(b);
            ma.insert(mb.begin(), mb.end());
          }
          break;
        case 3: {
          a.and_with(b);
          std::set<uint32_t> kept;
          for (const uint32_t s : ma) if (mb.count(s)) kept.insert(s);
          ma = kept;
          break;
        }
        case 4:
          a.and_not(b);
          for (const uint32_t s : mb) ma.erase(s);
          break;
        case 5:
          b.fill();
          for (uint32_t s = 0; s < size_b; ++s) mb.insert(s);
          break;
        case 6:
          b.clear();
          mb.clear();
          break;
        case 7:
          CHECK_OK(b.copy_from(a));
          size_b = size_a;
          mb = ma;
          break;
        default:
          for (int i = 0; i < 20; ++i) {
            const auto slot = static_cast<uint32_t>(r.below(size_a + 1));
            if (slot == size_a) continue;
            if (r.below(3)) {
              a.add(slot);
              ma.insert(slot);
            } else {
              a.remove(slot);
              ma.erase(slot);
            }
          }
      }
      check_same(a, ma);
      check_same(b, mb);
      uint32_t both = 0;
      for (const uint32_t s : ma) both += mb.count(s) != 0;
      CHECK_EQ(a.count_and(b), both);
      const auto probe = static_cast<uint32_t>(r.below(400));
      CHECK_EQ(a.contains(probe), ma.count(probe) != 0);
      const auto it = ma.lower_bound(probe);
      CHECK_EQ(a.next(probe), it == ma.end() ? size_a : *it);
    }
    CHECK_EQ(account.used(Use::kScratch), a.bytes() + b.bytes());
  }
  CHECK_EQ(account.total(), 0);
}

// A refused allocation leaves the set as it was.
TEST(row_set_respects_the_budget) {
  MemoryBudget budget(1000);
  MemoryAccount account(&budget);
  RowSet rows(&account);
  CHECK_OK(rows.resize(100));
  rows.add(99);
  const Status s = rows.resize(1000000);
  CHECK(s.code() == ErrorCode::kMemory);
  CHECK_EQ(rows.size(), 100);
  CHECK(rows.contains(99));
  RowSet moved = std::move(rows);
  CHECK_EQ(moved.count(), 1);
  moved.reset();
  CHECK_EQ(account.total(), 0);
}
