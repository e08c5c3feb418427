// The control block of parallel_for; see parallel_for.h.
#include "exec/parallel_for.h"

#include <condition_variable>
#include <mutex>
#include <new>

namespace omen::parallel_detail {

namespace {

struct Control;

struct Helper : Task {
  Control* control;
  unsigned worker;
};

// Shared by the caller and the helpers; the last one frees it.
struct Control {
  explicit Control(const Loop& l, unsigned owners) : loop(l), references(owners) {}

  const Loop loop;
  std::atomic<size_t> next{0};  // May pass n by a grain for each helper, never more.
  std::atomic<unsigned> references;
  std::mutex mutex;
  std::condition_variable all_done;
  size_t done = 0;  // Indexes whose call has returned.
  std::unique_ptr<Helper[]> helpers;

  void drop() {
    if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
};

// Runs chunks until none is left; how many indexes they were. Only who holds a chunk touches
// loop.context: the caller waits for it.
size_t run_chunks(Control* control, unsigned worker) {
  const Loop& loop = control->loop;
  size_t count = 0;
  for (;;) {
    const size_t begin = control->next.fetch_add(loop.grain, std::memory_order_relaxed);
    if (begin >= loop.n) return count;
    const size_t end = begin + std::min(loop.grain, loop.n - begin);
    loop.call(loop.context, begin, end, worker);
    count += end - begin;
  }
}

void finish(Control* control, size_t count) {
  if (count == 0) return;
  const std::lock_guard lock(control->mutex);
  control->done += count;
  if (control->done == control->loop.n) control->all_done.notify_all();
}

void run_helper(Task* task) {
  const auto* helper = static_cast<Helper*>(task);
  Control* control = helper->control;
  finish(control, run_chunks(control, helper->worker));
  control->drop();
}

void run_alone(const Loop& loop) {
  for (size_t begin = 0; begin < loop.n; begin += std::min(loop.grain, loop.n - begin)) {
    loop.call(loop.context, begin, begin + std::min(loop.grain, loop.n - begin), 0);
  }
}

// Null when there is no memory.
Control* make_control(const Loop& loop, unsigned helpers) {
  auto* control = new (std::nothrow) Control(loop, helpers + 1);
  if (control == nullptr) return nullptr;
  control->helpers.reset(new (std::nothrow) Helper[helpers]);
  if (control->helpers == nullptr) {
    delete control;
    return nullptr;
  }
  for (unsigned i = 0; i < helpers; ++i) {
    control->helpers[i].run = run_helper;
    control->helpers[i].control = control;
    control->helpers[i].worker = i + 1;
  }
  return control;
}

}  // namespace

void run(Executor& executor, const Loop& loop) {
  const size_t chunks = loop.n / loop.grain + (loop.n % loop.grain != 0 ? 1 : 0);
  const size_t others = chunks == 0 ? 0 : chunks - 1;
  const auto helpers = static_cast<unsigned>(std::min<size_t>(executor.width(), others));
  Control* control = helpers == 0 ? nullptr : make_control(loop, helpers);
  if (control == nullptr) return run_alone(loop);
  for (unsigned i = 0; i < helpers; ++i) executor.submit(&control->helpers[i]);
  finish(control, run_chunks(control, 0));
  {
    std::unique_lock lock(control->mutex);
    while (control->done != loop.n) control->all_done.wait(lock);
  }
  control->drop();
}

}  // namespace omen::parallel_detail
