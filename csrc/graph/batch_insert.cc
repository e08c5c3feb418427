// Graph: linking a batch of new nodes in two steps: each searches the graph as it is and chooses
// whom it names, then whoever was named takes the edges back.
//
// Why: a row that several new nodes choose is pruned once, with all of them; no two threads ever
// want the same row. What the members of a batch cannot find by searching, each other, is compared
// exactly: a member sees those before it, as if they had been inserted one after the other.
// Those that reach upper layers go first. They are a sample of the batch, so that the others find
// their way even where all of the batch lies far from what was there.
// A member's row is written before anyone leads to it.
#include <algorithm>

#include "base/test_points.h"
#include "exec/parallel_for.h"
#include "graph/graph.h"
#include "graph/layer.h"

namespace omen {

namespace {

constexpr size_t kStartGrain = 8;
constexpr size_t kUpperGrain = 1;
constexpr size_t kWalksPerTask = 2;  // Groups of walks.
constexpr size_t kEdgesGrain = 256;
constexpr size_t kEdgesAhead = 8;

// Searches of nodes with many neighbours find enough before they have expanded all of their pool,
// others go on to its end: what is spent on a node depends little on the data. Rows have a third
// more to choose from than they hold. Measured (docs/decisions/0020).
Graph::Search::Enough enough_for(uint32_t ef, uint32_t row_ids) {
  return {std::max(ef * 7 / 16, row_ids * 21 / 16), uint64_t{ef} * 7};
}
// Of the pool those that were expanded are candidates, and so many at least.
constexpr size_t kCandidatesMin = 16;

uint32_t target_of(uint64_t edge) { return static_cast<uint32_t>(edge >> 32); }
uint32_t position_of(uint64_t edge) { return static_cast<uint32_t>(edge); }

}  // namespace

void Graph::insert_batch(const Batch& batch) {
  begin_change();
  auto& members = batch.scratch.members;
  members.clear();
  // Some begin alone: the first node, and who raises the top.
  for (const uint32_t slot : batch.slots) {
    Entry entry;
    if (!load_entry(&entry) || level_of(slot) > entry.level) {
      insert(slot, *batch.workers[0]);
    } else if (level_of(slot) > 0) {
      members.push_back_reserved({0, slot, 0});
    }
  }
  link_members(batch);
  parallel_for(batch.executor, members.size(), kUpperGrain,
               [&](size_t begin, size_t end, unsigned worker) {
                 for (size_t i = begin; i < end; ++i) {
                   insert_above(members[i].slot, *batch.workers[worker]);
                 }
               });
  members.clear();
  for (const uint32_t slot : batch.slots) {
    if (!states_->has(slot, SlotStates::kLinked)) members.push_back_reserved({0, slot, 0});
  }
  link_members(batch);
}

// On the bottom layer.
void Graph::link_members(const Batch& batch) {
  for (const BatchScratch::Member& member : batch.scratch.members) {
    layers_[0]->rows.write(member.slot, nullptr, 0);
    states_->set(member.slot, SlotStates::kLinked);
  }
  find_starts(batch);
  choose_members_rows(batch);
  take_edges_back(batch);
}

// Nodes are searched for in the order in which they lie, so that one walk finds in the cache what
// the one before it brought there.
void Graph::find_starts(const Batch& batch) {
  auto& members = batch.scratch.members;
  parallel_for(batch.executor, members.size(), kStartGrain,
               [&](size_t begin, size_t end, unsigned worker) {
                 BuildScratch& scratch = *batch.workers[worker];
                 for (size_t i = begin; i < end; ++i) {
                   BatchScratch::Member& member = members[i];
                   scratch.node->bind(member.slot);
                   Entry entry;
                   (void)load_entry(&entry);
                   for (uint32_t level = std::min(entry.level, 3u) + 1; level-- > 0;) {
                     entry = descend(*scratch.node, entry, level, scratch.search);
                     if (level > 0) member.place = member.place << 21 | (entry.node & 0x1FFFFF);
                   }
                   member.start = entry.node;
                 }
               });
  std::sort(members.begin(), members.end());
}

void Graph::choose_members_rows(const Batch& batch) {
  const size_t count = batch.scratch.members.size();
  const size_t threads = parallel_workers(batch.executor);
  const size_t turns = std::clamp<size_t>(batch.workers.size() / threads, 1, kGroupMax);
  const size_t groups = (count + turns - 1) / turns;
  parallel_for(batch.executor, groups, kWalksPerTask,
               [&](size_t begin, size_t end, unsigned worker) {
                 BuildScratch* scratches[kGroupMax];
                 for (size_t j = 0; j < turns; ++j) {
                   scratches[j] = batch.workers[j * threads + worker].get();
                 }
                 for (size_t i = begin; i < end; ++i) {
                   OMEN_TEST_POINT("graph-insert");
                   const size_t first = i * turns;
                   walk_members(batch, first, {scratches, std::min(turns, count - first)});
                 }
               });
}

void Graph::walk_members(const Batch& batch, size_t first, std::span<BuildScratch* const> turns) {
  auto& members = batch.scratch.members;
  const uint32_t ef = insert_ef();
  const uint32_t row_ids = layers_[0]->rows.capacity();
  Walk walks[kGroupMax];
  for (size_t i = 0; i < turns.size(); ++i) {
    BuildScratch& scratch = *turns[i];
    scratch.node->bind(members[first + i].slot);
    scratch.search.counters = {};
    start_pool(0, members[first + i].start, *scratch.node, scratch.search);
    walks[i].search = {scratch.node.get(), &scratch.search, ef, enough_for(ef, row_ids)};
  }
  take_turns({walks, turns.size()});
  for (size_t i = 0; i < turns.size(); ++i) {
    BuildScratch& scratch = *turns[i];
    scratch.search.clear_visited();
    uint32_t before[kScoreBlock];
    for (size_t at = 0; at < first + i; at += kScoreBlock) {
      const size_t n = std::min(kScoreBlock, first + i - at);
      for (size_t j = 0; j < n; ++j) before[j] = members[at + j].slot;
      offer_nodes(0, *scratch.node, {before, n}, ef, scratch.search);
    }
    const uint32_t slot = members[first + i].slot;
    Candidates chosen;
    gather_live(0, slot, scratch.search, &chosen);
    members[first + i].start = keep_one_copy(slot, chosen);
    const Keep keep{.limit = row_ids, .candidates = std::max(walks[i].cursor, kCandidatesMin)};
    const size_t kept = select(0, chosen, keep, scratch);
    layers_[0]->rows.write(slot, chosen.nodes, kept);
  }
}

void Graph::take_edges_back(const Batch& batch) {
  const auto& members = batch.scratch.members;
  auto& edges = batch.scratch.edges;
  EdgeRows& rows = layers_[0]->rows;
  edges.clear();
  uint32_t row[kRowIdsMax];
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i].start != kNoSlot) continue;  // Its copies lead to it.
    const uint32_t n = rows.read_counted(members[i].slot, row);
    for (uint32_t j = 0; j < n; ++j) edges.push_back_reserved(uint64_t{row[j]} << 32 | i);
  }
  std::sort(edges.begin(), edges.end());
  parallel_for(batch.executor, edges.size(), kEdgesGrain,
               [&](size_t begin, size_t end, unsigned worker) {
                 // A task takes the targets that begin in its part.
                 const auto begins = [&](size_t i) {
                   return i == 0 || target_of(edges[i]) != target_of(edges[i - 1]);
                 };
                 while (begin < end && !begins(begin)) ++begin;
                 while (begin < end) {
                   size_t next = begin + 1;
                   while (next < edges.size() && !begins(next)) ++next;
                   if (next + kEdgesAhead < end) {
                     layers_[0]->rows.prefetch(target_of(edges[next + kEdgesAhead]));
                   }
                   take_back(batch, begin, next, *batch.workers[worker]);
                   begin = next;
                 }
               });
  settle_members(batch);
}

// Adds the edges [begin, end), all of one target, to its row. Tells which of them it keeps.
void Graph::take_back(const Batch& batch, size_t begin, size_t end, BuildScratch& scratch) {
  const auto& members = batch.scratch.members;
  const auto& edges = batch.scratch.edges;
  EdgeRows& rows = layers_[0]->rows;
  const uint32_t target = target_of(edges[begin]);
  uint32_t ids[Candidates::kMax];
  const SlotLock lock(*states_, target);
  size_t n = rows.read_counted(target, ids);
  for (size_t i = begin; i < end;) {
    const size_t some = std::min(end - i, Candidates::kMax - n);
    for (size_t j = 0; j < some; ++j) ids[n++] = members[position_of(edges[i++])].slot;
    if (n > rows.capacity()) n = prune(0, target, {ids, n}, scratch);
  }
  rows.write(target, ids, n);
  for (size_t i = begin; i < end; ++i) {
    const uint32_t slot = members[position_of(edges[i])].slot;
    batch.scratch.kept[i] = std::find(ids, ids + n, slot) != ids + n;
  }
}

// Copies are hung on those they are of. Another member that nobody kept an edge to would never be
// found.
void Graph::settle_members(const Batch& batch) {
  auto& members = batch.scratch.members;
  for (BatchScratch::Member& member : members) member.place = 0;
  const auto& edges = batch.scratch.edges;
  for (size_t i = 0; i < edges.size(); ++i) {
    if (batch.scratch.kept[i] != 0) members[position_of(edges[i])].place = 1;
  }
  uint32_t row[kRowIdsMax];
  for (const BatchScratch::Member& member : members) {
    if (member.start != kNoSlot) {
      hang_copy(member.slot, member.start, *batch.workers[0]);
      continue;
    }
    if (member.place != 0) continue;
    if (layers_[0]->rows.read_counted(member.slot, row) > 0) {
      force_edge(row[0], member.slot, nullptr);
    } else {
      isolated_.store(true, std::memory_order_relaxed);
    }
  }
}

}  // namespace omen
