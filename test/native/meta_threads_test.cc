// Readers run while the one writer changes metadata: what they find is always some version that was
// there, and what never changes is always found. Runs under ThreadSanitizer.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "memory/budget.h"
#include "memory/epoch.h"
#include "meta/columns.h"
#include "meta/compiled_filter.h"
#include "test.h"

using namespace omen;
using namespace omen::test;

namespace {

class SlotIds final : public RowIds {
 public:
  bool id_of(uint32_t slot, uint64_t* integer, std::string_view*) const override {
    *integer = slot;
    return true;
  }
};

constexpr uint32_t kSlots = 600;

// Field "stable" of even slots never changes in meaning; "moving" takes any type.
std::string random_record(Random* r, uint32_t slot) {
  std::string moving;
  switch (r->below(6)) {
    case 0: moving = std::to_string(r->below(100)); break;
    case 1: moving = "\"text " + std::to_string(r->below(200)) + "\""; break;
    case 2: moving = "[1,\"t" + std::to_string(r->below(100)) + "\",null]"; break;
    case 3:
      moving = "{\"$date\":\"+200000-01-0" + std::to_string(1 + r->below(9)) + "\"}";
      break;
    case 4: moving = "{\"inner\":" + std::to_string(r->below(9)) + "}"; break;
    default: moving = "true"; break;
  }
  return std::string("{\"stable\":\"") + (slot % 2 ? "odd" : "even") + "\",\"moving\":" + moving +
         ",\"f" + std::to_string(r->below(40)) + "\":1}";
}

}  // namespace

TEST(readers_beside_the_writer) {
  const uint64_t seed = test_seed();
  MemoryBudget budget;
  MemoryAccount account(&budget);
  EpochDomain epochs;
  Columns columns(&account, &epochs);
  SlotIds ids;
  const auto put = [&](Random* r, uint32_t slot) {
    auto record = columns.parse(random_record(r, slot));
    CHECK_OK(record.status());
    CHECK_OK(columns.reserve({&slot, 1}, {&record.value(), 1}));
    columns.apply(slot, record.take());
  };
  Random first(seed);
  for (uint32_t slot = 0; slot < kSlots; ++slot) put(&first, slot);

  const char* kFilters[] = {
      "{\"stable\":\"even\"}",
      "{\"moving\":{\"$lt\":50}}",
      "{\"moving\":{\"$gte\":\"text 1\"}}",
      "{\"moving\":{\"$contains\":[\"t5\",null]}}",
      "{\"moving\":{\"$in\":[1,\"t7\",\"text 9\",null,true,2,3,4,5,6]}}",
      "{\"$or\":[{\"moving.inner\":{\"$ne\":3}},{\"f3\":1}]}",
      "{\"moving\":{\"$gt\":{\"$date\":\"2020-01-01\"}}}",
  };
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (uint64_t t = 0; t < 3; ++t) {
    readers.emplace_back([&, t] {
      Random r(seed + 100 + t);
      uint64_t rounds = 0;
      while (!stop.load() || rounds < 20) {
        ++rounds;
        const uint64_t which = r.below(std::size(kFilters));
        auto filter = Filter::parse(kFilters[which], nullptr);
        const EpochDomain::Pin pin = epochs.pin();
        auto compiled = CompiledFilter::compile(*filter.value(), columns, ids);
        RowSet rows;
        CHECK_OK(compiled.value().run(*simd::choose_kernels().value(), kSlots, &rows));
        for (uint32_t slot = 0; slot < kSlots; ++slot) {
          if (which == 0 && rows.contains(slot) != (slot % 2 == 0)) CHECK(false);
          if (r.below(16) == 0) {
            FilterId id;
            id.integer = slot;
            const std::string_view json = columns.json(slot);
            CHECK(json.size() > 2 && json.front() == '{' && json.back() == '}');
            compiled.value().matches(slot);
            filter.value()->matches_json(json, id);
          }
        }
      }
    });
  }
  // Parsing shares nothing but the pool.
  std::thread parser([&] {
    Random r(seed + 7);
    while (!stop.load()) CHECK(columns.parse(random_record(&r, 1)).is_ok());
  });
  Random r(seed + 1);
  for (int i = 0; i < 4000; ++i) {
    put(&r, static_cast<uint32_t>(r.below(kSlots)));
    if (i % 64 == 0) epochs.collect();
  }
  stop.store(true);
  for (std::thread& t : readers) t.join();
  parser.join();
  epochs.collect();
  CHECK_OK(columns.validate(kSlots));
}

// Slots and fields that come and go while readers run: chunks, columns, tables and strings are
// retired under them.
TEST(readers_beside_growth_and_removal) {
  const uint64_t seed = test_seed();
  MemoryBudget budget;
  MemoryAccount account(&budget);
  EpochDomain epochs;
  Columns columns(&account, &epochs);
  SlotIds ids;
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    auto filter = Filter::parse("{\"$or\":[{\"a\":\"x\"},{\"b\":{\"$gt\":3}},{\"c105\":\"y\"}]}",
                                nullptr);
    uint64_t rounds = 0;
    while (!stop.load() || rounds < 5) {
      ++rounds;
      const EpochDomain::Pin pin = epochs.pin();
      auto compiled = CompiledFilter::compile(*filter.value(), columns, ids);
      RowSet rows;
      CHECK_OK(compiled.value().run(*simd::choose_kernels().value(), 5000, &rows));
    }
  });
  Random r(seed);
  for (int round = 0; round < 6; ++round) {
    for (uint32_t slot = 0; slot < 3000; slot += 1 + static_cast<uint32_t>(r.below(9))) {
      auto record = columns.parse("{\"a\":\"x\",\"b\":" + std::to_string(r.below(9)) + ",\"c" +
                                  std::to_string(100 * round + r.below(30)) +
                                  "\":[\"y\"]}");
      CHECK_OK(columns.reserve({&slot, 1}, {&record.value(), 1}));
      columns.apply(slot, record.take());
    }
    epochs.collect();
    for (uint32_t slot = 0; slot < 3000; ++slot) columns.clear(slot);
    epochs.collect();
  }
  stop.store(true);
  reader.join();
  epochs.collect();
  CHECK_OK(columns.validate(0));
  CHECK_EQ(columns.string_count(), 0);
}
