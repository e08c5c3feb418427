// Readers and writers at once: nothing torn, nothing deleted comes back, no id twice, nothing lost.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <thread>

#include "base/test_points.h"
#include "db_support.h"
#include "exec/thread.h"
#include "exec/thread_pool.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDimensions = 8;

template <class F>
Thread start(F& f) {
  return Thread::start(
             "test", [](void* p) { (*static_cast<F*>(p))(); }, &f)
      .take();
}

// Whether the count of work on other threads gets to `wanted` within a minute.
template <class T>
bool comes_to(const std::atomic<T>& count, T wanted) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (count.load() < wanted) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// After the races: nothing broken, nothing out of reach, and so many records.
void check_whole(Collection& c, uint64_t records) {
  CHECK_OK(optimize(c));
  const CheckReport report = c.check();
  CHECK_EQ(report.problem, std::string());
  CHECK_EQ(report.unreachable, 0u);
  CHECK_EQ(c.count(), records);
}

}  // namespace

// Large batches are linked in bulk, old rows chosen anew, while searches walk over them and records
// are deleted: what stays is found all the time.
TEST(readers_and_deletes_beside_bulk_building) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kSq8));
  Clusters clusters(kDimensions, 12, test_seed());
  const auto base = clusters.draw_many(6000);
  const auto ids_from = [](uint64_t first, size_t count) {
    std::vector<uint64_t> ids;
    for (uint64_t i = 0; i < count; ++i) ids.push_back(first + i);
    return ids;
  };
  CHECK_OK(write(*c, kAdd, base.data(), 1000, kDimensions, ids_from(0, 1000)));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> searches{0};
  std::atomic<uint64_t> found{0};
  auto reader = [&] {
    Random random(searches.load() + 3);
    while (!stop) {
      SearchOptions o;
      o.k = 10;
      o.ef = 128;
      o.mode = Mode::kGraph;
      Rows rows;
      // A record that stays, asked for by its own vector.
      const uint64_t id = 500 + random.below(500);
      CHECK_OK(c->search(&base[id * kDimensions], kDimensions, o, &rows));
      CHECK_EQ(rows.ids.size(), 10u);
      for (const IdOut& hit : rows.ids) found += hit.value == id ? 1 : 0;
      ++searches;
    }
  };
  auto writer = [&] {
    for (uint64_t first = 1000; first < 6000; first += 2500) {
      CHECK_OK(
          write(*c, kAdd, &base[first * kDimensions], 2500, kDimensions, ids_from(first, 2500)));
    }
  };
  auto remover = [&] {
    for (uint64_t first = 0; first < 500; first += 50) {
      CHECK_EQ(remove(*c, ids_from(first, 50)), 50u);
    }
  };
  Thread threads[] = {start(reader), start(reader), start(writer), start(remover)};
  threads[2].join();
  threads[3].join();
  CHECK(comes_to<uint64_t>(searches, 100));
  stop = true;
  threads[0].join();
  threads[1].join();
  CHECK(found * 100 >= searches * 95);
  check_whole(*c, 5500u);
}

// Batches, single inserts, deletes, updates and searches of every mode from several threads.
TEST(writers_and_readers_run_together) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kSq8));
  Clusters clusters(kDimensions, 12, test_seed());
  const auto base = clusters.draw_many(6000);
  // Records that stay: every search must be able to find them.
  std::vector<uint64_t> kept;
  std::vector<std::string> kept_metadata;
  for (uint64_t id = 0; id < 500; ++id) {
    kept.push_back(id);
    kept_metadata.push_back("{\"kept\":true}");
  }
  CHECK_OK(write(*c, kAdd, base.data(), 500, kDimensions, kept, kept_metadata));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> searches{0};
  // Ids below `gone_below` of the deleted kind must never be hits again.
  std::atomic<uint64_t> deleted_below{100000};
  auto reader = [&] {
    Random random(searches.load() + 17);
    const auto only_kept = Filter::parse("{\"kept\":true}", nullptr).take();
    while (!stop) {
      SearchOptions o;
      o.k = 10;
      const uint64_t kind = random.below(4);
      o.mode = kind == 0 ? Mode::kExact : kind == 1 ? Mode::kPlan : Mode::kGraph;
      if (kind == 3) o.filter = only_kept;
      const uint64_t gone = deleted_below.load();
      Rows rows;
      const size_t at = random.below(6000);
      if (!c->search(&base[at * kDimensions], kDimensions, o, &rows).is_ok()) {
        CHECK(false);
        return;
      }
      CHECK_EQ(rows.ids.size(), 10u);
      for (size_t i = 0; i < rows.ids.size(); ++i) {
        const uint64_t id = rows.ids[i].value;
        CHECK(id < 100000 || id >= gone);
        CHECK(kind != 3 || id < 500);
        for (size_t j = 0; j < i; ++j) CHECK(rows.ids[j].value != id);
      }
      ++searches;
    }
  };
  auto writer = [&] {
    for (int round = 0; round < 12; ++round) {
      std::vector<uint64_t> ids;
      for (uint64_t i = 0; i < 200; ++i) ids.push_back(1000 + (round % 3) * 200 + i);
      CHECK_OK(write(*c, kUpsert, &base[(500 + (round * 300) % 5000) * kDimensions], 200,
                     kDimensions, ids));
    }
  };
  auto churner = [&] {
    for (uint64_t round = 0; round < 60; ++round) {
      std::vector<uint64_t> ids;
      for (uint64_t i = 0; i < 20; ++i) ids.push_back(100000 + round * 20 + i);
      CHECK_OK(write(*c, kAdd, &base[(round * 20) * kDimensions], 20, kDimensions, ids));
      CHECK_EQ(remove(*c, ids), 20u);
      deleted_below = 100000 + (round + 1) * 20;
      Commit update;
      update.kind = Commit::Kind::kUpdate;
      update.ids.push_back(IdOut{false, 0, round});
      update.metadata = "{\"round\":" + std::to_string(round) + "}";
      if (round % 2 == 0)
        update.vector.assign(&base[round * kDimensions], &base[(round + 1) * kDimensions]);
      c->run(&update);
      CHECK_OK(update.status);
    }
  };
  Thread threads[] = {start(reader), start(reader), start(writer), start(churner)};
  threads[2].join();
  threads[3].join();
  CHECK(comes_to<uint64_t>(searches, 200));
  stop = true;
  threads[0].join();
  threads[1].join();
  check_whole(*c, 1100u);
}

// While codes are trained, and trained anew at each doubling, searches go on and find what stays.
TEST(searches_go_on_while_codes_are_trained) {
  // Enough for codes to be trained twice; a sanitizer sees that of the first kind alone.
  size_t rows = 9000;
  Clusters clusters(kDimensions, 12, test_seed());
  const auto base = clusters.draw_many(rows);
  for (const auto& [codec, layout] : {std::pair(Quantization::kSq8, Layout::kCompact),
                                      std::pair(Quantization::kBinary, Layout::kCompact),
                                      std::pair(Quantization::kBinary, Layout::kFast)}) {
    auto pool = ThreadPool::create(2).take();
    Fixture fixture(pool.get());
    const auto c = fixture.make(options_of(kDimensions, Metric::kCosine, codec, layout));
    CHECK_OK(write(*c, kAdd, base.data(), 1000, kDimensions, {}));
    CHECK(!c->stats().trained);
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> found{0};
    std::atomic<uint64_t> searches{0};
    const auto reader = [&] {
      Random random(7);
      while (!stop) {
        const uint64_t id = random.below(1000);
        SearchOptions o;
        o.mode = Mode::kGraph;
        Rows rows;
        CHECK_OK(c->search(&base[id * kDimensions], kDimensions, o, &rows));
        CHECK_EQ(rows.ids.size(), 10u);
        found += !rows.ids.empty() && rows.ids[0].value == id ? 1 : 0;
        ++searches;
        // Else there is little time left for who trains.
        if (kSanitized) std::this_thread::sleep_for(std::chrono::microseconds(300));
      }
    };
    std::thread threads[2] = {std::thread(reader), std::thread(reader)};
    for (size_t row = 1000; row < rows; row += 500) {
      CHECK_OK(write(*c, kAdd, &base[row * kDimensions], 500, kDimensions, {}));
    }
    CHECK(comes_to<uint64_t>(searches, 200));
    stop = true;
    for (std::thread& t : threads) t.join();
    CHECK(c->stats().trained);
    CHECK(found * 100 >= searches * 97);
    CHECK_EQ(c->check().problem, std::string());
    if (kSanitized) rows = 5000;
  }
}

// Asynchronous commits of several submitters, and clear() in between, all answer, in their order.
TEST(submitted_commits_all_answer) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(options_of(kDimensions, Metric::kCosine, Quantization::kSq8));
  Clusters clusters(kDimensions, 12, test_seed());
  const auto base = clusters.draw_many(400);
  std::atomic<int> answered{0};
  std::vector<std::unique_ptr<Commit>> commits;
  for (uint64_t i = 0; i < 400; ++i) {
    auto commit = std::make_unique<Commit>();
    if (i == 200) {
      commit->kind = Commit::Kind::kClear;
    } else {
      commit->batch = c->begin_write(1, kDimensions).take();
      CHECK_OK(commit->batch->stage_vectors(0, 1, &base[i * kDimensions]));
      CHECK_OK(commit->batch->stage_string_id(0, "id-" + std::to_string(i % 399)));
      commit->kind = kUpsert;
    }
    commit->on_done = [](Commit*, void* n) { ++*static_cast<std::atomic<int>*>(n); };
    commit->context = &answered;
    c->submit(commit.get());
    commits.push_back(std::move(commit));
  }
  if (!CHECK(comes_to(answered, 400))) std::abort();  // Others still hold what would be freed here.
  for (const auto& commit : commits) CHECK_OK(commit->status);
  CHECK_EQ(c->count(), 199u);
  CHECK_EQ(c->check().problem, std::string());
}

// A record that is replaced for ever by itself, with the same vector and metadata, is there all the
// time: for get, count, filtered and exact searches, whole and once.
TEST(a_record_being_replaced_is_always_found) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(options_of(4, Metric::kL2, Quantization::kSq8));
  const float vector[4] = {1, 2, 3, 4};
  const std::vector<float> others(4 * 50, 9.0f);
  CHECK_OK(write(*c, kAdd, others.data(), 50, 4, {}, std::vector<std::string>(50, "{\"a\":2}")));
  CHECK_OK(write(*c, kUpsert, vector, 1, 4, {1000}, {"{\"a\":1}"}));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> writes{0};
  auto writer = [&] {
    for (; !stop; ++writes) {
      if (!write(*c, kUpsert, vector, 1, 4, {1000}, {"{\"a\":1}"}).is_ok()) break;
      if (writes % 512 == 0) (void)optimize(*c).is_ok();
    }
  };
  Thread thread = start(writer);
  const auto filter = Filter::parse("{\"a\":1}", nullptr).take();
  IdView id;
  id.integer = 1000;
  Rows rows;
  uint64_t faults = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (std::chrono::steady_clock::now() < end && faults == 0) {
    CHECK_OK(c->get(&id, 1, kIncludeMetadata, &rows));
    faults += rows.metadata != "[{\"a\":1}]";
    SearchOptions o;
    o.filter = filter;
    o.include = kIncludeMetadata;
    CHECK_OK(c->search(vector, 4, o, &rows));
    faults += rows.metadata != "[{\"a\":1}]";
    faults += c->count_matching(filter).value() != 1;
    SearchOptions all;
    all.mode = Mode::kExact;
    CHECK_OK(c->search(vector, 4, all, &rows));
    faults += rows.ids.size() != 10 || rows.ids[0].value != 1000;
  }
  stop = true;
  thread.join();
  CHECK_EQ(faults, 0u);
  CHECK(writes > 100);
}

#ifdef OMENDB_TEST_POINTS
// A scan that passed two free slots finds a record that moved to one of them behind it, though the
// committer is just moving it to the other and has turned the index only.
TEST(a_record_is_found_in_the_middle_of_being_replaced) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(options_of(4, Metric::kL2, Quantization::kSq8));
  const float vector[4] = {1, 2, 3, 4};
  const std::vector<float> others(4 * 200, 9.0f);
  CHECK_OK(write(*c, kAdd, others.data(), 200, 4, {}));
  CHECK_OK(write(*c, kUpsert, vector, 1, 4, {1000}));
  // Free slots of the first block: a twelfth of all are given again.
  std::vector<uint64_t> first(40);
  std::iota(first.begin(), first.end(), uint64_t{0});
  CHECK_EQ(remove(*c, first), first.size());
  CHECK_OK(optimize(*c));
  REQUIRE(test_point_arm("scan"));
  Rows rows;
  auto reader = [&] {
    SearchOptions all;
    all.mode = Mode::kExact;
    CHECK_OK(c->search(vector, 4, all, &rows));
  };
  Thread reading = start(reader);
  while (!test_point_paused("scan")) std::this_thread::yield();
  CHECK_OK(write(*c, kUpsert, vector, 1, 4, {1000}));
  REQUIRE(test_point_arm("replace"));
  auto writer = [&] { CHECK_OK(write(*c, kUpsert, vector, 1, 4, {1000})); };
  Thread writing = start(writer);
  while (!test_point_paused("replace")) std::this_thread::yield();
  CHECK(test_point_release("scan"));
  reading.join();
  CHECK(test_point_release("replace"));
  writing.join();
  REQUIRE(rows.ids.size() == 10);
  CHECK_EQ(rows.ids[0].value, 1000u);
  for (size_t i = 1; i < 10; ++i) CHECK(rows.ids[i].value != 1000u);
}
#endif

// Who reads all records page by page while they are replaced, one by one and by batches whose rows
// are placed anew, meets each exactly once, in the order in which they came, also under a filter.
TEST(records_being_replaced_are_read_exactly_once) {
  constexpr uint64_t kCount = 1500;
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kSq8));
  const auto base = Clusters(kDimensions, 12, test_seed()).draw_many(kCount);
  std::vector<uint64_t> ids;
  std::vector<std::string> metadata;
  for (uint64_t i = 0; i < kCount; ++i) {
    ids.push_back(i);
    metadata.push_back(i % 3 == 0 ? "{\"third\":true}" : "{}");
  }
  CHECK_OK(write(*c, kAdd, base.data(), kCount, kDimensions, ids, metadata));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> writes{0};
  auto replace = [&] {
    for (Random random(3); !stop.load(); ++writes) {
      const size_t count = writes % 4 == 0 ? 400 : 1;
      const size_t first = random.below(kCount - count);
      const std::vector<uint64_t> some(ids.begin() + static_cast<ptrdiff_t>(first),
                                       ids.begin() + static_cast<ptrdiff_t>(first + count));
      const std::vector<std::string> theirs(
          metadata.begin() + static_cast<ptrdiff_t>(first),
          metadata.begin() + static_cast<ptrdiff_t>(first + count));
      CHECK_OK(write(*c, kUpsert, base.data(), count, kDimensions, some, theirs));
    }
  };
  Thread writer = start(replace);
  const auto third = filter_of("{\"third\":true}");
  for (int turn = 0; turn < 40 || writes.load() < 40; ++turn) {
    const bool filtered = turn % 2 != 0;
    uint64_t cursor = 0;
    uint64_t next = 0;
    do {
      Rows page;
      CHECK_OK(c->scroll(&cursor, 40, filtered ? third : nullptr, kIncludeNone, &page));
      for (const IdOut& id : page.ids) {
        CHECK_EQ(id.value, next);
        next = id.value + (filtered ? 3 : 1);
      }
    } while (cursor != 0);
    CHECK_EQ(next, kCount);
  }
  stop = true;
  writer.join();
  check_whole(*c, kCount);
}

// A filter on ids looks at every slot, and one in the hands of a batch may hold anything: a string
// id that takes an integer's place must not be read as an address.
TEST(id_filters_leave_staged_slots_alone) {
  auto pool = ThreadPool::create(1).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(options_of(4, Metric::kL2, Quantization::kNone));
  std::vector<uint64_t> ids(300);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = i;
  const std::vector<float> vectors(4 * 300, 1.0f);
  CHECK_OK(write(*c, kAdd, vectors.data(), 300, 4, ids));
  ids.resize(200);  // So many free slots below the high water mark.
  CHECK_EQ(remove(*c, ids), 200u);
  CHECK_OK(optimize(*c));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> dropped{0};
  auto stager = [&] {
    for (; !stop; ++dropped) {
      auto batch = c->begin_write(100, 4).take();
      for (size_t i = 0; i < 100; ++i) {
        Status staged = dropped % 2 == 0 ? batch->stage_string_id(i, std::string(20, 'z'))
                                         : batch->stage_integer_id(i, 5);
        if (!staged.is_ok()) return;
      }
    }
  };
  Thread thread = start(stager);
  uint64_t counts = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  while (std::chrono::steady_clock::now() < end) {
    // Another text each time, so that no cached answer serves.
    const std::string text = "{\"$id\":{\"$gt\":\"zzz" + std::to_string(++counts) + "\"}}";
    CHECK_EQ(c->count_matching(Filter::parse(text, nullptr).take()).value(), 0u);
  }
  stop = true;
  thread.join();
  CHECK(dropped > 10 && counts > 10);
}

// While the first batch of a collection without dimensions comes in, a query of another length is
// either answered by nothing or refused: it is never compared with rows that are longer.
TEST(queries_of_another_length_never_meet_rows) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  Clusters clusters(16, 10, test_seed());
  const auto vectors = clusters.draw_many(3000);
  for (int round = 0; round < 5; ++round) {
    const auto c = fixture.make(options_of(0, Metric::kL2, Quantization::kNone));
    Commit commit;
    commit.batch = c->begin_write(3000, 16).take();
    CHECK_OK(commit.batch->stage_vectors(0, 3000, vectors.data()));
    std::atomic<uint64_t> done{0};
    commit.context = &done;
    commit.on_done = [](Commit*, void* context) {
      *static_cast<std::atomic<uint64_t>*>(context) = 1;
    };
    c->submit(&commit);
    const float query[2] = {1, 2};
    SearchOptions o;
    Rows rows;
    while (c->search(query, 2, o, &rows).is_ok()) CHECK_EQ(rows.ids.size(), 0u);
    CHECK(comes_to(done, uint64_t{1}));
    CHECK_OK(commit.status);
  }
}
