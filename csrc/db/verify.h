// Verifying files: what a snapshot has on disk is read again, as check() promises.
//
// Why: what lies in memory may be whole while the device loses what it was loaded from; that would
// be found by the next opening, when only a backup helps. Found now, all of it can still be copied.
// And an opening goes on over damage that it can mend, of a graph, or does not read, of rows that
// no record has. Files are opened anew, so that one that was removed or replaced is missed too.
// Memory: one extent, or one piece of a blob, at a time.
// Threads: any.
#pragma once

#include <string>
#include <vector>

#include "db/types.h"
#include "storage/directory.h"

namespace omen {

// Tells in `reports`, by collection, what is damaged of a directory's snapshot, which must stay
// where it is meanwhile.
void verify_snapshot(Env* env, const Directory& directory, MemoryAccount* account,
                     std::vector<CheckReport>* reports);
// Tells it of every collection, or of one without a name where there is none.
void tell_all(const Status& status, std::vector<CheckReport>* reports);
// The same of the directory at `path` as it is now, beside whoever writes to it.
void verify_directory(Env* env, const std::string& path, MemoryAccount* account,
                      std::vector<CheckReport>* reports);

}  // namespace omen
