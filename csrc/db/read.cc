// Reading without a query: get, has, count, stats, check.
#include <algorithm>
#include <chrono>
#include <thread>

#include "base/test_points.h"
#include "db/query.h"

namespace omen {

namespace {

// A commit shows its changes in microseconds to milliseconds; one that lost its processor in the
// middle is waited for a little longer.
constexpr int kCountsMax = 4096;
constexpr int kCountYields = 64;
constexpr auto kCountPause = std::chrono::microseconds(100);

}  // namespace

Status Collection::Impl::write_rows(const Store& s, const uint32_t* slots, size_t count,
                                    uint32_t include, Rows* out) {
  const bool with_metadata = (include & kIncludeMetadata) != 0;
  out->approximate = !s.has_floats();
  if (with_metadata) out->metadata.push_back('[');
  for (size_t i = 0; i < count; ++i) {
    const uint32_t slot = slots[i];
    const bool exists = slot != kNoSlot;
    IdOut o;
    if (exists) {
      const IdView id = s.id_view(slot);
      o.is_string = id.is_string;
      o.value = id.is_string ? out->text.size() : id.integer;
      o.length = static_cast<uint32_t>(id.text.size());
      out->text.append(id.text);
    }
    out->ids.push_back(o);
    if (with_metadata) {
      if (i > 0) out->metadata.push_back(',');
      const MetadataBlock* block = exists ? s.columns.block(slot) : nullptr;
      out->metadata.append(!exists ? "null" : block == nullptr ? "{}" : block->json());
      if (block != nullptr && (block->flags & MetadataBlock::kHasDate) != 0) out->has_dates = true;
      if (out->metadata.size() > kRowsTextBytesMax) {
        return Status::error(ErrorCode::kLimit,
                             "the metadata of these rows exceeds 500 MiB, more "
                             "than one answer holds; ask for fewer at once");
      }
    }
    if ((include & kIncludeVector) == 0) continue;
    const size_t at = out->vectors.size();
    out->vectors.resize(at + s.dimensions());
    if (exists) s.read_vector(slot, out->vectors.data() + at);
  }
  if (with_metadata) out->metadata.push_back(']');
  return (include & kIncludeVector) == 0 ? Status::ok() : s.vectors_status();
}

Status Collection::get(const IdView* ids, size_t count, uint32_t include, Rows* out) {
  Impl& c = *impl_;
  OMEN_TEST_POINT("get");
  OMEN_TRY(c.check_alive());
  out->clear();
  const EpochDomain::Pin pin = c.epochs.pin();
  const Store* s = c.store();
  out->found.assign(count, 0);
  if (s == nullptr) {
    out->ids.assign(count, IdOut{});
    if ((include & kIncludeMetadata) != 0) {
      out->metadata = "[";
      for (size_t i = 0; i < count; ++i) out->metadata += i == 0 ? "null" : ",null";
      out->metadata += "]";
    }
    return Status::ok();
  }
  std::vector<uint32_t> slots(count);
  for (size_t i = 0; i < count; ++i) {
    slots[i] = s->find(ids[i]);
    out->found[i] = slots[i] != kNoSlot;
  }
  return c.write_rows(*s, slots.data(), count, include, out);
}

bool Collection::has(const IdView& id) {
  const EpochDomain::Pin pin = impl_->epochs.pin();
  const Store* s = impl_->store();
  return s != nullptr && s->find(id) != kNoSlot;
}

Result<uint64_t> Collection::count_matching(const std::shared_ptr<const Filter>& filter,
                                            const CancelToken* cancel) {
  Impl& c = *impl_;
  OMEN_TEST_POINT("count");
  OMEN_TRY(c.check_alive());
  if (cancel != nullptr) OMEN_TRY(cancel->check(*c.env.clock));
  const EpochDomain::Pin pin = c.epochs.pin();
  Store* s = c.store();
  if (s == nullptr) return uint64_t{0};
  if (filter == nullptr || filter->matches_all()) return s->live();
  // Exact at one moment: again while records move under the count.
  std::shared_ptr<const CachedRows> rows;
  for (int attempt = 0; attempt < kCountsMax; ++attempt) {
    const uint64_t version = s->version.load(std::memory_order_acquire);
    if ((version & 1) == 0) {
      OMEN_TRY(c.filter_rows(*s, filter, &rows));
      if (s->version.load(std::memory_order_acquire) == version) break;
    } else if (attempt < kCountYields) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kCountPause);
    }
    if (cancel != nullptr) OMEN_TRY(cancel->check(*c.env.clock));
  }
  if (rows == nullptr) OMEN_TRY(c.filter_rows(*s, filter, &rows));
  return rows->matches;
}

CollectionStats Collection::stats() const {
  const Impl& c = *impl_;
  CollectionStats stats;
  stats.name = c.name;
  stats.options = options();
  stats.next_id = c.next_id_.load();
  const EpochDomain::Pin pin = impl_->epochs.pin();
  if (Store* s = c.store()) {
    (void)c.index_metadata(*s).is_ok();  // Then they are the fields that were found so far.
    stats.count = s->live();
    stats.deleted = s->marked();
    stats.free_slots = s->slots.free_count();
    stats.levels = s->graph.levels();
    stats.indexed_fields = s->columns.column_count();
    stats.trained = s->codes() != nullptr;
    stats.clamped = s->drift.clamped();
    stats.consolidations = s->consolidations.load();
    if (s->mapped != nullptr) stats.bytes.mapped = s->mapped->mapped_bytes();
  }
  const MemoryAccount& a = c.account;
  auto& b = stats.bytes;
  b.vectors = a.used(Use::kVectors);
  b.codes = a.used(Use::kCodes);
  b.graph = a.used(Use::kGraph);
  b.ids = a.used(Use::kIds);
  b.metadata = a.used(Use::kMetadata);
  b.columns = a.used(Use::kColumns);
  b.scratch = a.used(Use::kScratch);
  b.retired = a.used(Use::kRetired);
  b.total = a.total();
  return stats;
}

namespace {

Status broken(int invariant, const std::string& what) {
  return Status::error(ErrorCode::kCorrupt, "collection, invariant " + std::to_string(invariant) +
                                                ": " + what + "; please report it");
}

Status check_slots(const Store& s) {
  uint64_t live = 0;
  uint64_t marked = 0;
  for (uint32_t slot = 0; slot < s.high_water(); ++slot) {
    const uint8_t state = s.states.load(slot);
    if ((state & SlotStates::kLive) != 0) {
      ++live;
      if (s.find(s.id_view(slot)) != slot) return broken(1, "the index does not find a live slot");
      if ((state & SlotStates::kLinked) == 0) return broken(3, "a live slot is not in the graph");
      if (s.slots.is_free(slot)) return broken(4, "a live slot is free");
    }
    marked += (state & SlotStates::kMarked) != 0;
    if ((state & SlotStates::kLive) != 0 && (state & SlotStates::kMarked) != 0) {
      return broken(4, "a slot is live and deleted at once");
    }
  }
  if (live != s.live() || live != s.index.live())
    return broken(4, "the number of live slots is off");
  if (marked != s.marked()) return broken(4, "the number of deleted slots is off");
  if (!s.has_floats() && s.vectors.bytes() > 0) return broken(5, "originals are kept beside codes");
  if (s.mapped == nullptr) return Status::ok();
  OMEN_TRY(s.mapped->validate());
  return s.mapped->verify_all();
}

// Packed codes are those of the graph's edges.
Status check_packed(const Store& s) {
  const PackedCodes* packed = s.codes() == nullptr ? nullptr : s.codes()->packed();
  if (packed == nullptr) return Status::ok();
  for (uint32_t slot = 0; slot < s.high_water(); ++slot) {
    const bool waits = (s.graph.changed(slot / 64) >> (slot & 63) & 1) != 0;
    if (waits || !s.states.has(slot, SlotStates::kLinked)) continue;
    uint32_t ids[kRowIdsMax];
    const uint32_t n = s.graph.read_row(slot, ids);
    OMEN_TRY(packed->validate(slot, {ids, n}, s.float_views()));
  }
  return Status::ok();
}

}  // namespace

// Waits for running commits, and keeps new ones out while it looks.
CheckReport Collection::check() {
  OMEN_TEST_POINT("check");
  Impl& c = *impl_;
  CheckReport report;
  report.name = c.name;
  const std::lock_guard<std::mutex> guard(c.commit_mutex_);
  const EpochDomain::Pin pin = c.epochs.pin();
  Store* s = c.store();
  if (s == nullptr) return report;
  const uint32_t high = s->high_water();
  report.records = s->live();
  const auto check_all = [&]() -> Status {
    OMEN_TRY(c.index_metadata(*s));
    OMEN_TRY(check_slots(*s));
    OMEN_TRY(s->graph.validate(high));
    OMEN_TRY(check_packed(*s));
    OMEN_TRY(s->index.validate([&](uint32_t slot) { return s->hash_of(slot); }));
    OMEN_TRY(s->columns.validate(high));
    OMEN_TRY(s->slots.validate());
    return s->id_blocks.validate();
  };
  Status status = check_all();
  if (status.is_ok()) {
    auto lost = s->graph.count_unreachable(high);
    if (lost.is_ok()) report.unreachable = lost.value();
    status = lost.is_ok() ? Status::ok() : lost.status();
  }
  if (status.is_ok()) return report;
  report.ok = false;
  report.problem = status.message();
  if (status.is_passing()) report.status = std::move(status);
  return report;
}

}  // namespace omen
