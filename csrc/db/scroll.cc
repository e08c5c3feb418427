// Reading page by page, in the order in which records came.
//
// Why: slots are in another order, so a page is looked for in every stretch of slots that may have
// some of it, for a large batch all of its. What comes next after the page is found along with it
// and kept, so that whoever reads all records looks as often as a run of them is long, not a page.
#include <algorithm>

#include "base/test_points.h"
#include "db/query.h"

namespace omen {

// The records from an order on, as long as nothing is written.
struct Collection::Impl::UpcomingRecords {
  struct Record {
    uint32_t order;
    uint32_t slot;
    bool operator<(const Record& o) const {
      return order != o.order ? order < o.order : slot < o.slot;
    }
  };
  explicit UpcomingRecords(MemoryAccount* account) : records(account, Use::kScratch) {}

  uint32_t generation = 0;
  uint64_t version = 0;  // Of the store.
  Orders::Range range = {0, Orders::kMax};  // Of whose orders all are there.
  Array<Record> records;                    // Nearest first.
};

namespace {

constexpr size_t kRecordsAhead = 8192;
constexpr uint8_t kRecord = SlotStates::kLive | SlotStates::kMarked;

}  // namespace

// At least `count` of them from `from` on, or all. Of a record that is being replaced both slots
// are there, or none; the old one, marked, where the new one was passed before it was there.
// ERR_MEMORY.
Status Collection::Impl::find_upcoming(const Store& s, size_t count, UpcomingRecords* out) const {
  auto& records = out->records;
  const uint32_t high = s.high_water();
  const size_t room = 2 * count;
  // One stretch more, whose range is that at its begin.
  OMEN_TRY(records.reserve(std::min<size_t>(room + Orders::kStretch, high)));
  const auto keep_nearest = [&] {
    if (records.size() <= count) return;
    std::nth_element(records.begin(), records.begin() + (count - 1), records.end());
    out->range.end = records[count - 1].order + 1;
    const auto* end = std::remove_if(records.begin(), records.end(), [&](const auto& r) {
      return r.order >= out->range.end;
    });
    records.truncate(static_cast<size_t>(end - records.begin()));
  };
  for (uint32_t stretch = 0; stretch * Orders::kStretch < high; ++stretch) {
    s.orders.each_within(stretch, high, out->range, [&](uint32_t slot, uint32_t order) {
      if ((s.states.load(slot) & kRecord) == 0) return;
      records.push_back_reserved({order, slot});
    });
    if (records.size() >= room) keep_nearest();
  }
  keep_nearest();
  std::sort(records.begin(), records.end());
  return records.shrink_to_fit();
}

Result<std::shared_ptr<const Collection::Impl::UpcomingRecords>> Collection::Impl::upcoming(
    const Store& s, uint32_t from, size_t count) {
  const uint64_t version = s.version.load(std::memory_order_acquire);
  {
    const std::lock_guard<std::mutex> guard(upcoming_mutex_);
    const auto& kept = upcoming_;
    if (kept != nullptr && kept->generation == s.generation() && kept->version == version &&
        kept->range.from <= from && from < kept->range.end) {
      return kept;
    }
  }
  auto fresh = std::make_shared<UpcomingRecords>(&account);
  fresh->generation = s.generation();
  fresh->version = version;
  fresh->range.from = from;
  OMEN_TRY(find_upcoming(s, std::max(count, kRecordsAhead), fresh.get()));
  const std::lock_guard<std::mutex> guard(upcoming_mutex_);
  // In the middle of a change, odd, nothing is kept.
  upcoming_ = (version & 1) == 0 ? fresh : nullptr;
  return std::shared_ptr<const UpcomingRecords>(std::move(fresh));
}

void Collection::Impl::forget_upcoming() {
  const std::lock_guard<std::mutex> guard(upcoming_mutex_);
  upcoming_.reset();
}

// A cursor is the generation, so that clear() ends a scroll, and the least order that is next.
Status Collection::scroll(uint64_t* cursor, size_t limit,
                          const std::shared_ptr<const Filter>& filter, uint32_t include,
                          Rows* out) {
  Impl& c = *impl_;
  OMEN_TEST_POINT("scroll");
  OMEN_TRY(c.check_alive());
  out->clear();
  const EpochDomain::Pin pin = c.epochs.pin();
  Store* s = c.store();
  const uint64_t at = *cursor;
  *cursor = 0;
  const bool stale = s == nullptr || (at != 0 && at >> 32 != s->generation());
  std::vector<uint32_t> slots;
  if (!stale) {
    const bool is_filtered = filter != nullptr && !filter->matches_all();
    auto from = static_cast<uint32_t>(at);
    uint32_t last = Orders::kMax;
    while (from < Orders::kMax && slots.size() < limit) {
      OMEN_ASSIGN(const auto run, c.upcoming(*s, from, limit));
      const auto& records = run->records;
      // After the run: it knows the slots of the run, or those are not current any more.
      std::shared_ptr<const CachedRows> rows;
      if (is_filtered) OMEN_TRY(c.filter_rows(*s, filter, &rows));
      const auto* next = std::lower_bound(
          records.begin(), records.end(), from,
          [](const Impl::UpcomingRecords::Record& r, uint32_t order) { return r.order < order; });
      for (; next != records.end(); ++next) {
        if (next->order == last) continue;  // Its record's other slot.
        uint32_t slot = next->slot;
        const auto is_its = [&] { return s->is_current(slot) && s->order_of(slot) == next->order; };
        if (!is_its()) {  // Gone since, or it has another slot.
          if ((s->states.load(slot) & kRecord) == 0) continue;  // Its id may be another's.
          slot = s->find(s->id_view(slot));
          if (slot == kNoSlot || !is_its()) continue;
          if (is_filtered) OMEN_TRY(c.filter_rows(*s, filter, &rows));
        }
        if (is_filtered && !rows->rows.contains(slot)) continue;
        if (slots.size() == limit) break;
        slots.push_back(slot);
        last = next->order;
      }
      from = next == records.end() ? run->range.end : next->order;
    }
    if (from < Orders::kMax) {
      *cursor = uint64_t{s->generation()} << 32 | from;
    } else {
      c.forget_upcoming();
    }
  }
  if (s != nullptr) return c.write_rows(*s, slots.data(), slots.size(), include, out);
  if ((include & kIncludeMetadata) != 0) out->metadata = "[]";
  return Status::ok();
}

}  // namespace omen
