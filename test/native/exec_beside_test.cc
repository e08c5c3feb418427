// Work beside its caller: done once, seen by the caller, whoever does it.
#include <thread>

#include "exec/beside.h"
#include "exec/thread_pool.h"
#include "test.h"

using namespace omen;

// join() must give what the work gave, and the work must have been done once and be visible,
// whether a thread of the pool came to it first or the caller.
TEST(beside_is_done_once) {
  auto pool = ThreadPool::create(2);
  REQUIRE_OK(pool);
  for (int round = 0; round < 2000; ++round) {
    int calls = 0;  // Not atomic: what ThreadSanitizer watches.
    Beside work(*pool.value(), [&]() -> Status {
      ++calls;
      return round % 3 == 0 ? Status::error(ErrorCode::kIo, "as told") : Status::ok();
    });
    if (round % 2 == 0) std::this_thread::yield();
    CHECK(work.join().is_ok() == (round % 3 != 0));
    CHECK_EQ(calls, 1);
    CHECK(work.join().is_ok() == (round % 3 != 0));
  }
}

// Who leaves early must still find the work done: it uses what the caller owns.
TEST(beside_ends_before_its_owner) {
  auto pool = ThreadPool::create(2);
  REQUIRE_OK(pool);
  for (int round = 0; round < 500; ++round) {
    int calls = 0;
    {
      Beside work(*pool.value(), [&] {
        ++calls;
        return Status::ok();
      });
    }
    CHECK_EQ(calls, 1);
  }
}

// From within a task of a pool whose threads are all busy it must not wait for one of them.
TEST(beside_needs_no_free_thread) {
  auto pool = ThreadPool::create(1);
  REQUIRE_OK(pool);
  int order = 0;
  Beside outer(*pool.value(), [&] {
    Beside inner(*pool.value(), [&] {
      order = 1;
      return Status::ok();
    });
    OMEN_TRY(Status(inner.join()));
    order = order == 1 ? 2 : -1;
    return Status::ok();
  });
  CHECK_OK(outer.join());
  CHECK_EQ(order, 2);
}

// What runs tasks at once, or only when it is asked to, must do as well.
TEST(beside_runs_on_any_executor) {
  InlineExecutor at_once;
  InlineExecutor later(test_seed());
  int calls = 0;
  const auto count = [&] {
    ++calls;
    return Status::ok();
  };
  {
    Beside first(at_once, count);
    CHECK_EQ(calls, 1);
    Beside second(later, count);
    CHECK_EQ(calls, 1);
    CHECK_OK(second.join());
    CHECK_EQ(calls, 2);
  }
  later.run_all();  // Its task is still there, and does nothing any more.
  CHECK_EQ(calls, 2);
}
