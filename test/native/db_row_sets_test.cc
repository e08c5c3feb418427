// Row sets: what is cached of a filter and patched by writes, against evaluating it anew.
#include <atomic>
#include <thread>

#include "db_support.h"
#include "exec/thread_pool.h"

using namespace omen;
using namespace omen::test;

namespace {

const char* const kFilters[] = {
    R"({"g":1})",
    R"({"g":{"$gte":2},"t":"b"})",
    R"({"$not":{"t":{"$in":["a","c"]}}})",
    R"({"tags":{"$contains":"x"}})",
    R"({"$id":{"$lt":60}})",
    R"({"g":{"$exists":false}})",
};

std::string some_metadata(Random& random) {
  static const char* const kTexts[] = {"a", "b", "c"};
  if (random.below(6) == 0) return "{}";
  std::string out = "{\"g\":" + std::to_string(random.below(4));
  out += ",\"t\":\"" + std::string(kTexts[random.below(3)]) + "\"";
  if (random.below(3) == 0) out += ",\"tags\":[\"x\",\"" + std::to_string(random.below(9)) + "\"]";
  return out + "}";
}

void upsert_some(Collection& c, Random& random, size_t rows, uint64_t ids_max) {
  std::vector<uint64_t> ids;
  std::vector<std::string> metadata;
  const uint64_t first = random.below(ids_max);
  for (size_t i = 0; i < rows; ++i) {
    ids.push_back((first + i) % ids_max);
    metadata.push_back(some_metadata(random));
  }
  std::vector<float> vectors(rows * 4);
  for (float& x : vectors) x = static_cast<float>(random.unit());
  CHECK_OK(write(c, kUpsert, vectors.data(), rows, 4, ids, metadata));
}

void update_one(Collection& c, Random& random) {
  Commit commit;
  commit.kind = Commit::Kind::kUpdate;
  commit.ids.push_back(IdOut{false, 0, random.below(200)});
  commit.metadata = some_metadata(random);
  if (random.below(2) == 0) commit.vector = {1, 2, 3, static_cast<float>(random.unit())};
  c.run(&commit);
  CHECK(commit.status.is_ok() || commit.status.code() == ErrorCode::kNotFound);
}

void run_kind(Collection& c, Commit::Kind kind, const char* filter = nullptr) {
  Commit commit;
  commit.kind = kind;
  if (filter != nullptr) commit.filter = filter_of(filter);
  c.run(&commit);
  CHECK_OK(commit.status);
}

void write_something(Collection& c, Random& random) {
  switch (random.below(10)) {
    case 0:
    case 1:
    case 2:
      return upsert_some(c, random, 1 + random.below(20), 200);
    case 3:
    case 4:
    case 5:
      return update_one(c, random);
    case 6:
    case 7: {
      std::vector<uint64_t> ids;
      for (uint64_t i = random.below(12); i > 0; --i) ids.push_back(random.below(200));
      (void)remove(c, ids);
      return;
    }
    case 8:
      return run_kind(c, Commit::Kind::kDeleteFilter, R"({"g":3,"t":"c"})");
    default:
      return run_kind(c, Commit::Kind::kOptimize);
  }
}

using RowsOfFilter = std::shared_ptr<const CachedRows>;

// The set by the cache's way, by a patch of `old`, and evaluated anew: all the same.
RowsOfFilter compare_sets(Collection& c, const std::shared_ptr<const Filter>& filter,
                          const RowsOfFilter& old, uint64_t* patched) {
  Collection::Impl& impl = c.impl();
  const EpochDomain::Pin pin = impl.epochs.pin();
  Store& s = *impl.store();
  const auto compiled = CompiledFilter::compile(*filter, s.columns, s).take();
  CachedRows anew(&impl.account);
  CHECK_OK(impl.evaluate_rows(s, compiled, &anew));
  const auto same = [&](const CachedRows& other) {
    CHECK_OK(other.rows.validate());
    CHECK_EQ(other.matches, anew.matches);
    if (!CHECK_EQ(other.rows.size(), anew.rows.size())) return;
    for (uint32_t w = 0; w < anew.rows.word_count(); ++w) {
      CHECK_EQ(other.rows.words()[w], anew.rows.words()[w]);
    }
  };
  RowsOfFilter cached;
  CHECK_OK(impl.filter_rows(s, filter, &cached));
  same(*cached);
  if (old == nullptr || old->generation != s.generation()) return cached;
  CachedRows fresh(&impl.account);
  fresh.changes = s.changes.count();
  const auto done = impl.patch_rows(s, compiled, *old, &fresh);
  CHECK_OK(done.status());
  if (!done.is_ok()) return cached;
  CHECK_EQ(done.value(), fresh.changes - old->changes < Changes::kKept);
  if (!done.value()) return cached;
  same(fresh);
  *patched += fresh.changes - old->changes;
  return cached;
}

}  // namespace

TEST(patched_row_sets_are_what_evaluating_gives) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  const auto c = fixture.make(options_of(4, Metric::kL2, Quantization::kNone));
  Random random(test_seed());
  std::vector<std::shared_ptr<const Filter>> filters;
  for (const char* text : kFilters) filters.push_back(filter_of(text));
  std::vector<RowsOfFilter> old(filters.size());
  upsert_some(*c, random, 150, 200);
  uint64_t patched = 0;
  for (int step = 0; step < 600; ++step) {
    write_something(*c, random);
    if (step % 150 == 149) run_kind(*c, Commit::Kind::kClear);
    // More than is kept: 400 records replaced three times.
    for (int i = 0; step % 200 == 100 && i < 4; ++i) upsert_some(*c, random, 400, 400);
    for (size_t f = 0; f < filters.size(); ++f) {
      auto now = compare_sets(*c, filters[f], old[f], &patched);
      // Some sets grow old, so that a patch covers many writes, and slots used again.
      if (old[f] == nullptr || random.below(5) == 0) old[f] = std::move(now);
    }
  }
  CHECK(patched > 10000);
  CHECK_EQ(c->check().problem, std::string());
}

// A reader beside a writer: the set of one even version is whole.
TEST(counts_beside_updates_are_never_between) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(options_of(4, Metric::kL2, Quantization::kNone));
  std::vector<float> vectors(100 * 4, 1.0f);
  std::vector<uint64_t> ids;
  for (uint64_t id = 0; id < 100; ++id) ids.push_back(id);
  const auto of = [](int g) {
    return std::vector<std::string>(100, "{\"g\":" + std::to_string(g) + "}");
  };
  CHECK_OK(write(*c, kUpsert, vectors.data(), 100, 4, ids, of(0)));
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 1; !stop; ++i)
      CHECK_OK(write(*c, kUpsert, vectors.data(), 100, 4, ids, of(i % 2)));
  });
  const auto filter = filter_of("{\"g\":1}");
  for (int i = 0; i < 300; ++i) {
    const auto count = c->count_matching(filter, nullptr);
    CHECK_OK(count.status());
    CHECK(count.value() == 0 || count.value() == 100);
  }
  stop = true;
  writer.join();
}
