// Columns of a collection that was opened: filled behind the opening.
//
// Why: parsing metadata takes longer than reading all the rest of a snapshot, and a search without
// a filter needs none of it.
// How: a task of the pool fills them as soon as the database is open; whoever needs them before
// waits for it, or does it. Under the store's index_mutex alone: commits come here first, so that
// nobody else changes columns meanwhile, and a reader that waits here under its pin holds nobody up
// that the mutex's holder waits for.
#include <algorithm>
#include <mutex>
#include <new>

#include "base/test_points.h"
#include "db/collection_impl.h"
#include "storage/checks.h"

namespace omen {

namespace {

// Slots whose metadata are parsed before one thread puts their fields into columns: what parsing
// needs then stays in the cache, and in few pages. (With 8 192 it took a fifth longer.)
constexpr uint32_t kSlotsAtOnce = 1024;
constexpr size_t kSlotsPerTask = 256;

struct IndexTask {
  Task task;
  std::shared_ptr<Collection> collection;
};

}  // namespace

Status Collection::Impl::fill_columns(Store& s) const {
  const std::lock_guard<std::mutex> guard(s.index_mutex);
  if (s.is_indexed.load(std::memory_order_relaxed)) return Status::ok();
  OMEN_TEST_POINT("index_metadata");
  const auto damaged = [&](uint32_t slot, const Status& fault) {
    if (fault.code() == ErrorCode::kMemory) return fault;
    return corrupt("", "the metadata of record " + id_to_json(s.id_view(slot)) +
                           " of collection '" + name + "' are damaged: " + fault.message());
  };
  std::vector<uint32_t> slots;
  std::vector<ParsedRecord> records;
  for (const uint32_t end = s.high_water(); s.indexed_end < end;) {
    if (s.is_leaving.load(std::memory_order_relaxed)) return Status::ok();
    const uint32_t to = std::min(s.indexed_end + kSlotsAtOnce, end);
    slots.clear();
    for (uint32_t slot = s.indexed_end; slot < to; ++slot) {
      if (s.columns.block(slot) != nullptr) slots.push_back(slot);
    }
    records.clear();
    records.resize(slots.size());
    std::mutex mutex;
    Status fault;
    parallel_for(*env.executor, slots.size(), kSlotsPerTask,
                 [&](size_t from, size_t until, unsigned) {
                   for (size_t i = from; i < until; ++i) {
                     Result<ParsedRecord> parsed = s.columns.parse_stored(slots[i]);
                     if (parsed.is_ok()) {
                       records[i] = parsed.take();
                       continue;
                     }
                     const std::lock_guard<std::mutex> fault_guard(mutex);
                     if (fault.is_ok()) fault = damaged(slots[i], parsed.status());
                     return;
                   }
                 });
    OMEN_TRY(std::move(fault));
    if (Status filled = s.columns.fill(slots, records); !filled.is_ok()) {
      return damaged(slots[static_cast<size_t>(std::max<int64_t>(filled.row(), 0))], filled);
    }
    s.indexed_end = to;
  }
  s.is_indexed.store(true, std::memory_order_release);
  return Status::ok();
}

void Collection::start_indexing() {
  const Store* s = impl_->store();
  if (s == nullptr || s->is_indexed.load(std::memory_order_acquire)) return;
  auto* task = new (std::nothrow) IndexTask;
  if (task == nullptr) return;  // Whoever needs the columns makes them.
  task->collection = shared_from_this();
  task->task.run = [](Task* t) {
    const std::unique_ptr<IndexTask> own(reinterpret_cast<IndexTask*>(t));
    Impl& c = own->collection->impl();
    const EpochDomain::Pin pin = c.epochs.pin();  // clear() may replace the store.
    Store* store = c.store();
    // An error comes back to whoever needs them.
    if (store != nullptr && !c.dropped_) (void)c.index_metadata(*store).is_ok();
  };
  impl_->env.executor->submit(&task->task);
}

}  // namespace omen
