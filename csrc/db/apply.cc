// Applying commits: everything that can fail is done first, then everything that cannot.
#include <algorithm>
#include <limits>
#include <new>

#include "base/planted.h"
#include "base/test_points.h"
#include "db/collection_impl.h"
#include "meta/merge.h"

namespace omen {

namespace {

template <class T>
struct NewArray {
  T* data = nullptr;
  explicit NewArray(size_t n) : data(new (std::nothrow) T[n]()) {}
  ~NewArray() { delete[] data; }
  NewArray(const NewArray&) = delete;
  NewArray& operator=(const NewArray&) = delete;
};

Status no_memory() {
  return Status::error(ErrorCode::kMemory, "no memory to commit; send smaller batches");
}

}  // namespace

// clear() replaced the store while the batch was staged: its rows move to the new one.
Status Collection::Impl::restage(WriteBatch::Rep& batch) {
  std::shared_ptr<Store> fresh;
  {
    const std::lock_guard<std::mutex> guard(store_mutex_);
    fresh = owned_store_;
  }
  if (fresh == nullptr || fresh == batch.store || batch.rows == 0) return Status::ok();
  Store& from = *batch.store;
  // Takes the new slots, then trades them for the old ones; either goes back with it.
  WriteBatch::Rep other(&account);
  other.store = fresh;
  other.rows = batch.rows;
  OMEN_TRY(other.take_slots());
  for (size_t row = 0; row < batch.rows; ++row) {
    const uint32_t old_slot = batch.slots[row];
    const uint32_t slot = other.slots[row];
    if (fresh->keep_vectors) {
      std::memcpy(fresh->vector(slot), from.vector(old_slot), batch.dimensions * sizeof(float));
    }
    if (fresh->has_norms) *fresh->norms.row_as<float>(slot) = *from.norms.row_as<float>(old_slot);
    OMEN_TRY(fresh->stage_id(slot, from.id_view(old_slot)));
  }
  std::swap(batch.slots, other.slots);
  std::swap(batch.store, other.store);
  batch.generation = batch.store->generation();
  return Status::ok();
}

bool Collection::Impl::ids_rise(const Store& s, const WriteBatch::Rep& b) {
  IdView last = s.id_view(b.slots[0]);
  bool rise = !last.is_string;
  for (size_t row = 1; rise && row < b.rows; ++row) {
    const IdView id = s.id_view(b.slots[row]);
    rise = !id.is_string && id.integer > last.integer;
    last = id;
  }
  return rise;
}

// Fills old_slots with what each row replaces (kNoSlot: nothing). Refuses repeats, and for add()
// what exists.
Status Collection::Impl::check_ids(Store& s, Commit* commit, uint32_t* old_slots) {
  WriteBatch::Rep& b = *commit->batch->rep_;
  std::fill(old_slots, old_slots + b.rows, kNoSlot);
  if (b.ids_staged == 0) {
    const uint64_t next = next_id_.load(std::memory_order_relaxed);
    if (b.rows > std::numeric_limits<uint64_t>::max() - next) {
      return Status::error(ErrorCode::kId,
                           "no integer ids are left to generate; give ids yourself");
    }
    return Status::ok();
  }
  if (b.ids_staged != b.rows) {
    return Status::error(ErrorCode::kArgument, "a batch has an id for every row or for none");
  }
  // Rows by hash: an open-addressed table of row + 1, at most half full. Numbers that rise repeat
  // none.
  const bool rise = ids_rise(s, b);
  size_t size = 16;
  while (!rise && size < b.rows * 2) size *= 2;
  NewArray<uint32_t> table(size);
  if (table.data == nullptr) return no_memory();
  for (size_t row = 0; row < b.rows; ++row) {
    const IdView id = s.id_view(b.slots[row]);
    for (size_t at = hash_id(id) & (size - 1); !rise; at = (at + 1) & (size - 1)) {
      if (table.data[at] == 0) {
        table.data[at] = static_cast<uint32_t>(row + 1);
        break;
      }
      const IdView other = s.id_view(b.slots[table.data[at] - 1]);
      if (is_same(other, id)) {
        return Status::error(ErrorCode::kDuplicate, "row " + std::to_string(row) + ": id " +
                                                        id_to_json(id) + " is also in row " +
                                                        std::to_string(table.data[at] - 1))
            .with_row(static_cast<int64_t>(row))
            .with_id(id_to_json(id));
      }
    }
    old_slots[row] = s.find(id);
    if (old_slots[row] != kNoSlot && commit->kind == Commit::Kind::kAdd) {
      return Status::error(ErrorCode::kExists, "row " + std::to_string(row) + ": id " +
                                                   id_to_json(id) +
                                                   " exists; use upsert to replace it")
          .with_row(static_cast<int64_t>(row))
          .with_id(id_to_json(id));
    }
  }
  return Status::ok();
}

Status Collection::Impl::reserve_batch(Store& s, WriteBatch::Rep& b,
                                       std::span<ParsedRecord> records) {
  if (!records.empty()) {
    std::mutex mutex;
    Status first_fault;
    size_t fault_row = b.rows;
    parallel_for(*env.executor, b.rows, 256, [&](size_t begin, size_t end, unsigned) {
      for (size_t row = begin; row < end; ++row) {
        auto parsed = s.columns.parse(b.metadata[row]);
        if (parsed.is_ok()) {
          records[row] = parsed.take();
          continue;
        }
        const std::lock_guard<std::mutex> guard(mutex);
        if (row > fault_row) return;
        fault_row = row;
        first_fault = parsed.status();
        return;
      }
    });
    if (!first_fault.is_ok()) {
      return Status::error(first_fault.code(),
                           "row " + std::to_string(fault_row) + ": " + first_fault.message())
          .with_row(static_cast<int64_t>(fault_row))
          .with_path(first_fault.path());
    }
  }
  OMEN_TRY(
      s.index.reserve(static_cast<uint32_t>(b.rows), [&](uint32_t x) { return s.hash_of(x); }));
  OMEN_TRY(reserve_links(s, b.rising(), b.rows));
  if (s.is_saved) OMEN_TRY(s.unsaved.ensure(b.slots_end()));
  if (records.empty()) return Status::ok();
  return s.columns.reserve({b.slots, b.rows}, records);
}

Status Collection::Impl::apply_batch(Commit* commit) {
  WriteBatch::Rep& b = *commit->batch->rep_;
  commit->total = b.rows;
  if (b.rows == 0) return Status::ok();
  if (b.vectors_staged < b.rows) {
    return Status::error(ErrorCode::kArgument, "a batch needs a vector for every row");
  }
  OMEN_TRY(restage(b));
  Store& s = *b.store;
  NewArray<uint32_t> old_slots(b.rows);
  NewArray<ParsedRecord> records(b.metadata == nullptr ? 0 : b.rows);
  if (old_slots.data == nullptr || records.data == nullptr) return no_memory();
  OMEN_TRY(check_ids(s, commit, old_slots.data));
  const std::span<ParsedRecord> parsed(records.data, b.metadata == nullptr ? 0 : b.rows);
  const auto replacing = std::count_if(old_slots.data, old_slots.data + b.rows,
                                       [](uint32_t slot) { return slot != kNoSlot; });
  const size_t new_records = b.rows - static_cast<size_t>(replacing);
  Status trained = is_replaying() ? Status::ok() : train_if_due(s, b.incoming(), new_records);
  if (!trained.is_ok() && trained.code() != ErrorCode::kMemory) return trained;
  place_rows(s, b);
  OMEN_TRY(reserve_orders(s, new_records));
  OMEN_TRY(reserve_floats(s, b));
  OMEN_TRY(reserve_batch(s, b, parsed));
  OMEN_TRY(log_batch(s, commit, parsed));
  // Here, not where the batch is dropped: that may be a thread that must not stall.
  b.drop_metadata();
  publish_batch(s, commit, old_slots.data, parsed);
  return Status::ok();
}

// Rows that wait for codes to be trained take their slots' floats meanwhile. Before scorers are
// made on them.
Status Collection::Impl::reserve_floats(Store& s, WriteBatch::Rep& b) {
  if (b.floats.empty() || s.codes() != nullptr) return Status::ok();
  return s.vectors.ensure(b.slots_end());
}

// What slots hold of their vectors: the code, the floats, or both. What a batch held of them goes.
void Collection::Impl::store_vectors(Store& s, WriteBatch::Rep& b) {
  CodeSet* const codes = s.codes();
  std::atomic<uint64_t> clamped{0};
  const auto store_some = [&](size_t begin, size_t end, unsigned) {
    uint64_t out_of_range = 0;
    for (size_t i = begin; i < end; ++i) {
      const uint32_t slot = b.slots[i];
      const float* x = b.vector(i);
      if (codes == nullptr) {
        std::copy_n(x, b.dimensions, s.vector(slot));
        continue;
      }
      codes->encode(slot, x, s.scale(slot));
      out_of_range += codes->clamps(x, s.scale(slot)) ? 1 : 0;
    }
    clamped.fetch_add(out_of_range, std::memory_order_relaxed);
  };
  if (codes != nullptr || !b.floats.empty()) {
    parallel_for(*env.executor, b.rows, 512, store_some);
  }
  if (codes != nullptr) s.drift.note(b.rows, clamped.load());
  b.floats.drop();
}

// From here nothing fails.
void Collection::Impl::publish_batch(Store& s, Commit* commit, const uint32_t* old_slots,
                                     std::span<ParsedRecord> records) {
  WriteBatch::Rep& b = *commit->batch->rep_;
  const bool generated = b.ids_staged == 0;
  commit->first_generated_id = next_id_.load(std::memory_order_relaxed);
  uint64_t next_id = commit->first_generated_id;
  store_vectors(s, b);
  {  // Before the first row can be met: from here on queries must have these dimensions.
    const std::lock_guard<std::mutex> guard(store_mutex_);
    options.dimensions = s.dimensions();
    fixed_dimensions_.store(s.dimensions(), std::memory_order_release);
  }
  const Store::Publishing publishing(s);
  s.raise_high_water(b.slots_end());
  for (size_t row = 0; row < b.rows; ++row) {
    const uint32_t slot = b.slots[row];
    const uint32_t old_slot = old_slots[row];
    s.changes.note(slot);
    if (s.is_saved) s.unsaved.note_slot(slot);
    if (generated) {
      s.ids.row_as<std::atomic<uint64_t>>(slot)->store(next_id++, std::memory_order_release);
    }
    const uint32_t order = old_slot == kNoSlot ? s.next_order++ : s.order_of(old_slot);
    s.orders.set(slot, order);
    if (!records.empty()) s.columns.apply(slot, std::move(records[row]));
    const IdView id = s.id_view(slot);
    if (!generated && !id.is_string && id.integer >= next_id) {
      next_id = id.integer == std::numeric_limits<uint64_t>::max() ? id.integer : id.integer + 1;
    }
    if (old_slot == kNoSlot) {
      s.states.set(slot, SlotStates::kLive);
      s.index.insert(hash_id(id), slot);
      s.live_.fetch_add(1, std::memory_order_acq_rel);
    } else {
      replace_slot(s, old_slot, slot, hash_id(id));
    }
    queue_link(b.rising()[row]);
  }
  next_id_.store(next_id, std::memory_order_release);
  commit->count = b.rows;
  b.committed = true;
}

// The new slot is live before the old one stops being so: a reader always finds the record. Who
// sees that the index names another slot than it met finds the move noted. What the old slot holds
// stays until nobody can hold it (consolidate()).
void Collection::Impl::replace_slot(Store& s, uint32_t old_slot, uint32_t slot, uint64_t hash) {
  s.changes.note(old_slot);
  s.states.set(slot, SlotStates::kLive);
  s.moves.note(slot);
  s.index.replace(hash, old_slot, slot);
  OMEN_TEST_POINT("replace");
  OMEN_ASSERT(s.states.mark(old_slot));
  s.marked_.fetch_add(1, std::memory_order_acq_rel);
}

void Collection::Impl::remove_slot(Store& s, uint32_t slot) {
  s.changes.note(slot);
  OMEN_ASSERT(s.states.mark(slot));
  s.index.erase(s.hash_of(slot), slot);
  s.live_.fetch_sub(1, std::memory_order_acq_rel);
  s.marked_.fetch_add(1, std::memory_order_acq_rel);
}

// On the submitter's thread: a new vector takes a new slot, staged like any row. A fault waits in
// the status for the commit's turn.
void Collection::prepare_update(Commit* commit) {
  if (commit->kind != Commit::Kind::kUpdate || commit->vector.empty()) return;
  const IdView id = view_of(commit->ids[0], commit->id_text);
  auto batch = begin_write(1, static_cast<uint32_t>(commit->vector.size()));
  if (!batch.is_ok()) {
    commit->status = batch.status();
    return;
  }
  commit->batch = batch.take();
  commit->status = commit->batch->stage_vectors(0, 1, commit->vector.data());
  if (!commit->status.is_ok()) return;
  commit->status = id.is_string ? commit->batch->stage_string_id(0, id.text)
                                : commit->batch->stage_integer_id(0, id.integer);
}

Status Collection::Impl::apply_update(Commit* commit) {
  commit->total = 1;
  Store* s = store();
  const IdView id = view_of(commit->ids[0], commit->id_text);
  const uint32_t old_slot = s == nullptr ? kNoSlot : s->find(id);
  if (old_slot == kNoSlot) {
    return Status::error(ErrorCode::kNotFound,
                         "no record has the id " + id_to_json(id) + "; add it first, or use upsert")
        .with_id(id_to_json(id));
  }
  std::string merged(commit->replaces ? commit->metadata : s->columns.json(old_slot));
  if (!commit->replaces && (!commit->metadata.empty() || !commit->unset.empty())) {
    OMEN_ASSIGN(merged, merge_metadata(merged, commit->metadata.empty() ? "{}" : commit->metadata,
                                       commit->unset));
  }
  OMEN_ASSIGN(ParsedRecord record, s->columns.parse(merged));
  uint32_t slot = old_slot;
  std::unique_ptr<WriteBatch> batch;
  if (!commit->vector.empty()) {
    batch = std::move(commit->batch);  // Staged by prepare_update().
    OMEN_TRY(restage(*batch->rep_));
    slot = batch->rep_->slots[0];
    OMEN_TRY(reserve_floats(*s, *batch->rep_));
    OMEN_TRY(reserve_links(*s, &slot, 1));
  }
  const std::span<const uint32_t> slots(&slot, 1);
  const std::span<ParsedRecord> records(&record, 1);
  if (s->is_saved) OMEN_TRY(s->unsaved.ensure(slot + 1));
  OMEN_TRY(s->columns.reserve(slots, records));
  OMEN_TRY(log_update(*s, commit, slot, records));
  const Store::Publishing publishing(*s);
  s->changes.note(slot);
  if (slot != old_slot) {
    if (s->is_saved) s->unsaved.note_slot(slot);
    store_vectors(*s, *batch->rep_);
    s->raise_high_water(slot + 1);
    s->orders.set(slot, s->order_of(old_slot));
    s->columns.apply(slot, std::move(record));
    replace_slot(*s, old_slot, slot, hash_id(id));
    queue_link(slot);
    batch->rep_->committed = true;
  } else {
    if (s->is_saved && !OMEN_PLANTED("changed-metadata-not-saved")) s->unsaved.note_metadata(slot);
    s->columns.apply(slot, std::move(record));
  }
  commit->count = 1;
  return Status::ok();
}

Status Collection::Impl::apply_delete_ids(Commit* commit) {
  commit->total = commit->ids.size();
  Store* s = store();
  if (s == nullptr) return Status::ok();
  OMEN_TRY(log_delete_ids(*s, commit));
  const Store::Publishing publishing(*s);
  for (const IdOut& id : commit->ids) {
    const uint32_t slot = s->find(view_of(id, commit->id_text));
    if (slot == kNoSlot) continue;
    remove_slot(*s, slot);
    ++commit->count;
  }
  return Status::ok();
}

Status Collection::Impl::apply_delete_filter(Commit* commit) {
  Store* s = store();
  if (s == nullptr) return Status::ok();
  RowSet rows(&account);
  {
    const EpochDomain::Pin pin = epochs.pin();
    OMEN_ASSIGN(const CompiledFilter compiled,
                CompiledFilter::compile(*commit->filter, s->columns, *s));
    OMEN_TRY(compiled.run(s->kernels, s->high_water(), &rows));
  }
  commit->total = s->live();
  OMEN_TRY(log_delete_rows(*s, commit, rows));
  const Store::Publishing publishing(*s);
  rows.for_each([&](uint32_t slot) {
    if (!s->is_live(slot)) return;
    remove_slot(*s, slot);
    ++commit->count;
  });
  return Status::ok();
}

void Collection::Impl::apply_drop() {
  const std::lock_guard<std::mutex> guard(store_mutex_);
  to_link_.drop();
  row_cache_.clear();
  forget_upcoming();
  workers_.clear();
  while (scratch_.take() != nullptr) {
  }
  store_.store(nullptr, std::memory_order_release);
  retire_store();
}

Status Collection::Impl::apply_clear(Commit* commit) {
  if (store() == nullptr) return Status::ok();
  OMEN_TRY(log_clear(commit));
  const std::lock_guard<std::mutex> guard(store_mutex_);
  Store* s = store();
  if (s == nullptr) return Status::ok();
  to_link_.clear();
  row_cache_.clear();
  forget_upcoming();
  return make_store(s->dimensions());
}

}  // namespace omen
