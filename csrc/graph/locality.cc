// The tree of hyperplanes, and who walks down it; see locality.h.
#include "graph/locality.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>
#include <utility>

#include "exec/parallel_for.h"

namespace omen {

namespace {

// Of the sample, on average, in a leaf.
constexpr size_t kSampleRows = 2;
// What is looked at to place one hyperplane, and how often its two means are taken anew.
constexpr size_t kMeansRows = 128;
constexpr int kMeansRounds = 2;
constexpr size_t kTreeFloatsMax = size_t{1} << 20;
constexpr uint32_t kDepthMax = 15;
constexpr size_t kSampleGrain = 256;
constexpr size_t kNodesGrain = 4;
constexpr size_t kWalkGrain = 512;
// Rows that walk down together: one's product does not wait for another's.
constexpr size_t kWalkers = 16;
static_assert(kWalkGrain % kWalkers == 0);

// Nodes are numbered as in a heap, from 1; those of level l are 2^l and the following.
class Tree {
 public:
  Tree(const Locality& of, uint32_t depth)
      : of_(of),
        depth_(depth),
        rows_(of.account, Use::kScratch),
        sample_(of.account, Use::kScratch),
        normals_(of.account, Use::kScratch),
        offsets_(of.account, Use::kScratch),
        means_(of.account, Use::kScratch) {}

  Status grow() {
    const size_t nodes = size_t{1} << depth_;
    OMEN_TRY(take_sample(std::min(of_.count, kSampleRows << depth_)));
    OMEN_TRY(normals_.resize(nodes * of_.dimensions));
    OMEN_TRY(offsets_.resize(nodes));
    OMEN_TRY(means_.resize(parallel_workers(of_.executor) * 2 * of_.dimensions));
    for (uint32_t level = 0; level < depth_; ++level) split(size_t{1} << level);
    rows_.drop();
    sample_.drop();
    return Status::ok();
  }

  // The leaves in which `n` rows from `first` on end, numbered from 0.
  void find_leaves(size_t first, size_t n, uint16_t* leaves) const {
    OMEN_ASSERT(n <= kWalkers);
    FloatRow rows[kWalkers];
    size_t nodes[kWalkers];
    for (size_t i = 0; i < n; ++i) {
      rows[i] = of_.rows.row(first + i);
      nodes[i] = 1;
    }
    for (uint32_t level = 0; level < depth_; ++level) {
      for (size_t i = 0; i < n; ++i) {
        const float h = rows[i].scale * height(rows[i].values, normal(nodes[i]));
        nodes[i] = 2 * nodes[i] + (h > offsets_[nodes[i]] ? 1 : 0);
      }
    }
    for (size_t i = 0; i < n; ++i) {
      leaves[i] = static_cast<uint16_t>(nodes[i] - (size_t{1} << depth_));
    }
  }

 private:
  struct Sampled {
    float height;
    uint32_t row;  // Of rows_.
  };

  // Together, since they are read over and over.
  Status take_sample(size_t count) {
    const size_t n = of_.dimensions;
    OMEN_TRY(sample_.resize(count));
    OMEN_TRY(rows_.make_zeros(count * n));
    parallel_for(of_.executor, count, kSampleGrain, [&](size_t begin, size_t end, unsigned) {
      for (size_t i = begin; i < end; ++i) {
        const FloatRow row = of_.rows.row(i * of_.count / count);
        for (size_t d = 0; d < n; ++d) rows_[i * n + d] = row.values[d] * row.scale;
        sample_[i].row = static_cast<uint32_t>(i);
      }
    });
    return Status::ok();
  }

  // Rows may be so long that products overflow.
  float height(const float* row, const float* direction) const {
    const float h = of_.kernels.dot_f32(row, direction, of_.dimensions);
    return std::isnan(h) ? 0.0f : std::clamp(h, -simd::kFarthest, simd::kFarthest);
  }
  const float* sampled(size_t i) const { return rows_.data() + sample_[i].row * of_.dimensions; }
  const float* normal(size_t node) const { return normals_.data() + node * of_.dimensions; }

  // Halves what the sample has at each node of a level, which begins with `first`.
  void split(size_t first) {
    const size_t count = sample_.size();
    const auto begin_of = [&](size_t i) { return i * count / first; };
    parallel_for(of_.executor, first, kNodesGrain, [&](size_t begin, size_t end, unsigned worker) {
      for (size_t i = begin; i < end; ++i) {
        direct(first + i, {begin_of(i), begin_of(i + 1)}, worker);
      }
    });
    parallel_for(of_.executor, count, kSampleGrain, [&](size_t begin, size_t end, unsigned) {
      for (size_t i = begin * first / count, j = begin; j < end; ++j) {
        while (begin_of(i + 1) <= j) ++i;
        sample_[j].height = height(sampled(j), normal(first + i));
      }
    });
    parallel_for(of_.executor, first, kNodesGrain, [&](size_t begin, size_t end, unsigned) {
      for (size_t i = begin; i < end; ++i) {
        halve(first + i, {begin_of(i), (2 * i + 1) * count / (2 * first), begin_of(i + 1)});
      }
    });
  }

  struct Range {
    size_t begin;
    size_t end;
  };
  // A node's normal: from one of two means of some of its rows to the other.
  void direct(size_t node, const Range& range, unsigned worker) {
    const size_t n = of_.dimensions;
    float* const direction = normals_.data() + node * n;
    float* const means[2] = {means_.data() + 2 * worker * n, means_.data() + (2 * worker + 1) * n};
    if (range.begin == range.end) return;
    const size_t step = (range.end - range.begin + kMeansRows - 1) / kMeansRows;
    std::copy_n(sampled(range.begin), n, means[0]);
    std::copy_n(sampled((range.begin + range.end) / 2), n, means[1]);
    for (int round = 0;; ++round) {
      for (size_t d = 0; d < n; ++d) direction[d] = means[1][d] - means[0][d];
      if (round == kMeansRounds) return;
      const float border = height(means[0], direction) / 2 + height(means[1], direction) / 2;
      std::fill(means[0], means[0] + 2 * n, 0.0f);
      size_t counts[2] = {};
      for (size_t i = range.begin; i < range.end; i += step) {
        const float* const row = sampled(i);
        const int side = height(row, direction) > border ? 1 : 0;
        ++counts[side];
        for (size_t d = 0; d < n; ++d) means[side][d] += row[d];
      }
      if (counts[0] == 0 || counts[1] == 0) return;  // No better than the two it began with.
      for (int side = 0; side < 2; ++side) {
        const float share = 1.0f / static_cast<float>(counts[side]);
        for (size_t d = 0; d < n; ++d) means[side][d] *= share;
      }
    }
  }

  struct Halves {
    size_t begin;
    size_t middle;
    size_t end;
  };
  void halve(size_t node, const Halves& at) {
    if (at.middle == at.begin || at.middle == at.end) return;
    Sampled* const rows = sample_.data();
    // Ties by row: the same whoever does it.
    const auto below = [](const Sampled& a, const Sampled& b) {
      return a.height != b.height ? a.height < b.height : a.row < b.row;
    };
    std::nth_element(rows + at.begin, rows + at.middle, rows + at.end, below);
    const float low = std::max_element(rows + at.begin, rows + at.middle, below)->height;
    offsets_[node] = low / 2 + rows[at.middle].height / 2;
  }

  const Locality& of_;
  const uint32_t depth_;
  Array<float> rows_;  // Of the sample, scaled.
  Array<Sampled> sample_;
  Array<float> normals_;
  Array<float> offsets_;
  Array<float> means_;  // Two a worker.
};

uint32_t depth_for(const Locality& of) {
  const size_t leaves = std::min(of.count / std::max<size_t>(of.leaf_rows, 1),
                                 kTreeFloatsMax / std::max<size_t>(of.dimensions, 1));
  if (leaves < 2) return 0;
  return std::min(static_cast<uint32_t>(std::bit_width(leaves) - 1), kDepthMax);
}

}  // namespace

Status order_by_locality(const Locality& of, Array<uint32_t>* order) {
  const uint32_t depth = depth_for(of);
  Tree tree(of, depth);
  OMEN_TRY(tree.grow());
  Array<uint16_t> leaves(of.account, Use::kScratch);
  OMEN_TRY(leaves.resize(of.count));
  parallel_for(of.executor, of.count, kWalkGrain, [&](size_t begin, size_t end, unsigned) {
    for (size_t i = begin; i < end; i += kWalkers) {
      tree.find_leaves(i, std::min(kWalkers, end - i), leaves.data() + i);
    }
  });
  Array<uint32_t> offsets(of.account, Use::kScratch);
  OMEN_TRY(offsets.resize(size_t{1} << depth));
  OMEN_TRY(order->resize(of.count));
  for (const uint16_t leaf : leaves) ++offsets[leaf];
  uint32_t sum = 0;
  for (uint32_t& offset : offsets) sum += std::exchange(offset, sum);
  for (size_t i = 0; i < of.count; ++i) {
    (*order)[offsets[leaves[i]]++] = static_cast<uint32_t>(i);
  }
  return Status::ok();
}

}  // namespace omen
