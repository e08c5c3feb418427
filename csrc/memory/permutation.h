// Permutation: rows that change places among each other, in place and on several threads.
//
// Why: a second copy of a large batch's rows would double what it takes. A permutation is cycles,
// along which each place takes what the next one has. One cycle may hold nearly all of them, so
// long ones are cut into paths; what lies at the start of each is set aside first, for the end of
// the path before.
// Invariants:
//   1. Each place that changes is in one path, others are in none.
//   2. A path touches places of its own and what was set aside: paths may be walked at once.
// Threads: one at a time for plan(); then constant.
#pragma once

#include "memory/array.h"

namespace omen {

class Permutation {
 public:
  static constexpr uint32_t kPathMax = 1024;
  static constexpr uint32_t kOwn = UINT32_MAX;

  struct Path {
    uint32_t begin;  // Of places().
    uint32_t end;
    uint32_t next;  // Which start, of those set aside, its last place takes; kOwn: its own.
  };

  explicit Permutation(MemoryAccount* account)
      : account_(account),
        places_(account, Use::kScratch),
        paths_(account, Use::kScratch),
        starts_(account, Use::kScratch) {}

  // from[i] is whose content place i takes. ERR_MEMORY.
  Status plan(const uint32_t* from, uint32_t count);

  // Along a path places[i] takes what places[i + 1] has.
  const Array<uint32_t>& places() const { return places_; }
  const Array<Path>& paths() const { return paths_; }
  // Places to set aside before any path is walked.
  const Array<uint32_t>& starts() const { return starts_; }

 private:
  Status add_cycle(uint32_t begin, uint32_t end);

  MemoryAccount* const account_;
  Array<uint32_t> places_;
  Array<Path> paths_;
  Array<uint32_t> starts_;
};

}  // namespace omen
