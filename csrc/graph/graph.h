// Graph: HNSW+, the navigable graph over slots.
//
// Malkov & Yashunin 2016 (arXiv:1603.09320): a bottom layer of all nodes with up to 2 m neighbours,
// and sparser layers above, of which each node reaches a level drawn with probability 1/m by a
// seeded hash of its slot. Beyond the paper: searches keep one sorted pool and score a node's whole
// neighbour list at once; rows are read without locks; deletion marks, and a consolidation repairs
// and frees. Nodes of the bottom layer are slots. A layer above numbers its own nodes; each knows
// its slot and its number one layer down, so that no slot pays for layers it is not in.
// Invariants (validate() checks them):
//   1. Every edge names a linked node of its own layer, not the node itself, none twice.
//   2. A linked slot is in exactly the layers up to level_of(slot), each once, and `down` agrees.
//   3. The entry point is a node of the highest layer that has nodes; without nodes there is none.
//   4. No edge and no entry names a free slot.
// Threads: search() and reads from any thread under an epoch pin. insert() from any number of
// threads, under a pin. mark() any thread. reserve(), insert_batch(), unlink(), forget(), repair()
// by one writer at a time, without concurrent inserts. Locks: one slot at a time (SlotStates),
// `upper_mutex_` for numbering, `entry_mutex_` for raising the top, which is taken first.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "exec/executor.h"
#include "graph/batch_insert.h"
#include "graph/scratch.h"
#include "graph/slot_states.h"
#include "simd/kernels.h"

namespace omen {

class BulkProgress;

struct GraphOptions {
  uint32_t m = 16;
  uint32_t ef_construction = 96;
  uint64_t seed = 0;
  bool tracks_changes = false;  // Which rows of the bottom layer changed: see has_changed().
};

class Graph {
 public:
  static constexpr uint32_t kLayersMax = 16;

  Graph(MemoryAccount* account, SlotStates* states, const GraphOptions& options,
        const simd::Kernels& kernels);
  ~Graph();

  // Rows for slots below `high_water`, and numbers in the upper layers for the new nodes: after it,
  // inserting all of `slots` cannot fail. Slots of earlier calls that are not inserted yet must be
  // among them. ERR_MEMORY.
  Status reserve(uint32_t high_water, std::span<const uint32_t> slots,
                 std::span<const uint32_t> waiting = {});
  uint32_t level_of(uint32_t slot) const;
  bool is_empty() const { return entry_.load(std::memory_order_acquire) == 0; }
  uint32_t levels() const;
  uint64_t bytes() const;

  // Among so few nodes more is done for each, up to twice as much among half as many: it takes no
  // time, and many graphs never grow past them.
  static constexpr uint32_t kFewNodes = 16'000;
  static double few_factor(uint64_t nodes) {
    return std::clamp(double{kFewNodes} / static_cast<double>(nodes + 1), 1.0, 2.0);
  }
  // How many candidates an insertion keeps now.
  uint32_t insert_ef() const {
    const double factor = few_factor(nodes_.load(std::memory_order_relaxed));
    return static_cast<uint32_t>(options_.ef_construction * factor);
  }
  // Links a slot that reserve() covered. `scratch` was reserved for high_water and insert_ef().
  void insert(uint32_t slot, BuildScratch& scratch);

  // The same for a batch of slots, on all of an executor's threads. `workers`: one for each worker
  // of the executor, or several whose searches take turns: while one waits for memory the others
  // compute. Members are compared with each other, so a batch is some hundred slots. One writer at
  // a time; the caller's pin serves all threads.
  struct Batch {
    std::span<const uint32_t> slots;
    std::span<const std::unique_ptr<BuildScratch>> workers;
    Executor& executor;
    BatchScratch& scratch;  // Reserved for the slots and 2 m.
  };
  void insert_batch(const Batch& batch);
  // Links many slots that reserve() covered at once, of graphs whose space is Euclidean or whose
  // rows are equally long; worth it from some thousands on, and when they are not few beside those
  // that are linked already, which all take part: without fresh ones all rows are chosen anew. One
  // writer at a time, without concurrent inserts; a scratch per worker of the executor. ERR_MEMORY:
  // nothing was linked; insert them in batches.
  struct Bulk {
    std::span<const uint32_t> fresh;
    std::span<const std::unique_ptr<BuildScratch>> workers;
    Executor& executor;
    const Space& space;
    BulkProgress& progress;
  };
  Status insert_many(const Bulk& bulk);

  // Fills scratch.pool with the nearest `ef` slots found, marked ones included.
  void search(const Scorer& scorer, uint32_t ef, SearchScratch& scratch) const;
  // Several searches that take turns.
  static constexpr size_t kGroupMax = 8;
  struct Search {
    const Scorer* scorer;
    SearchScratch* scratch;
    uint32_t ef;
    // A search ends before all of its pool is expanded once the nearest `expanded` are and so many
    // rows were scored.
    struct Enough {
      uint32_t expanded = UINT32_MAX;
      uint64_t rows = 0;
    } enough = {};
  };
  void search_group(std::span<const Search> searches) const;
  // As search(), where neighbours are scored from rows that somebody packs, of nodes whose edges
  // changed since by `exact`. Fills scratch.pool with distances by `exact`; the scratch is
  // one of reserve_packed().
  struct PackedSearch {
    const NeighbourScorer* rows;
    const Scorer* exact;
    const Scorer* scorer;  // Leads down to the bottom layer.
    SearchScratch* scratch;
    uint32_t ef;
  };
  void search_packed(const PackedSearch& search) const;
  // Several that take turns, at most kGroupMax.
  void search_packed_group(std::span<const PackedSearch> searches) const;
  // With tracks_changes: whose rows of the bottom layer changed since clear_changed(): a bit for
  // each of 64 slots from 64 * index on, which reserve() covered.
  uint64_t changed(uint32_t index) const;
  void clear_changed(uint32_t slot);
  // The ids of a slot's row on the bottom layer, row_capacity() at most; returns how many.
  uint32_t row_capacity() const;
  uint32_t read_row(uint32_t slot, uint32_t* ids) const;
  // Writes rows as they are, so that they count as changed. For tests.
  void touch_rows(std::span<const uint32_t> slots);
  // Whether some insert since the last call found nobody to link to: repair() is due.
  bool take_isolated() { return isolated_.exchange(false, std::memory_order_relaxed); }
  // Only slots whose bit is set in `accept` enter the pool; others are bridges to their neighbours
  // (after ACORN, arXiv:2403.04871). Gives up after `rows_limit` scored rows or bridge hops:
  // returns false.
  struct Accept {
    const uint64_t* words;
    uint32_t size;
    bool contains(uint32_t slot) const {
      return slot < size && (words[slot >> 6] >> (slot & 63) & 1) != 0;
    }
  };
  bool search_filtered(const Scorer& scorer, uint32_t ef, const Accept& accept, uint64_t rows_limit,
                       SearchScratch& scratch) const;
  struct MatchingWalk {
    Accept accept;
    bool follows_marked;  // Marked slots count as matches: their records may have moved.
    uint32_t ef;          // Matches kept.
    uint32_t nodes_min;   // Nodes walked over, though the matches are found before; at least 1.
    uint32_t capacity;    // Nodes kept to walk over; at least nodes_min.
    uint64_t rows_limit;  // Gives up (returns false) once it will take more nodes, or more rows,
    double share_min;     // or, after some hops, if no more of the nodes around the query match.
  };
  // Fills scratch.pool with the nearest matches found, walking over everything. The scratch has
  // room for `capacity` nodes and `ef` matches.
  bool search_matching(const Scorer& scorer, const MatchingWalk& walk,
                       SearchScratch& scratch) const;

  // Removal, in order: mark (SlotStates), wait for running operations, unlink, wait again, forget,
  // free. `doomed` has a bit per marked slot to remove. Rewrites every edge that names one
  // (FreshDiskANN, arXiv:2105.09613, algorithm 4, filling rows up to three quarters) and moves the
  // entry.
  Status unlink(const Accept& doomed, uint32_t high_water, Executor& executor, const Space& space);
  void forget(const Accept& doomed, uint32_t high_water);
  // Finds linked slots that no path reaches on the bottom layer and links them; returns how many
  // there were.
  Result<uint64_t> repair(uint32_t high_water, const Space& space);
  Result<uint64_t> count_unreachable(uint32_t high_water) const;

  Status validate(uint32_t high_water) const;

  // What a snapshot keeps of the graph (snapshot.cc). Copies may be taken beside searches and
  // inserts, as long as nothing is forgotten meanwhile.
  struct Image {
    uint32_t high_water = 0;  // Slots; 0: there is no graph.
    uint32_t row_capacity = 0;
    uint32_t levels = 0;
    uint32_t upper_capacity = 0;
    uint32_t entry_slot = 0;  // From which every node is reached.
    uint32_t nodes[kLayersMax] = {};  // Of each layer above the bottom.
    uint64_t changes = 0;             // is_as_in()'s own.
  };
  // Under the writer's lock.
  Image image(uint32_t high_water) const;
  // row_capacity ids a slot, kNoSlot after the last.
  void copy_rows(uint32_t first, uint32_t count, uint32_t* out) const;
  // Slot, number one layer down, upper_capacity ids.
  void copy_upper(uint32_t level, uint32_t node, uint32_t* out) const;
  // Whether nobody began to change the graph since: all copied so far is as it was then.
  bool is_as_in(const Image& image) const;
  // Back in, into an empty graph: first room; then each slot's row (any threads, each slot once)
  // and, on one thread beside them, the upper layers, as copy_upper() gave them, layer after layer,
  // and the entry. Edges to slots that are not taken are left out: restore_row() tells how many.
  // ERR_CORRUPT: it is no graph; make another one. ERR_MEMORY.
  struct Nodes {
    Accept accept;   // The slots that are taken; whoever calls sets their states.
    bool are_all;    // Of all slots.
    bool are_whole;  // is_as_in() was true when rows had been copied: none is torn.
  };
  Status reserve_image(const Image& image);
  uint32_t restore_row(uint32_t slot, const uint32_t* ids, const Nodes& nodes);
  Status restore_upper(const Image& image, std::span<const uint32_t> words, const Accept& nodes);
  // Answers whether the entry is the one that it was: else repair() is due.
  Result<bool> finish_restore(const Image& image, const Accept& nodes);
  // Empty again after a restore that failed. No reader may know the graph.
  void reset();

  const GraphOptions& options() const { return options_; }

 private:
  struct Layer;
  struct Entry {
    uint32_t level;
    uint32_t node;
  };
  struct Candidates;
  struct Matching;

  // Layer 0 is the bottom.
  const Layer& layer(uint32_t level) const { return *layers_[level]; }
  uint32_t slot_of(uint32_t level, uint32_t node) const;
  uint32_t down_of(uint32_t level, uint32_t node) const;
  bool load_entry(Entry* out) const;
  void store_entry(uint32_t level, uint32_t node);
  uint32_t take_number(uint32_t level, uint32_t slot, uint32_t down);
  // First of all in who writes rows.
  void begin_change() { changes_.fetch_add(1, std::memory_order_acq_rel); }
  bool restore_whole_row(uint32_t slot, const uint32_t* ids, const Nodes& nodes);

  void drop_unknown(const SearchScratch& s, uint32_t* row, uint32_t capacity) const;
  uint32_t read_known(uint32_t level, uint32_t node, const SearchScratch& s, uint32_t* row) const;
  Entry descend(const Scorer& scorer, Entry from, uint32_t to_level, SearchScratch& s) const;
  // The pools that searches of the bottom start with: where the descent ended, and the entry's own
  // slot, from which repair() keeps every node reachable. Empty if there is no entry.
  void start_bottoms(std::span<const Search> searches) const;
  // One; false if its pool is empty.
  bool start_bottom(const Scorer& scorer, uint32_t ef, SearchScratch& s) const;
  struct Descent;
  bool begin_descent(Descent& descent) const;
  // Does a stage of a hop; false once the bottom's pool is there.
  bool step_down(Descent& descent) const;
  bool pick_next(Descent& descent) const;
  void leave_layer(Descent& descent) const;
  void arrive(Descent& descent) const;
  // Without the layers above: sees only what edges lead to from the entry's slot.
  bool search_from_root(const Scorer& scorer, uint32_t ef, SearchScratch& s) const;
  // Whom a row names and nobody visited yet, now visited; valid until the next call but one.
  std::span<const uint32_t> gather(uint32_t level, uint32_t node, SearchScratch& s) const;
  void start_pool(uint32_t level, uint32_t node, const Scorer& scorer, SearchScratch& s) const;
  void search_layer(uint32_t level, const Scorer& scorer, uint32_t ef, SearchScratch& s) const;
  struct PackedWalk;
  bool start_packed(PackedWalk& walk) const;
  bool pick(PackedWalk& walk) const;
  bool take_out(PackedWalk& walk, uint32_t node, float estimate) const;
  void ask(PackedWalk& walk, uint32_t node) const;
  void offer_unpacked(PackedWalk& walk) const;
  void expand(PackedWalk& walk) const;
  void offer_estimates(PackedWalk& walk, const uint32_t* ids, const float* distances,
                       size_t n) const;
  void finish(PackedWalk& walk) const;
  struct Walk;
  // Moves each of the nodes on their way one stage on; false once there is none left.
  bool step(Walk& walk) const;
  void take_turns(std::span<Walk> walks) const;
  uint32_t score_nodes(uint32_t level, const Scorer& scorer, const uint32_t* nodes, size_t n,
                       float threshold, float* distances) const;
  // Offers unvisited nodes, of these slots, to the pool; returns the lowest position taken.
  size_t offer(const Scorer& scorer, const uint32_t* nodes, const uint32_t* slots, size_t n,
               uint32_t ef, SearchScratch& s) const;
  size_t offer_nodes(uint32_t level, const Scorer& scorer, std::span<const uint32_t> nodes,
                     uint32_t ef, SearchScratch& s) const;
  size_t offer_matching(const Scorer& scorer, const uint32_t* nodes, size_t n, Matching& m) const;
  void seed_filtered(const Scorer& scorer, uint32_t ef, const Accept& accept,
                     SearchScratch& s) const;

  class BulkBuild;
  // How many candidates to keep, of so many nearest, copies aside; one is pruned if `slack` times
  // its distance to a kept one is below that to the node.
  struct Keep {
    size_t limit;
    float slack = 1;
    size_t candidates = SIZE_MAX;
  };
  void score_all(uint32_t level, const Scorer& scorer, Candidates& c) const;
  // Links a node of a layer to what its search there found.
  void link_found(uint32_t level, uint32_t node, BuildScratch& scratch);
  size_t select(uint32_t level, Candidates& c, const Keep& keep, BuildScratch& scratch) const;
  void write_row(uint32_t level, uint32_t node, const Candidates& chosen, size_t count);
  // Copies of one vector: copies.cc.
  static constexpr size_t kCopiesMax = 4;  // That a row of the bottom names.
  static size_t count_copies(const Candidates& c);
  static uint32_t keep_one_copy(uint32_t slot, Candidates& c);
  void hang_copy(uint32_t slot, uint32_t copy, BuildScratch& scratch);
  size_t prune(uint32_t level, uint32_t node, std::span<uint32_t> ids, BuildScratch& scratch);
  bool connect(uint32_t level, uint32_t from, uint32_t to, BuildScratch& scratch);
  void link_layers(const uint32_t* numbers, uint32_t bottom, uint32_t top, BuildScratch& scratch);
  void insert_above(uint32_t slot, BuildScratch& scratch);
  // The steps of insert_batch().
  void link_members(const Batch& batch);
  void find_starts(const Batch& batch);
  void choose_members_rows(const Batch& batch);
  void walk_members(const Batch& batch, size_t first, std::span<BuildScratch* const> turns);
  void take_edges_back(const Batch& batch);
  void take_back(const Batch& batch, size_t begin, size_t end, BuildScratch& scratch);
  void settle_members(const Batch& batch);
  void force_edge(uint32_t via, uint32_t node, const Array<uint64_t>* reached);
  void gather_live(uint32_t level, uint32_t self, SearchScratch& s, Candidates* out) const;

  void repair_row(uint32_t level, uint32_t node, const Accept& doomed, BuildScratch& scratch);
  void move_entry(const Accept& doomed, uint32_t high_water);
  Status walk(uint32_t high_water, Array<uint64_t>* reached, Array<uint32_t>* stack) const;
  void spread(Array<uint64_t>* reached, Array<uint32_t>* stack) const;
  void attach(uint32_t slot, const Array<uint64_t>& reached, BuildScratch& scratch);
  Result<bool> repair_round(uint32_t high_water, BuildScratch& scratch, uint64_t* found);
  Status validate_row(uint32_t level, uint32_t node, uint32_t nodes) const;
  template <class Exists>
  uint32_t take_row(uint32_t level, uint32_t node, const uint32_t* ids, const Exists& exists);

  MemoryAccount* account_;
  SlotStates* states_;
  GraphOptions options_;
  const simd::Kernels& kernels_;
  double level_factor_;  // 1 / ln(m)
  std::unique_ptr<Layer> layers_[kLayersMax];
  std::atomic<uint32_t> nodes_{0};  // Slots that reserve() covers.
  std::atomic<uint64_t> entry_{0};  // (level + 1) << 32 | node; 0: empty.
  std::atomic<bool> isolated_{false};
  std::atomic<uint64_t> changes_{0};  // Calls so far that write rows.
  std::mutex entry_mutex_;
  std::mutex upper_mutex_;
};

}  // namespace omen
