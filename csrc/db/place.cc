// Which of its slots each row of a batch takes.
//
// Why: a row's slot says where its code, its edges and its vector lie. A search reads hundreds of
// rows around its query, and linking reads each row's neighbours again and again; in the order in
// which rows happen to come each of them lies on a page of its own. So rows that lie near each
// other in space take slots near each other. Nobody sees the order of slots: records are listed,
// and ties broken, by Store::orders.
#include <cstring>

#include "db/collection_impl.h"
#include "exec/parallel_for.h"
#include "graph/locality.h"
#include "memory/permutation.h"

namespace omen {

namespace {

// Fewer rows lie on few pages whatever their order, and of longer ones a page holds too few.
// Measured (docs/decisions/0034).
constexpr size_t kPlacedMin = 256;
constexpr size_t kPlacedBytesMax = 512;
constexpr size_t kLeafRows = 48;
constexpr size_t kPathsPerTask = 1;
// Of a path, asked for ahead.
constexpr size_t kAhead = 3;
constexpr size_t kPrefetchMax = 1024;

class BatchRows final : public LocalRows {
 public:
  explicit BatchRows(const IncomingRows& rows) : rows_(rows) {}
  FloatRow row(size_t i) const override { return {rows_.vector(i), rows_.scale(i)}; }

 private:
  const IncomingRows rows_;
};

// What the slots of a batch hold before it is committed.
class StagedSlots {
 public:
  // One slot's, set aside.
  struct Content {
    uint64_t id;
    float norm;
    bool has_string_id;
  };

  // `row_bytes` of a vector, 0 where slots hold none.
  StagedSlots(Store& store, const uint32_t* slots, size_t row_bytes, bool has_ids)
      : store_(store), slots_(slots), row_bytes_(row_bytes), has_ids_(has_ids) {}

  size_t row_bytes() const { return row_bytes_; }
  void prefetch(uint32_t place) const {
    if (row_bytes_ == 0) return;
    const auto* row = reinterpret_cast<const std::byte*>(store_.vector(slots_[place]));
    for (size_t i = 0; i < std::min(row_bytes_, kPrefetchMax); i += kCacheLineBytes) {
      prefetch_read(row + i);
    }
  }
  void take_out(uint32_t place, Content* content, float* row) const {
    const uint32_t slot = slots_[place];
    if (row_bytes_ > 0) std::memcpy(row, store_.vector(slot), row_bytes_);
    *content = content_of(slot);
  }
  void put(uint32_t place, const Content& content, const float* row) const {
    const uint32_t slot = slots_[place];
    if (row_bytes_ > 0) std::memcpy(store_.vector(slot), row, row_bytes_);
    put_rest(slot, content);
  }
  void move(uint32_t to, uint32_t from) const {
    put(to, content_of(slots_[from]), row_bytes_ > 0 ? store_.vector(slots_[from]) : nullptr);
  }

 private:
  Content content_of(uint32_t slot) const {
    return {has_ids_ ? *store_.ids.row_as<const uint64_t>(slot) : 0, store_.scale(slot),
            store_.states.has(slot, SlotStates::kStringId)};
  }
  void put_rest(uint32_t slot, const Content& content) const {
    if (store_.has_norms) *store_.norms.row_as<float>(slot) = content.norm;
    if (!has_ids_) return;
    store_.ids.row_as<std::atomic<uint64_t>>(slot)->store(content.id, std::memory_order_release);
    store_.states.reset(slot);
    if (content.has_string_id) store_.states.set(slot, SlotStates::kStringId);
  }

  Store& store_;
  const uint32_t* const slots_;
  const size_t row_bytes_;
  const bool has_ids_;
};

void walk_path(const StagedSlots& slots, const Permutation& all, const Permutation::Path& path,
               const StagedSlots::Content* starts, const float* rows, float* own) {
  const uint32_t* const places = all.places().data();
  StagedSlots::Content content{};
  if (path.next == Permutation::kOwn) slots.take_out(places[path.begin], &content, own);
  for (uint32_t i = path.begin; i + 1 < path.end; ++i) {
    if (i + kAhead < path.end) slots.prefetch(places[i + kAhead]);
    slots.move(places[i], places[i + 1]);
  }
  const uint32_t last = places[path.end - 1];
  if (path.next == Permutation::kOwn) return slots.put(last, content, own);
  slots.put(last, starts[path.next], rows + path.next * (slots.row_bytes() / sizeof(float)));
}

}  // namespace

void Collection::Impl::place_rows(Store& s, WriteBatch::Rep& b) {
  const CodeSet* const codes = s.codes();
  const size_t walked_bytes =
      codes == nullptr ? b.dimensions * sizeof(float) : codes->views().rows.stride;
  if (b.rows < kPlacedMin || walked_bytes > kPlacedBytesMax) return;
  const BatchRows rows(b.incoming());
  Array<uint32_t> order(&account, Use::kScratch);
  const Locality locality{rows,        b.rows,        b.dimensions, kLeafRows,
                          s.kernels, *env.executor, &account};
  if (!order_by_locality(locality, &order).is_ok()) return;
  Permutation permutation(&account);
  if (!permutation.plan(order.data(), static_cast<uint32_t>(b.rows)).is_ok()) return;
  const size_t row_floats = b.floats.empty() ? b.dimensions : 0;
  const StagedSlots slots(s, b.slots, row_floats * sizeof(float), b.ids_staged > 0);
  const auto& starts = permutation.starts();
  Array<StagedSlots::Content> contents(&account, Use::kScratch);
  Array<float> floats(&account, Use::kScratch);
  Array<float> own(&account, Use::kScratch);
  const size_t workers = parallel_workers(*env.executor);
  if (!contents.resize(starts.size()).is_ok() ||
      !floats.resize(starts.size() * row_floats).is_ok() ||
      !own.resize(workers * row_floats).is_ok() || !b.placed.append(b.slots, b.rows).is_ok()) {
    return;
  }
  for (size_t i = 0; i < starts.size(); ++i) {
    slots.take_out(starts[i], &contents[i], floats.data() + i * row_floats);
  }
  parallel_for(*env.executor, permutation.paths().size(), kPathsPerTask,
               [&](size_t begin, size_t end, unsigned worker) {
                 for (size_t i = begin; i < end; ++i) {
                   walk_path(slots, permutation, permutation.paths()[i], contents.data(),
                             floats.data(), own.data() + worker * row_floats);
                 }
               });
  for (size_t i = 0; i < b.rows; ++i) b.slots[order[i]] = b.placed[i];
}

}  // namespace omen
