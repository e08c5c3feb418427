// ReverseEdges: the edges of a layer's rows turned round, so that each can be led back too.
//
// Why: who takes edges one by one as they come locks and rewrites rows anywhere in memory, most of
// them last touched by another thread. Sorted by stretches of nodes whose rows fit the second
// cache, one thread takes all edges of a stretch, and no lock is needed.
// Invariant: the edges that lead to a stretch are in the order of who they come from, whatever
// threads there are.
// Threads: collect() of different chunks at once, in both passes; then take() of stretches.
#pragma once

#include <algorithm>
#include <span>
#include <utility>

#include "exec/parallel_for.h"
#include "graph/edge_rows.h"
#include "memory/array.h"

namespace omen {

class ReverseEdges {
 public:
  explicit ReverseEdges(MemoryAccount* account) : ends_(account, Use::kScratch) {}

  // Of `sources` rows, whose edges lead to nodes below `nodes`. ERR_MEMORY.
  Status reserve(size_t sources, uint32_t nodes) {
    sources_ = sources;
    grain_ = std::max(kGrainMin, (sources + kChunksMax - 1) / kChunksMax);
    chunks_ = (sources + grain_ - 1) / grain_;
    stretches_ = (nodes >> kStretchBits) + 1;
    return ends_.resize(chunks_ * stretches_);
  }

  // Fills `room`, which has a word for each edge. read(source, ids) gives the source's node and the
  // ids of its row, both times the same, and returns how many.
  template <class Read>
  void collect(Executor& executor, std::span<uint64_t> room, const Read& read) {
    room_ = room;
    each_edge(executor, read, [](uint32_t& count, uint32_t, uint32_t) { ++count; });
    uint32_t sum = 0;
    for (size_t stretch = 0; stretch < stretches_; ++stretch) {
      for (size_t chunk = 0; chunk < chunks_; ++chunk) {
        sum += std::exchange(ends_[chunk * stretches_ + stretch], sum);
      }
    }
    OMEN_ASSERT(sum <= room.size());
    each_edge(executor, read, [&](uint32_t& end, uint32_t from, uint32_t to) {
      room_[end++] = uint64_t{to} << 32 | from;
    });
  }

  // take(to, from) for each, all edges that lead to a stretch of nodes by one thread.
  template <class Take>
  void take(Executor& executor, const Take& take) const {
    if (chunks_ == 0) return;
    const uint32_t* last = &ends_[(chunks_ - 1) * stretches_];
    parallel_for(executor, stretches_, 1, [&](size_t begin, size_t end, unsigned) {
      for (size_t stretch = begin; stretch < end; ++stretch) {
        for (uint32_t i = stretch == 0 ? 0 : last[stretch - 1]; i < last[stretch]; ++i) {
          take(static_cast<uint32_t>(room_[i] >> 32), static_cast<uint32_t>(room_[i]));
        }
      }
    });
  }

 private:
  static constexpr uint32_t kStretchBits = 11;  // 256 KiB of rows of 32.
  static constexpr size_t kGrainMin = 1024;
  static constexpr size_t kChunksMax = 256;

  template <class Read, class Fn>
  void each_edge(Executor& executor, const Read& read, const Fn& fn) {
    parallel_for(executor, chunks_, 1, [&](size_t begin, size_t end, unsigned) {
      uint32_t ids[kRowIdsMax];
      for (size_t chunk = begin; chunk < end; ++chunk) {
        uint32_t* const counts = &ends_[chunk * stretches_];
        const size_t stop = std::min((chunk + 1) * grain_, sources_);
        for (size_t source = chunk * grain_; source < stop; ++source) {
          uint32_t from;
          const uint32_t n = read(source, &from, ids);
          for (uint32_t i = 0; i < n; ++i) fn(counts[ids[i] >> kStretchBits], from, ids[i]);
        }
      }
    });
  }

  size_t sources_ = 0;
  size_t grain_ = kGrainMin;
  size_t chunks_ = 0;
  size_t stretches_ = 0;
  std::span<uint64_t> room_;
  // Of each chunk, by stretch: how many edges, then where they end in the room.
  Array<uint32_t> ends_;
};

}  // namespace omen
