// The shapes that cross between the database and its callers (napi today, the server later).
//
// Why: one set of plain structs, so that the boundary has no logic and the engine no JavaScript.
// Invariants: none of these owns a lock; outputs own their memory and outlive any epoch pin.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "exec/cancel.h"
#include "meta/filter.h"

namespace omen {

enum class Metric : uint8_t { kCosine, kL2, kDot };
enum class Quantization : uint8_t { kSq8, kNone, kBinary };
// Where the codes that a search reads lie: a row each, or each node's neighbours' together as well.
enum class Layout : uint8_t { kCompact, kFast };
// Where the original vectors of a database on disk are held that were there when it was opened:
// read into memory, or left in the mapped files.
enum class Residency : uint8_t { kAuto, kMemory, kMapped };

inline constexpr uint32_t kDimensionsMax = 16384;
inline constexpr uint32_t kHitsMax = 10000;
inline constexpr uint32_t kEfMax = 10000;
inline constexpr uint32_t kMMin = 2;
inline constexpr uint32_t kMMax = 64;
inline constexpr uint32_t kEfConstructionMax = 2000;
inline constexpr size_t kBatchRowsMax = size_t{1} << 28;
// Text of one answer, such as the metadata of its rows. V8's longest string is a little above.
inline constexpr size_t kRowsTextBytesMax = size_t{500} << 20;

// Options of a collection. A field with its `given` bit clear takes the stored value or the
// default.
struct CollectionOptions {
  enum Given : uint32_t {
    kGivenDimensions = 1,
    kGivenMetric = 2,
    kGivenQuantization = 4,
    kGivenM = 8,
    kGivenEfConstruction = 16,
    kGivenSchema = 32,
    kGivenLayout = 64,
    kGivenKeepVectors = 128,
  };
  uint32_t given = 0;
  uint32_t dimensions = 0;  // 0: fixed by the first vectors.
  Metric metric = Metric::kCosine;
  Quantization quantization = Quantization::kSq8;
  Layout layout = Layout::kCompact;  // kFast goes with kBinary alone.
  uint32_t m = 16;
  uint32_t ef_construction = 96;
  // False: once codes are trained they are the truth, and the originals are given back.
  bool keep_vectors = true;
  std::string schema_json;  // Empty: no schema.
};

// An id as given by a caller; `text` is borrowed.
struct IdView {
  bool is_string = false;
  uint64_t integer = 0;
  std::string_view text;
};

inline bool is_same(const IdView& a, const IdView& b) {
  if (a.is_string != b.is_string) return false;
  return a.is_string ? a.text == b.text : a.integer == b.integer;
}

// An id in a result. String bytes lie in the result's `text` at [offset, offset + length).
struct IdOut {
  bool is_string = false;
  uint32_t length = 0;
  uint64_t value = 0;  // The integer, or the offset.
};

enum Include : uint32_t { kIncludeNone = 0, kIncludeMetadata = 1, kIncludeVector = 2 };

// Rows going out: hits, gets and scrolls alike.
struct Rows {
  std::vector<IdOut> ids;
  std::vector<float> distances;  // Hits only.
  std::vector<uint8_t> found;    // get() only: 0 where the id does not exist.
  std::string text;              // Bytes of string ids.
  std::string metadata;        // With kIncludeMetadata: "[{...},{...}]", a JSON array, one per row;
                               // null for a row that was not found.
  bool has_dates = false;      // Some {"$date": ISO} is in `metadata`.
  std::vector<float> vectors;  // With kIncludeVector: rows x dimensions, as stored, bit for bit.
  bool approximate = false;    // No originals are kept: distances and vectors are those of codes.
  void clear();
};

enum class Mode : uint8_t { kPlan, kExact, kGraph };

struct SearchOptions {
  uint32_t k = 10;
  uint32_t ef = 0;  // 0: max(64, k). Below k: raised to k.
  Mode mode = Mode::kPlan;
  float max_distance = std::numeric_limits<float>::infinity();
  std::shared_ptr<const Filter> filter;  // nullptr: all records.
  uint32_t include = kIncludeNone;
  const CancelToken* cancel = nullptr;
};

// What a search did, for explain() and stats.
struct Plan {
  const char* plan = "empty";  // "exact", "scan", "graph", "filtered-graph"
  bool fallback = false;       // The graph found too few, and a scan answered.
  double selectivity = 1.0;    // Share of live records that pass the filter.
  uint64_t matches = 0;        // Records that pass (all live ones without a filter).
  uint64_t rows_scored = 0;    // Distances computed, on codes or floats.
  uint64_t hops = 0;           // Nodes expanded.
  uint64_t reranked = 0;       // Exact distances after codes.
  uint32_t ef = 0;             // As used, after widening.
  uint64_t native_ns = 0;      // Time inside the engine.
  bool approximate = false;    // No originals are kept: distances are those of codes.
};

struct CollectionStats {
  std::string name;
  CollectionOptions options;
  uint64_t count = 0;    // Live records.
  uint64_t deleted = 0;  // Marked, not yet consolidated.
  uint64_t free_slots = 0;
  uint32_t levels = 0;  // Layers of the graph above the bottom.
  uint32_t indexed_fields = 0;
  uint64_t next_id = 0;  // The next generated id.
  bool trained = false;  // Codes are in use (below 4 096 rows floats are scored).
  // Rows written since then whose values lay so far outside of the trained range that clamping
  // them may cost more than rounding.
  uint64_t clamped = 0;
  uint64_t consolidations = 0;
  struct Bytes {
    uint64_t vectors = 0, codes = 0, graph = 0, ids = 0, metadata = 0, columns = 0, scratch = 0,
             retired = 0, total = 0;
    uint64_t mapped = 0;  // Vectors in mapped files: the system's memory, as far as it has room.
  } bytes;
};

// How far a long opening is: of the records that it links into graphs, since the stored one is
// missing or damaged, or the log holds more. 0 of 0 until that begins, and where none need be.
struct OpenProgress {
  std::atomic<uint64_t> done{0};
  std::atomic<uint64_t> total{0};
};

// What opening a database on disk did.
struct RecoveryStats {
  uint64_t records = 0;    // Of the log, replayed.
  uint64_t cut_bytes = 0;  // Behind the last whole commit: torn by a crash, never acknowledged.
  uint64_t snapshot_records = 0;  // Taken from the snapshot.
  // Collections whose stored graph was missing or damaged, and was built anew.
  std::vector<std::string> rebuilt_graphs;
};

// What lies on disk.
struct StorageStats {
  uint64_t snapshot_bytes = 0;
  uint64_t log_bytes = 0;     // Behind the snapshot.
  uint64_t checkpoints = 0;   // Since it was opened.
  std::string checkpoint_error;  // Of the last one, if it failed: the log grows meanwhile.
};

struct DatabaseStats {
  std::vector<CollectionStats> collections;
  uint64_t bytes = 0;        // Everything counted, all collections.
  uint64_t bytes_limit = 0;  // maxMemoryBytes; 0: none.
  const char* simd = "";     // Name of the kernel table.
  const char* simd_features = "";
  uint32_t threads = 0;  // Width of the pool.
  bool is_on_disk = false;
  RecoveryStats recovery;
  StorageStats storage;
};

// What check() finds in one collection.
struct CheckReport {
  std::string name;
  bool ok = true;
  uint64_t records = 0;
  uint64_t unreachable = 0;  // Live records that no path from the entry point reaches.
  std::string problem;       // The first violated invariant, empty if none.
  Status status;             // ERR_MEMORY, ERR_BUSY: nothing could be looked at.
};

}  // namespace omen
