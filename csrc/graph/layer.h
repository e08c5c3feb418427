// Layer and Candidates: private parts of Graph, shared by its files.
#pragma once

#include <algorithm>

#include "graph/graph.h"

namespace omen {

// One layer. The bottom's nodes are slots; above, `links` gives slot and number one layer down.
struct Graph::Layer {
  struct Link {
    std::atomic<uint32_t> slot;
    std::atomic<uint32_t> down;
  };
  Layer(MemoryAccount* account, uint32_t capacity)
      : rows(account, capacity),
        links(account, Use::kGraph, sizeof(Link)),
        free_nodes(account, Use::kGraph) {}

  EdgeRows rows;
  SlotPages links;
  Array<uint32_t> free_nodes;  // Has room for every number handed out.
  uint32_t high_water = 0;     // Numbers handed out so far. Above the bottom only.
  uint32_t reserved = 0;       // Numbers whose memory exists.
};

// Nodes with their distances, nearest first, on the stack: an insertion looks at no more.
struct Graph::Candidates {
  static constexpr size_t kMax = 512;
  uint32_t nodes[kMax];
  float distances[kMax];
  size_t size = 0;
  void push(uint32_t node, float distance) {
    nodes[size] = node;
    distances[size++] = distance;
  }
  void sort();
  void drop_first(size_t count) {
    std::copy(nodes + count, nodes + size, nodes);
    std::copy(distances + count, distances + size, distances);
    size -= count;
  }
};

// A search of the bottom layer, with three nodes on their way: the row of one is asked for, the
// codes of whom another names are asked for, and those of a third are scored. What a node brings
// to the front is expanded two hops later than it could be, which costs next to nothing: a full
// pool's nearest are expanded sooner or later. Until the pool is full there is one at a time: the
// first ones lead far, and a wrong one is wasted.
struct Graph::Walk {
  Search search;
  size_t cursor = 0;                // All before it are expanded, or on their way.
  uint32_t coming = kNoSlot;        // Whose row is on its way,
  std::span<const uint32_t> asked;  // and whose codes; in the scratch.
};

}  // namespace omen
