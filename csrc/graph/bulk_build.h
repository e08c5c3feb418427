// Graph::BulkBuild: links many slots at once, without searching for each.
//
// PiPNN (arXiv:2602.21247), made part of HNSW: on every layer the points are carved into
// overlapping leaves, all pairs of a leaf are compared, and each point's candidates, the nearest of
// every direction, are pruned to a row by the diversity rule. Layers above the bottom are the same
// with fewer points, so a search descends as in a graph of insertions. Slots that are linked
// already take part: their rows are chosen anew from candidates old and new.
// Invariants:
//   1. plan() changes nothing in the graph; link() cannot fail.
//   2. Rows of new nodes are written before those of old nodes lead to them.
// Threads: as Graph::insert_many().
#pragma once

#include <vector>

#include "graph/bulk/near_lists.h"
#include "graph/bulk/partition.h"
#include "graph/bulk/reverse.h"
#include "graph/bulk/twins.h"
#include "graph/graph.h"
#include "graph/layer.h"

namespace omen {

class Graph::BulkBuild {
 public:
  BulkBuild(Graph& graph, const Bulk& bulk) : graph_(graph), bulk_(bulk) {}
  // ERR_MEMORY.
  Status plan();
  void link();

 private:
  // One layer's points: new ones first, then those that are linked.
  struct Plan {
    Plan(MemoryAccount* account, uint32_t level_in, uint32_t list_size)
        : level(level_in),
          slots(account, Use::kScratch),
          nodes(account, Use::kScratch),
          order(account, Use::kScratch),
          leaders(account, Use::kScratch),
          twins(account),
          lists(account, list_size),
          reverse(account) {}
    // The heads of twins are what the lists and the order number.
    uint32_t head(uint32_t i) const { return twins.heads()[i]; }
    uint32_t node(uint32_t i) const { return nodes[head(i)]; }

    const uint32_t level;
    uint32_t fresh = 0;
    Array<uint32_t> slots;
    Array<uint32_t> nodes;    // Their numbers in this layer; of new ones once they are linked.
    Array<uint32_t> order;    // Heads, near ones together; new ones first.
    Array<uint32_t> leaders;  // Heads.
    Twins twins;
    NearLists lists;
    ReverseEdges reverse;
  };

  Status gather(Plan& plan);
  Status plan_layer(Plan& plan);
  Status put_in_order(Plan& plan, std::span<const uint32_t> near_together);
  void number(Plan& plan, const Plan* below);
  void choose_rows(const Plan& plan);
  void prefetch_listed(const Plan& plan, uint32_t head, const BuildScratch& scratch) const;
  void choose_row(const Plan& plan, uint32_t head, uint32_t room, BuildScratch& scratch);
  void hang_twins(const Plan& plan);
  void link_leaders(const Plan& plan);
  void link_leader(const Plan& plan, uint32_t leader, BuildScratch& scratch);
  void add_reverse(Plan& plan);

  Graph& graph_;
  const Bulk& bulk_;
  std::vector<std::unique_ptr<Plan>> plans_;
};

}  // namespace omen
