// Upkeep, under the commit mutex: training codes, consolidating deletions, repairing reachability.
#include <algorithm>
#include <new>

#include "base/random.h"
#include "base/test_points.h"
#include "db/collection_impl.h"

namespace omen {

namespace {

constexpr uint64_t kMarkedMin = 64;  // Consolidate at max(64, 1 % of live) marked slots,
constexpr uint64_t kMarkedShare = 100;
constexpr uint64_t kRepairMin = 32;  // and look for unreachable nodes after max(32, 5 %) inserts.
constexpr uint64_t kRepairShare = 20;
// Rows chosen a few at a time are chosen anew by themselves, once they are as many as there are
// records, where that takes some tenths of a second: writes wait meanwhile.
constexpr uint64_t kRenewedValuesMax = uint64_t{1} << 23;
// Before a commit that replaces is answered, max(256, 3 % of live) marked slots at most: whoever
// replaces faster than the upkeep follows would otherwise grow the collection instead.
constexpr uint64_t kMarkedMaxMin = 256;
constexpr uint64_t kMarkedMaxShare = 33;
constexpr uint64_t kMarkedWaitMin = 4096;
constexpr uint64_t kMarkedWaitShare = 4;

// Of vectors that move to huge pages before a commit that waits is looked for again.
constexpr size_t kCollapseBytes = size_t{8} << 20;

bool is_due(uint64_t count, const Store& s, uint64_t min, uint64_t share) {
  return count >= std::max(min, s.live() / share);
}

struct Sample {
  Sample(MemoryAccount* account, uint64_t database_seed)
      : rows(account, Use::kScratch), scales(account, Use::kScratch), seed(database_seed) {}
  Array<const float*> rows;
  Array<float> scales;
  const uint64_t seed;
};

// Codes of one kind, trained on a sample, without rows yet.
template <class CodecType>
Result<std::unique_ptr<CodeSet>> make_codes(MemoryAccount* account,
                                            Result<std::unique_ptr<CodecType>> trained,
                                            const CodeSet::Marks& marks) {
  OMEN_ASSIGN(std::unique_ptr<CodecType> codec, std::move(trained));
  auto codes =
      std::unique_ptr<CodeSet>(new (std::nothrow) CodeSet(account, std::move(codec), marks));
  if (!codes) return Status::error(ErrorCode::kMemory, "no memory for codes");
  return codes;
}

Result<std::unique_ptr<CodeSet>> train_codes(const Store& s, const Sample& sample,
                                             Quantization quantization,
                                             const CodeSet::Marks& marks) {
  const Distance distance = distance_of(s.metric());
  const float* const* rows = sample.rows.data();
  const float* scales = sample.scales.data();
  const size_t count = sample.rows.size();
  if (quantization == Quantization::kBinary) {
    const BinaryCodec::Training training{
        .distance = distance,
        .dimensions = s.dimensions(),
        .rows = rows,
        .scales = scales,
        .count = count,
        .seed = sample.seed,
    };
    return make_codes(s.account, BinaryCodec::train(training, s.kernels), marks);
  }
  return make_codes(
      s.account, Sq8Codec::train(distance, s.dimensions(), s.kernels, rows, scales, count), marks);
}

// A seeded sample of all slots that hold rows, and of those that a batch is about to bring.
Status draw_sample(const Store& s, const IncomingRows& incoming, uint64_t rows, Sample* out) {
  const size_t wanted = std::min<uint64_t>(rows, kTrainSampleMax);
  OMEN_TRY(out->rows.reserve(wanted));
  OMEN_TRY(out->scales.reserve(wanted));
  Random random(out->seed ^ rows);
  const uint32_t high = s.high_water();
  for (size_t tries = 0; out->rows.size() < wanted && tries < 8 * wanted; ++tries) {
    const uint64_t pick = random.below(high + incoming.count);
    const auto slot = static_cast<uint32_t>(pick);
    if (pick < high && !s.is_live(slot)) continue;
    out->rows.push_back_reserved(pick < high ? s.vector(slot) : incoming.vector(pick - high));
    out->scales.push_back_reserved(pick < high ? s.scale(slot) : incoming.scale(pick - high));
  }
  return Status::ok();
}

// Whether the rows of a large batch lie beyond what codes were trained on: it is asked before they
// are encoded.
bool drifts(const Store& s, const IncomingRows& incoming) {
  const CodeSet* codes = s.codes();
  if (incoming.count < Drift::rows_between(s.live())) return false;
  uint64_t clamped = 0;
  for (size_t i = 0; i < Drift::kWindow; ++i) {
    const size_t row = i * incoming.count / Drift::kWindow;
    clamped += codes->clamps(incoming.vector(row), incoming.scale(row)) ? 1 : 0;
  }
  return Drift::is_drift(Drift::kWindow, clamped);
}

}  // namespace

// Codes are trained on at least kTrainRows records, and anew at every doubling and when the data
// drift. Where they are the truth they stay: what they replaced is gone. Without memory for new
// codes the old ones (or floats) go on serving: it is tried again with the next commit.
Status Collection::Impl::train_if_due(Store& s, const IncomingRows& incoming, size_t new_records) {
  if (options.quantization == Quantization::kNone) return Status::ok();
  const uint64_t rows = s.live() + new_records;
  const CodeSet* const old = s.codes();
  if (rows < kTrainRows || !s.has_floats()) return Status::ok();
  // A checkpoint reads the floats that go: later.
  if (!s.keep_vectors && is_saving_.load(std::memory_order_acquire)) return Status::ok();
  const bool is_due = old == nullptr || rows >= 2 * old->trained_rows ||
                      s.drift.is_due(s.live(), incoming.count) || drifts(s, incoming);
  return is_due ? train(s, incoming, rows) : Status::ok();
}

Status Collection::Impl::train(Store& s, const IncomingRows& incoming, uint64_t rows) {
  // Kept by whom it is retired to: a checkpoint may be copying it.
  std::unique_ptr<std::shared_ptr<CodeSet>> old(new (std::nothrow) std::shared_ptr<CodeSet>);
  if (old == nullptr) return Status::error(ErrorCode::kMemory, "no memory for codes");
  const uint32_t high = s.high_water();
  Sample sample(&account, env.seed);
  OMEN_TRY(draw_sample(s, incoming, rows, &sample));
  if (sample.rows.empty()) return Status::ok();
  OMEN_ASSIGN(std::unique_ptr<CodeSet> codes,
              train_codes(s, sample, options.quantization, {rows, next_serial_}));
  if (options.layout == Layout::kFast) {
    OMEN_TRY(codes->add_packed(s.graph.row_capacity(), s.kernels));
  }
  OMEN_TRY(codes->ensure(std::max(high, 1u)));
  if (!s.keep_vectors && s.is_saved) OMEN_TRY(s.unsaved.ensure(high));
  ++next_serial_;
  // Workers are bound to the old codes: what earlier commits of this group brought is linked first.
  link_queued();
  parallel_for(*env.executor, high, 512, [&](size_t begin, size_t end, unsigned) {
    for (size_t i = begin; i < end; ++i) {
      const auto slot = static_cast<uint32_t>(i);
      // Marked slots too: searches still walk over them.
      if ((s.states.load(slot) & (SlotStates::kLive | SlotStates::kMarked)) == 0) continue;
      codes->encode(slot, s.vector(slot), s.scale(slot));
    }
  });
  pack_all(s, *codes);
  *old = std::move(s.owned_codes);
  s.owned_codes = std::move(codes);
  s.codes_.store(s.owned_codes.get(), std::memory_order_release);
  s.drift.reset();
  if (*old == nullptr && s.keep_vectors) return Status::ok();
  // A search that took the old codes must never meet a slot that only the new ones cover, and the
  // next thing this commit does is to link such slots. Nor may one read floats that go.
  epochs.synchronize();
  if (!s.keep_vectors) {
    s.vectors.release_all();
    // Extents on disk hold vectors: all are written anew.
    for (uint32_t slot = 0; s.is_saved && slot < high; ++slot) s.unsaved.note_metadata(slot);
  }
  if (*old == nullptr) return Status::ok();
  const uint64_t bytes = (*old)->bytes();
  epochs.retire(
      old.release(),
      [](void* object, void*) { delete static_cast<std::shared_ptr<CodeSet>*>(object); }, nullptr,
      bytes);
  return Status::ok();
}

// Orders count records that ever were: after 2^32 of them the living ones are numbered anew, which
// costs less than eight bytes for each of them would always. In rising order, so that of two
// records met between the earlier one has never the larger number for longer than a moment.
Status Collection::Impl::reserve_orders(Store& s, size_t count) {
  if (count <= Orders::kMax - s.next_order) return Status::ok();
  struct Numbered {
    uint32_t order;
    uint32_t slot;
  };
  Array<Numbered> all(&account, Use::kScratch);
  OMEN_TRY(all.reserve(s.live()));
  for (uint32_t slot = 0; slot < s.high_water(); ++slot) {
    if (s.is_live(slot)) all.push_back_reserved({s.order_of(slot), slot});
  }
  std::sort(all.begin(), all.end(),
            [](const Numbered& a, const Numbered& b) { return a.order < b.order; });
  s.next_order = 0;
  for (const Numbered& n : all) {
    s.orders.set(n.slot, s.next_order++);
    if (s.is_saved) s.unsaved.note_metadata(n.slot);
  }
  return Status::ok();
}

bool Collection::Impl::needs_maintenance() const {
  const Store* s = store();
  if (s == nullptr) return false;
  return is_due(s->marked(), *s, kMarkedMin, kMarkedShare) ||
         is_due(s->inserted_since_repair, *s, kRepairMin, kRepairShare) || s->needs_repair;
}

void Collection::Impl::maintain() {
  Store* s = store();
  if (s == nullptr || dropped_) return;
  // A commit that waits goes first.
  while (collapse_due_ && !has_waiting()) collapse_due_ = collapse_some(*s);
  if (collapse_due_) maintenance_due_ = true;
  // Upkeep that fails for want of memory is tried again after a later commit.
  if (is_due(s->marked(), *s, kMarkedMin, kMarkedShare)) (void)consolidate(*s).is_ok();
  if (is_due(s->inserted_since_repair, *s, kRepairMin, kRepairShare) || s->needs_repair) {
    (void)repair(*s).is_ok();
  }
  const bool is_soon_done = s->live() * s->dimensions() <= kRenewedValuesMax;
  if (is_soon_done && s->linked_apart >= s->live()) (void)link_together(*s).is_ok();
}

bool Collection::Impl::collapse_some(Store& s) {
  const uint32_t end = s.has_floats() ? std::min(s.high_water(), s.vectors.rows()) : 0;
  const uint32_t begin = s.vectors.collapsed_rows();
  if (begin >= end) return false;
  const uint64_t some = std::max<uint64_t>(kCollapseBytes / s.vectors.stride(), 1);
  s.vectors.collapse(static_cast<uint32_t>(std::min<uint64_t>(end, begin + some)));
  return true;
}

void Collection::Impl::bound_marked() {
  Store* s = store();
  if (s == nullptr || dropped_) return;
  if (!is_due(s->marked(), *s, kMarkedMaxMin, kMarkedMaxShare)) return;
  // A checkpoint holds upkeep off. Who outruns it by much waits for it.
  if (is_due(s->marked(), *s, kMarkedWaitMin, kMarkedWaitShare)) wait_saved();
  (void)consolidate(*s).is_ok();
}

// Marked slots leave the graph, and when nobody can see them any more, they are free.
Status Collection::Impl::consolidate(Store& s) {
  if (is_saving_.load(std::memory_order_acquire)) return Status::ok();  // Later.
  const uint32_t high = s.high_water();
  RowSet doomed(&account);
  OMEN_TRY(doomed.resize(high));
  for (uint32_t slot = 0; slot < high; ++slot) {
    if (s.states.has(slot, SlotStates::kMarked)) doomed.add(slot);
  }
  if (doomed.is_empty()) return Status::ok();
  OMEN_TRY(index_metadata(s));
  OMEN_TEST_POINT("consolidate");
  const Graph::Accept accept{doomed.words(), doomed.size()};
  const Store::BuildSpace space(s);
  epochs.synchronize();
  OMEN_TRY(s.graph.unlink(accept, high, *env.executor, space));
  pack_changed(s);
  epochs.synchronize();
  s.graph.forget(accept, high);
  PackedCodes* const packed = s.codes() == nullptr ? nullptr : s.codes()->packed();
  doomed.for_each([&](uint32_t slot) {
    if (packed != nullptr) packed->reset(slot);
    s.columns.clear(slot);
    s.free_slot(slot);
  });
  s.linked_apart += doomed.count();
  s.marked_.fetch_sub(doomed.count(), std::memory_order_acq_rel);
  s.consolidations.fetch_add(1, std::memory_order_relaxed);
  s.needs_repair = true;
  return Status::ok();
}

Status Collection::Impl::repair(Store& s) {
  const Store::BuildSpace space(s);
  const EpochDomain::Pin pin = epochs.pin();
  OMEN_ASSIGN(const uint64_t found, s.graph.repair(s.high_water(), space));
  (void)found;
  pack_changed(s);
  s.inserted_since_repair = 0;
  s.needs_repair = false;
  return Status::ok();
}

Status Collection::Impl::apply_optimize(Commit* commit) {
  Store* s = store();
  if (s == nullptr) return Status::ok();
  commit->total = s->live();
  link_queued();  // What earlier commits of this group brought.
  commit->link_count = commit->total;  // What progress is told of.
  wait_saved();
  OMEN_TRY(consolidate(*s));
  // Old and new stand side by side for a while: where there is no memory for that, the old ones do.
  const auto if_it_fits = [](Status status) {
    return status.code() == ErrorCode::kMemory ? Status::ok() : status;
  };
  OMEN_TRY(if_it_fits(link_together(*s)));
  OMEN_TRY(repair(*s));
  // Rows that their codes clamped: they are few, or they had been trained on before.
  if (s->keep_vectors && s->drift.clamped() > 0) OMEN_TRY(if_it_fits(train(*s, {}, s->live())));
  return if_it_fits(s->index.shrink(0, [&](uint32_t x) { return s->hash_of(x); }));
}

}  // namespace omen
