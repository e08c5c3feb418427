// Settling a search with the writes that raced it: hits that are none any more go, records that
// took new slots meanwhile come in, and of slots of one record one stays.
#include <algorithm>

#include "db/final_scorer.h"
#include "db/query.h"

namespace omen {

namespace {

// Rounds in which new moves are waited out; each takes microseconds, so a second one is rare.
constexpr int kRoundsMax = 4;

}  // namespace

bool Collection::Impl::still_matches(const Store& s, const Query& q, uint32_t slot) const {
  if (q.rows == nullptr) return true;
  FilterId id;
  id.is_integer = s.id_of(slot, &id.integer, &id.string);
  return q.options->filter->matches_json(s.columns.json(slot), id);
}

// Nearly sorted already: insertion sort by distance, then by order of insertion.
void Collection::Impl::sort_hits(const Store& s, QueryScratch& scratch) const {
  uint32_t* slots = scratch.slots.data();
  float* distances = scratch.distances.data();
  for (size_t i = 1; i < scratch.slots.size(); ++i) {
    const uint32_t slot = slots[i];
    const float d = distances[i];
    const auto is_after = [&](size_t j) {
      return distances[j] > d || (distances[j] == d && s.order_of(slots[j]) > s.order_of(slot));
    };
    size_t j = i;
    for (; j > 0 && is_after(j - 1); --j) {
      slots[j] = slots[j - 1];
      distances[j] = distances[j - 1];
    }
    slots[j] = slot;
    distances[j] = d;
  }
}

// A hit whose record has taken another slot by now stays if that record still matches: it was so
// while the search ran, and the committer may turn the index again and again. The new slot takes
// its place as soon as add_moved() brings it in.
Status Collection::Impl::confirm(const Store& s, Query& q) {
  if (s.version.load(std::memory_order_acquire) == q.version && (q.version & 1) == 0) {
    return Status::ok();
  }
  QueryScratch& scratch = *q.scratch;
  size_t kept = 0;
  for (size_t i = 0; i < scratch.slots.size(); ++i) {
    const uint32_t current = s.current_of(scratch.slots[i]);
    if (current == kNoSlot || !still_matches(s, q, current)) continue;
    scratch.slots[kept] = scratch.slots[i];
    scratch.distances[kept++] = scratch.distances[i];
  }
  scratch.slots.truncate(kept);
  scratch.distances.truncate(kept);
  return drop_former(s, scratch);
}

// Of slots of the same record the one that the index names stays, or else the nearest.
Status Collection::Impl::drop_former(const Store& s, QueryScratch& scratch) const {
  struct Hit {
    uint64_t id_hash;
    uint32_t at;
  };
  Array<uint32_t>& slots = scratch.slots;
  Array<Hit> hits(s.account, Use::kScratch);
  OMEN_TRY(hits.reserve(slots.size()));
  for (uint32_t at = 0; at < slots.size(); ++at) {
    hits.push_back_reserved({s.hash_of(slots[at]), at});
  }
  std::sort(hits.begin(), hits.end(), [](const Hit& a, const Hit& b) {
    return a.id_hash != b.id_hash ? a.id_hash < b.id_hash : a.at < b.at;
  });
  size_t best = 0;  // Of the hits with the same id.
  for (size_t i = 1; i < hits.size(); ++i) {
    uint32_t& slot = slots[hits[i].at];
    uint32_t& other = slots[hits[best].at];
    if (hits[i].id_hash != hits[best].id_hash || !is_same(s.id_view(slot), s.id_view(other))) {
      best = i;
    } else if (s.is_current(slot)) {
      other = kNoSlot;
      best = i;
    } else {
      slot = kNoSlot;
    }
  }
  size_t kept = 0;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] == kNoSlot) continue;
    slots[kept] = slots[i];
    scratch.distances[kept++] = scratch.distances[i];
  }
  slots.truncate(kept);
  scratch.distances.truncate(kept);
  return Status::ok();
}

Result<bool> Collection::Impl::add_moved(Store& s, Query& q) {
  QueryScratch& scratch = *q.scratch;
  Array<uint32_t>& slots = scratch.slots;
  const size_t before = slots.size();
  OMEN_TRY(slots.reserve(before + Moves::kKept));
  OMEN_TRY(scratch.distances.reserve(before + Moves::kKept));
  const bool all = s.moves.visit_since(q.moves, [&](uint32_t moved) {
    if (slots.size() == before + Moves::kKept) return;
    const uint32_t slot = s.current_of(moved);
    if (slot == kNoSlot) return;
    if (std::find(slots.begin(), slots.end(), slot) != slots.end()) return;
    if (still_matches(s, q, slot)) slots.push_back_reserved(slot);
  });
  if (slots.size() == before) return all;
  FinalScorer finals(s, {&scratch.floats, &scratch.codes});
  OMEN_TRY(finals.prepare(q.vector, q.scale));
  float distances[kScoreBlock];
  for (size_t first = before; first < slots.size(); first += kScoreBlock) {
    const size_t n = std::min(kScoreBlock, slots.size() - first);
    finals.scorer().score(slots.data() + first, nullptr, n, 0, distances);
    for (size_t i = 0; i < n; ++i) scratch.distances.push_back_reserved(distances[i]);
  }
  sort_hits(s, scratch);
  return all;
}

// False if more records moved than can be followed: what is there may lack some.
Result<bool> Collection::Impl::settle(Store& s, Query& q) {
  for (int round = 0; round < kRoundsMax; ++round) {
    const uint64_t moves = s.moves.count();
    bool all = true;
    if (moves != q.moves) {
      OMEN_ASSIGN(all, add_moved(s, q));
    }
    OMEN_TRY(confirm(s, q));
    if (!all) return false;
    q.moves = moves;
    // A move since then may have taken a hit's slot: its record's new one should come in.
    if (s.moves.count() == moves) break;
  }
  return true;
}

}  // namespace omen
