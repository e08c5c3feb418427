// Filters: the columns' answers, the row test and the JSON reference against a model.
#include <memory>
#include <string>
#include <vector>

#include "memory/budget.h"
#include "memory/epoch.h"
#include "meta/columns.h"
#include "meta/compiled_filter.h"
#include "meta_model.h"
#include "test.h"

using namespace omen;
using namespace omen::test;

namespace {

class ModelIds final : public RowIds {
 public:
  bool id_of(uint32_t slot, uint64_t* integer, std::string_view* string) const override {
    if (id_is_integer(slot)) {
      *integer = slot;
      return true;
    }
    while (texts_.size() <= slot) {
      texts_.push_back(std::make_unique<std::string>(
          id_text(static_cast<uint32_t>(texts_.size()))));
    }
    *string = *texts_[slot];
    return false;
  }

 private:
  mutable std::vector<std::unique_ptr<std::string>> texts_;
};

FilterId id_of(uint32_t slot, const ModelIds& ids) {
  FilterId id;
  id.is_integer = ids.id_of(slot, &id.integer, &id.string);
  return id;
}

// Puts documents into slots as the commit path does.
struct Fixture {
  MemoryBudget budget;
  MemoryAccount account{&budget};
  EpochDomain epochs;
  Columns columns{&account, &epochs};
  ModelIds ids;

  Status put(uint32_t slot, const std::string& json) {
    OMEN_ASSIGN(ParsedRecord record, columns.parse(json));
    OMEN_TRY(columns.reserve({&slot, 1}, {&record, 1}));
    columns.apply(slot, std::move(record));
    return Status::ok();
  }
};

// One filter on all documents: by JSON, by row, and by run with every table of kernels.
void check_filter(const Fixture& fixture, const ModelFilter& model,
                  const std::vector<Value>& documents) {
  const std::string json = json_of(model);
  auto filter = Filter::parse(json, nullptr);
  CHECK_OK(filter.status());
  if (!filter.is_ok()) {
    std::printf("  %s\n", json.c_str());
    return;
  }
  auto compiled = CompiledFilter::compile(*filter.value(), fixture.columns, fixture.ids);
  REQUIRE(compiled.is_ok());
  RowSet rows;
  for (const simd::Kernels* const* table = simd::available_kernels(); *table != nullptr; ++table) {
    RowSet by_table;
    CHECK_OK(compiled.value().run(**table, static_cast<uint32_t>(documents.size()), &by_table));
    CHECK_OK(by_table.validate());
    if (table != simd::available_kernels()) {
      CHECK(std::equal(rows.words(), rows.words() + rows.word_count(), by_table.words()));
    }
    CHECK_OK(rows.copy_from(by_table));
  }
  for (uint32_t i = 0; i < documents.size(); ++i) {
    const bool expected = satisfies(model, documents[i], i);
    const std::string_view stored = fixture.columns.json(i);
    const bool by_json = filter.value()->matches_json(stored, id_of(i, fixture.ids));
    const bool by_row = compiled.value().matches(i);
    const bool by_run = rows.contains(i);
    if (by_json != expected || by_row != expected || by_run != expected) {
      CHECK(by_json == expected);
      CHECK(by_row == expected);
      CHECK(by_run == expected);
      std::printf("  %s on %s\n", json.c_str(), std::string(stored).c_str());
      return;
    }
  }
  CHECK(true);
}

}  // namespace

// Random documents and filters: run(), matches() and matches_json() say what the model says, also
// after documents were replaced and removed.
TEST(filters_agree_with_the_model) {
  Random r(test_seed());
  Fixture fixture;
  std::vector<Value> documents(700);
  for (uint32_t i = 0; i < documents.size(); ++i) {
    documents[i] = random_document(&r);
    CHECK_OK(fixture.put(i, json_of(documents[i])));
  }
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 400; ++i) {
      check_filter(fixture, random_filter(&r, 3, 700), documents);
    }
    CHECK_OK(fixture.columns.validate(700));
    for (int i = 0; i < 200; ++i) {
      const auto slot = static_cast<uint32_t>(r.below(documents.size()));
      if (r.below(3) == 0) {
        documents[slot] = empty_value(Value::kObject);
        fixture.columns.clear(slot);
      } else {
        documents[slot] = random_document(&r);
        CHECK_OK(fixture.put(slot, json_of(documents[slot])));
      }
    }
    fixture.epochs.collect();
    CHECK_OK(fixture.columns.validate(700));
  }
}

// Each rule of the language once, readable.
TEST(semantics_of_the_operators) {
  struct Case {
    const char* filter;
    const char* document;
    bool matches;
  };
  const Case cases[] = {
      {"{}", "{}", true},
      {"{\"a\":1}", "{\"a\":1}", true},
      {"{\"a\":1}", "{\"a\":\"1\"}", false},
      {"{\"a\":0}", "{\"a\":-0.0}", true},
      {"{\"a\":null}", "{\"a\":null}", true},
      {"{\"a\":null}", "{}", false},
      {"{\"a\":{\"$ne\":null}}", "{}", true},
      {"{\"a\":{\"$exists\":true}}", "{\"a\":null}", true},
      {"{\"a\":{\"$exists\":false}}", "{\"a\":[]}", false},
      {"{\"a\":{\"$exists\":true}}", "{\"a\":{\"b\":1}}", true},
      {"{\"a\":{\"$ne\":1}}", "{}", true},
      {"{\"a\":{\"$nin\":[1]}}", "{}", true},
      {"{\"a\":{\"$not\":{\"$gt\":1}}}", "{}", true},
      {"{\"a\":{\"$not\":{\"$gt\":1}}}", "{\"a\":2}", false},
      {"{\"a\":{\"$gt\":1,\"$lt\":3}}", "{\"a\":2}", true},
      {"{\"a\":{\"$gt\":1}}", "{\"a\":\"2\"}", false},
      {"{\"a\":{\"$lt\":\"b\"}}", "{\"a\":\"a\"}", true},
      {"{\"a\":\"x\"}", "{\"a\":[\"y\",\"x\"]}", true},
      {"{\"a\":{\"$ne\":\"x\"}}", "{\"a\":[\"y\",\"x\"]}", false},
      {"{\"a\":{\"$gt\":2,\"$lt\":2}}", "{\"a\":[1,3]}", true},
      {"{\"a\":{\"$contains\":\"x\"}}", "{\"a\":\"x\"}", false},
      {"{\"a\":{\"$contains\":[\"x\",\"y\"]}}", "{\"a\":[\"y\",1,\"x\"]}", true},
      {"{\"a\":{\"$contains\":[\"x\",\"z\"]}}", "{\"a\":[\"y\",\"x\"]}", false},
      {"{\"a\":{\"$contains\":[]}}", "{\"a\":[]}", true},
      {"{\"a\":{\"$contains\":null}}", "{\"a\":[null]}", true},
      {"{\"a.b\":1}", "{\"a\":{\"b\":1}}", true},
      {"{\"a.b\":1}", "{\"a\":[{\"b\":1}]}", false},
      {"{\"a\":1}", "{\"a\":[[1]]}", false},
      {"{\"a\":{\"$in\":[]}}", "{\"a\":1}", false},
      {"{\"a\":{\"$nin\":[]}}", "{}", true},
      {"{\"a\":{\"$in\":[null,5]}}", "{\"a\":null}", true},
      {"{\"a\":{\"$date\":\"2020-01-01T00:00:00.000Z\"}}",
       "{\"a\":{\"$date\":\"2020-01-01T01:00:00+01:00\"}}", true},
      {"{\"a\":{\"$gte\":{\"$date\":\"2020-01-01\"}}}",
       "{\"a\":{\"$date\":\"2020-06-01T00:00:00.000Z\"}}", true},
      {"{\"a\":{\"$gte\":0}}", "{\"a\":{\"$date\":\"2020-06-01T00:00:00.000Z\"}}", false},
      {"{\"$id\":7}", "{}", true},
      {"{\"$id\":{\"$int\":\"7\"}}", "{}", true},
      {"{\"$id\":\"7\"}", "{}", false},
      {"{\"$id\":{\"$gte\":7,\"$lt\":{\"$int\":\"18446744073709551615\"}}}", "{}", true},
      {"{\"$or\":[{\"a\":1},{\"b\":2}]}", "{\"b\":2}", true},
      {"{\"$not\":{\"a\":1,\"b\":2}}", "{\"a\":1}", true},
      {"{\"a\":\"\\ud800\"}", "{\"a\":\"\\ud800\"}", true},
      {"{\"\\ud83d\\ude00\":1}", "{\"\xF0\x9F\x98\x80\":1}", true},
      // U+FF61 stands before U+1F600 by code point, after it in UTF-16.
      {"{\"a\":{\"$lt\":\"\xF0\x9F\x98\x80\"}}", "{\"a\":\"\xEF\xBD\xA1\"}", true},
      {"{\"\":1}", "{\"\":1}", true},
      {"{\".\":1}", "{\"\":{\"\":1}}", true},
      {"{\"__proto__\":1}", "{\"__proto__\":1}", true},
  };
  for (const Case& c : cases) {
    Fixture fixture;
    CHECK_OK(fixture.put(0, c.document));
    auto filter = Filter::parse(c.filter, nullptr);
    CHECK_OK(filter.status());
    REQUIRE(filter.is_ok());
    class SevenIds final : public RowIds {
      bool id_of(uint32_t, uint64_t* integer, std::string_view*) const override {
        *integer = 7;
        return true;
      }
    } ids;
    FilterId id;
    id.integer = 7;
    auto compiled = CompiledFilter::compile(*filter.value(), fixture.columns, ids);
    REQUIRE(compiled.is_ok());
    const bool all_right = filter.value()->matches_json(c.document, id) == c.matches &&
                           compiled.value().matches(0) == c.matches;
    CHECK(all_right);
    if (!all_right) std::printf("  %s on %s\n", c.filter, c.document);
  }
}

// Every fault is ERR_FILTER and names its place.
TEST(faults_name_their_path) {
  struct Case {
    const char* filter;
    const char* path;
  };
  const Case cases[] = {
      {"[]", ""},
      {"5", ""},
      {"{\"a\":", ""},
      {"{\"year\":{\"$foo\":1}}", "year.$foo"},
      {"{\"$foo\":1}", "$foo"},
      {"{\"$gt\":1}", "$gt"},
      {"{\"year\":[1]}", "year"},
      {"{\"year\":{}}", "year"},
      {"{\"year\":{\"$eq\":[1]}}", "year.$eq"},
      {"{\"year\":{\"$eq\":{\"a\":1}}}", "year.$eq"},
      {"{\"year\":{\"a\":1}}", "year.a"},
      {"{\"year\":{\"$gt\":1,\"b\":2}}", "year.b"},
      {"{\"year\":{\"$gte\":null}}", "year.$gte"},
      {"{\"year\":{\"$gte\":true}}", "year.$gte"},
      {"{\"year\":{\"$in\":5}}", "year.$in"},
      {"{\"$and\":[{\"a\":1},{\"genres\":{\"$in\":[1,2,3,[4]]}}]}", "$and[1].genres.$in[3]"},
      {"{\"$and\":[]}", "$and"},
      {"{\"$or\":{}}", "$or"},
      {"{\"$or\":[5]}", "$or[0]"},
      {"{\"$not\":[]}", "$not"},
      {"{\"$not\":{\"year\":{\"$x\":1}}}", "$not.year.$x"},
      {"{\"year\":{\"$not\":5}}", "year.$not"},
      {"{\"year\":{\"$not\":{\"$x\":5}}}", "year.$not.$x"},
      {"{\"year\":{\"$and\":[]}}", "year.$and"},
      {"{\"year\":{\"$exists\":1}}", "year.$exists"},
      {"{\"year\":{\"$date\":\"yesterday\"}}", "year"},
      {"{\"year\":{\"$lt\":{\"$date\":5}}}", "year.$lt"},
      {"{\"year\":{\"$contains\":[[1]]}}", "year.$contains[0]"},
      {"{\"$id\":-1}", "$id"},
      {"{\"$id\":1.5}", "$id"},
      {"{\"$id\":9007199254740992}", "$id"},
      {"{\"$id\":\"\"}", "$id"},
      {"{\"$id\":null}", "$id"},
      {"{\"$id\":{\"$int\":\"18446744073709551616\"}}", "$id"},
      {"{\"$id\":{\"$int\":\"01\"}}", "$id"},
      {"{\"$id\":{\"$in\":[1,true]}}", "$id.$in[1]"},
      {"{\"$id\":{\"$contains\":1}}", "$id.$contains"},
      {"{\"a.$b\":1}", "a.$b"},
  };
  // Too deep is told with the path of the first filter that is.
  std::string deep = "{}", path;
  for (int i = 0; i < 45; ++i) deep = "{\"$and\":[" + deep + "]}";
  for (uint32_t i = 0; i < kFilterDepthMax; ++i) path += i == 0 ? "$and[0]" : ".$and[0]";
  const Status too_deep = Filter::parse(deep, nullptr).status();
  CHECK_EQ(static_cast<int>(too_deep.code()), static_cast<int>(ErrorCode::kFilter));
  CHECK_EQ(too_deep.path(), path);
  CHECK(too_deep.message().find("nested deeper than 32") != std::string::npos);
  for (const Case& c : cases) {
    auto filter = Filter::parse(c.filter, nullptr);
    CHECK(!filter.is_ok());
    if (filter.is_ok()) {
      std::printf("  accepted: %s\n", c.filter);
      continue;
    }
    CHECK_EQ(static_cast<int>(filter.status().code()), static_cast<int>(ErrorCode::kFilter));
    CHECK_EQ(filter.status().path(), std::string(c.path));
    CHECK(!filter.status().message().empty());
  }
}

// Depth 32, 1 024 clauses and 65 536 values pass; one more of each does not.
TEST(limits_of_filters) {
  const auto nested = [](int depth) {
    std::string json, tail;
    for (int i = 1; i < depth; ++i) {
      json += "{\"$and\":[";
      tail += "]}";
    }
    return json + "{\"a\":1}" + tail;
  };
  CHECK(Filter::parse(nested(32), nullptr).is_ok());
  CHECK(!Filter::parse(nested(33), nullptr).is_ok());
  CHECK(!Filter::parse(nested(100000), nullptr).is_ok());
  const auto nots = [](int depth) {
    std::string json = "{\"$gt\":1}";
    for (int i = 1; i < depth; ++i) json = "{\"$not\":" + json + "}";
    return "{\"a\":" + json + "}";
  };
  CHECK(Filter::parse(nots(32), nullptr).is_ok());
  CHECK(!Filter::parse(nots(33), nullptr).is_ok());
  const auto wide = [](int n, const char* clause) {
    std::string json = "{\"$or\":[";
    for (int i = 0; i < n; ++i) json += (i ? "," : "") + std::string(clause);
    return json + "]}";
  };
  CHECK(Filter::parse(wide(1024, "{\"a\":1}"), nullptr).is_ok());
  CHECK(!Filter::parse(wide(1025, "{\"a\":1}"), nullptr).is_ok());
  CHECK(!Filter::parse(wide(1025, "{}"), nullptr).is_ok());
  const auto in = [](int n) {
    std::string json = "{\"a\":{\"$in\":[";
    for (int i = 0; i < n; ++i) json += (i ? "," : "") + std::to_string(i);
    return json + "]}}";
  };
  CHECK(Filter::parse(in(65536), nullptr).is_ok());
  auto too_many = Filter::parse(in(65537), nullptr);
  REQUIRE(!too_many.is_ok());
  CHECK_EQ(too_many.status().path(), std::string("a.$in"));
}

// delete() refuses what matches everything by form, so form is seen through.
TEST(matches_all_is_seen) {
  for (const char* json : {"{}", "{\"$and\":[{}]}", "{\"$or\":[{\"a\":1},{}]}",
                           "{\"$not\":{\"$not\":{}}}", "{\"$id\":{\"$exists\":true}}"}) {
    auto filter = Filter::parse(json, nullptr);
    REQUIRE(filter.is_ok());
    CHECK(filter.value()->matches_all());
  }
  auto some = Filter::parse("{\"$or\":[{\"b\":1},{\"a\":1,\"$id\":5},{\"b\":2}]}", nullptr);
  REQUIRE(some.is_ok());
  CHECK(!some.value()->matches_all());
  CHECK(some.value()->reads_ids());
  REQUIRE(some.value()->fields().size() == 2);
  CHECK_EQ(some.value()->fields()[0], std::string_view("a"));
}

// With a schema a filter may name only its indexed fields and the objects they lie in.
TEST(schema_narrows_filters) {
  auto schema = Schema::parse("{\"year\":\"number\",\"author.born\":\"date\","
                              "\"body\":{\"type\":\"string\",\"index\":false}}");
  REQUIRE(schema.is_ok());
  const Schema* s = schema.value().get();
  CHECK(Filter::parse("{\"year\":1}", s).is_ok());
  CHECK(Filter::parse("{\"author.born\":null,\"author\":{\"$exists\":true}}", s).is_ok());
  for (const char* json :
       {"{\"yeer\":1}", "{\"body\":\"x\"}", "{\"auth\":1}", "{\"author.died\":1}"}) {
    CHECK(!Filter::parse(json, s).is_ok());
  }
}
