// LeafWorker: tiles over a leaf, and what they found.
#include "graph/bulk/leaf.h"

#include <bit>
#include <cstring>

namespace omen {

namespace {

constexpr uint32_t kNobody = UINT32_MAX >> 1;
constexpr size_t kOffersAhead = 4;

}  // namespace

LeafWorker::LeafWorker(MemoryAccount* account, const BulkShared& shared)
    : shared_(shared),
      width_shift_(static_cast<uint32_t>(std::countr_zero(shared.points.kernels.tile_width))),
      panels_(account, shared.points),
      centre_(account, Use::kScratch),
      tile_(account, Use::kScratch),
      turned_(account, Use::kScratch),
      sketches_(account, Use::kScratch),
      nearest_(account, Use::kScratch),
      offsets_(account, Use::kScratch),
      members_(account, Use::kScratch),
      keys_(account, Use::kScratch) {}

Status LeafWorker::reserve() {
  const size_t width = panels_.width();
  const size_t points = (shared_.leaf_max + width - 1) / width * width;
  OMEN_TRY(panels_.reserve(points));
  OMEN_TRY(centre_.resize(shared_.points.dimensions));
  OMEN_TRY(tile_.resize(width * width));
  OMEN_TRY(turned_.resize(width * width));
  OMEN_TRY(sketches_.resize(points * Sketches::kStride));
  OMEN_TRY(nearest_.resize(points * shared_.nearest));
  OMEN_TRY(offsets_.resize(points + 1));
  OMEN_TRY(members_.resize(points * shared_.nearest));
  return keys_.resize(points * shared_.nearest);
}

void LeafWorker::run(std::span<const uint32_t> ids) {
  compare(ids);
  offer(ids);
}

// In a frame of the leaf's own: its first point is the centre, and its radius sets the steps, so
// that tight clusters far from the others keep their precision.
void LeafWorker::compare(std::span<const uint32_t> ids) {
  const BulkPoints& points = shared_.points;
  float* const room = panels_.room();
  const FloatRow first = points.row(ids[0], room);
  for (size_t i = 0; i < points.dimensions; ++i) centre_[i] = first.values[i] * first.scale;
  const auto norm = static_cast<float>(points.kernels.norm_f32(centre_.data(), points.dimensions));
  float radius = 0;
  for (const uint32_t id : ids) {
    radius = std::max(radius, distance_to(points, points.row(id, room), centre_.data(), norm));
  }
  // Distances under cosine come of a difference of numbers near 1.
  if (first.scale != 1.0f) radius = std::sqrt(radius * radius + 1e-5f);
  panels_.pack(ids, {centre_.data(), tile_factor(radius * 1.0001f, points.dimensions)});
  find_nearest();
}

void LeafWorker::find_nearest() {
  const simd::Kernels& kernels = shared_.points.kernels;
  const size_t width = panels_.width();
  const size_t count = panels_.count();
  const size_t stride = width * shared_.nearest;
  std::fill(nearest_.data(), nearest_.data() + count * stride, kNobody);
  for (size_t j = 0; j < count; ++j) {
    uint32_t* columns = nearest_.data() + j * stride;
    for (size_t i = 0; i <= j; ++i) {
      kernels.tile_distances(panels_.panel(i), panels_.panel(j), shared_.points.dimensions,
                             tile_.data());
      if (i == j) {  // Nobody is its own neighbour.
        for (size_t p = 0; p < width; ++p) tile_[p * width + p] = simd::kTileFar;
      }
      kernels.tile_nearest(tile_.data(), static_cast<uint32_t>(i * width), shared_.nearest,
                           columns);
      if (i == j) continue;
      kernels.tile_transpose(tile_.data(), turned_.data());
      kernels.tile_nearest(turned_.data(), static_cast<uint32_t>(j * width), shared_.nearest,
                           nearest_.data() + i * stride);
    }
  }
}

// fn(position, key) of the point's nearest.
template <class Fn>
void LeafWorker::each_near(size_t point, size_t count, const Fn& fn) const {
  const size_t width = size_t{1} << width_shift_;
  const uint32_t* near =
      nearest_.data() + (point >> width_shift_) * width * shared_.nearest + (point & (width - 1));
  for (size_t rank = 0; rank < shared_.nearest; ++rank, near += width) {
    const uint32_t position = *near & simd::kTileIndexMask;
    const uint32_t key = *near & ~simd::kTileIndexMask;
    if (key >= simd::kTileFar || position >= count) return;
    fn(position, key);
  }
}

// Counting sort of the pairs by whom they are near to: offsets_[i] is where those of i end.
void LeafWorker::invert(size_t count) {
  std::memset(offsets_.data(), 0, (count + 1) * sizeof(uint32_t));
  for (size_t i = 0; i < count; ++i) {
    each_near(i, count, [&](uint32_t near, uint32_t) { ++offsets_[near]; });
  }
  uint32_t sum = 0;
  for (size_t i = 0; i < count; ++i) sum += std::exchange(offsets_[i], sum);
  for (size_t i = 0; i < count; ++i) {
    each_near(i, count, [&](uint32_t near, uint32_t key) {
      const uint32_t at = offsets_[near]++;
      members_[at] = static_cast<uint32_t>(i);
      keys_[at] = key;
    });
  }
}

// Each point is offered its nearest, and those that it is near to: all of one point together, under
// one lock.
void LeafWorker::offer(std::span<const uint32_t> ids) {
  const size_t count = ids.size();
  constexpr size_t kStride = Sketches::kStride;
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(&sketches_[i * kStride], shared_.sketches.of(ids[i]), kStride * sizeof(int16_t));
  }
  invert(count);
  NearLists& lists = shared_.lists;
  for (size_t i = 0; i < count; ++i) {
    if (i + kOffersAhead < count) lists.prefetch(ids[i + kOffersAhead]);
    const uint32_t point = ids[i];
    const int16_t* sketch = &sketches_[i * kStride];
    const auto give = [&](uint32_t near, uint32_t key) {
      if (lists.is_hopeless(point, key)) return;
      lists.offer(point, Sketches::bucket(sketch, &sketches_[near * kStride]), ids[near], key);
    };
    const SlotLock lock(shared_.states, shared_.points.slots[point]);
    each_near(i, count, give);
    for (uint32_t at = i == 0 ? 0 : offsets_[i - 1]; at < offsets_[i]; ++at) {
      give(members_[at], keys_[at]);
    }
  }
}

}  // namespace omen
