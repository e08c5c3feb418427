// Collection and the log: what a commit writes before it is applied, who waits for it, and how a
// collection comes back from it.
//
// While the log is replayed commits are applied as ever, but not linked: what the stored graph
// lacks is linked when all rows are there, in bulk if it is much (finish_replay()).
#include <algorithm>

#include "db/collection_impl.h"

namespace omen {

namespace {

// Marked slots that replay leaves unfreed, beside as many as live ones.
constexpr uint64_t kReplayMarkedMin = 4096;

RecordId record_id(const IdView& id) { return {id.is_string, id.integer, id.text}; }

// The rows of a batch, staged and parsed.
class StagedRows final : public RecordRows {
 public:
  StagedRows(const IncomingRows& rows, std::span<const ParsedRecord> records)
      : rows_(rows), records_(records) {}
  // Ids that are generated: from `first` on.
  StagedRows(const IncomingRows& rows, std::span<const ParsedRecord> records, uint64_t first)
      : rows_(rows), records_(records), generated_(true), first_(first) {}

  RecordId id(size_t row) const override {
    if (generated_) return {false, first_ + row, {}};
    return record_id(rows_.store->id_view(rows_.slots[row]));
  }
  std::string_view metadata(size_t row) const override {
    if (records_.empty()) return {};
    const std::string_view json = records_[row].json();
    return json == "{}" ? std::string_view() : json;
  }
  const float* vector(size_t row) const override { return rows_.vector(row); }

 private:
  const IncomingRows rows_;
  const std::span<const ParsedRecord> records_;
  const bool generated_ = false;
  const uint64_t first_ = 0;
};

// Slots whose records go.
class DoomedRows final : public RecordRows {
 public:
  DoomedRows(const Store& s, const Array<uint32_t>& slots) : s_(s), slots_(slots) {}
  RecordId id(size_t row) const override { return record_id(s_.id_view(slots_[row])); }

 private:
  const Store& s_;
  const Array<uint32_t>& slots_;
};

}  // namespace

bool Collection::Impl::is_replaying() const {
  return !replay_is_over_ && env.journal != nullptr && env.journal->is_replaying();
}

Status Collection::Impl::check_writable() const {
  return env.journal == nullptr ? Status::ok() : env.journal->check_writable();
}

namespace {

// nullptr: the commit's caller gave no tag.
Receipt* receipt_of(Commit* commit) {
  return commit->receipt.has_value() ? &*commit->receipt : nullptr;
}

}  // namespace

// What was reserved for records that will not be applied goes back.
Status Collection::Impl::log_put(Store& s, const PutRows& put, Commit* commit) {
  Receipt* const receipt = receipt_of(commit);
  if (receipt != nullptr) receipt->count = put.count;
  const Footprint footprint{uint64_t{put.count} * put.shape.dimensions * sizeof(float),
                            s.unsaved.new_bytes(put.slots, put.count), 0};
  Status status = env.journal->log_put({put.rows, put.shape, put.count, footprint}, receipt,
                                       &commit->sequence);
  if (status.is_ok()) return status;
  for (ParsedRecord& record : put.records) s.columns.cancel(&record);
  return status;
}

Status Collection::Impl::log_batch(Store& s, Commit* commit, std::span<ParsedRecord> records) {
  if (env.journal == nullptr) return Status::ok();
  WriteBatch::Rep& b = *commit->batch->rep_;
  RowsShape shape;
  shape.collection = env.journal_id;
  shape.dimensions = s.dimensions();
  shape.has_metadata = !records.empty();
  shape.is_consecutive = b.ids_staged == 0;
  const uint64_t next_id = next_id_.load(std::memory_order_relaxed);
  const StagedRows given(b.incoming(), records);
  const StagedRows generated(b.incoming(), records, next_id);
  if (Receipt* const receipt = receipt_of(commit); receipt != nullptr) {
    receipt->first_generated_id = next_id;
    receipt->has_generated_ids = shape.is_consecutive;
  }
  const StagedRows& rows = shape.is_consecutive ? generated : given;
  return log_put(s, {rows, shape, b.rising(), b.rows, records}, commit);
}

// `slot` holds the id.
Status Collection::Impl::log_update(Store& s, Commit* commit, uint32_t slot,
                                    std::span<ParsedRecord> record) {
  if (env.journal == nullptr) return Status::ok();
  RowsShape shape;
  shape.collection = env.journal_id;
  shape.dimensions = commit->vector.empty() ? 0 : s.dimensions();
  shape.has_metadata = true;
  const float* const vector = commit->vector.empty() ? nullptr : commit->vector.data();
  const StagedRows rows({&s, 1, &slot, vector}, record);
  return log_put(s, {rows, shape, &slot, 1, record}, commit);
}

// The journal's account has no limit: where memory is out, deleting must work.
Status Collection::Impl::log_delete_ids(const Store& s, Commit* commit) {
  if (env.journal == nullptr || is_replaying()) return Status::ok();
  Array<uint32_t> slots(env.journal->account(), Use::kScratch);
  OMEN_TRY(slots.reserve(commit->ids.size()));
  for (const IdOut& id : commit->ids) {
    const uint32_t slot = s.find(view_of(id, commit->id_text));
    if (slot != kNoSlot) slots.push_back_reserved(slot);
  }
  std::sort(slots.begin(), slots.end());  // An id that is given twice is logged, and counted, once.
  slots.truncate(static_cast<size_t>(std::unique(slots.begin(), slots.end()) - slots.begin()));
  return log_delete_slots(s, commit, slots);
}

Status Collection::Impl::log_delete_rows(const Store& s, Commit* commit, const RowSet& rows) {
  if (env.journal == nullptr) return Status::ok();
  Array<uint32_t> slots(env.journal->account(), Use::kScratch);
  OMEN_TRY(slots.reserve(rows.count()));
  rows.for_each([&](uint32_t slot) {
    if (s.is_live(slot)) slots.push_back_reserved(slot);
  });
  return log_delete_slots(s, commit, slots);
}

Status Collection::Impl::log_delete_slots(const Store& s, Commit* commit,
                                          const Array<uint32_t>& slots) {
  if (slots.empty()) return Status::ok();
  RowsShape shape;
  shape.collection = env.journal_id;
  Receipt* const receipt = receipt_of(commit);
  if (receipt != nullptr) receipt->count = slots.size();
  const Footprint footprint{0, 0, slots.size() * s.vectors.stride()};
  return env.journal->log_delete({DoomedRows(s, slots), shape, slots.size(), footprint}, receipt,
                                 &commit->sequence);
}

Status Collection::Impl::log_clear(Commit* commit) {
  if (env.journal == nullptr) return Status::ok();
  const Store* const s = store();
  const uint64_t freed = s == nullptr ? 0 : s->live() * s->vectors.stride();
  return env.journal->log_clear(env.journal_id, freed, receipt_of(commit), &commit->sequence);
}

// That nothing was to be done is an outcome too, and another one later.
Status Collection::Impl::log_no_change(Commit* commit) {
  if (env.journal == nullptr || !commit->receipt.has_value() || commit->sequence != 0) {
    return Status::ok();
  }
  return env.journal->log_receipt(*commit->receipt, &commit->sequence);
}

bool Collection::Impl::must_wait(const Commit& commit) const {
  return commit.status.is_ok() && commit.sequence != 0 && env.journal->must_wait(commit.sequence);
}

// Calls on_done when the commit is as durable as promised: now, or when the log says so.
void Collection::Impl::answer(Commit* commit) {
  if (!must_wait(*commit)) return commit->on_done(commit, commit->context);
  DurableWaiter& waiter = commit->durable;
  waiter.sequence = commit->sequence;
  waiter.context = commit;
  waiter.is_short = true;  // Whoever asked for the commit holds the database until it is told.
  waiter.on_durable = [](DurableWaiter* self) {
    auto* done = static_cast<Commit*>(self->context);
    done->status = std::move(self->status);
    done->on_done(done, done->context);
  };
  env.journal->wal()->answer_when_durable(&waiter);
}

void Collection::Impl::answer_all(Commit* first) {
  while (first != nullptr) {
    Commit* const commit = first;
    first = commit->next;  // on_done may free it.
    answer(commit);
  }
}

// A log that replaces the same records again and again must not need memory for all of them.
void Collection::Impl::relieve_replay() {
  Store* s = store();
  if (s == nullptr || s->marked() < std::max(kReplayMarkedMin, s->live())) return;
  forget_dead_links(*s);
  (void)consolidate(*s).is_ok();  // Without memory for it, the next commit tries again.
  epochs.collect();
}

uint64_t Collection::journal_id() const { return impl_->env.journal_id; }

uint64_t Collection::to_link() const { return impl_->to_link_.size(); }

Status Collection::finish_replay(OpenProgress* progress) {
  Impl& c = *impl_;
  c.opening_ = progress;
  const Status linked = c.link_replayed();
  c.opening_ = nullptr;
  OMEN_TRY(Status(linked));
  // A graph that was built just now is brought in order before anybody searches it; a stored one
  // was, but for a few edges.
  if (c.needs_maintenance()) {
    c.maintenance_due_ = true;
    if (c.saved_.snapshot.blobs.empty()) {
      c.drain();
    } else {
      c.schedule_drain(shared_from_this());
    }
  }
  return Status::ok();
}

Status Collection::Impl::link_replayed() {
  const std::lock_guard<std::mutex> guard(commit_mutex_);
  replay_is_over_ = true;
  Store* s = store();
  if (s == nullptr || s->high_water() == 0) return Status::ok();  // No row has memory.
  forget_dead_links(*s);
  if (s->graph.is_empty()) s->needs_repair = false;  // Nothing is linked yet.
  // Training links what is queued, for the old codes' sake: these are not in the graph yet.
  Array<uint32_t> queued = std::exchange(to_link_, Array<uint32_t>(&account, Use::kScratch));
  Status trained = train_if_due(*s, IncomingRows{.store = s}, 0);
  to_link_ = std::move(queued);
  if (!trained.is_ok() && trained.code() != ErrorCode::kMemory) return trained;
  if (to_link_.empty()) return Status::ok();
  OMEN_TRY(reserve_links(*s, nullptr, 0));
  link_queued();
  return Status::ok();
}

}  // namespace omen
