// Readers and writers at once: nothing torn, nothing deleted comes back, no id twice, nothing lost.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

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

}  // namespace

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
  CHECK_OK(optimize(*c));
  const CheckReport report = c->check();
  CHECK_EQ(report.problem, std::string());
  CHECK_EQ(report.unreachable, 0u);
  CHECK_EQ(c->count(), 1100u);
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
