// Columns: records in and out, all or nothing, memory that comes back, limits with their messages.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "memory/budget.h"
#include "memory/epoch.h"
#include "meta/columns.h"
#include "meta/merge.h"
#include "meta_model.h"
#include "test.h"

using namespace omen;
using namespace omen::test;

namespace {

struct Fixture {
  explicit Fixture(uint64_t limit = 0) : budget(limit) {}
  MemoryBudget budget;
  MemoryAccount account{&budget};
  EpochDomain epochs;
  std::unique_ptr<Columns> columns = std::make_unique<Columns>(&account, &epochs);

  Status put(uint32_t slot, const std::string& json) {
    OMEN_ASSIGN(ParsedRecord record, columns->parse(json));
    OMEN_TRY(columns->reserve({&slot, 1}, {&record, 1}));
    columns->apply(slot, std::move(record));
    return Status::ok();
  }
};

std::string path_of(const Fixture& f, const std::string& json) {
  auto record = f.columns->parse(json);
  if (record.is_ok()) return "accepted";
  CHECK(record.status().code() == ErrorCode::kMetadata);
  return record.status().path();
}

}  // namespace

// What was stored is read back to the byte, and validate() holds after any sequence of writes.
TEST(records_round_trip) {
  Random r(test_seed());
  Fixture f;
  std::map<uint32_t, std::string> model;
  for (int step = 0; step < 3000; ++step) {
    const auto slot = static_cast<uint32_t>(r.below(900));
    if (r.below(4) == 0) {
      f.columns->clear(slot);
      model.erase(slot);
    } else {
      const std::string json = json_of(random_document(&r));
      CHECK_OK(f.put(slot, json));
      model[slot] = json;
    }
    if (step % 500 == 0) {
      f.epochs.collect();
      CHECK_OK(f.columns->validate(900));
    }
  }
  for (const auto& [slot, json] : model) CHECK_EQ(f.columns->json(slot), std::string_view(json));
  CHECK_OK(f.columns->validate(900));
  f.columns.reset();
  CHECK_EQ(f.account.total(), 0);
}

// What a snapshot brings is filled into the same columns that writing it makes, without a second
// copy of its texts, and may be written to and cleared as if it had been written.
TEST(stored_blocks_fill_the_same_columns) {
  Random r(test_seed());
  for (int round = 0; round < 8; ++round) {
    Fixture written;
    Fixture opened;
    std::vector<std::string> jsons;
    std::vector<std::string_view> views;
    std::vector<uint32_t> slots;
    for (uint32_t slot = 0; slot < 700; ++slot) {
      std::string json = json_of(random_document(&r));
      CHECK_OK(written.put(slot, json));
      if (written.columns->block(slot) == nullptr) continue;  // {} has none.
      jsons.push_back(std::move(json));
      slots.push_back(slot);
    }
    for (const std::string& json : jsons) views.push_back(json);
    CHECK_OK(opened.columns->cover(700, 0));
    CHECK_OK(opened.columns->restore(slots, views));
    const uint64_t texts = opened.account.used(Use::kMetadata);
    std::vector<ParsedRecord> records;
    for (const uint32_t slot : slots) {
      auto record = opened.columns->parse_stored(slot);
      CHECK_OK(record.status());
      records.push_back(record.take());
    }
    CHECK_EQ(opened.account.used(Use::kMetadata), texts);
    CHECK_OK(opened.columns->fill(slots, records));
    records.clear();
    CHECK_OK(opened.columns->validate(700));
    CHECK_EQ(opened.columns->column_count(), written.columns->column_count());
    CHECK_EQ(opened.columns->string_count(), written.columns->string_count());
    for (const uint32_t slot : slots) {
      CHECK_EQ(opened.columns->json(slot), written.columns->json(slot));
      // A restored block may be taken for one with a date, but no date for a string.
      const uint32_t lost = written.columns->block(slot)->flags &
                            ~opened.columns->block(slot)->flags;
      CHECK_EQ(lost, 0);
      if (r.below(3) == 0) opened.columns->clear(slot);
      if (r.below(3) == 0) CHECK_OK(opened.put(slot, json_of(random_document(&r))));
    }
    opened.epochs.collect();
    CHECK_OK(opened.columns->validate(700));
    opened.columns.reset();
    CHECK_EQ(opened.account.total(), 0);
  }
}

// A batch that the budget refuses, at whatever allocation, leaves every column as it was.
TEST(a_refused_batch_changes_nothing) {
  Random r(test_seed());
  int refused = 0;
  for (uint64_t limit = 200000; limit < 1500000; limit += 60000) {
    Fixture f(limit);
    constexpr uint64_t kBallast = 100000;  // What validate() itself will need.
    CHECK_OK(f.account.reserve(Use::kScratch, kBallast));
    uint32_t next = 0;
    for (bool full = false; !full;) {
      std::vector<ParsedRecord> records;
      std::vector<uint32_t> slots;
      for (int i = 0; i < 40; ++i) {
        std::string json = "{\"unique\":\"" + std::to_string(r.next()) + "\",\"list\":[\"" +
                           std::to_string(r.next()) + "\",1,2],\"n" +
                           std::to_string(r.below(60)) + "\":1}";
        auto record = f.columns->parse(json);
        if (!record.is_ok()) {
          CHECK(record.status().code() == ErrorCode::kMemory);
          full = true;
          break;
        }
        records.push_back(record.take());
        slots.push_back(next + static_cast<uint32_t>(i));
      }
      if (full) break;
      const uint64_t strings = f.columns->string_count();
      const Status s = f.columns->reserve(slots, records);
      if (!s.is_ok()) {
        CHECK(s.code() == ErrorCode::kMemory);
        CHECK(s.row() >= 0);
        f.epochs.collect();
        CHECK_EQ(f.columns->string_count(), strings);
        ++refused;
        break;
      }
      for (size_t i = 0; i < slots.size(); ++i) {
        f.columns->apply(slots[i], std::move(records[i]));
      }
      next += 40;
    }
    f.account.release(Use::kScratch, kBallast);
    CHECK_OK(f.columns->validate(next));
  }
  CHECK(refused > 0);
}

// cancel() gives back what reserve() took, and the record can be reserved again.
TEST(cancelled_records_leave_no_trace) {
  Fixture f;
  auto record = f.columns->parse("{\"a\":\"text\",\"b\":[\"x\",\"y\"],\"c\":{\"d\":1}}");
  REQUIRE(record.is_ok());
  ParsedRecord r = record.take();
  const uint32_t slot = 5;
  for (int i = 0; i < 3; ++i) {
    CHECK_OK(f.columns->reserve({&slot, 1}, {&r, 1}));
    CHECK_EQ(f.columns->string_count(), 3);
    f.columns->cancel(&r);
    f.epochs.collect();
    CHECK_EQ(f.columns->string_count(), 0);
    CHECK_OK(f.columns->validate(10));
  }
  CHECK_OK(f.columns->reserve({&slot, 1}, {&r, 1}));
  f.columns->apply(slot, std::move(r));
  CHECK_EQ(f.columns->column_count(), 4);
  CHECK_OK(f.columns->validate(10));
}

// Replacing all records many times over does not grow memory: strings, arrays and blocks are freed.
TEST(churn_keeps_memory) {
  Random r(test_seed());
  Fixture f;
  uint64_t after_first = 0;
  for (int round = 0; round < 12; ++round) {
    for (uint32_t slot = 0; slot < 1000; ++slot) {
      CHECK_OK(f.put(slot, "{\"title\":\"" + std::to_string(r.next() | (uint64_t{1} << 63)) +
                               "\",\"tags\":[\"" + std::to_string(r.below(50)) + "\"]}"));
      if (slot % 100 == 0) f.epochs.collect();
    }
    f.epochs.collect();
    if (round == 1) after_first = f.account.total();
  }
  CHECK(f.account.total() <= after_first + after_first / 10);
  CHECK(f.columns->string_count() <= 1050);
  for (uint32_t slot = 0; slot < 1000; ++slot) f.columns->clear(slot);
  f.epochs.collect();
  CHECK_EQ(f.columns->string_count(), 0);
  CHECK_OK(f.columns->validate(0));
}

// Records whose sizes change, and go at last, leave no memory behind in the classes they were in.
TEST(sizes_that_change_give_memory_back) {
  Random r(test_seed());
  Fixture f;
  uint64_t live = 0;
  for (int round = 1; round <= 10; ++round) {
    live = 0;
    for (uint32_t slot = 0; slot < 100; ++slot) {
      const std::string text(static_cast<size_t>(round) * 20000 + r.below(1000), 'x');
      CHECK_OK(f.put(slot, "{\"body\":\"" + text + "\",\"n\":" + std::to_string(slot) + "}"));
      live += text.size();
      f.epochs.collect();
    }
  }
  CHECK(f.account.used(Use::kMetadata) < live + live / 10);
  for (uint32_t slot = 0; slot < 100; ++slot) f.columns->clear(slot);
  f.epochs.collect();
  CHECK(f.account.used(Use::kMetadata) < 100000);
  CHECK(f.account.used(Use::kColumns) < 100000);
  CHECK_OK(f.columns->validate(0));
}

// What metadata may not be, and where the message points.
TEST(faults_of_records) {
  Fixture f;
  CHECK_EQ(path_of(f, "[]"), std::string());
  CHECK_EQ(path_of(f, "5"), std::string());
  CHECK_EQ(path_of(f, "{"), std::string());
  CHECK_EQ(path_of(f, "{\"a.b\":1}"), std::string("a.b"));
  CHECK_EQ(path_of(f, "{\"$a\":1}"), std::string("$a"));
  CHECK_EQ(path_of(f, "{\"a\":{\"$date\":\"x\"}}"), std::string("a"));
  CHECK_EQ(path_of(f, "{\"a\":{\"$date\":\"2020-01-01\",\"b\":1}}"), std::string("a.$date"));
  CHECK_EQ(path_of(f, "{\"a\":{\"b\":{\"$c\":1}}}"), std::string("a.b.$c"));
  CHECK_EQ(path_of(f, "{\"a\":[1,{\"b\":[{\"c.d\":1}]}]}"), std::string("a[1].b[0].c.d"));
  CHECK_EQ(path_of(f, "{\"a\":[{\"$date\":5}]}"), std::string("a[0]"));
  CHECK_EQ(path_of(f, "{\"a\":[[{\"x\":{\"$date\":5}}]]}"), std::string("a[0][0].x"));
  CHECK_EQ(path_of(f, "{\"a\":[{\"b\":{\"$date\":\"2020-01-01\"}}]}"), std::string("accepted"));
  CHECK_EQ(path_of(f, "{\"\":{\"\":1}}"), std::string("accepted"));
  const std::string deep_ok(63, '['), deep_end(63, ']');
  CHECK_EQ(path_of(f, "{\"a\":" + deep_ok + deep_end + "}"), std::string("accepted"));
  CHECK_EQ(path_of(f, "{\"a\":[" + deep_ok + deep_end + "]}"), std::string());
  CHECK(path_of(f, "{\"" + std::string(5000, 'k') + "\":1}") != "accepted");
  const std::string key = "\"" + std::string(3000, 'k') + "\"";
  const std::string nested = "{" + key + ":{" + key + ":1}}";
  CHECK(path_of(f, nested) != "accepted");
}

// 1 MiB of JSON and 1 024 fields fit, one more does not; the largest array and string are indexed.
TEST(limits_of_records) {
  Fixture f;
  const std::string start = "{\"a\":\"", end = "\"}";
  const std::string longest(kRecordBytesMax - start.size() - end.size(), 'x');
  CHECK_OK(f.put(0, start + longest + end));
  CHECK(!f.columns->parse(start + longest + "x" + end).is_ok());
  std::string numbers = "{\"a\":[0";
  for (int i = 1; numbers.size() < kRecordBytesMax - 10; ++i) numbers += "," + std::to_string(i);
  CHECK_OK(f.put(1, numbers + "]}"));
  CHECK_OK(f.columns->validate(2));
  std::string fields = "{";
  for (int i = 0; i < 1023; ++i) fields += "\"f" + std::to_string(i) + "\":1,";
  CHECK_OK(f.put(2, fields + "\"a\":1}"));
  CHECK_EQ(f.columns->column_count(), 1024);
  CHECK(!f.columns->parse(fields + "\"a\":1,\"b\":1}").is_ok());
  const Status s = f.put(3, "{\"a\":1,\"one too many\":1}");
  CHECK(s.code() == ErrorCode::kMetadata);
  CHECK_EQ(s.path(), std::string("one too many"));
  CHECK_EQ(s.row(), 0);
  CHECK_OK(f.columns->validate(3));
}

// Fields that no record has any more, and those of refused batches, do not use up the limit.
TEST(fields_come_back) {
  Fixture f;
  CHECK_OK(f.put(0, "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1}"));
  const auto fields = [](const char* name, int count) {
    std::string json = "{";
    for (int i = 0; i < count; ++i) {
      json += (i > 0 ? ",\"" : "\"") + std::string(name) + std::to_string(i) + "\":\"x\"";
    }
    return json + "}";
  };
  CHECK(f.put(1, fields("x", 1022)).code() == ErrorCode::kMetadata);
  CHECK_EQ(f.columns->column_count(), 5);
  CHECK(f.columns->find("x0") == nullptr);
  CHECK_OK(f.put(1, "{\"z\":1}"));
  CHECK_OK(f.columns->validate(2));
  // Four times other keys in the same record, beside readers that may still hold the old ones.
  for (const char* name : {"p", "q", "r", "s"}) {
    const EpochDomain::Pin pin = f.epochs.pin();
    CHECK_OK(f.put(2, fields(name, 500)));
    const Column* held = f.columns->find(std::string(name) + "7");
    REQUIRE(held != nullptr);
    f.columns->clear(2);
    CHECK_OK(f.put(3, fields((name + std::string("!")).c_str(), 1018)));
    CHECK_EQ(f.columns->column_count(), 1024);
    f.epochs.collect();
    CHECK_EQ(held->cell(2), cell::kMissing);
    CHECK_EQ(held->path(), name + std::string("7"));
    CHECK_OK(f.columns->validate(4));
    f.columns->clear(3);
  }
  f.epochs.collect();
  CHECK_OK(f.columns->validate(4));
  f.columns.reset();
  CHECK_EQ(f.account.total(), 0);
}

// A batch refused at its last record leaves no field of the ones before.
TEST(a_refused_batch_leaves_no_fields) {
  Fixture f;
  std::vector<ParsedRecord> records;
  std::vector<uint32_t> slots;
  for (uint32_t i = 0; i < 3; ++i) {
    std::string json = "{";
    for (int k = 0; k < 400; ++k) {
      json += (k > 0 ? ",\"" : "\"") + std::to_string(i) + "x" + std::to_string(k) + "\":1";
    }
    records.push_back(f.columns->parse(json + "}").take());
    slots.push_back(i);
  }
  const Status s = f.columns->reserve(slots, records);
  CHECK(s.code() == ErrorCode::kMetadata);
  CHECK_EQ(s.row(), 2);
  CHECK_EQ(f.columns->column_count(), 0);
  CHECK_OK(f.columns->reserve({slots.data(), 2}, {records.data(), 2}));
  for (uint32_t i = 0; i < 2; ++i) f.columns->apply(i, std::move(records[i]));
  CHECK_EQ(f.columns->column_count(), 800);
  CHECK_OK(f.columns->validate(2));
}

// Flags tell whether dates must be revived, wherever they stand.
TEST(dates_are_flagged) {
  Fixture f;
  const char* kDate = "{\"$date\":\"2020-01-01T00:00:00.000Z\"}";
  for (const std::string& json : {std::string("{\"a\":") + kDate + "}",
                                 std::string("{\"a\":{\"b\":[1,{\"c\":") + kDate + "}]}}"}) {
    CHECK_OK(f.put(0, json));
    CHECK_EQ(f.columns->block(0)->flags, MetadataBlock::kHasDate);
  }
  CHECK_OK(f.put(0, "{\"a\":\"$date\"}"));
  CHECK_EQ(f.columns->block(0)->flags, 0);
  CHECK_OK(f.put(0, "{}"));
  CHECK(f.columns->block(0) == nullptr);
}

// The schema refuses other types, and only its fields become columns.
TEST(schema_checks_records) {
  Fixture f;
  auto schema = Schema::parse(
      "{\"year\":\"number\",\"tags\":\"string[]\",\"who.born\":\"date\",\"ok\":\"boolean\","
      "\"body\":{\"type\":\"string\",\"index\":false}}");
  REQUIRE(schema.is_ok());
  f.columns->set_schema(schema.take());
  CHECK_OK(f.put(0, "{\"year\":1,\"tags\":[\"a\"],\"who\":{\"born\":{\"$date\":\"2020-01-01\"},"
                    "\"name\":\"x\"},\"body\":\"text\",\"other\":[1],\"ok\":true}"));
  CHECK_EQ(f.columns->column_count(), 5);  // year, tags, who, who.born, ok
  CHECK_OK(f.put(1, "{\"year\":null,\"tags\":null}"));
  CHECK_OK(f.columns->validate(2));
  CHECK_EQ(path_of(f, "{\"year\":\"1\"}"), std::string("year"));
  CHECK_EQ(path_of(f, "{\"year\":[1]}"), std::string("year"));
  CHECK_EQ(path_of(f, "{\"tags\":\"a\"}"), std::string("tags"));
  CHECK_EQ(path_of(f, "{\"tags\":[\"a\",null]}"), std::string("tags[1]"));
  CHECK_EQ(path_of(f, "{\"who\":{\"born\":\"2020-01-01\"}}"), std::string("who.born"));
  CHECK_EQ(path_of(f, "{\"body\":5}"), std::string("body"));
  CHECK_EQ(path_of(f, "{\"ok\":1}"), std::string("ok"));
}

// Schemas: what is refused, and that equal ones have equal texts.
TEST(schemas) {
  for (const char* bad :
       {"[]", "5", "{\"a\":\"text\"}", "{\"a\":\"[]\"}", "{\"a\":5}", "{\"a\":{}}",
        "{\"$a\":\"date\"}",
        "{\"a\":{\"type\":\"date\",\"index\":1}}", "{\"a\":{\"type\":\"date\",\"unique\":true}}",
        "{\"a\":\"number\",\"a.b\":\"number\"}", "{\"a.b.c\":\"date\",\"a.b\":\"date\"}",
        "{\"\":\"date\"}", "{\"a.$b\":\"date\"}", "{\"a\":\"number[][]\"}"}) {
    auto s = Schema::parse(bad);
    CHECK(!s.is_ok());
    if (s.is_ok()) std::printf("  accepted: %s\n", bad);
  }
  auto a = Schema::parse("{\"x\":\"number\",\"a b\":{\"type\":\"date[]\",\"index\":true}}");
  auto b = Schema::parse("{ \"a b\" : \"date[]\", \"x\" : {\"index\":true, \"type\":\"number\"} }");
  REQUIRE(a.is_ok());
  REQUIRE(b.is_ok());
  CHECK_EQ(a.value()->text(), b.value()->text());
  auto again = Schema::parse(a.value()->text());
  REQUIRE(again.is_ok());
  CHECK_EQ(again.value()->text(), a.value()->text());
  auto p = Schema::parse("{\"a!\":\"date\",\"a.b.c\":\"date\",\"a/\":\"date\",\"ab\":\"date\"}");
  REQUIRE(p.is_ok());
  CHECK(p.value()->is_prefix("a"));
  CHECK(p.value()->is_prefix("a.b"));
  for (const char* none : {"a.b.c", "ab", "a!", "b", "", "a."}) CHECK(!p.value()->is_prefix(none));
}

// update(): top-level keys replace, join and leave; what is not touched keeps its very text.
TEST(merges) {
  const auto merged = [](const char* old_json, const char* change,
                         std::vector<std::string> unset = {}) {
    auto r = merge_metadata(old_json, change, unset);
    return r.is_ok() ? r.value() : "error at " + r.status().path();
  };
  CHECK_EQ(merged("{}", "{}"), std::string("{}"));
  CHECK_EQ(merged("", "{\"a\":1}"), std::string("{\"a\":1}"));
  CHECK_EQ(merged("{\"a\": 1.0 ,\"b\":{\"c\":1}}", "{\"b\":{\"d\":2}}"),
           std::string("{\"a\":1.0,\"b\":{\"d\":2}}"));
  CHECK_EQ(merged("{\"a\":1,\"b\":2,\"c\":3}", "{\"d\":null}", {"a", "c", "zz"}),
           std::string("{\"b\":2,\"d\":null}"));
  CHECK_EQ(merged("{\"\\u0061\":1}", "{\"a\":2}"), std::string("{\"a\":2}"));
  CHECK_EQ(merged("{\"a\":1}", "{\"a\":2}", {"a"}), std::string("error at a"));
  CHECK_EQ(merged("{\"a\":1}", "[]"), std::string("error at "));
  const std::string half = "{\"a\":\"" + std::string(600000, 'x') + "\"}";
  const std::string other = "{\"b\":\"" + std::string(600000, 'x') + "\"}";
  auto too_long = merge_metadata(half, other, {});
  REQUIRE(!too_long.is_ok());
  CHECK(too_long.status().code() == ErrorCode::kMetadata);
}
