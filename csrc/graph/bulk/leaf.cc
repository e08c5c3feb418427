// LeafWorker: tiles over a leaf, and what they found.
#include "graph/bulk/leaf.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "memory/slot_pages.h"

namespace omen {

namespace {

constexpr size_t kOffersAhead = 4;
constexpr size_t kRowsAhead = 4;
constexpr size_t kSketchesAhead = 16;
constexpr size_t kCentreSample = 32;

}  // namespace

LeafWorker::LeafWorker(MemoryAccount* account, const BulkShared& shared)
    : shared_(shared),
      width_shift_(static_cast<uint32_t>(std::countr_zero(shared.points.kernels.tile_width))),
      panels_(account, shared.points),
      bytes_(account, shared.points),
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
  OMEN_TRY(bytes_.reserve(points));
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

// The mean of a sample, scaled, into centre_. Returns how far the farthest point is from it.
float LeafWorker::find_centre(std::span<const uint32_t> ids) {
  const BulkPoints& points = shared_.points;
  float* const room = panels_.room();
  const size_t count = std::min(ids.size(), kCentreSample);
  std::fill(centre_.data(), centre_.data() + points.dimensions, 0.0f);
  for (size_t i = 0; i < count; ++i) {
    const FloatRow row = points.row(ids[i * ids.size() / count], room);
    const float weight = row.scale / static_cast<float>(count);
    for (size_t d = 0; d < points.dimensions; ++d) centre_[d] += row.values[d] * weight;
  }
  const auto norm = static_cast<float>(points.kernels.norm_f32(centre_.data(), points.dimensions));
  float radius = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i + kRowsAhead < ids.size()) points.prefetch(ids[i + kRowsAhead]);
    radius = std::max(radius, distance_to(points, points.row(ids[i], room), centre_.data(), norm));
  }
  // Distances under cosine come of a difference of numbers near 1.
  if (points.row(ids[0], room).scale != 1.0f) radius = std::sqrt(radius * radius + 1e-5f);
  return radius * 1.0001f;
}

// In a frame of the leaf's own: its centre is among its points, and its radius sets the steps, so
// that tight clusters far from the others keep their precision.
void LeafWorker::compare(std::span<const uint32_t> ids) {
  const size_t n = shared_.points.dimensions;
  const float radius = find_centre(ids);
  by_bytes_ = true;
  float factor = byte_factor(radius, n);
  bytes_.pack(ids, {centre_.data(), factor});
  find_nearest(bytes_);
  if (is_too_coarse(ids.size())) {
    by_bytes_ = false;
    const FloatRow first = shared_.points.row(ids[0], panels_.room());  // Keeps integers integers.
    for (size_t d = 0; d < n; ++d) centre_[d] = first.values[d] * first.scale;
    factor = tile_factor(2 * radius, n);
    panels_.pack(ids, {centre_.data(), factor});
    find_nearest(panels_);
  }
  unit_ = 1 / factor / factor;
}

template <class SomePanels>
void LeafWorker::find_nearest(const SomePanels& panels) {
  const simd::Kernels& kernels = shared_.points.kernels;
  const size_t width = panels.width();
  const size_t size = panels.size();
  const size_t count = panels.count();
  const size_t stride = width * shared_.nearest;
  const auto pass_over_fillers = [&](size_t panel, uint32_t* keys) {
    if (panel + 1 < count) return;
    for (size_t i = (size - panel * width) * width; i < width * width; ++i)
      keys[i] = simd::kTileFar;
  };
  std::fill(nearest_.data(), nearest_.data() + count * stride, kNobody);
  for (size_t j = 0; j < count; ++j) {
    uint32_t* columns = nearest_.data() + j * stride;
    for (size_t i = 0; i <= j; ++i) {
      panels.compare(i, panels, j, tile_.data());
      if (i == j) {  // Nobody is its own neighbour.
        for (size_t p = 0; p < width; ++p) tile_[p * width + p] = simd::kTileFar;
      } else {
        kernels.tile_transpose(tile_.data(), turned_.data());
        pass_over_fillers(j, turned_.data());
        kernels.tile_nearest(turned_.data(), static_cast<uint32_t>(j * width), shared_.nearest,
                             nearest_.data() + i * stride);
      }
      pass_over_fillers(i, tile_.data());
      kernels.tile_nearest(tile_.data(), static_cast<uint32_t>(i * width), shared_.nearest,
                           columns);
    }
  }
}

// Whether too many points are nearer to their nearest than bytes tell apart.
bool LeafWorker::is_too_coarse(size_t size) const {
  const size_t width = panels_.width();
  const uint32_t limit = told_by_bytes(shared_.points.dimensions);
  size_t near = 0;
  for (size_t i = 0; i < size; ++i) {
    const uint32_t key = nearest_[i / width * width * shared_.nearest + i % width];
    near += key >> simd::kTileIndexBits < limit ? 1 : 0;
  }
  return near * kCoarseShare > size;
}

// The squared distance behind a key: keys of two leaves count steps of their own.
float LeafWorker::comparable(uint32_t key) const {
  float squared = static_cast<float>(key >> simd::kTileIndexBits);
  if (!by_bytes_) std::memcpy(&squared, &key, sizeof(squared));
  return squared * unit_;
}

// fn(position, key) of the point's nearest, with keys that other leaves' can be compared with.
template <class Fn>
void LeafWorker::each_near(size_t point, size_t count, const Fn& fn) const {
  const size_t width = size_t{1} << width_shift_;
  const uint32_t* near =
      nearest_.data() + (point >> width_shift_) * width * shared_.nearest + (point & (width - 1));
  for (size_t rank = 0; rank < shared_.nearest; ++rank, near += width) {
    const uint32_t position = *near & simd::kTileIndexMask;
    const uint32_t key = *near & ~simd::kTileIndexMask;
    if (key >= simd::kTileFar || position >= count) return;
    const float distance = comparable(key);
    uint32_t bits;
    std::memcpy(&bits, &distance, sizeof(bits));
    fn(position, bits);
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
    if (i + kSketchesAhead < count) prefetch_read(shared_.sketches.of(ids[i + kSketchesAhead]));
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
    const NearLists::Hold hold(lists, point);
    each_near(i, count, give);
    for (uint32_t at = i == 0 ? 0 : offsets_[i - 1]; at < offsets_[i]; ++at) {
      give(members_[at], keys_[at]);
    }
  }
}

}  // namespace omen
