// Keeping packed codes (layout 'fast') as the graph's edges are, under the commit mutex.
//
// When: after everything that changes edges, which the edge rows themselves note. Searches score a
// changed row meanwhile neighbour by neighbour, so nothing waits for this. Nothing here can fail:
// memory was reserved with that of the edges.
#include <bit>

#include "db/collection_impl.h"

namespace omen {

namespace {

// Fewer changed rows than this are packed where we are.
constexpr size_t kParallelMin = 64;
constexpr size_t kWordsPerTask = 4;

void pack_slot(const Store& s, PackedCodes& packed, uint32_t slot) {
  uint32_t ids[kRowIdsMax];
  const uint32_t n = s.graph.read_row(slot, ids);
  packed.pack(slot, {ids, n}, s.float_views());
}

}  // namespace

void Collection::Impl::pack_all(Store& s, CodeSet& codes) {
  PackedCodes* const packed = codes.packed();
  if (packed == nullptr) return;
  parallel_for(*env.executor, s.high_water(), 64, [&](size_t begin, size_t end, unsigned) {
    for (size_t i = begin; i < end; ++i) {
      const auto slot = static_cast<uint32_t>(i);
      if (!s.states.has(slot, SlotStates::kLinked)) continue;
      pack_slot(s, *packed, slot);
      s.graph.clear_changed(slot);
    }
  });
}

void Collection::Impl::pack_changed(Store& s) {
  PackedCodes* const packed = s.codes() == nullptr ? nullptr : s.codes()->packed();
  if (packed == nullptr) return;
  const uint32_t words = (s.high_water() + 63) / 64;
  const auto pack = [&](size_t begin, size_t end, unsigned) {
    for (size_t word = begin; word < end; ++word) {
      const auto index = static_cast<uint32_t>(word);
      for (uint64_t bits = s.graph.changed(index); bits != 0; bits &= bits - 1) {
        const uint32_t slot = 64 * index + static_cast<uint32_t>(std::countr_zero(bits));
        // A free slot's row changes again before it is linked.
        if (!s.states.has(slot, SlotStates::kLinked)) continue;
        pack_slot(s, *packed, slot);
        s.graph.clear_changed(slot);
      }
    }
  };
  size_t changed = 0;
  for (uint32_t i = 0; i < words && changed < kParallelMin; ++i) {
    changed += static_cast<size_t>(std::popcount(s.graph.changed(i)));
  }
  if (changed < kParallelMin) {
    pack(0, words, 0);
  } else {
    parallel_for(*env.executor, words, kWordsPerTask, pack);
  }
}

}  // namespace omen
