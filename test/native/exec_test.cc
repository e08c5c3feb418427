// Clocks, cancellation, thread counts and the inline executor: everything that needs no thread.
#include <set>
#include <vector>

#include "exec/cancel.h"
#include "exec/clock.h"
#include "exec/executor.h"
#include "exec/parallel_for.h"
#include "exec/thread.h"
#include "test.h"

using namespace omen;

namespace {

struct Numbered : Task {
  int number = 0;
  std::vector<int>* order = nullptr;
};

void note(Task* task) {
  const auto* numbered = static_cast<Numbered*>(task);
  numbered->order->push_back(numbered->number);
}

std::vector<int> order_of(InlineExecutor* executor) {
  std::vector<int> order;
  std::vector<Numbered> tasks(20);
  for (int i = 0; i < 20; ++i) {
    Numbered& task = tasks[static_cast<size_t>(i)];
    task.run = note;
    task.number = i;
    task.order = &order;
    executor->submit(&task);
  }
  executor->run_all();
  return order;
}

}  // namespace

// Aborts and deadlines must be told apart, and an abort must win.
TEST(cancel_tells_why) {
  ManualClock clock(100);
  CancelToken token;
  CHECK_OK(token.check(clock));
  clock.advance_ns(UINT64_MAX - 101);
  CHECK_OK(token.check(clock));
  ManualClock other(100);
  token.set_deadline_ns(150);
  CHECK_OK(token.check(other));
  other.advance_ns(49);
  CHECK(!token.should_stop(other));
  other.advance_ns(1);
  CHECK(token.check(other).code() == ErrorCode::kTimeout);
  token.cancel();
  CHECK(token.is_cancelled());
  CHECK(token.check(other).code() == ErrorCode::kAborted);
}

// The system's clock must never fall.
TEST(system_clock_is_monotonic) {
  const SystemClock clock;
  uint64_t last = clock.now_ns();
  for (int i = 0; i < 1000; ++i) {
    const uint64_t now = clock.now_ns();
    CHECK(now >= last);
    last = now;
  }
}

// A wrong OMENDB_THREADS must be an error, never a silent fallback.
TEST(thread_count_is_parsed_strictly) {
  for (const char* text : {"", "0", "-1", "1.5", "257", "two", " 2", "2 ", "0x2",
                           "99999999999999999999"}) {
    Result<unsigned> count = parse_thread_count(text);
    CHECK(!count.is_ok() && count.status().code() == ErrorCode::kArgument);
  }
  for (const unsigned n : {1u, 2u, 10u, 256u}) {
    Result<unsigned> count = parse_thread_count(std::to_string(n).c_str());
    CHECK(count.is_ok() && count.value() == n);
  }
  if (std::getenv("OMENDB_THREADS") == nullptr) {
    Result<unsigned> count = hardware_threads();
    CHECK(count.is_ok() && count.value() >= 1 && count.value() <= kThreadsMax);
  }
}

// Without a seed tasks run at once; with one they run in an order that the seed alone decides.
TEST(inline_executor_order) {
  InlineExecutor at_once;
  const std::vector<int> straight = order_of(&at_once);
  for (int i = 0; i < 20; ++i) CHECK_EQ(straight[static_cast<size_t>(i)], i);
  std::set<std::vector<int>> orders;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    InlineExecutor a(seed);
    InlineExecutor b(seed);
    const std::vector<int> order = order_of(&a);
    CHECK(order == order_of(&b));
    CHECK_EQ(std::set<int>(order.begin(), order.end()).size(), 20);
    orders.insert(order);
  }
  CHECK(orders.size() > 5);
}

// The queue must keep first in, first out, and survive removal from anywhere.
TEST(task_queue_keeps_order) {
  Random random(test_seed());
  std::vector<Task> tasks(50);
  std::vector<Task*> model;
  TaskQueue queue;
  std::vector<Task*> outside;
  for (Task& task : tasks) outside.push_back(&task);
  for (int step = 0; step < 5000; ++step) {
    if (!outside.empty() && random.below(2) == 0) {
      queue.push(outside.back());
      model.push_back(outside.back());
      outside.pop_back();
    } else if (!model.empty()) {
      const size_t at = random.below(2) == 0 ? 0 : random.below(model.size());
      Task* task = at == 0 ? queue.pop() : queue.take(at);
      CHECK(task == model[at]);
      outside.push_back(task);
      model.erase(model.begin() + static_cast<long>(at));
    } else {
      CHECK(queue.pop() == nullptr);
    }
    CHECK_EQ(queue.size(), model.size());
    CHECK_EQ(queue.empty(), model.empty());
  }
}

// Every index must be visited once, for any size and grain, whether helpers run at once, late
// (after the loop has returned) or not at all.
TEST(parallel_for_covers_the_range_inline) {
  for (const size_t n : {size_t{0}, size_t{1}, size_t{7}, size_t{64}, size_t{1000}}) {
    for (const size_t grain : {size_t{1}, size_t{3}, size_t{64}, size_t{5000}}) {
      InlineExecutor at_once;
      InlineExecutor late(n + grain);
      for (Executor* executor : {static_cast<Executor*>(&at_once), static_cast<Executor*>(&late)}) {
        std::vector<int> visits(n, 0);
        parallel_for(*executor, n, grain, [&](size_t begin, size_t end, unsigned worker) {
          CHECK(begin < end && end <= n && end - begin <= grain);
          CHECK(worker < parallel_workers(*executor));
          for (size_t i = begin; i < end; ++i) ++visits[i];
        });
        size_t once = 0;
        for (const int count : visits) once += count == 1;
        CHECK_EQ(once, n);
      }
      late.run_all();  // Late helpers find valid memory and nothing to do.
    }
  }
}
