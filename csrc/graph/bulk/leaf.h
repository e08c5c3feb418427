// LeafWorker: compares all points of a leaf with each other and offers every point its nearest.
//
// Why: within a few hundred to two thousand points that lie together, all distances by tiles cost
// less than a search for each point would, and find more. Each tile serves both of its panels, so
// that only half of the pairs are computed. Byte tiles say who is near in most leaves; one whose
// nearest lie within the rounding of bytes is compared again by int16.
// Threads: one; NearLists are written under their holds.
#pragma once

#include "graph/bulk/near_lists.h"
#include "graph/bulk/panels.h"
#include "graph/bulk/sketches.h"

namespace omen {

// What the workers of one bulk build share.
struct BulkShared {
  const BulkPoints& points;
  const Sketches& sketches;
  NearLists& lists;
  uint32_t leaf_max;  // Points in a leaf, at most kTileIndexMask + 1.
  uint32_t nearest;   // Kept of each leaf's point, 1 to kTileNearestMax.
};

class LeafWorker {
 public:
  LeafWorker(MemoryAccount* account, const BulkShared& shared);
  Status reserve();
  // At least two points, at most leaf_max.
  void run(std::span<const uint32_t> ids);

 private:
  void compare(std::span<const uint32_t> ids);
  float find_centre(std::span<const uint32_t> ids);
  template <class SomePanels>
  void find_nearest(const SomePanels& panels);
  bool is_too_coarse(size_t size) const;
  float comparable(uint32_t key) const;
  void offer(std::span<const uint32_t> ids);
  template <class Fn>
  void each_near(size_t point, size_t count, const Fn& fn) const;
  void invert(size_t count);

  const BulkShared& shared_;
  const uint32_t width_shift_;
  Panels panels_;
  BytePanels bytes_;
  bool by_bytes_ = true;  // What the keys of the leaf at hand are.
  float unit_ = 1;        // Of its squared distances.
  Array<float> centre_;
  Array<uint32_t> tile_;
  Array<uint32_t> turned_;
  Array<int16_t> sketches_;
  Array<uint32_t> nearest_;  // Of each panel: `nearest` rows of its width.
  // Whom each point is near to: positions and keys, by offsets.
  Array<uint32_t> offsets_;
  Array<uint32_t> members_;
  Array<uint32_t> keys_;
};

}  // namespace omen
