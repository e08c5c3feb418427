// BatchScratch: what the steps of Graph::insert_batch() hand each other.
//
// Why: it is reserved before anything is linked, so that linking cannot fail.
// Threads: each step of insert_batch() writes entries of its own.
#pragma once

#include "graph/slot_states.h"
#include "memory/array.h"

namespace omen {

struct BatchScratch {
  explicit BatchScratch(MemoryAccount* account)
      : members(account, Use::kScratch),
        edges(account, Use::kScratch),
        kept(account, Use::kScratch) {}

  // For batches of so many slots, each of which chooses at most `row_ids` neighbours. ERR_MEMORY.
  Status reserve(size_t slots, size_t row_ids) {
    OMEN_TRY(members.reserve(slots));
    const size_t most = slots * row_ids;
    OMEN_TRY(edges.reserve(most));
    return kept.size() < most ? kept.resize(most) : Status::ok();
  }
  void drop() {
    members.drop();
    edges.drop();
    kept.drop();
  }

  struct Member {
    uint64_t place;  // Members that lie near each other have near places.
    uint32_t slot;
    uint32_t start;  // The bottom node that the walk begins at; then a copy it found, or kNoSlot.
    bool operator<(const Member& o) const {
      return place != o.place ? place < o.place : slot < o.slot;
    }
  };
  Array<Member> members;
  Array<uint64_t> edges;  // Whom a member chose << 32 | the member's position.
  Array<uint8_t> kept;    // Whether who was chosen keeps the edge back.
};

}  // namespace omen
