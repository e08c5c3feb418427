// Codec: how rows are stored for traversal, and how a query is scored against them.
//
// Why: the graph walks on compact codes and re-ranks on the originals. Every codec (float32, sq8
// and binary) answers the same four questions, so that the rest of the engine does not know
// which one is in use: encode a row, prepare a query, score rows, and how far off the score may be.
// Contract:
//   1. Distances follow the metric: squared L2, 1 - cosine, or minus the dot product; smaller is
//   nearer.
//   2. `scale` is 1, or under cosine the inverse norm of the vector it comes with; codes are
//   normalised.
//   3. A code is a pure function of (codec, vector): codecs are immutable once made.
//   4. encode() also gives one float per row, the factor, which score() takes back. A codec that
//   computes it from the code looks at no factor.
//   5. A score is finite: two rows may lie farther apart than float32 counts, and are then FLT_MAX
//   apart. Infinity and NaN are below no threshold, so such rows would be lost without a word.
// Threads: immutable; any number of threads, each with its own PreparedQuery.
#pragma once

#include <cfloat>
#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "quant/prepared_query.h"

namespace omen {

enum class Distance : uint8_t { kCosine, kL2, kDot };

class Codec {
 public:
  virtual ~Codec() = default;
  virtual const char* name() const = 0;
  // Bytes of one code. For float32, the original itself.
  virtual size_t code_bytes() const = 0;
  // Writes code_bytes() bytes and returns the row's factor.
  virtual float encode(const float* x, float scale, uint8_t* code) const = 0;
  // The caller has reserved `out` for the dimensions.
  virtual void prepare(const float* query, float scale, PreparedQuery* out) const = 0;
  // A stored row plays the query: distances between codes.
  virtual void prepare_row(const uint8_t* code, float factor, PreparedQuery* out) const = 0;
  // distances[i] of rows[i] with factors[i].
  virtual void score(const PreparedQuery& query, const uint8_t* const* rows, const float* factors,
                     size_t count, float* distances) const = 0;
  // A bound on |score - exact distance| for rows whose values lie in the trained range, given the
  // exact distance; 0 where scores are exact up to rounding. Used by tests, and by re-ranking that
  // stops early.
  virtual float error_bound(float exact) const = 0;
};

// Contract 5, one distance. NaN comes of infinity less infinity, and counts as far. Two
// instructions for a whole vector of them.
inline float bounded(float distance) {
  const float d = distance < FLT_MAX ? distance : FLT_MAX;
  return d > -FLT_MAX ? d : -FLT_MAX;
}

}  // namespace omen
