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

// A search of the bottom layer between two of its steps: read a row and ask for the codes of whom
// it names; score them; pick the next node and ask for its row.
struct Graph::Walk {
  enum class Next : uint8_t { kPick, kGather, kScore, kDone };
  Search search;
  Next next = Next::kPick;
  uint32_t node = 0;
  size_t cursor = 0;
  std::span<const uint32_t> fresh;  // In the scratch.
};

}  // namespace omen
