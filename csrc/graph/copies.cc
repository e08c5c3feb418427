// Graph: linking exact copies of one vector, which the diversity rule cannot tell apart.
//
// Why: copies are each other's nearest neighbours. Linked like others they fill each other's rows,
// rows that overflow keep a few of them, and the rest is never found. So copies hang on each other
// as a tree: a row names at most kCopiesMax of them, its parent in the tree among them, pruning
// keeps that many (select()), and a new copy walks down until a row has room.
// A bulk build hangs the copies within its rows the same way (bulk/twins.h).
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "graph/graph.h"
#include "graph/layer.h"

namespace omen {

namespace {

// Beside the distance of the farthest candidate: what rounding makes of zero.
constexpr float kNothing = 1e-6f;
// A walk down the tree of a million copies takes a dozen; it may turn back where deletions left
// rows without children.
constexpr size_t kStepsMax = 64;

}  // namespace

// How many of the nearest lie at no distance at all.
size_t Graph::count_copies(const Candidates& c) {
  const float nothing = c.size == 0 ? 0.0f : kNothing * std::fabs(c.distances[c.size - 1]);
  size_t copies = 0;
  while (copies < c.size && std::fabs(c.distances[copies]) <= nothing) ++copies;
  return copies;
}

// If `c`, what a search for `slot` found, begins with copies, keeps but one of them and returns it;
// else kNoSlot. Different slots keep different ones: their walks down the tree begin all over it.
uint32_t Graph::keep_one_copy(uint32_t slot, Candidates& c) {
  const size_t copies = count_copies(c);
  if (copies == 0) return kNoSlot;
  const size_t kept = slot % copies;
  std::swap(c.nodes[kept], c.nodes[copies - 1]);
  std::swap(c.distances[kept], c.distances[copies - 1]);
  c.drop_first(copies - 1);
  return c.nodes[0];
}

// Makes the tree of copies that `copy` is of lead to `slot`, whose own row is written.
void Graph::hang_copy(uint32_t slot, uint32_t copy, BuildScratch& scratch) {
  EdgeRows& rows = layers_[0]->rows;
  Random random(slot);
  uint32_t at = copy;
  for (size_t step = 0; step < kStepsMax; ++step) {
    uint32_t row[kRowIdsMax];
    float distances[kRowIdsMax];
    const SlotLock lock(*states_, at);
    const uint32_t n = rows.read_counted(at, row);
    if (std::find(row, row + n, slot) != row + n) return;
    scratch.pair->bind(at);
    float farthest = 0;
    for (uint32_t i = 0; i < n; i += kScoreBlock) {
      const size_t block = std::min<size_t>(kScoreBlock, n - i);
      score_nodes(0, *scratch.pair, row + i, block, std::numeric_limits<float>::infinity(),
                  distances + i);
    }
    for (uint32_t i = 0; i < n; ++i) farthest = std::max(farthest, std::fabs(distances[i]));
    uint32_t next[kRowIdsMax];  // What is marked goes soon, and would leave the copy behind.
    size_t next_count = 0;
    size_t count = 0;
    for (uint32_t i = 0; i < n; ++i) {
      if (std::fabs(distances[i]) > kNothing * farthest) continue;
      ++count;
      if (!states_->has(row[i], SlotStates::kMarked)) next[next_count++] = row[i];
    }
    if (count < kCopiesMax && n < rows.capacity()) {
      row[n] = slot;
      rows.write(at, row, n + 1);
      return;
    }
    if (count < kCopiesMax || next_count == 0) break;  // Full of others, one of which gives way.
    at = next[random.below(next_count)];
  }
  force_edge(at, slot, nullptr);
}

}  // namespace omen
