// Collection: back from a snapshot.
//
// How: rows first, extent by extent and in parallel, then codes and graph, with the id index beside
// them. Codes and graph are derived: where they are damaged, or were never written, they are left
// out, and made when the log has been replayed (finish_replay()). Where codes are all that is kept
// of the vectors they are no such thing: they come with the rows, or the opening fails. Metadata
// come as text alone: parsing takes longer than all the rest, so their columns are filled behind
// the opening (metadata_index.cc).
// Threads: one, and what it has the pool do; before anybody else knows the collection.
#include <algorithm>
#include <bit>
#include <mutex>

#include "db/collection_impl.h"
#include "db/stored_codec.h"
#include "exec/beside.h"
#include "exec/hardware.h"
#include "storage/checks.h"
#include "storage/segment.h"

namespace omen {

namespace {

// What reading a snapshot takes for a moment, about.
constexpr uint64_t kReadingBytes = uint64_t{4} << 20;

bool has_bit(const std::vector<uint64_t>& bits, uint32_t i) {
  return i >> 6 < bits.size() && (bits[i >> 6] >> (i & 63) & 1) != 0;
}

// fn(slot) for the bits of word `i`.
template <class Fn>
void each_bit(uint64_t word, size_t i, const Fn& fn) {
  for (; word != 0; word &= word - 1) {
    fn(static_cast<uint32_t>(i * 64) + static_cast<uint32_t>(std::countr_zero(word)));
  }
}

uint64_t count_bits(const std::vector<uint64_t>& bits) {
  uint64_t n = 0;
  for (const uint64_t word : bits) n += static_cast<uint64_t>(std::popcount(word));
  return n;
}

Status impossible(const SegmentReader& file, const std::string& what) {
  return corrupt(file.path(), file.path() + " is damaged: " + what);
}

}  // namespace

Status SegmentFiles::open(const Directory& directory) {
  for (const ManifestFile& file : directory.segments()) {
    OMEN_ASSIGN(readers_[file.number], directory.segment(file.number));
  }
  return Status::ok();
}

const SegmentReader* SegmentFiles::find(uint64_t number) const {
  const auto found = readers_.find(number);
  return found == readers_.end() ? nullptr : found->second.get();
}

Status Collection::Impl::load_extent(Store& s, const SegmentFiles& files, uint32_t index) const {
  const CollectionSnapshot& in = saved_.snapshot;
  const uint32_t first = index * in.extent_rows;
  const uint32_t end = std::min(first + in.extent_rows, in.high_water);
  const ExtentPlace& place = in.extents[index];
  if (place.segment == 0) return Status::ok();
  const SegmentReader* file = files.find(place.segment);
  if (file == nullptr) {
    return Status::error(ErrorCode::kCorrupt, "the snapshot names a file that is not there");
  }
  const ExtentShape expected{in.collection, index,       in.extent_rows, in.dimensions,
                             in.stride,     s.has_norms, in.has_codes};
  Array<std::byte> buffer(s.account, Use::kScratch);
  ExtentHead head;
  OMEN_TRY(file->read_extent_head(place, expected, &buffer, &head));
  Array<std::byte> codes(s.account, Use::kScratch);
  if (in.has_codes) {
    OMEN_TRY(codes.reserve(place.vector_bytes));
    codes.grow_reserved(place.vector_bytes);
    OMEN_TRY(file->read_extent_vectors(place, head, codes.data()));
  } else if (s.mapped != nullptr) {
    OMEN_TRY(s.mapped->map(index, *file, place, head.vector_checksum()));
  } else {
    OMEN_TRY(file->read_extent_vectors(place, head, s.vector(first)));
  }
  std::vector<uint32_t> slots;  // That have metadata.
  std::vector<std::string_view> jsons;
  for (uint32_t slot = first; slot < end; ++slot) {
    if (!has_bit(in.live, slot)) continue;
    const size_t row = slot - first;
    if (!head.is_live(row)) return impossible(*file, "a record is missing");
    const RecordId id = head.id(row);
    OMEN_TRY(s.stage_id(slot, {id.is_string, id.integer, id.text}));
    s.orders.set(slot, head.order(row));
    if (s.has_norms) *s.norms.row_as<float>(slot) = head.norm(row);
    if (in.has_codes) s.owned_codes->load_row(slot, codes.data() + row * in.stride);
    const std::string_view json = head.metadata(row);
    if (json.empty()) continue;
    slots.push_back(slot);
    jsons.push_back(json);
  }
  if (slots.empty()) return Status::ok();
  s.is_indexed.store(false, std::memory_order_relaxed);
  return s.columns.restore(slots, jsons);
}

// Unless it was told: in memory if they fit, with room for all else, which takes about twice what
// it does on disk.
bool Collection::Impl::stays_mapped(const Store& s) const {
  if (!s.keep_vectors) return false;
  if (env.residency != Residency::kAuto) return env.residency == Residency::kMapped;
  const CollectionSnapshot& in = saved_.snapshot;
  const uint64_t vectors = uint64_t{in.high_water} * s.vectors.stride();
  uint64_t others = 0;
  for (const ExtentPlace& place : in.extents) others += place.head_bytes;
  for (const SnapshotBlob& blob : in.blobs) others += blob.place.bytes;
  const uint64_t limit = env.budget->limit();
  const uint64_t used = env.budget->used();
  const uint64_t needed = vectors + 2 * others + kReadingBytes;
  if (limit != 0 && needed > limit - std::min(limit, used)) return true;
  return vectors > memory_limit() / 2;
}

// Of codes that are all that is kept of the vectors.
Status Collection::Impl::load_codec(Store& s) {
  const CollectionSnapshot& in = saved_.snapshot;
  const CodecRoom room{s.metric(), s.dimensions(), s.kernels, &account, next_serial_};
  OMEN_ASSIGN(std::unique_ptr<CodeSet> codes, decode_codec(in.codec, room));
  OMEN_TRY(codes->ensure(in.high_water));
  saved_.codes_serial = next_serial_++;
  s.owned_codes = std::move(codes);
  s.codes_.store(s.owned_codes.get(), std::memory_order_release);
  return Status::ok();
}

Status Collection::Impl::load_extents(Store& s, const SegmentFiles& files) {
  std::mutex mutex;
  Status fault;
  uint64_t texts = 0;  // Ids and their like are the smaller part where there are any.
  for (const ExtentPlace& place : saved_.snapshot.extents) texts += place.head_bytes;
  s.id_blocks.expect(texts);
  OMEN_TRY(s.columns.cover(saved_.snapshot.high_water, texts));
  parallel_for(*env.executor, saved_.snapshot.extents.size(), 4,
               [&](size_t from, size_t to, unsigned) {
                 for (size_t i = from; i < to; ++i) {
                   Status status = load_extent(s, files, static_cast<uint32_t>(i));
                   if (status.is_ok()) continue;
                   const std::lock_guard<std::mutex> guard(mutex);
                   if (fault.is_ok()) fault = std::move(status);
                   return;
                 }
               });
  return fault;
}

// The id index, and the states of slots; `nodes` are those that the graph will have.
Status Collection::Impl::load_index(Store& s, const std::vector<uint64_t>& nodes) {
  const CollectionSnapshot& in = saved_.snapshot;
  const uint64_t live = count_bits(in.live);
  OMEN_TRY(s.index.reserve(static_cast<uint32_t>(live), [&](uint32_t x) { return s.hash_of(x); }));
  for (size_t i = 0; i < in.live.size(); ++i) {
    // Each insertion misses the cache: those of a word wait together.
    uint64_t hashes[64];
    each_bit(in.live[i], i, [&](uint32_t slot) {
      hashes[slot & 63] = s.hash_of(slot);
      s.index.prefetch(hashes[slot & 63]);
    });
    each_bit(in.live[i], i, [&](uint32_t slot) {
      const bool is_node = (nodes[i] >> (slot & 63) & 1) != 0;
      s.states.set(slot, SlotStates::kLive | (is_node ? SlotStates::kLinked : 0));
      s.index.insert(hashes[slot & 63], slot);
    });
  }
  s.live_ = live;
  // Nobody knows how they were linked: enough for optimize(), not for upkeep, to choose them anew.
  s.linked_apart = s.apart_limit();
  return Status::ok();
}

// What the stored graph lacks is queued, to be linked when the log has been replayed.
Status Collection::Impl::load_derived(Store& s, const SegmentFiles& files) {
  const CollectionSnapshot& in = saved_.snapshot;
  std::vector<uint64_t> nodes = in.live;
  for (size_t i = 0; i < std::min(nodes.size(), in.fresh.size()); ++i) nodes[i] &= ~in.fresh[i];
  Beside index(*env.executor, [&] { return load_index(s, nodes); });
  const Graph::Accept accept{nodes.data(), in.high_water};
  const DerivedSource source{in, files, *env.executor, next_serial_};
  Result<Derived> derived = Status::error(ErrorCode::kCorrupt, "it was never written");
  if (!in.blobs.empty()) derived = read_derived(source, accept, s);
  if (derived.status().code() == ErrorCode::kMemory) return derived.status();
  OMEN_TRY(index.join());
  const bool is_whole = derived.is_ok();
  const uint64_t linked = is_whole ? count_bits(nodes) : 0;
  OMEN_TRY(to_link_.reserve(s.live() - linked));
  for (size_t i = 0; i < in.live.size(); ++i) {
    each_bit(is_whole ? in.live[i] & ~nodes[i] : in.live[i], i, [&](uint32_t slot) {
      s.states.clear(slot, SlotStates::kLinked);
      to_link_.push_back_reserved(slot);
    });
  }
  if (!is_whole) {
    saved_.snapshot.blobs.clear();
    return Status::ok();
  }
  Derived& d = derived.value();
  s.needs_repair = d.needs_repair;
  saved_.nodes = linked;
  if (d.codes == nullptr) return Status::ok();
  ++next_serial_;
  if (options.layout == Layout::kFast) {
    OMEN_TRY(d.codes->add_packed(s.graph.row_capacity(), s.kernels));
    OMEN_TRY(d.codes->ensure(in.high_water));
  }
  parallel_for(*env.executor, to_link_.size(), 512, [&](size_t begin, size_t end, unsigned) {
    for (size_t i = begin; i < end; ++i) {
      d.codes->encode(to_link_[i], s.vector(to_link_[i]), s.scale(to_link_[i]));
    }
  });
  saved_.codes_serial = d.codes->serial;
  pack_all(s, *d.codes);
  s.owned_codes = std::move(d.codes);
  s.codes_.store(s.owned_codes.get(), std::memory_order_release);
  return Status::ok();
}

Result<bool> Collection::load(CollectionSnapshot snapshot, const SegmentFiles& files) {
  Impl& c = *impl_;
  const std::lock_guard<std::mutex> guard(c.commit_mutex_);
  const std::lock_guard<std::mutex> store_guard(c.store_mutex_);
  c.saved_.snapshot = std::move(snapshot);
  const CollectionSnapshot& in = c.saved_.snapshot;
  c.next_id_ = in.next_id;
  if (in.high_water == 0) return true;
  OMEN_TRY(c.make_store(in.dimensions));
  Store& s = *c.store();
  if (in.has_codes) OMEN_TRY(c.load_codec(s));
  const size_t stride = in.has_codes ? s.owned_codes->stored_bytes() : s.vectors.stride();
  if (in.extent_rows != s.extent_rows() || in.stride != stride) {
    return Status::error(ErrorCode::kCorrupt,
                         "collection '" + c.name + "' has rows of a size that they cannot have");
  }
  if (c.stays_mapped(s)) {
    const MappedVectors::Shape shape{in.extent_rows, in.stride, in.high_water};
    OMEN_ASSIGN(s.mapped, MappedVectors::create(s.account, s.epochs, shape));
  }
  OMEN_TRY(s.ensure_staged(in.high_water));
  s.populate_staged(0, in.high_water);
  if (!in.has_codes && s.mapped == nullptr) {
    OMEN_TRY(s.vectors.ensure(in.high_water));
    s.vectors.expect_huge(0, in.high_water);
  }
  OMEN_TRY(s.unsaved.ensure(in.high_water));
  OMEN_TRY(s.slots.restore(in.high_water, in.live.data()));
  OMEN_TRY(s.graph.reserve(in.high_water, {}, {}));
  OMEN_TRY(c.load_extents(s, files));
  s.unsaved.set_extent_bytes(in.extent_bytes());
  s.raise_high_water(in.high_water);
  s.next_order = in.next_order;
  c.saved_.generation = s.generation();
  OMEN_TRY(c.load_derived(s, files));
  for (size_t i = 0; i < in.fresh.size(); ++i) {
    each_bit(in.fresh[i], i, [&](uint32_t slot) { s.unsaved.slots.set(slot); });
  }
  return !in.blobs.empty() || s.live() == 0;
}

}  // namespace omen
