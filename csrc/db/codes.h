// Codes: a codec with its rows, and the graph's view of them.
//
// Why: codecs train on the data and are trained anew as they grow, so codec and rows are one object
// that is swapped whole: readers under a pin keep the one they took. Floats serve below kTrainRows
// and for `none`. A search is compiled for each type of codec, so that scoring calls nothing
// virtual: visit() is where the types part.
// Threads: a Codes is immutable but for rows of new slots, which commits write
// before they publish them.
#pragma once

#include <atomic>
#include <memory>

#include "db/mapped_vectors.h"
#include "db/packed_codes.h"
#include "graph/byte_rows.h"
#include "graph/scorer.h"
#include "memory/slot_pages.h"
#include "quant/binary.h"
#include "quant/float32.h"
#include "quant/sq8.h"

namespace omen {

// Below this many records floats are scored.
inline constexpr uint32_t kTrainRows = 4096;
inline constexpr uint32_t kTrainSampleMax = 16384;

// Rows and their factors, for one codec.
struct RowViews {
  SlotPages::View rows;
  SlotPages::View factors;
  bool has_factors = false;
  const MappedVectors* mapped = nullptr;  // Of floats: then the rows are there.

  const uint8_t* row(uint32_t slot) const {
    if (mapped != nullptr) return reinterpret_cast<const uint8_t*>(mapped->row(slot));
    return rows.row_as<uint8_t>(slot);
  }
  float factor(uint32_t slot) const { return has_factors ? *factors.row_as<float>(slot) : 0.0f; }
};

class CodeSet {
 public:
  struct Marks {
    uint64_t trained_rows;  // Live records when it was trained.
    uint64_t serial;        // Unique in its collection.
  };
  CodeSet(MemoryAccount* account, std::unique_ptr<Sq8Codec> codec, const Marks& marks);
  CodeSet(MemoryAccount* account, std::unique_ptr<BinaryCodec> codec, const Marks& marks);

  Status ensure(uint32_t slots);
  void encode(uint32_t slot, const float* x, float scale);
  // The vector that a slot's code stands for: normalised under cosine.
  void decode(uint32_t slot, float* out) const;
  // Whether a vector lies outside of what sq8 was trained on. Binary codes have no range.
  bool clamps(const float* x, float scale) const {
    return sq8_ != nullptr && sq8_->clamps(x, scale);
  }
  bool has_factors() const { return sq8_ != nullptr && sq8_->has_factors(); }
  RowViews views() const { return {rows_.view(), factors_.view(), has_factors()}; }
  uint64_t bytes() const {
    return rows_.bytes() + factors_.bytes() + (packed_ == nullptr ? 0 : packed_->bytes());
  }
  // Of binary, before the first ensure(): neighbours' codes too, so many a slot. ERR_MEMORY.
  Status add_packed(uint32_t neighbours, const simd::Kernels& kernels);
  // nullptr without them.
  PackedCodes* packed() const { return packed_.get(); }
  // f(codec), of its own type.
  template <class F>
  auto visit(const F& f) const {
    return sq8_ != nullptr ? f(*sq8_) : f(*binary_);
  }
  const uint8_t* code(uint32_t slot) const { return rows_.row_as<uint8_t>(slot); }
  // A row as a snapshot keeps it where it is all that there is of a vector: the code, its factor if
  // it has one, zeros to a multiple of 4.
  size_t stored_bytes() const { return round_up(code_bytes(), 4) + (has_factors() ? 4 : 0); }
  void store_row(uint32_t slot, std::byte* out) const;
  void load_row(uint32_t slot, const std::byte* in);
  void decode_stored(const std::byte* in, float* out) const;
  // nullptr if rows are of another codec. Binary codes lie too far off their rows to link by.
  const Sq8Codec* sq8() const { return sq8_.get(); }
  const BinaryCodec* binary() const { return binary_.get(); }

  const uint64_t trained_rows;
  const uint64_t serial;

 private:
  size_t code_bytes() const {
    return visit([](const auto& codec) { return codec.code_bytes(); });
  }

  const std::unique_ptr<Sq8Codec> sq8_;  // One of the two.
  const std::unique_ptr<BinaryCodec> binary_;
  SlotPages rows_;
  SlotPages factors_;  // Of an sq8 that does not compute them: binary keeps its own in the row.
  std::unique_ptr<PackedCodes> packed_;
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
        prefetch_bytes_(codec.code_bytes() < 512 ? codec.code_bytes() : 512),
        rows_straddle_(views.rows.stride % kCacheLineBytes != 0) {}

  Status reserve(size_t dimensions) { return query_->reserve(dimensions); }
  void prepare(const float* query, float scale) { codec_.prepare(query, scale, query_); }
  void bind(uint32_t slot) override {
    codec_.prepare_row(views_.row(slot), views_.factor(slot), query_);
  }
  bool copy_bytes(const uint32_t* slots, size_t n, float least, ByteRows* out) const override;
  void prefetch(const uint32_t* slots, size_t n) const override;
  uint32_t score(const uint32_t* slots, const uint32_t* payloads, size_t n, float threshold,
                 float* distances) const override;

 private:
  void prefetch_factors(const uint32_t* slots, size_t n) const;
  const uint8_t* row(uint32_t slot) const {
    if constexpr (std::is_same_v<CodecType, Float32Codec>) {
      return views_.row(slot);
    } else {
      return views_.rows.row_as<uint8_t>(slot);
    }
  }

  const CodecType& codec_;
  RowViews views_;
  const simd::Kernels& kernels_;
  PreparedQuery own_query_;
  PreparedQuery* query_;
  size_t prefetch_bytes_;
  bool rows_straddle_;  // A row's last byte may lie in a line more than its size says.
};

extern template class RowScorer<Float32Codec>;
extern template class RowScorer<Sq8Codec>;
extern template class RowScorer<BinaryCodec>;

}  // namespace omen
