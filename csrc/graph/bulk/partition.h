// Partition: overlapping leaves of points that lie together, by randomized ball carving.
//
// PiPNN (arXiv:2602.21247): random leaders are drawn, each point joins its `fanout` nearest, and a
// ball that is still too large is carved again. Neighbours that one leaf's border cuts apart meet
// in another: how much leaves overlap is what decides the graph's quality.
// Threads: run() uses all of an executor's.
#pragma once

#include <memory>
#include <vector>

#include "exec/executor.h"
#include "graph/bulk/leaf.h"
#include "graph/bulk/progress.h"

namespace omen {

struct PartitionShape {
  uint32_t leaders;        // At the top, at most kTileIndexMask + 1.
  uint32_t fanout;         // Balls that a point joins at the top, at most kTileNearestMax,
  uint32_t uneven_fanout;  // or so many where leaders lie unevenly near (see look_around()).
};

class Partition {
 public:
  Partition(MemoryAccount* account, const BulkShared& shared, const PartitionShape& shape,
            uint64_t seed);
  ~Partition();
  struct Ball {
    const float* centre;  // dimensions, scaled.
    float radius;
  };
  // Runs a LeafWorker over every leaf. All points lie in `ball`. ERR_MEMORY.
  Status run(Executor& executor, const Ball& ball, BulkProgress& progress);
  // The points drawn as leaders at the top; all points where one leaf holds them.
  std::span<const uint32_t> leaders() const { return {drawn_.data(), drawn_.size()}; }
  // All points once, those with the same nearest leader together: the order to visit them in.
  std::span<const uint32_t> order() const { return {order_.data(), order_.size()}; }

 private:
  struct Worker;
  struct Balls;
  struct Part {
    std::span<const uint32_t> ids;
    uint32_t depth;
    uint64_t seed;
  };

  Status draw_leaders(const Ball& ball);
  void look_around(Worker& worker);
  Status assign_all(Executor& executor, const Ball& ball);
  Status make_order();
  template <class SomePanels>
  struct Leaders {
    const SomePanels& panels;
    const Frame& frame;
  };
  template <class SomePanels>
  void look(Worker& worker, std::span<const uint32_t> ids, const Leaders<SomePanels>& leaders,
            uint32_t k) const;
  template <class SomePanels>
  void assign(Worker& worker, std::span<const uint32_t> ids, const Leaders<SomePanels>& leaders,
              uint32_t fanout, uint16_t* out) const;
  Status carve(Worker& worker, const Part& part);

  MemoryAccount* const account_;
  const BulkShared& shared_;
  PartitionShape shape_;
  const uint64_t seed_;
  Frame frame_{};       // Of int16,
  Frame byte_frame_{};  // and of bytes.
  bool by_bytes_ = false;  // Whether bytes tell which leaders are near.
  std::vector<std::unique_ptr<Worker>> workers_;
  Array<uint32_t> drawn_;
  Panels leaders_;
  BytePanels byte_leaders_;
  Array<uint16_t> balls_of_;  // `fanout` of each point.
  Array<uint32_t> order_;
};

}  // namespace omen
