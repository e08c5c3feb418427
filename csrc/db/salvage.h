// Salvage: what is readable of a damaged database, as a new one.
//
// How: the snapshot first, then the log, as at any opening; but what cannot be read is passed over
// and told, where opening stops. Every group of records of the snapshot that is whole becomes a
// record of the log, and all of them are applied by Replay; then the new database writes its first
// snapshot. With the table of the snapshot all is known of a collection but what was lost. Without
// it, extents are found by their headers: for each place the one of the newest segment, oldest
// segment first, so that newer records win; records that were deleted since may come back then.
// A collection of which nothing tells the options gets those that its records allow, and, without a
// name, the name salvaged-<number>.
// Invariants:
//   1. Nothing is written to what is rescued.
//   2. What comes back was stored: every byte of it has a checksum that was right.
//   3. is_whole() is true only if nothing is known to be missing.
// Memory: the new database, the table, one extent and one record of the log.
// Threads: one; the new database is nobody else's until it is closed.
#pragma once

#include "db/database.h"
#include "storage/remains.h"

namespace omen {

struct SalvageReport {
  struct Part {
    std::string name;
    uint64_t records = 0;
    bool has_options = true;  // False: nothing told them.
  };
  std::vector<Part> collections;
  Loss loss;
  uint64_t cut_bytes = 0;  // At the end of the log, torn by a crash: never acknowledged.
  bool has_manifest = false;
  bool has_table = false;  // Or there was no snapshot.

  bool is_whole() const {
    bool all = loss.is_nothing();
    for (const Part& part : collections) all = all && part.has_options;
    return all;
  }
};

}  // namespace omen
