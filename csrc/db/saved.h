// What a checkpoint takes of a collection, and what a collection remembers of the last one.
//
// A checkpoint is exact for the truth at one moment of each collection, the cut: which slots are
// live is copied then, under the commit lock, and what a live slot holds does not change while the
// checkpoint runs, since slots are freed by upkeep alone, which waits for it. Metadata may be
// swapped meanwhile; the log has the change too, behind the cut, and is on the device before the
// snapshot counts. The graph and the codes are derived: they may be older than the cut, by the
// slots that CollectionSnapshot::fresh names.
// Threads: the checkpoint's, one at a time.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "db/store.h"
#include "storage/directory.h"

namespace omen {

// Kinds of the blobs of a collection.
enum class DerivedBlob : uint32_t {
  kHeader = 1,    // What the others are: see derived.cc.
  kEdges = 2,     // The bottom layer's rows.
  kUpper = 3,     // The layers above.
  kCodes = 4,     // Rows of codes.
  kFactors = 5,   // A float32 each, of sq8.
};

// How much a checkpoint writes: at a close the graph falls behind less, so that opening is quick;
// on a full disk nothing but what must be, so that the log and dead files can go.
enum class SaveKind : uint8_t { kRegular, kClosing, kTight };

// A collection as it was at a moment.
struct Cut {
  explicit Cut(MemoryAccount* account) : extents(account), slots(account) {}

  std::shared_ptr<Store> store;  // nullptr: no record was ever there.
  CollectionSnapshot snapshot;   // But for places.
  Marks extents;                 // To write.
  Marks slots;                   // That the graph on disk lacks.
  bool writes_derived = false;
  std::shared_ptr<const CodeSet> codes;  // Of the graph, or of the extents.
  Graph::Image image;
  bool needs_repair = false;
};

// What is on disk of a collection.
struct Saved {
  uint32_t generation = 0;  // Of the store that it is of; 0: nothing.
  uint64_t codes_serial = 0;
  uint64_t nodes = 0;  // Of the stored graph.
  CollectionSnapshot snapshot;
};

// Graph and codes of a cut, written as blobs.
Status write_derived(const Cut& cut, SegmentWriter* writer, std::vector<SnapshotBlob>* blobs);

// The segments that the manifest names, open as long as this lives.
class SegmentFiles {
 public:
  // ERR_CORRUPT, ERR_IO, ERR_BUSY (too many open files).
  Status open(const Directory& directory);
  // nullptr: there is none of this number.
  const SegmentReader* find(uint64_t number) const;

 private:
  std::map<uint64_t, std::shared_ptr<const SegmentReader>> readers_;
};

// A segment that is made when something is to be written to it.
class LazySegment {
 public:
  virtual ~LazySegment() = default;
  virtual Result<SegmentWriter*> get() = 0;
};

// Where a checkpoint writes. Derived data lie in files of their own: they are replaced whole, so
// that such a file goes as a whole, and rows need not be moved to be rid of it.
struct SaveTarget {
  SegmentWriter* writer;
  LazySegment& derived;
  const std::set<uint64_t>& leaving;  // Segments of which nothing is to be left.
  const SegmentFiles& files;          // Of the snapshot before.
};

// What reading the derived data of a collection needs, and gives.
struct DerivedSource {
  const CollectionSnapshot& snapshot;
  const SegmentFiles& files;
  Executor& executor;
  uint64_t serial;  // Of the codes.
};
struct Derived {
  std::unique_ptr<CodeSet> codes;  // nullptr: there were none yet.
  bool needs_repair = false;  // Edges were lost on the way, or had been before.
};
// Puts the stored graph into the store's, which is empty: `nodes` are the slots that it is of.
// ERR_CORRUPT: it is damaged, and the store's graph is empty again.
Result<Derived> read_derived(const DerivedSource& source, const Graph::Accept& nodes, Store& s);

}  // namespace omen
