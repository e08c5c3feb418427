// The thread pool and parallel_for on real threads; meant for ThreadSanitizer.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/random.h"
#include "exec/parallel_for.h"
#include "exec/thread.h"
#include "exec/thread_pool.h"
#include "test.h"

using namespace omen;

namespace {

struct Counting : Task {
  std::atomic<int>* count = nullptr;
};

void count_up(Task* task) {
  std::atomic<int>* count = static_cast<Counting*>(task)->count;
  delete static_cast<Counting*>(task);  // A task may free itself.
  ++*count;
}

void submit_count(Executor* executor, std::atomic<int>* count) {
  auto* task = new Counting;
  task->run = count_up;
  task->count = count;
  executor->submit(task);
}

// Keeps a pool's threads busy until opened.
struct Gate {
  struct Waiter : Task {
    Gate* gate = nullptr;
  };
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  int waiting = 0;
  int passed = 0;
  std::vector<Waiter> waiters;

  void block(Executor* executor, size_t count) {
    waiters.resize(count);
    for (Waiter& waiter : waiters) {
      waiter.gate = this;
      waiter.run = [](Task* task) {
        Gate* gate = static_cast<Waiter*>(task)->gate;
        std::unique_lock lock(gate->mutex);
        ++gate->waiting;
        gate->changed.notify_all();
        gate->changed.wait(lock, [gate] { return gate->open; });
        ++gate->passed;
        gate->changed.notify_all();
      };
      executor->submit(&waiter);
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return waiting == static_cast<int>(count); });
  }
  void open_and_wait() {
    std::unique_lock lock(mutex);
    open = true;
    changed.notify_all();
    changed.wait(lock, [&] { return passed == static_cast<int>(waiters.size()); });
  }
};

}  // namespace

// A thread must run what it was given, be joined, and report a status on start.
TEST(threads_start_and_join) {
  std::atomic<int> ran{0};
  std::vector<Thread> threads;
  for (int i = 0; i < 8; ++i) {
    Result<Thread> thread = Thread::start(
        "a name that is longer than allowed",
        [](void* count) { ++*static_cast<std::atomic<int>*>(count); }, &ran);
    REQUIRE_OK(thread);
    CHECK(thread.value().is_running());
    threads.push_back(thread.take());
  }
  for (Thread& thread : threads) thread.join();
  CHECK_EQ(ran.load(), 8);
  CHECK(!threads[0].is_running());
}

// Every submitted task must run exactly once, from any number of submitters, also when the pool is
// destroyed right after.
TEST(pool_runs_every_task) {
  for (const unsigned width : {1u, 2u, 4u}) {
    std::atomic<int> count{0};
    {
      Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(width);
      REQUIRE_OK(pool);
      ThreadPool* p = pool.value().get();
      std::vector<Thread> submitters;
      struct Job {
        ThreadPool* pool;
        std::atomic<int>* count;
      } job{p, &count};
      for (int t = 0; t < 3; ++t) {
        Result<Thread> thread = Thread::start(
            "submitter",
            [](void* argument) {
              const Job* j = static_cast<Job*>(argument);
              for (int i = 0; i < 500; ++i) submit_count(j->pool, j->count);
            },
            &job);
        REQUIRE_OK(thread);
        submitters.push_back(thread.take());
      }
      for (Thread& thread : submitters) thread.join();
      CHECK(p->threads() >= 1 && p->threads() <= width);
    }
    CHECK_EQ(count.load(), 1500);
  }
}

// Threads must start only as work asks for them, up to the width.
TEST(pool_starts_threads_lazily) {
  Result<std::unique_ptr<ThreadPool>> made = ThreadPool::create(4);
  REQUIRE_OK(made);
  ThreadPool* pool = made.value().get();
  CHECK_EQ(pool->threads(), 1);
  Gate gate;
  gate.block(pool, 4);  // Returns only when four tasks run at once.
  CHECK_EQ(pool->threads(), 4);
  gate.open_and_wait();
}

// Tasks that come while a thread watches, while it falls asleep and long after it did must all run,
// and none may wait for the next submission: a lost wake-up would stop the test here.
TEST(pool_forgets_no_task_between_watching_and_sleep) {
  for (const unsigned width : {1u, 2u, 4u}) {
    Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(width);
    REQUIRE_OK(pool);
    Random random(test_seed() + width);
    std::atomic<int> count{0};
    int submitted = 0;
    for (int round = 0; round < 400; ++round) {
      const int burst = 1 + static_cast<int>(random.below(5));
      for (int i = 0; i < burst; ++i) submit_count(pool.value().get(), &count);
      submitted += burst;
      while (count.load() != submitted) std::this_thread::yield();
      // Shorter than a watch, about as long, and much longer.
      const uint64_t pause_us = random.below(3) == 0 ? random.below(2000) : random.below(80);
      if (pause_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
    }
    CHECK_EQ(count.load(), submitted);
  }
}

// While one thread watches, two tasks at once still need two threads: each waits for the other.
TEST(pool_wakes_sleepers_beside_the_one_that_watches) {
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(3);
  REQUIRE_OK(pool);
  for (int round = 0; round < 200; ++round) {
    Gate gate;
    gate.block(pool.value().get(), 3);  // Returns only when three tasks run at once.
    gate.open_and_wait();
  }
  CHECK_EQ(pool.value()->threads(), 3);
}

// A pool of one thread must keep the order of submission.
TEST(pool_of_one_is_first_in_first_out) {
  struct Ordered : Task {
    int number = 0;
    std::vector<int>* order = nullptr;
  };
  std::vector<int> order;  // Written by the one thread, read after it is joined.
  std::vector<Ordered> tasks(200);
  {
    Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(1);
    REQUIRE_OK(pool);
    for (int i = 0; i < 200; ++i) {
      Ordered& task = tasks[static_cast<size_t>(i)];
      task.number = i;
      task.order = &order;
      task.run = [](Task* t) {
        const auto* o = static_cast<Ordered*>(t);
        o->order->push_back(o->number);
      };
      pool.value()->submit(&task);
    }
  }
  REQUIRE(order.size() == 200);
  for (int i = 0; i < 200; ++i) CHECK_EQ(order[static_cast<size_t>(i)], i);
}

// There must be one process-wide pool, and it must work from several callers.
TEST(process_pool_is_one) {
  Result<ThreadPool*> a = ThreadPool::process();
  Result<ThreadPool*> b = ThreadPool::process();
  REQUIRE_OK(a);
  REQUIRE_OK(b);
  CHECK(a.value() == b.value());
  std::atomic<size_t> sum{0};
  parallel_for(*a.value(), 1000, 10, [&](size_t begin, size_t end, unsigned) {
    for (size_t i = begin; i < end; ++i) sum += i;
  });
  CHECK_EQ(sum.load(), 499500);
}

// Each index once, writes visible to the caller, and no worker index used twice at once.
TEST(parallel_for_covers_the_range) {
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(3);
  REQUIRE_OK(pool);
  for (const size_t n : {size_t{1}, size_t{10}, size_t{1000}, size_t{20000}}) {
    for (const size_t grain : {size_t{1}, size_t{17}, size_t{1000}}) {
      std::vector<int> visits(n, 0);  // Plain memory: ThreadSanitizer checks the hand-over.
      std::vector<uint64_t> scratch(parallel_workers(*pool.value()), 0);
      parallel_for(*pool.value(), n, grain, [&](size_t begin, size_t end, unsigned worker) {
        for (size_t i = begin; i < end; ++i) {
          ++visits[i];
          scratch[worker] += 1;
        }
      });
      size_t once = 0;
      uint64_t sum = 0;
      for (const int count : visits) once += count == 1;
      for (const uint64_t part : scratch) sum += part;
      CHECK_EQ(once, n);
      CHECK_EQ(sum, n);
    }
  }
}

// The caller must wait for a helper that holds a chunk: it uses the caller's stack.
TEST(parallel_for_waits_for_running_helpers) {
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(1);
  REQUIRE_OK(pool);
  std::mutex mutex;
  std::condition_variable changed;
  bool helper_began = false;
  int finished = 0;  // Plain: only the wait makes it readable.
  parallel_for(*pool.value(), 2, 1, [&](size_t, size_t, unsigned worker) {
    std::unique_lock lock(mutex);
    if (worker == 0) {  // Leaves the other chunk to the helper.
      changed.wait(lock, [&] { return helper_began; });
      return;
    }
    helper_began = true;
    changed.notify_all();
    lock.unlock();
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    finished = 1;
  });
  CHECK_EQ(finished, 1);
}

// The caller must never wait for helpers that cannot start: all threads busy, or busy themselves
// with nested loops.
TEST(parallel_for_needs_no_free_thread) {
  Result<std::unique_ptr<ThreadPool>> made = ThreadPool::create(2);
  REQUIRE_OK(made);
  ThreadPool* pool = made.value().get();
  std::atomic<size_t> count{0};
  {
    Gate gate;
    gate.block(pool, 2);
    parallel_for(*pool, 100, 1, [&](size_t begin, size_t end, unsigned worker) {
      CHECK_EQ(worker, 0);
      count += end - begin;
    });
    CHECK_EQ(count.load(), 100);
    gate.open_and_wait();  // The helpers start now, and must find nothing and valid memory.
  }
  parallel_for(*pool, 20, 1, [&](size_t, size_t, unsigned) {
    parallel_for(*pool, 20, 1, [&](size_t, size_t, unsigned) {
      parallel_for(*pool, 5, 2, [&](size_t begin, size_t end, unsigned) { count += end - begin; });
    });
  });
  CHECK_EQ(count.load(), 100 + 20 * 20 * 5);
}
