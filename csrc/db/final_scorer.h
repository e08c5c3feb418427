// FinalScorer: what the distances of hits are computed with.
//
// How: on originals where they are kept. Where the codes are the truth, an sq8 code is decoded, and
// the distance is that of the vector it stands for: exactly what a caller computes who reads that
// vector. A binary code's vector is too far off for that; its estimate knows the row's length.
// Threads: one at a time; the caller is pinned since before it was made.
#pragma once

#include <optional>

#include "db/store.h"

namespace omen {

// Scores rows as sq8 decodes them.
class DecodedScorer final : public Scorer {
 public:
  // `query` is reserved and prepared by a Float32Codec.
  DecodedScorer(const Store& store, const CodeSet& codes, const PreparedQuery& query)
      : store_(store), codes_(codes), views_(codes.views()), query_(query) {}
  void prefetch(const uint32_t* slots, size_t n) const override;
  uint32_t score(const uint32_t* slots, const uint32_t* payloads, size_t n, float threshold,
                 float* distances) const override;

 private:
  float distance_to(const float* x) const;
  const Store& store_;
  const CodeSet& codes_;
  const RowViews views_;
  const PreparedQuery& query_;
};

class FinalScorer {
 public:
  // What queries are prepared in: two, since a search prepares its codes too.
  struct Memory {
    PreparedQuery* floats;
    PreparedQuery* codes;
  };
  FinalScorer(const Store& store, const Memory& memory);
  // ERR_MEMORY. `scale` is the query's inverse norm under cosine, else 1.
  Status prepare(const float* query, float scale);
  const Scorer& scorer() const { return *scorer_; }

 private:
  const Store& store_;
  const CodeSet* const codes_;  // The truth; nullptr: originals are.
  const Memory memory_;
  std::optional<RowScorer<Float32Codec>> floats_;
  std::optional<RowScorer<BinaryCodec>> binary_;
  std::optional<DecodedScorer> decoded_;
  const Scorer* scorer_ = nullptr;
};

}  // namespace omen
