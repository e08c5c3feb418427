// Layout 'fast': packed codes follow the edges through every write, and searches over them find
// what searches over edges do.
#include <atomic>
#include <set>
#include <thread>

#include "db_support.h"
#include "exec/thread_pool.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDimensions = 24;

CollectionOptions fast_options(Metric metric) {
  return options_of(kDimensions, metric, Quantization::kBinary, Layout::kFast);
}

// Rows of linked slots that changed and are not packed.
size_t waiting(Collection& c) {
  const std::lock_guard<std::mutex> guard(c.impl().commit_mutex_);  // Upkeep may be at it.
  const Store& s = *c.impl().store();
  size_t count = 0;
  for (uint32_t slot = 0; slot < s.high_water(); ++slot) {
    count += s.states.has(slot, SlotStates::kLinked) &&
             (s.graph.changed(slot / 64) >> (slot & 63) & 1) != 0;
  }
  return count;
}

void check_packed(Collection& c) {
  const CheckReport report = c.check();
  CHECK_EQ(report.problem, std::string());
  CHECK_EQ(waiting(c), 0u);
  CHECK(c.impl().store()->codes()->packed() != nullptr);
}

std::vector<uint64_t> ids_from(uint64_t first, size_t count) {
  std::vector<uint64_t> ids;
  for (uint64_t i = 0; i < count; ++i) ids.push_back(first + i);
  return ids;
}

}  // namespace

// After adds one by one and in bulk, replacements, deletes whose slots are taken again, training
// anew and repair, every packed row is that of its edges.
TEST(packed_rows_follow_every_write) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(fast_options(Metric::kL2));
  Random random(test_seed());
  Clusters clusters(kDimensions, 20, test_seed());
  const auto base = clusters.draw_many(9000);
  CHECK_OK(write(*c, kAdd, base.data(), 3000, kDimensions, ids_from(0, 3000)));
  CHECK(c->impl().store()->codes() == nullptr);
  CHECK_OK(write(*c, kAdd, base.data(), 2000, kDimensions, ids_from(3000, 2000)));
  check_packed(*c);
  std::set<uint64_t> live;
  for (uint64_t id = 0; id < 5000; ++id) live.insert(id);
  for (int step = 0; step < 60; ++step) {
    const size_t count = 1 + random.below(step % 7 == 0 ? 400 : 20);
    const uint64_t first = random.below(5000);
    const auto ids = ids_from(first, count);
    if (random.below(3) == 0) {
      uint64_t there = 0;
      for (const uint64_t id : ids) there += live.erase(id);
      CHECK_EQ(remove(*c, ids), there);
    } else {
      CHECK_OK(
          write(*c, kUpsert, &base[random.below(8000) * kDimensions], count, kDimensions, ids));
      live.insert(ids.begin(), ids.end());
    }
    if (step % 10 == 9) check_packed(*c);
  }
  CHECK_OK(optimize(*c));
  check_packed(*c);
  CHECK_EQ(c->count(), live.size());
  // Twice as many as when codes were trained: all is packed by new ones.
  CHECK_OK(write(*c, kAdd, base.data(), 9000, kDimensions, ids_from(100000, 9000)));
  check_packed(*c);
  CHECK_EQ(c->count(), live.size() + 9000);
  CHECK(c->stats().bytes.codes > c->count() * 32 * (kDimensions / 8));
  Commit clear;
  clear.kind = Commit::Kind::kClear;
  c->run(&clear);
  CHECK_OK(write(*c, kAdd, base.data(), 5000, kDimensions, ids_from(0, 5000)));
  check_packed(*c);
}

// With one row a search of all lanes, with none, and with more than one block of neighbours.
TEST(any_m_is_packed) {
  Clusters clusters(kDimensions, 20, test_seed());
  const auto base = clusters.draw_many(5000);
  const auto queries = clusters.draw_many(40);
  for (const uint32_t m : {2u, 5u, 17u, 64u}) {
    auto pool = ThreadPool::create(2).take();
    Fixture fixture(pool.get());
    CollectionOptions options = fast_options(Metric::kCosine);
    options.m = m;
    const auto c = fixture.make(options);
    CHECK_OK(write(*c, kAdd, base.data(), 5000, kDimensions, {}));
    check_packed(*c);
    const double r = recall(*c, queries, kDimensions, 10, m == 2 ? 400 : 100);
    if (!CHECK(r >= (m == 2 ? 0.7 : 0.9))) std::printf("  m %u: recall@10 %.4f\n", m, r);
  }
}

// Of rows that changed and were not packed since, neighbours are scored one by one: as near.
TEST(rows_that_are_not_packed_are_walked_all_the_same) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  const auto c = fixture.make(fast_options(Metric::kL2));
  Clusters clusters(kDimensions, 20, test_seed());
  const auto base = clusters.draw_many(6000);
  const auto queries = clusters.draw_many(40);
  CHECK_OK(write(*c, kAdd, base.data(), 6000, kDimensions, {}));
  // Every other row is written again as it is, which marks it.
  Store& s = *c->impl().store();
  std::vector<uint32_t> slots;
  for (uint32_t slot = 0; slot < s.high_water(); slot += 2) slots.push_back(slot);
  s.graph.touch_rows(slots);
  CHECK_EQ(waiting(*c), slots.size());
  CHECK(recall(*c, queries, kDimensions, 10, 64) >= 0.95);
  // The next write packs them.
  CHECK_OK(write(*c, kAdd, base.data(), 1, kDimensions, {}));
  check_packed(*c);
}

// Many copies of few vectors leave no row without its hits, k as large as the pool neither.
TEST(every_search_brings_k_hits) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  const auto c = fixture.make(fast_options(Metric::kL2));
  Clusters clusters(kDimensions, 20, test_seed());
  auto base = clusters.draw_many(5000);
  for (size_t i = 0; i < 1500; ++i) {
    std::copy_n(&base[(i % 3) * kDimensions], kDimensions, &base[i * kDimensions]);
  }
  CHECK_OK(write(*c, kAdd, base.data(), 5000, kDimensions, {}));
  for (const uint32_t k : {1u, 10u, 100u, 1000u}) {
    SearchOptions o;
    o.k = o.ef = k;
    o.mode = Mode::kGraph;
    size_t fallbacks = 0;
    for (size_t q = 0; q < 4000; q += 97) {
      Rows hits;
      Plan plan;
      CHECK_OK(c->search(&base[q * kDimensions], kDimensions, o, &hits, &plan));
      CHECK_EQ(hits.ids.size(), size_t{k});
      std::set<uint64_t> different;
      for (const IdOut& id : hits.ids) different.insert(id.value);
      CHECK_EQ(different.size(), size_t{k});
      fallbacks += plan.fallback;
    }
    CHECK(fallbacks <= 2);
  }
}

// A batch finds what single searches find.
TEST(batches_find_what_single_searches_find) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(fast_options(Metric::kDot));
  Clusters clusters(kDimensions, 20, test_seed());
  const auto base = clusters.draw_many(6000);
  const auto queries = clusters.draw_many(50);
  CHECK_OK(write(*c, kAdd, base.data(), 6000, kDimensions, {}));
  CHECK_OK(optimize(*c));  // No upkeep in between.
  SearchOptions o;
  o.mode = Mode::kGraph;
  Rows all;
  std::vector<uint32_t> counts(50);
  CHECK_OK(c->search_batch(queries.data(), 50, kDimensions, o, &all, counts.data()));
  for (size_t q = 0; q < 50; ++q) {
    Rows one;
    CHECK_OK(c->search(&queries[q * kDimensions], kDimensions, o, &one));
    CHECK_EQ(size_t{counts[q]}, one.ids.size());
    for (size_t i = 0; i < one.ids.size(); ++i) {
      CHECK_EQ(all.ids[q * 10 + i].value, one.ids[i].value);
      CHECK_EQ(all.distances[q * 10 + i], one.distances[i]);
    }
  }
}

// The limit refuses rows that would not fit packed, and the collection goes on.
TEST(the_limit_counts_packed_rows) {
  InlineExecutor executor;
  Fixture fixture(&executor, 16 << 20);
  const auto c = fixture.make(fast_options(Metric::kL2));
  Clusters clusters(kDimensions, 20, test_seed());
  const auto base = clusters.draw_many(500);
  Status status;
  size_t rows = 0;
  while (rows < 100000) {
    status = write(*c, kAdd, base.data(), 500, kDimensions, {});
    if (!status.is_ok()) break;
    rows += 500;
  }
  CHECK_EQ(status.code(), ErrorCode::kMemory);
  CHECK(rows >= 5000);
  CHECK_EQ(c->count(), rows);
  CHECK(fixture.env.budget->used() <= uint64_t{16} << 20);
  // What was refused took nothing that is left out of account.
  CHECK_EQ(fixture.env.budget->used(), c->stats().bytes.total);
  // Without memory for more, records still go.
  CHECK_EQ(remove(*c, {1, 2, 3}), 3u);
  CHECK_EQ(c->count(), rows - 3);
}

// Searches, alone and in batches, beside writers that add, replace and delete.
TEST(readers_walk_packed_rows_beside_writers) {
  auto pool = ThreadPool::create(2).take();
  Fixture fixture(pool.get());
  const auto c = fixture.make(fast_options(Metric::kL2));
  Clusters clusters(kDimensions, 20, test_seed());
  const auto base = clusters.draw_many(6000);
  CHECK_OK(write(*c, kAdd, base.data(), 5000, kDimensions, ids_from(0, 5000)));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> found{0};
  std::atomic<uint64_t> searches{0};
  // Ids below 4 000 stay.
  const auto reader = [&](bool in_batches) {
    Random random(in_batches ? 5 : 6);
    while (!stop) {
      const uint64_t id = random.below(3990);
      SearchOptions o;
      o.mode = Mode::kGraph;
      Rows rows;
      uint32_t counts[8];
      const size_t count = in_batches ? 8 : 1;
      CHECK_OK(c->search_batch(&base[id * kDimensions], count, kDimensions, o, &rows, counts));
      for (size_t q = 0; q < count; ++q) {
        CHECK_EQ(counts[q], 10u);
        found += rows.ids[q * 10].value == id + q ? 1 : 0;
        ++searches;
      }
    }
  };
  std::thread readers[2] = {std::thread(reader, false), std::thread(reader, true)};
  for (uint64_t round = 0; round < 20; ++round) {
    const auto ids = ids_from(4000 + round * 40, 150);
    CHECK_OK(write(*c, kUpsert, &base[(5000 + round * 30) * kDimensions], 150, kDimensions, ids));
    (void)remove(*c, ids_from(4000 + round * 40, 50));
  }
  while (searches < 200) std::this_thread::yield();
  stop = true;
  for (std::thread& t : readers) t.join();
  CHECK(found * 100 >= searches * 97);
  CHECK_OK(optimize(*c));
  check_packed(*c);
}
