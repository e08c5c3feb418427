// BulkProgress: who is told how far a bulk build is.
//
// Why: a header of its own, since callers of Graph::insert_many() need nothing else of bulk
// building.
// Threads: report() from any thread, several at once.
#pragma once

namespace omen {

class BulkProgress {
 public:
  virtual ~BulkProgress() = default;
  // From any thread. `share` of the whole build is done, 0 to 1.
  virtual void report(double share) = 0;
};

}  // namespace omen
