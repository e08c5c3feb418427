// The commit queue: one committer at a time takes all waiting commits, in order.
//
// Why: writes of many callers share one pass of linking in parallel (and, with a log, one sync); a
// Sync caller works through the queue itself instead of waiting for a thread.
#include <algorithm>
#include <limits>
#include <mutex>
#include <new>

#include "base/test_points.h"
#include "db/collection_impl.h"
#include "graph/bulk/progress.h"

namespace omen {

namespace {

// Until so many nodes are in the graph, linking is serial: the first ones must find each other.
constexpr size_t kSerialLinks = 256;
// Slots that are linked as one batch, for each thread: what the searches of a batch do not find is
// each other.
constexpr size_t kBatchLinks = 256;
constexpr size_t kBatchLinksMax = 1024;
// Searches of inserted nodes that take turns, where at least so many are inserted.
constexpr size_t kLinksAtOnce = 2;
constexpr size_t kGroupedLinks = 64;
static_assert(kLinksAtOnce <= Graph::kGroupMax);
constexpr size_t kLinksKept = 4096;
constexpr size_t kMembersKept = 64;
// So many at once, and not fewer than a third of those in the graph, are linked in bulk.
constexpr size_t kBulkMin = 1000;
constexpr uint64_t kBulkShare = 3;
// Squared: lengths within a twentieth.
constexpr double kEqualNorms = 1.05 * 1.05;
constexpr size_t kNormsPerTask = 1024;

struct DrainTask {
  Task task;
  std::shared_ptr<Collection> collection;
};

}  // namespace

void Collection::Impl::push(Commit* commit) {
  commit->next = nullptr;
  const std::lock_guard<std::mutex> guard(queue_mutex_);
  (queue_last_ == nullptr ? queue_first_ : queue_last_->next) = commit;
  queue_last_ = commit;
}

Commit* Collection::Impl::take_all() {
  const std::lock_guard<std::mutex> guard(queue_mutex_);
  Commit* first = queue_first_;
  queue_first_ = queue_last_ = nullptr;
  return first;
}

bool Collection::Impl::has_waiting() {
  const std::lock_guard<std::mutex> guard(queue_mutex_);
  return queue_first_ != nullptr;
}

void Collection::Impl::drain() {
  for (bool is_over = false; !is_over;) {
    Commit* answers = nullptr;
    {
      const std::lock_guard<std::mutex> guard(commit_mutex_);
      if (Commit* first = take_all()) {
        answers = process(first);
      } else {
        is_over = true;
        if (maintenance_due_.exchange(false)) maintain();
        epochs.collect();
      }
    }
    answer_all(answers);
  }
}

void Collection::Impl::schedule_drain(std::shared_ptr<Collection> self) {
  if (drain_scheduled_.exchange(true)) return;
  auto* task = new (std::nothrow) DrainTask;
  if (task == nullptr) {  // No memory for a task: do it here.
    drain_scheduled_ = false;
    return drain();
  }
  task->collection = std::move(self);
  task->task.run = [](Task* t) {
    const std::unique_ptr<DrainTask> own(reinterpret_cast<DrainTask*>(t));
    Impl& c = own->collection->impl();
    c.drain_scheduled_ = false;
    c.drain();
  };
  env.executor->submit(&task->task);
}

void Collection::submit(Commit* commit) {
  prepare_update(commit);
  impl_->push(commit);
  impl_->schedule_drain(shared_from_this());
}

// One turn is enough: whoever holds the mutex before has taken the commit, or leaves it for this
// turn. What others queue meanwhile is theirs, and upkeep is for the pool: a Sync caller waits for
// no more than it must.
void Collection::run(Commit* commit) {
  prepare_update(commit);
  impl_->push(commit);
  Commit* answers = nullptr;
  {
    const std::lock_guard<std::mutex> guard(impl_->commit_mutex_);
    if (Commit* first = impl_->take_all()) answers = impl_->process(first);
    impl_->epochs.collect();
  }
  impl_->answer_all(answers);
  if (impl_->must_wait(*commit)) {
    commit->status = impl_->env.journal->wal()->wait_durable(commit->sequence);
  }
  if (impl_->maintenance_due_.load()) impl_->schedule_drain(shared_from_this());
}

// Applies every commit of the group and links all their slots together. Returns those to answer: a
// commit without on_done is its caller's again as soon as the lock goes.
Commit* Collection::Impl::process(Commit* first) {
  OMEN_TEST_POINT("commit");
  if (!is_replaying()) to_link_.clear();
  group_ = first;
  bool replaced = false;
  uint64_t to_sync = 0;
  for (Commit* commit = first; commit != nullptr; commit = commit->next) {
    commit->first_link = to_link_.size();
    commit->status = apply(commit);
    commit->link_count = to_link_.size() - std::min(to_link_.size(), commit->first_link);
    replaced |= commit->kind == Commit::Kind::kUpsert || commit->kind == Commit::Kind::kUpdate;
    if (must_wait(*commit)) to_sync = std::max(to_sync, commit->sequence);
  }
  // The device writes while the graph is linked.
  if (to_sync > 0) env.journal->wal()->start_sync(to_sync);
  if (is_replaying()) {
    relieve_replay();
  } else {
    link_queued();
    if (replaced) bound_marked();
    if (needs_maintenance()) maintenance_due_ = true;
  }
  group_ = nullptr;
  Commit* answers = nullptr;
  Commit** last = &answers;
  for (; first != nullptr; first = first->next) {
    first->done.store(first->total.load());
    // Before the answer: who reads it may go on as if nothing had been staged.
    if (!first->status.is_ok()) first->batch.reset();
    if (first->on_done == nullptr) continue;
    *last = first;
    last = &first->next;
  }
  *last = nullptr;
  return answers;
}

Status Collection::Impl::apply(Commit* commit) {
  if (commit->kind == Commit::Kind::kDrop) {
    apply_drop();
    return Status::ok();
  }
  OMEN_TRY(check_alive());
  if (commit->kind != Commit::Kind::kOptimize) OMEN_TRY(check_writable());
  OMEN_TRY(Status(commit->status));
  if (commit->cancel != nullptr) OMEN_TRY(commit->cancel->check(*env.clock));
  const bool changes_columns =
      commit->kind != Commit::Kind::kDeleteIds && commit->kind != Commit::Kind::kClear;
  if (Store* s = store(); s != nullptr && changes_columns) OMEN_TRY(index_metadata(*s));
  OMEN_TRY(apply_change(commit));
  return log_no_change(commit);
}

Status Collection::Impl::apply_change(Commit* commit) {
  switch (commit->kind) {
    case Commit::Kind::kAdd:
    case Commit::Kind::kUpsert:
      return apply_batch(commit);
    case Commit::Kind::kUpdate:
      return apply_update(commit);
    case Commit::Kind::kDeleteIds:
      return apply_delete_ids(commit);
    case Commit::Kind::kDeleteFilter:
      return apply_delete_filter(commit);
    case Commit::Kind::kClear:
      return apply_clear(commit);
    case Commit::Kind::kOptimize:
      return apply_optimize(commit);
    case Commit::Kind::kDrop:
      break;
  }
  return Status::ok();
}

size_t Collection::Impl::links_at_once() const {
  return std::min(kBatchLinks * env.executor->width(), kBatchLinksMax);
}

// All memory that linking `count` more slots will need: after it, linking cannot fail.
Status Collection::Impl::reserve_links(Store& s, const uint32_t* slots, size_t count) {
  const uint32_t high = std::max(s.high_water(), count > 0 ? slots[count - 1] + 1 : 0u);
  if (is_replaying()) {  // The rest when all rows are there.
    const size_t queued = to_link_.size() + count;
    if (queued > to_link_.capacity()) OMEN_TRY(to_link_.reserve(queued + queued / 2));
    if (CodeSet* codes = s.codes()) OMEN_TRY(codes->ensure(high));
    return s.graph.reserve(high, {}, {});
  }
  OMEN_TRY(s.graph.reserve(high, {slots, count}, {to_link_.data(), to_link_.size()}));
  if (CodeSet* codes = s.codes()) OMEN_TRY(codes->ensure(high));
  OMEN_TRY(to_link_.reserve(to_link_.size() + count));
  const Store::BuildSpace space(s);
  const uint64_t serial = s.codes() == nullptr ? 0 : s.codes()->serial;
  if (workers_serial_ != serial || workers_generation_ != s.generation()) {
    for (auto& worker : workers_) worker->forget_space();
    workers_serial_ = serial;
    workers_generation_ = s.generation();
  }
  // One each for a few slots; a group's worth of them where many are inserted.
  const bool many = to_link_.size() + count >= kGroupedLinks;
  const size_t wanted = parallel_workers(*env.executor) * (many ? kLinksAtOnce : 1);
  while (workers_.size() < wanted) workers_.push_back(std::make_unique<BuildScratch>(&account));
  OMEN_TRY(batch_links_.reserve(std::min(to_link_.size() + count, links_at_once()), 2 * options.m));
  for (auto& worker : workers_) {
    OMEN_TRY(worker->reserve(high, s.graph.insert_ef(), space, s.kernels));
  }
  return Status::ok();
}

void Collection::Impl::queue_link(uint32_t slot) { to_link_.push_back_reserved(slot); }

namespace {

// Tells the commits of a group how far their linking is, or who opens a database.
class GroupProgress final : public BulkProgress {
 public:
  GroupProgress(Commit* group, OpenProgress* opening, size_t slots)
      : group_(group), opening_(opening), slots_(slots) {
    if (opening_ != nullptr) done_before_ = opening_->done.load(std::memory_order_relaxed);
  }
  void report(double share) override {
    if (opening_ != nullptr) {
      const auto reached = static_cast<uint64_t>(share * static_cast<double>(slots_));
      opening_->done.store(done_before_ + reached, std::memory_order_relaxed);
    }
    for (Commit* c = group_; c != nullptr; c = c->next) {
      const auto reached = static_cast<uint64_t>(share * static_cast<double>(c->link_count));
      uint64_t old = c->done.load(std::memory_order_relaxed);
      while (reached > old && !c->done.compare_exchange_weak(old, reached)) {
      }
    }
  }

 private:
  Commit* const group_;
  OpenProgress* const opening_;
  const size_t slots_;
  uint64_t done_before_ = 0;
};

}  // namespace

// Whether all records are about as long as each other: the largest dot product is then the least
// Euclidean distance, but for what their lengths differ by.
bool Collection::Impl::are_equally_long(const Store& s) const {
  if (!s.has_floats()) return false;
  std::mutex mutex;
  double shortest = std::numeric_limits<double>::infinity();
  double longest = 0;
  parallel_for(*env.executor, s.high_water(), kNormsPerTask,
               [&](size_t begin, size_t end, unsigned) {
                 double low = std::numeric_limits<double>::infinity();
                 double high = 0;
                 for (size_t slot = begin; slot < end; ++slot) {
                   if (!s.is_live(static_cast<uint32_t>(slot))) continue;
                   const double norm =
                       s.kernels.norm_f32(s.vector(static_cast<uint32_t>(slot)), s.dimensions());
                   low = std::min(low, norm);
                   high = std::max(high, norm);
                 }
                 const std::lock_guard<std::mutex> guard(mutex);
                 shortest = std::min(shortest, low);
                 longest = std::max(longest, high);
               });
  return longest <= shortest * kEqualNorms;
}

bool Collection::Impl::is_for_bulk(uint64_t in_graph) const {
  return to_link_.size() >= kBulkMin && to_link_.size() * kBulkShare >= in_graph;
}

// False: not worth it, or not possible, and nothing was linked.
bool Collection::Impl::link_in_bulk(Store& s, uint64_t in_graph) {
  const Store::BuildSpace space(s);
  const size_t count = to_link_.size();
  if (!is_for_bulk(in_graph)) return false;
  if (!space.is_euclidean() && !are_equally_long(s)) return false;
  GroupProgress progress(group_, opening_, count);
  const EpochDomain::Pin pin = epochs.pin();
  const Graph::Bulk bulk{{to_link_.data(), count}, workers_, *env.executor, space, progress};
  if (!s.graph.insert_many(bulk).is_ok()) return false;
  s.linked_apart = 0;
  return true;
}

// Where enough rows were chosen a few at a time all are chosen anew, together.
Status Collection::Impl::link_together(Store& s) {
  if (s.live() < kBulkMin || s.linked_apart < s.apart_limit()) return Status::ok();
  const Store::BuildSpace space(s);
  if (!space.is_euclidean() && !are_equally_long(s)) return Status::ok();
  OMEN_TRY(reserve_links(s, nullptr, 0));
  GroupProgress progress(group_, nullptr, 0);
  const EpochDomain::Pin pin = epochs.pin();
  OMEN_TRY(s.graph.insert_many({{}, workers_, *env.executor, space, progress}));
  s.linked_apart = 0;
  return Status::ok();
}

void Collection::Impl::forget_dead_links(const Store& s) {
  const auto dead = [&](uint32_t slot) { return !s.is_live(slot); };
  const auto* end = std::remove_if(to_link_.begin(), to_link_.end(), dead);
  to_link_.truncate(static_cast<size_t>(end - to_link_.begin()));
}

void Collection::Impl::link_in_batches(Store& s, uint64_t in_graph) {
  // A sample of all, and enough of them for a batch of their own.
  std::stable_partition(to_link_.begin(), to_link_.end(),
                        [&](uint32_t slot) { return s.graph.level_of(slot) > 0; });
  const std::span<const uint32_t> slots{to_link_.data(), to_link_.size()};
  const size_t count = slots.size();
  s.linked_apart += count;
  const size_t serial =
      std::min<size_t>(count, kSerialLinks - std::min<uint64_t>(in_graph, kSerialLinks));
  GroupProgress progress(group_, opening_, count);
  for (size_t done = 0; done < count;) {
    const EpochDomain::Pin pin = epochs.pin();
    const size_t n = done < serial ? 1 : std::min(count - done, links_at_once());
    if (done < serial) {
      OMEN_TEST_POINT("graph-insert");
      s.graph.insert(slots[done], *workers_[0]);
    } else {
      s.graph.insert_batch({slots.subspan(done, n), workers_, *env.executor, batch_links_});
    }
    done += n;
    progress.report(static_cast<double>(done) / static_cast<double>(count));
  }
}

// What is queued belongs to the commits of group_; each is told how far its own part is.
void Collection::Impl::link_queued() {
  Store* s = store();
  if (s == nullptr || to_link_.empty()) return;
  const uint64_t old_live = s->live() - std::min<uint64_t>(to_link_.size(), s->live());
  // Here, not while the rows were staged: that was on a thread that must not stall. Bulk building
  // on codes gains nothing by it that it would not cost: there it is upkeep.
  const bool is_on_codes = s->codes() != nullptr && s->codes()->sq8() != nullptr;
  if (is_on_codes && is_for_bulk(old_live + s->marked())) {
    collapse_due_ = maintenance_due_ = true;
  } else {
    while (collapse_some(*s)) {
    }
  }
  // New nodes link to live ones alone: when marked ones are in the majority they go first.
  if (s->marked() > old_live) {
    wait_saved();
    (void)consolidate(*s).is_ok();
  }
  const uint64_t in_graph = old_live + s->marked();
  forget_dead_links(*s);
  if (!link_in_bulk(*s, in_graph)) link_in_batches(*s, in_graph);
  s->inserted_since_repair += to_link_.size();
  if (s->graph.take_isolated()) s->needs_repair = true;
  pack_changed(*s);
  // What a large commit took beyond a small one's needs goes back.
  to_link_.clear();
  if (to_link_.capacity() > kLinksKept) to_link_.drop();
  if (batch_links_.members.capacity() > kMembersKept) batch_links_.drop();
  workers_.resize(std::min(workers_.size(), size_t{parallel_workers(*env.executor)}));
  for (Commit* c = group_; c != nullptr; c = c->next) c->first_link = c->link_count = 0;
}

}  // namespace omen
