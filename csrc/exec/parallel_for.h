// parallel_for: runs fn(begin, end, worker) over [0, n) in chunks of `grain`, on several threads.
//
// Why: the caller computes too and waits only for helpers that already hold a chunk, never for
// one that has not started. So it may be called from inside a task of the same pool, and when all
// threads are busy it just runs alone. A helper that starts late finds a control block that it
// shares ownership of, sees that no chunk is left, and goes.
// Invariants:
//   1. Each index is given to fn exactly once; all calls have returned when parallel_for returns,
//      and what they wrote is visible to the caller.
//   2. fn is not touched after parallel_for returned.
//   3. `worker` is below parallel_workers(executor), 0 is the caller, and no two calls that run at
//      once have the same one: it may index scratch memory.
// Threads: any; fn must allow concurrent calls.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "base/assert.h"
#include "exec/executor.h"

namespace omen {

// An upper bound of `worker` indexes, the caller's included.
inline unsigned parallel_workers(const Executor& executor) { return executor.width() + 1; }

namespace parallel_detail {

// The type-erased loop. `call(context, begin, end, worker)` runs a chunk.
struct Loop {
  size_t n;
  size_t grain;
  void (*call)(void* context, size_t begin, size_t end, unsigned worker);
  void* context;
};
void run(Executor& executor, const Loop& loop);

}  // namespace parallel_detail

template <class F>
void parallel_for(Executor& executor, size_t n, size_t grain, F&& fn) {
  using Fn = std::remove_reference_t<F>;
  OMEN_ASSERT(grain > 0 && n <= SIZE_MAX / 4 && grain <= SIZE_MAX / 4);
  const parallel_detail::Loop loop{
      n, grain,
      [](void* context, size_t begin, size_t end, unsigned worker) {
        (*static_cast<Fn*>(context))(begin, end, worker);
      },
      const_cast<void*>(static_cast<const void*>(std::addressof(fn)))};
  parallel_detail::run(executor, loop);
}

}  // namespace omen
