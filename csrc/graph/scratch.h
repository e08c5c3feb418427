// SearchScratch and BuildScratch: the memory of one running search or insertion.
//
// Why: a search allocates nothing once warm. The visited bitset is cleared by what was touched, not
// by its size.
// Invariants:
//   1. Between operations every visited and every queued bit is 0.
//   2. pool_distances is sorted; pool_ids carries kExpanded in its top bit.
// Threads: one at a time.
#pragma once

#include <memory>
#include <utility>

#include "graph/byte_rows.h"
#include "graph/edge_rows.h"
#include "graph/scorer.h"
#include "memory/array.h"

namespace omen {

inline constexpr uint32_t kExpanded = 0x80000000u;
inline constexpr uint32_t kNodeMask = 0x7FFFFFFFu;
inline constexpr size_t kPoolSlack = 16;

struct SearchCounters {
  uint64_t rows_scored = 0;
  uint64_t hops = 0;
};

class SearchScratch {
 public:
  explicit SearchScratch(MemoryAccount* account)
      : visited(account, Use::kScratch),
        queued(account, Use::kScratch),
        touched(account, Use::kScratch),
        pool_distances(account, Use::kScratch),
        pool_ids(account, Use::kScratch),
        match_distances(account, Use::kScratch),
        match_ids(account, Use::kScratch) {}

  // Room to search `nodes` nodes with a pool of `ef`. ERR_MEMORY.
  Status reserve(uint32_t nodes, uint32_t ef) {
    const size_t words = (static_cast<size_t>(nodes) + 63) / 64;
    if (visited.size() < words) OMEN_TRY(visited.resize(words));
    // Each asks for itself: one may have grown where another was refused.
    const size_t room = ef + kPoolSlack;
    if (pool_distances.size() < room) OMEN_TRY(pool_distances.resize(room));
    if (pool_ids.size() < room) OMEN_TRY(pool_ids.resize(room));
    return touched.reserve(std::min<size_t>(kTouchedMax, visited.size() * 64));
  }
  // Room for a second pool, of `ef` matches.
  Status reserve_matches(uint32_t ef) {
    const size_t room = ef + kPoolSlack;
    if (match_distances.size() < room) OMEN_TRY(match_distances.resize(room));
    return match_ids.size() < room ? match_ids.resize(room) : Status::ok();
  }
  // As reserve(), for a walk that tells who waits in its pool from who was expanded.
  Status reserve_packed(uint32_t nodes, uint32_t ef) {
    OMEN_TRY(reserve(nodes, ef));
    if (queued.size() < visited.size()) OMEN_TRY(queued.resize(visited.size()));
    return reserve_matches(ef);
  }
  // The matches become the pool.
  void swap_matches(size_t found) {
    std::swap(pool_distances, match_distances);
    std::swap(pool_ids, match_ids);
    pool_size = found;
  }

  bool is_visited(uint32_t id) const { return (visited[id >> 6] >> (id & 63) & 1) != 0; }
  void visit(uint32_t id) {
    visited[id >> 6] |= uint64_t{1} << (id & 63);
    touch(&id, 1);
  }
  // Remembers ids whose bits were set, for clear_visited().
  void touch(const uint32_t* ids, size_t n) {
    if (touched.size() + n > touched.capacity()) {
      overflowed_ = true;
      return;
    }
    for (size_t i = 0; i < n; ++i) touched.push_back_reserved(ids[i]);
  }
  // Room for `n` ids to gather into, which keep_gathered() remembers: the tail of `touched` itself.
  // Valid until the next call but one.
  uint32_t* gather_room(size_t n) {
    if (touched.size() + n <= touched.capacity()) return touched.data() + touched.size();
    overflowed_ = true;
    spill_turn_ ^= 1;
    return spill_[spill_turn_];
  }
  void keep_gathered(size_t n) {
    if (!overflowed_) touched.grow_reserved(n);
  }
  void clear_visited() {
    if (overflowed_) {
      std::memset(visited.data(), 0, visited.size() * sizeof(uint64_t));
      if (!queued.empty()) std::memset(queued.data(), 0, queued.size() * sizeof(uint64_t));
    } else {
      for (const uint32_t id : touched) visited[id >> 6] = 0;
      for (size_t i = 0; i < touched.size() && !queued.empty(); ++i) queued[touched[i] >> 6] = 0;
    }
    touched.clear();
    overflowed_ = false;
  }
  uint64_t bytes() const {
    return visited.bytes() + queued.bytes() + touched.bytes() + pool_distances.bytes() +
           pool_ids.bytes() + match_distances.bytes() + match_ids.bytes();
  }

  Array<uint64_t> visited;
  Array<uint64_t> queued;  // Of packed walks: who entered the pool. Empty, or as long as `visited`.
  Array<uint32_t> touched;
  Array<float> pool_distances;
  Array<uint32_t> pool_ids;
  Array<float> match_distances;  // The second pool of search_matching().
  Array<uint32_t> match_ids;
  size_t pool_size = 0;
  SearchCounters counters;

 private:
  static constexpr size_t kTouchedMax = 8192;
  bool overflowed_ = false;
  uint32_t spill_[2][kRowIdsMax];
  uint32_t spill_turn_ = 0;
};

// A worker's memory for building and repairing: a search, and two scorers bound to stored slots.
class BuildScratch {
 public:
  explicit BuildScratch(MemoryAccount* account) : search(account), bytes(account) {}
  Status reserve(uint32_t nodes, uint32_t ef, const Space& space, const simd::Kernels& kernels) {
    OMEN_TRY(search.reserve(nodes, ef));
    OMEN_TRY(bytes.reserve(kernels, space.dimensions()));
    if (!node) node = space.make_slot_scorer();
    if (!pair) pair = space.make_slot_scorer();
    if (node && pair) return Status::ok();
    return Status::error(ErrorCode::kMemory, "no memory for a build worker; free memory and retry");
  }
  // The codes changed: scorers must be made anew.
  void forget_space() {
    node.reset();
    pair.reset();
  }

  SearchScratch search;
  std::unique_ptr<SlotScorer> node;  // Bound to the node being linked.
  std::unique_ptr<SlotScorer> pair;  // Bound to its neighbours in turn.
  ByteRows bytes;                    // Of those it may be linked to.
};

}  // namespace omen
