// Panels and BytePanels: points packed for tiles, of int16 and of bytes.
//
// Invariants: the lanes beyond the last point hold fillers. In Panels they are farther from every
// point than any other point is; what BytePanels hold there is for the caller to pass over.
// Threads: one writer; compare() from any thread when pack() is done.
#pragma once

#include "graph/bulk/points.h"
#include "memory/array.h"

namespace omen {

class Panels {
 public:
  Panels(MemoryAccount* account, const BulkPoints& points)
      : points_(points),
        width_(points.kernels.tile_width),
        panel_size_(width_ * (points.dimensions + points.dimensions % 2)),
        values_(account, Use::kScratch),
        norms_(account, Use::kScratch),
        room_(account, Use::kScratch) {}

  size_t width() const { return width_; }
  size_t size() const { return size_; }
  size_t count() const { return (size_ + width_ - 1) / width_; }
  Status reserve(size_t points) {
    OMEN_TRY(room_.resize(points_.dimensions));
    const size_t panels = (points + width_ - 1) / width_;
    if (panels * width_ <= norms_.size()) return Status::ok();
    OMEN_TRY(values_.resize(panels * panel_size_));
    return norms_.resize(panels * width_);
  }
  // Replaces what was packed. `ids` fit the reserved room.
  void pack(std::span<const uint32_t> ids, const Frame& frame) {
    size_ = ids.size();
    for (size_t i = 0; i < size_; ++i) put(i, points_.row(ids[i], room()), frame);
    fill_up();
  }
  // Of one row, for whoever packs.
  float* room() { return room_.data(); }
  // The keys of all pairs of a panel and another's.
  void compare(size_t i, const Panels& other, size_t j, uint32_t* keys) const {
    points_.kernels.tile_distances(panel(i), other.panel(j), points_.dimensions, keys);
  }

 private:
  simd::Kernels::TilePanel panel(size_t i) const {
    return {values_.data() + i * panel_size_, norms_.data() + i * width_};
  }
  void put(size_t i, const FloatRow& row, const Frame& frame) {
    norms_[i] = points_.kernels.tile_pack({row.values, row.scale, frame.centre, frame.factor},
                                          points_.dimensions, i % width_,
                                          values_.data() + i / width_ * panel_size_);
  }
  void fill_up() {
    for (size_t i = size_; i < count() * width_; ++i) {
      const FloatRow any = points_.row(0, room());
      put(i, any, {any.values, 0.0f});  // With a factor of 0 every row packs to zeros.
      norms_[i] = simd::kTileFillerNorm;
    }
  }

  const BulkPoints& points_;
  const size_t width_;
  const size_t panel_size_;
  size_t size_ = 0;
  Array<int16_t> values_;
  Array<int32_t> norms_;
  Array<float> room_;
};

class BytePanels {
 public:
  BytePanels(MemoryAccount* account, const BulkPoints& points)
      : points_(points),
        width_(points.kernels.tile_width),
        panel_size_(width_ * ((points.dimensions + 3) / 4 * 4)),
        values_(account, Use::kScratch),
        norms_(account, Use::kScratch),
        room_(account, Use::kScratch) {}

  size_t width() const { return width_; }
  size_t size() const { return size_; }
  size_t count() const { return (size_ + width_ - 1) / width_; }
  Status reserve(size_t points) {
    const size_t panels = (points + width_ - 1) / width_;
    OMEN_TRY(room_.resize(points_.dimensions));
    OMEN_TRY(values_.resize(panels * panel_size_));
    return norms_.resize(panels * width_);
  }
  // Replaces what was packed. `ids` fit the reserved room.
  void pack(std::span<const uint32_t> ids, const Frame& frame) {
    size_ = ids.size();
    for (size_t i = 0; i < size_; ++i) {
      const FloatRow row = points_.row(ids[i], room_.data());
      norms_[i] = points_.kernels.byte_pack({row.values, row.scale, frame.centre, frame.factor},
                                            points_.dimensions, i % width_,
                                            values_.data() + i / width_ * panel_size_);
    }
  }
  void compare(size_t i, const BytePanels& other, size_t j, uint32_t* keys) const {
    points_.kernels.byte_distances(panel(i), other.panel(j), points_.dimensions, keys);
  }

 private:
  simd::Kernels::BytePanel panel(size_t i) const {
    return {values_.data() + i * panel_size_, norms_.data() + i * width_};
  }
  const BulkPoints& points_;
  const size_t width_;
  const size_t panel_size_;
  size_t size_ = 0;
  Array<uint8_t> values_;
  Array<int32_t> norms_;
  Array<float> room_;
};

}  // namespace omen
