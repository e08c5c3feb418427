// Codes: a codec with its rows, and the graph's view of them.
//
// Why: sq8 trains on the data and is trained anew as they grow, so codec and rows are one object
// that is swapped whole: readers under a pin keep the one they took. Floats serve below kTrainRows
// and for `none`.
// Threads: a Codes is immutable but for rows of new slots, which commits write
// before they publish them.
#pragma once

#include <atomic>
#include <memory>

#include "graph/scorer.h"
#include "memory/slot_pages.h"
#include "quant/float32.h"
#include "quant/sq8.h"

namespace omen {

// Below this many records sq8 scores floats.
inline constexpr uint32_t kTrainRows = 4096;
inline constexpr uint32_t kTrainSampleMax = 16384;

// Rows and their factors, for one codec.
struct RowViews {
  SlotPages::View rows;
  SlotPages::View factors;
  bool has_factors = false;

  const uint8_t* row(uint32_t slot) const { return rows.row_as<uint8_t>(slot); }
  float factor(uint32_t slot) const { return has_factors ? *factors.row_as<float>(slot) : 0.0f; }
};

struct CodeSet {
  CodeSet(MemoryAccount* account, std::unique_ptr<Sq8Codec> c, uint64_t trained_on,
          uint64_t serial_in);

  Status ensure(uint32_t slots);
  void encode(uint32_t slot, const float* x, float scale);
  RowViews views() const { return {rows.view(), factors.view(), true}; }

  std::unique_ptr<Sq8Codec> codec;
  SlotPages rows;
  SlotPages factors;
  const uint64_t trained_rows;  // Live records when it was trained.
  const uint64_t serial;        // Unique in its collection.
};

// A scorer over one codec's rows; also a SlotScorer, whose query is a row.
template <class CodecType>
class RowScorer final : public SlotScorer {
 public:
  // `query` is memory to prepare queries in, reserved for the dimensions; nullptr: the scorer's
  // own.
  RowScorer(const CodecType& codec, const RowViews& views, const simd::Kernels& kernels,
            PreparedQuery* query)
      : codec_(codec),
        views_(views),
        kernels_(kernels),
        query_(query == nullptr ? &own_query_ : query),
        prefetch_bytes_(codec.code_bytes() < 512 ? codec.code_bytes() : 512) {}

  Status reserve(size_t dimensions) { return query_->reserve(dimensions); }
  void prepare(const float* query, float scale) { codec_.prepare(query, scale, query_); }
  void bind(uint32_t slot) override {
    codec_.prepare_row(views_.row(slot), views_.factor(slot), query_);
  }
  void prefetch(const uint32_t* slots, size_t n) const override;
  uint32_t score(const uint32_t* slots, const uint32_t* payloads, size_t n, float threshold,
                 float* distances) const override;

 private:
  const CodecType& codec_;
  RowViews views_;
  const simd::Kernels& kernels_;
  PreparedQuery own_query_;
  PreparedQuery* query_;
  size_t prefetch_bytes_;
};

extern template class RowScorer<Float32Codec>;
extern template class RowScorer<Sq8Codec>;

}  // namespace omen
