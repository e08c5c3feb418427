// Collection and checkpoints: the cut, and what is written of it.
//
// How long writers wait: for the cut, which copies a bit a slot, and for upkeep if the graph is to
// be written. All else goes on beside them. Upkeep waits in turn until the collection is copied, so
// that what a live slot holds stays what it is.
#include <algorithm>
#include <cstring>
#include <set>

#include "db/collection_impl.h"
#include "db/stored_codec.h"
#include "storage/segment.h"

namespace omen {

namespace {

// The graph is written again once one in so many slots changed since: until then opening links
// them. Edges lie everywhere, so that a graph of which little changed cannot be written in part;
// between checkpoints it may fall behind far enough to cost no more than rows do, and at a close no
// farther than opening is quick.
constexpr uint64_t kFreshShare = 10;
constexpr uint64_t kFreshShareClosing = 100;
constexpr uint64_t kFreshMin = 256;
constexpr uint64_t kGoneShare = 10;
constexpr size_t kCopyBytes = size_t{1} << 20;

// Rows of an extent as the store holds them. Metadata are asked for again and again, and a write
// may swap them between: they are taken once, and live as long as the caller's pin.
class StoreExtent final : public ExtentRows {
 public:
  StoreExtent(const Cut& cut, uint32_t first) : s_(*cut.store), cut_(cut), first_(first) {
    blocks_.reserve(cut.snapshot.extent_rows);
    for (uint32_t row = 0; row < cut.snapshot.extent_rows; ++row) {
      blocks_.push_back(s_.columns.block(first + row));
    }
  }

  bool is_live(size_t row) const override {
    const size_t slot = first_ + row;
    const auto& live = cut_.snapshot.live;
    return slot >> 6 < live.size() && (live[slot >> 6] >> (slot & 63) & 1) != 0;
  }
  RecordId id(size_t row) const override {
    const IdView id = s_.id_view(slot(row));
    return {id.is_string, id.integer, id.text};
  }
  std::string_view metadata(size_t row) const override {
    const MetadataBlock* block = blocks_[row];
    return block == nullptr ? std::string_view() : block->json();
  }
  void copy_vector(size_t row, std::byte* out) const override {
    if (cut_.snapshot.has_codes) return cut_.codes->store_row(slot(row), out);
    std::memcpy(out, s_.vector(slot(row)), s_.dimensions() * sizeof(float));
  }
  uint32_t order(size_t row) const override { return s_.order_of(slot(row)); }
  float norm(size_t row) const override { return s_.scale(slot(row)); }

 private:
  uint32_t slot(size_t row) const { return first_ + static_cast<uint32_t>(row); }

  const Store& s_;
  const Cut& cut_;
  const uint32_t first_;
  std::vector<const MetadataBlock*> blocks_;
};

bool has_live_row(const CollectionSnapshot& snapshot, uint32_t extent) {
  const uint64_t first = uint64_t{extent} * snapshot.extent_rows;
  const uint64_t end = std::min<uint64_t>(first + snapshot.extent_rows, snapshot.high_water);
  for (uint64_t slot = first; slot < end; ++slot) {
    if ((snapshot.live[slot >> 6] >> (slot & 63) & 1) != 0) return true;
  }
  return false;
}

// Blobs of an older snapshot, copied where their segments leave.
Status keep_blobs(const std::vector<SnapshotBlob>& old, const SaveTarget& target,
                  std::vector<SnapshotBlob>* out) {
  std::vector<std::byte> piece;
  for (const SnapshotBlob& blob : old) {
    if (target.leaving.count(blob.place.segment) == 0) {
      out->push_back(blob);
      continue;
    }
    const SegmentReader* file = target.files.find(blob.place.segment);
    OMEN_ASSERT(file != nullptr);
    OMEN_ASSIGN(SegmentWriter * derived, target.derived.get());
    OMEN_TRY(derived->begin_blob());
    for (uint64_t at = 0; at < blob.place.bytes;) {
      const uint64_t n = std::min<uint64_t>(kCopyBytes, blob.place.bytes - at);
      piece.resize(static_cast<size_t>(n));
      OMEN_TRY(file->read_blob(blob.place, at, piece.data(), piece.size()));
      OMEN_TRY(derived->append(piece.data(), piece.size()));
      at += n;
    }
    OMEN_ASSIGN(const BlobPlace place, derived->end_blob());
    out->push_back({blob.kind, place});
  }
  return Status::ok();
}

}  // namespace

void Collection::Impl::wait_saved() const { is_saving_.wait(true, std::memory_order_acquire); }

// Whether graph and codes should be written anew: what opening would have to link, and what was
// deleted since, are not few any more.
bool Collection::Impl::wants_derived(const Store& s, bool is_closing) const {
  if (s.live() == 0 || s.graph.is_empty()) return false;
  const uint64_t serial = s.codes() == nullptr ? 0 : s.codes()->serial;
  if (saved_.generation != s.generation() || saved_.snapshot.blobs.empty()) return true;
  if (saved_.codes_serial != serial) return true;
  const uint64_t fresh = s.unsaved.slots.count();
  const uint64_t share = is_closing ? kFreshShareClosing : kFreshShare;
  if (fresh > std::max(kFreshMin, s.live() / share)) return true;
  const uint64_t kept = s.live() - std::min(s.live(), fresh);
  return saved_.nodes - std::min(saved_.nodes, kept) > s.live() / kGoneShare;
}

Status Collection::cut(const Wal& wal, SaveKind kind, Cut* out) {
  Impl& c = *impl_;
  const std::lock_guard<std::mutex> guard(c.commit_mutex_);
  Store* const s = c.store();
  // Marked slots are bridges, of which the snapshot knows nothing.
  const bool writes_derived = s != nullptr && kind != SaveKind::kTight &&
                              c.wants_derived(*s, kind == SaveKind::kClosing);
  if (writes_derived) (void)c.consolidate(*s).is_ok();
  const std::lock_guard<std::mutex> store_guard(c.store_mutex_);
  CollectionSnapshot& snapshot = out->snapshot;
  snapshot.collection = c.env.journal_id;
  snapshot.sequence = wal.appended();
  snapshot.dimensions = c.options.dimensions;
  snapshot.m = c.options.m;
  snapshot.ef_construction = c.options.ef_construction;
  snapshot.metric = static_cast<uint8_t>(c.options.metric);
  snapshot.quantization = static_cast<uint8_t>(c.options.quantization);
  snapshot.layout = static_cast<uint8_t>(c.options.layout);
  snapshot.name = c.name;
  snapshot.schema = c.options.schema_json;
  snapshot.keeps_vectors = c.options.keep_vectors;
  snapshot.next_id = c.next_id_.load(std::memory_order_relaxed);
  if (s == nullptr || s->live() == 0) return Status::ok();
  out->writes_derived = writes_derived;
  out->store = c.owned_store_;
  OMEN_TRY(c.take_cut(*s, out));
  c.is_saving_.store(true, std::memory_order_release);
  return Status::ok();
}

// Under the commit lock.
Status Collection::Impl::take_cut(Store& s, Cut* out) {
  CollectionSnapshot& snapshot = out->snapshot;
  snapshot.high_water = s.high_water();
  snapshot.next_order = s.next_order;
  snapshot.extent_rows = s.extent_rows();
  snapshot.stride = static_cast<uint32_t>(s.vectors.stride());
  if (!s.has_floats()) {
    out->codes = s.owned_codes;
    snapshot.has_codes = true;
    snapshot.stride = static_cast<uint32_t>(s.owned_codes->stored_bytes());
    Array<std::byte> codec(s.account, Use::kScratch);
    OMEN_TRY(encode_codec(*s.owned_codes, s.dimensions(), &codec));
    snapshot.codec.assign(reinterpret_cast<const char*>(codec.data()), codec.size());
  }
  snapshot.live.assign((size_t{snapshot.high_water} + 63) / 64, 0);
  for (uint32_t slot = 0; slot < snapshot.high_water; ++slot) {
    if (s.is_live(slot)) snapshot.live[slot >> 6] |= uint64_t{1} << (slot & 63);
  }
  OMEN_TRY(s.unsaved.ensure(snapshot.high_water));
  OMEN_TRY(out->slots.copy(s.unsaved.slots));
  OMEN_TRY(s.unsaved.take_extents(&out->extents));
  if (!out->writes_derived) return Status::ok();
  s.unsaved.slots.clear();
  out->codes = s.owned_codes;
  out->image = s.graph.image(snapshot.high_water);
  out->needs_repair = s.needs_repair;
  return Status::ok();
}

Status Collection::save(Cut* cut, const SaveTarget& target) {
  if (cut->store == nullptr) return Status::ok();
  const Status status = impl_->write_cut(cut, target);
  impl_->stop_saving();
  return status;
}

void Collection::Impl::stop_saving() {
  is_saving_.store(false, std::memory_order_release);
  is_saving_.notify_all();
}

Status Collection::Impl::write_cut(Cut* cut, const SaveTarget& target) {
  CollectionSnapshot& snapshot = cut->snapshot;
  const bool has_old = saved_.generation == cut->store->generation();
  const CollectionSnapshot& old = saved_.snapshot;
  const bool has_old_rows = has_old && old.has_codes == snapshot.has_codes;
  const uint32_t rows = snapshot.extent_rows;
  const auto extents = (snapshot.high_water + rows - 1) / rows;
  snapshot.extents.resize(extents);
  for (uint32_t i = 0; i < extents; ++i) {
    if (!has_live_row(snapshot, i)) continue;
    const bool is_there = has_old_rows && i < old.extents.size() && old.extents[i].segment != 0;
    if (is_there && !cut->extents.has(i) && target.leaving.count(old.extents[i].segment) == 0) {
      snapshot.extents[i] = old.extents[i];
      continue;
    }
    const ExtentShape shape{snapshot.collection, i, rows, snapshot.dimensions, snapshot.stride,
                            cut->store->has_norms, snapshot.has_codes};
    const EpochDomain::Pin pin = epochs.pin();  // For metadata, which may be swapped.
    const StoreExtent extent(*cut, i * rows);
    OMEN_TRY(target.writer->append_extent(shape, extent, &snapshot.extents[i]));
  }
  // What was read of a damaged file is not written anew as if it were whole.
  OMEN_TRY(cut->store->vectors_status());
  if (cut->writes_derived) {
    OMEN_ASSIGN(SegmentWriter * derived, target.derived.get());
    return write_derived(*cut, derived, &snapshot.blobs);
  }
  if (!has_old) return Status::ok();
  for (size_t i = 0; i < snapshot.live.size(); ++i) snapshot.fresh.push_back(cut->slots.word(i));
  return keep_blobs(old.blobs, target, &snapshot.blobs);
}

void Collection::end_cut(Cut* cut, bool is_saved) {
  Impl& c = *impl_;
  if (cut->store != nullptr) {
    c.stop_saving();  // Before the lock: who holds it may wait for that.
    const std::lock_guard<std::mutex> guard(c.commit_mutex_);
    Store& s = *cut->store;
    s.unsaved.end_taken(cut->extents, is_saved);
    if (!is_saved && cut->writes_derived) s.unsaved.slots.add(cut->slots);
    if (is_saved) s.unsaved.set_extent_bytes(cut->snapshot.extent_bytes());
    if (c.needs_maintenance()) c.maintenance_due_ = true;
  }
  if (is_saved) {
    const bool has_blobs = !cut->snapshot.blobs.empty();
    if (!has_blobs) c.saved_.nodes = c.saved_.codes_serial = 0;
    if (cut->writes_derived) {
      c.saved_.codes_serial = cut->codes == nullptr ? 0 : cut->codes->serial;
      c.saved_.nodes = 0;
      for (const uint64_t word : cut->snapshot.live) c.saved_.nodes += std::popcount(word);
    }
    c.saved_.generation = cut->store == nullptr ? 0 : cut->store->generation();
    c.saved_.snapshot = std::move(cut->snapshot);
  }
  cut->store.reset();
  {  // What a commit retired meanwhile the checkpoint held, and no other commit need come.
    const std::lock_guard<std::mutex> guard(c.commit_mutex_);
    c.epochs.collect();
  }
  if (c.maintenance_due_.load()) c.schedule_drain(shared_from_this());
}

void Collection::follow(const SegmentFiles& files) {
  Impl& c = *impl_;
  std::shared_ptr<Store> s;
  {
    const std::lock_guard<std::mutex> guard(c.store_mutex_);
    s = c.owned_store_;
  }
  if (s == nullptr || s->mapped == nullptr || c.saved_.generation != s->generation()) return;
  s->mapped->follow({c.saved_.snapshot, files, s->states, s->stage_mutex});
  const std::lock_guard<std::mutex> guard(c.commit_mutex_);
  {
    const std::lock_guard<std::mutex> store_guard(c.store_mutex_);
    // One that was cleared meanwhile is retired: nothing of it may be retired behind it.
    if (s != c.owned_store_) return;
    const std::lock_guard<std::mutex> stage_guard(s->stage_mutex);
    s->mapped->let_go();
  }
  c.epochs.collect();  // A file that was let go keeps its room on the disk until then.
}

const CollectionSnapshot* Collection::saved() const { return &impl_->saved_.snapshot; }

}  // namespace omen
