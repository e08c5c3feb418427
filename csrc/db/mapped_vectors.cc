// MappedVectors: first touch, own extents, and the way after a checkpoint.
#include "db/mapped_vectors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "db/saved.h"
#include "graph/slot_states.h"

namespace omen {

namespace {

Status broken(int invariant, const std::string& what) {
  return Status::error(ErrorCode::kCorrupt,
                       "mapped vectors, invariant " + std::to_string(invariant) + ": " + what);
}

}  // namespace

MappedVectors::MappedVectors(MemoryAccount* account, EpochDomain* epochs, const Shape& shape)
    : account_(account),
      epochs_(epochs),
      shift_(static_cast<uint32_t>(std::countr_zero(shape.extent_rows))),
      mask_(shape.extent_rows - 1),
      stride_(shape.stride) {
  OMEN_ASSERT(std::has_single_bit(shape.extent_rows));
}

size_t MappedVectors::table_bytes() const {
  return size_t{extents_for(kSlotLimit)} * sizeof(Entry);
}

Result<std::unique_ptr<MappedVectors>> MappedVectors::create(MemoryAccount* account,
                                                             EpochDomain* epochs,
                                                             const Shape& shape) {
  std::unique_ptr<MappedVectors> made(new (std::nothrow) MappedVectors(account, epochs, shape));
  if (made == nullptr) return Status::error(ErrorCode::kMemory, "no memory to map vectors");
  OMEN_TRY(account->reserve(Use::kVectors, made->extent_bytes()));
  made->bytes_ = made->extent_bytes();
  OMEN_ASSIGN(made->zeros_, allocate_bytes(made->extent_bytes()));
  OMEN_ASSIGN(made->table_, map_block(made->table_bytes()));
  OMEN_TRY(made->ensure(shape.rows));
  made->sources_.resize(made->extents_);
  return made;
}

MappedVectors::~MappedVectors() {
  for (uint32_t i = 0; i < extents_; ++i) {
    if (is_own(i)) free_bytes(reinterpret_cast<std::byte*>(table()[i].load()), extent_bytes());
  }
  free_bytes(zeros_, extent_bytes());
  if (table_ != nullptr) unmap_block(table_, table_bytes());
  account_->release(Use::kVectors, bytes());
}

Status MappedVectors::ensure(uint32_t rows) {
  const uint32_t extents = extents_for(rows);
  if (extents <= extents_) return Status::ok();
  const auto touched = [](uint32_t count) {
    return round_up(size_t{count} * sizeof(Entry), page_bytes());
  };
  const uint64_t more = touched(extents) - touched(extents_);
  OMEN_TRY(account_->reserve(Use::kVectors, more));
  if (Status status = commit_block(table_, touched(extents)); !status.is_ok()) {
    account_->release(Use::kVectors, more);
    return status;
  }
  bytes_.fetch_add(more, std::memory_order_relaxed);
  homes_.resize(extents, kNone);
  const auto zeros = reinterpret_cast<uintptr_t>(zeros_);
  for (uint32_t i = extents_; i < extents; ++i) table()[i].store(zeros, std::memory_order_release);
  extents_ = extents;
  return Status::ok();
}

Result<const SegmentMapping*> MappedVectors::mapping_of(const SegmentReader& file) {
  const std::lock_guard<std::mutex> guard(map_mutex_);
  std::unique_ptr<Segment>& segment = segments_[file.number()];
  if (segment == nullptr) {
    auto fresh = std::make_unique<Segment>();
    Result<std::shared_ptr<const SegmentMapping>> mapping = file.map();
    if (!mapping.is_ok()) {
      segments_.erase(file.number());
      return mapping.status();
    }
    fresh->mapping = mapping.take();
    segment = std::move(fresh);
  }
  return segment->mapping.get();
}

Status MappedVectors::map(uint32_t index, const SegmentReader& file, const ExtentPlace& place,
                          uint32_t checksum) {
  OMEN_ASSERT(index < sources_.size() && file.may_hold(place));
  OMEN_ASSERT(place.vector_bytes == extent_bytes());
  OMEN_ASSIGN(const SegmentMapping* mapping, mapping_of(file));
  const uint64_t offset = place.offset + place.head_bytes;
  sources_[index] = {mapping, offset, checksum};
  homes_[index] = file.number();
  mapped_bytes_.fetch_add(extent_bytes(), std::memory_order_relaxed);
  const auto address = reinterpret_cast<uintptr_t>(mapping->data() + offset);
  table()[index].store(address | kUnverified, std::memory_order_release);
  return Status::ok();
}

uintptr_t MappedVectors::verify(uint32_t index) const {
  Entry& entry = table()[index];
  uintptr_t found = entry.load(std::memory_order_acquire);
  if ((found & kUnverified) == 0) return found;
  const Source& source = sources_[index];
  uintptr_t known = found & ~kUnverified;
  Status fault = source.mapping->verify(source.offset, extent_bytes(), source.checksum);
  if (!fault.is_ok()) {
    known = reinterpret_cast<uintptr_t>(zeros_);
    const std::lock_guard<std::mutex> guard(damage_mutex_);
    if (damage_.is_ok()) damage_ = std::move(fault);
    is_damaged_.store(true, std::memory_order_release);
  }
  // Unless another thread was here, or it has memory of its own by now.
  if (entry.compare_exchange_strong(found, known, std::memory_order_acq_rel)) return known;
  return found;
}

Status MappedVectors::damage() const {
  const std::lock_guard<std::mutex> guard(damage_mutex_);
  return damage_;
}

Status MappedVectors::own_extent(uint32_t index) {
  const uintptr_t from = verify(index);
  if (homes_[index] != kNone && from == reinterpret_cast<uintptr_t>(zeros_)) return damage();
  OMEN_TRY(account_->reserve(Use::kVectors, extent_bytes()));
  Result<std::byte*> fresh = allocate_bytes(extent_bytes());
  if (!fresh.is_ok()) {
    account_->release(Use::kVectors, extent_bytes());
    return fresh.status();
  }
  bytes_.fetch_add(extent_bytes(), std::memory_order_relaxed);
  if (homes_[index] != kNone) {
    std::memcpy(fresh.value(), reinterpret_cast<const std::byte*>(from), extent_bytes());
    mapped_bytes_.fetch_sub(extent_bytes(), std::memory_order_relaxed);
  }
  homes_[index] = kOwn;
  table()[index].store(reinterpret_cast<uintptr_t>(fresh.value()), std::memory_order_release);
  return Status::ok();
}

Status MappedVectors::own(const uint32_t* slots, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const uint32_t index = slots[i] >> shift_;
    OMEN_ASSERT(index < extents_);
    if (!is_own(index)) OMEN_TRY(own_extent(index));
  }
  return Status::ok();
}

void MappedVectors::shrink(uint32_t rows) {
  const auto zeros = reinterpret_cast<uintptr_t>(zeros_);
  for (uint32_t i = extents_for(rows); i < extents_; ++i) {
    if (!is_own(i)) continue;
    const uintptr_t own = table()[i].exchange(zeros, std::memory_order_acq_rel);
    free_bytes(reinterpret_cast<std::byte*>(own), extent_bytes());
    homes_[i] = kNone;
    account_->release(Use::kVectors, extent_bytes());
    bytes_.fetch_sub(extent_bytes(), std::memory_order_relaxed);
  }
}

// Whether the extent has left its segment.
bool MappedVectors::move(uint32_t index, const Way& way) {
  const auto* const old = reinterpret_cast<const std::byte*>(verify(index));
  if (old == zeros_) {  // It is damaged.
    homes_[index] = kNone;
    mapped_bytes_.fetch_sub(extent_bytes(), std::memory_order_relaxed);
    return true;
  }
  const SegmentReader* file = nullptr;
  const std::vector<ExtentPlace>& places = way.snapshot.extents;
  if (index < places.size()) file = way.files.find(places[index].segment);
  const SegmentMapping* mapping = nullptr;
  if (file != nullptr) {
    const Result<const SegmentMapping*> found = mapping_of(*file);
    if (found.is_ok()) mapping = found.value();
  }
  if (mapping == nullptr) return own_extent(index).is_ok();
  const std::byte* const fresh = mapping->data() + places[index].offset + places[index].head_bytes;
  // Rows that a reader may still come to, and the snapshot has not, keep theirs in memory.
  for (uint32_t row = 0; row <= mask_; ++row) {
    const uint32_t slot = (index << shift_) + row;
    if (slot >= way.states.rows() || way.states.load(slot) == 0) continue;  // Nobody comes to it.
    if (std::memcmp(old + row * stride_, fresh + row * stride_, stride_) == 0) continue;
    return own_extent(index).is_ok();
  }
  table()[index].store(reinterpret_cast<uintptr_t>(fresh), std::memory_order_release);
  homes_[index] = file->number();
  return true;
}

void MappedVectors::follow(const Way& way) {
  const auto opened = static_cast<uint32_t>(sources_.size());
  for (uint32_t i = 0; i < opened; ++i) {
    const std::lock_guard<std::mutex> guard(way.stage_mutex);
    if (is_own(i) || homes_[i] == kNone) continue;
    if (way.files.find(homes_[i]) == nullptr) (void)move(i, way);
  }
}

void MappedVectors::let_go() {
  const std::set<uint64_t> used(homes_.begin(), homes_.end());
  for (auto it = segments_.begin(); it != segments_.end();) {
    if (used.count(it->first) > 0) {
      ++it;
      continue;
    }
    Segment* const left = it->second.release();
    it = segments_.erase(it);
    epochs_->retire(&left->node, left, destroy_segment, nullptr, 0);
  }
}

void MappedVectors::destroy_segment(void* segment, void*) {
  delete static_cast<Segment*>(segment);
}

Status MappedVectors::verify_all() const {
  for (uint32_t i = 0; i < extents_; ++i) (void)verify(i);
  return status();
}

Status MappedVectors::validate() const {
  uint64_t own = 0;
  uint64_t mapped = 0;
  for (uint32_t i = 0; i < extents_; ++i) {
    const uintptr_t entry = table()[i].load(std::memory_order_acquire) & ~kUnverified;
    if (entry == 0) return broken(1, "extent " + std::to_string(i) + " lies nowhere");
    own += is_own(i) ? 1 : 0;
    if (is_own(i) || homes_[i] == kNone) continue;
    ++mapped;
    if (segments_.count(homes_[i]) == 0) {
      return broken(1, "extent " + std::to_string(i) + " lies in a file that is not mapped");
    }
  }
  const uint64_t table = round_up(size_t{extents_} * sizeof(Entry), page_bytes());
  if (bytes() != (own + 1) * extent_bytes() + table) return broken(3, "bytes() is another sum");
  if (mapped_bytes() != mapped * extent_bytes()) return broken(3, "mapped_bytes() is another sum");
  if (account_->used(Use::kVectors) < bytes()) return broken(3, "the account holds less");
  return Status::ok();
}

}  // namespace omen
