// Partition: drawing leaders, assigning points to them, and carving what is too large again.
#include "graph/bulk/partition.h"

#include <atomic>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <utility>

#include "base/random.h"
#include "exec/parallel_for.h"

namespace omen {

namespace {

constexpr size_t kAssignGrain = 512;
constexpr uint32_t kDepthMax = 8;
constexpr uint32_t kSplitLeadersMax = 512;
// Measured: SIFT 1.22 and MNIST 1.35; word definitions 1.45, whose graphs needed a third more
// overlap for the same quality.
constexpr double kUneven = 1.4;
constexpr size_t kUnevenSample = 512;

float distance_of(uint32_t key) {
  float squared;
  std::memcpy(&squared, &key, sizeof(squared));
  return std::sqrt(squared);
}

}  // namespace

// The members of each ball, in one array by offsets.
struct Partition::Balls {
  explicit Balls(MemoryAccount* account)
      : offsets(account, Use::kScratch), members(account, Use::kScratch) {}

  // Point i of `ids` is in balls_of[i * fanout ...].
  Status fill(std::span<const uint32_t> ids, const uint16_t* balls_of, uint32_t fanout,
              uint32_t count) {
    OMEN_TRY(offsets.resize(count + 1));
    OMEN_TRY(members.make_zeros(ids.size() * fanout));
    for (size_t i = 0; i < ids.size() * fanout; ++i) ++offsets[balls_of[i]];
    uint32_t sum = 0;
    for (size_t b = 0; b <= count; ++b) sum += std::exchange(offsets[b], sum);
    for (size_t i = 0; i < ids.size(); ++i) {
      for (uint32_t f = 0; f < fanout; ++f) members[offsets[balls_of[i * fanout + f]]++] = ids[i];
    }
    for (size_t b = count; b > 0; --b) offsets[b] = offsets[b - 1];
    offsets[0] = 0;
    return Status::ok();
  }
  std::span<const uint32_t> of(size_t ball) const {
    return {members.data() + offsets[ball], offsets[ball + 1] - offsets[ball]};
  }

  Array<uint32_t> offsets;
  Array<uint32_t> members;
};

struct Partition::Worker {
  Worker(MemoryAccount* account, const BulkShared& shared)
      : leaf(account, shared),
        points(account, shared.points),
        bytes(account, shared.points),
        leaders(account, shared.points),
        tile(account, Use::kScratch),
        nearest(account, Use::kScratch) {}
  Status reserve() {
    const size_t width = points.width();
    OMEN_TRY(leaf.reserve());
    OMEN_TRY(points.reserve(width));
    OMEN_TRY(bytes.reserve(width));
    OMEN_TRY(leaders.reserve(kSplitLeadersMax));
    OMEN_TRY(tile.resize(width * width));
    return nearest.resize(width * simd::kTileNearestMax);
  }

  // A panel of points to assign.
  template <class SomePanels>
  SomePanels& to_assign() {
    if constexpr (std::is_same_v<SomePanels, Panels>) {
      return points;
    } else {
      return bytes;
    }
  }

  LeafWorker leaf;
  Panels points;
  BytePanels bytes;
  Panels leaders;
  Array<uint32_t> tile;
  Array<uint32_t> nearest;
  Status status;
};

Partition::Partition(MemoryAccount* account, const BulkShared& shared, const PartitionShape& shape,
                     uint64_t seed)
    : account_(account),
      shared_(shared),
      shape_(shape),
      seed_(seed),
      drawn_(account, Use::kScratch),
      leaders_(account, shared.points),
      byte_leaders_(account, shared.points),
      balls_of_(account, Use::kScratch),
      order_(account, Use::kScratch) {}

Partition::~Partition() = default;

// Fills worker.nearest with the k nearest leaders of each of a panel's points.
template <class SomePanels>
void Partition::look(Worker& worker, std::span<const uint32_t> ids,
                     const Leaders<SomePanels>& leaders, uint32_t k) const {
  const simd::Kernels& kernels = shared_.points.kernels;
  const size_t width = leaders.panels.width();
  SomePanels& points = worker.to_assign<SomePanels>();
  points.pack(ids, leaders.frame);
  std::fill(worker.nearest.data(), worker.nearest.data() + width * k, kNobody);
  for (size_t i = 0; i < leaders.panels.count(); ++i) {
    leaders.panels.compare(i, points, 0, worker.tile.data());
    // What fills the last panel up is no leader.
    const size_t held = std::min(width, leaders.panels.size() - i * width);
    std::fill(worker.tile.data() + held * width, worker.tile.data() + width * width,
              simd::kTileFar);
    kernels.tile_nearest(worker.tile.data(), static_cast<uint32_t>(i * width), k,
                         worker.nearest.data());
  }
}

// The `fanout` nearest leaders of each of `ids`, nearest first.
template <class SomePanels>
void Partition::assign(Worker& worker, std::span<const uint32_t> ids,
                       const Leaders<SomePanels>& leaders, uint32_t fanout, uint16_t* out) const {
  const size_t width = leaders.panels.width();
  for (size_t begin = 0; begin < ids.size(); begin += width) {
    const auto block = ids.subspan(begin, std::min(width, ids.size() - begin));
    const size_t ahead = std::min(begin + 2 * width, ids.size());
    for (size_t i = begin + width; i < ahead; ++i) shared_.points.prefetch(ids[i]);
    look(worker, block, leaders, fanout);
    for (size_t j = 0; j < block.size(); ++j) {
      for (uint32_t f = 0; f < fanout; ++f) {
        const uint32_t key = worker.nearest[f * width + j];
        out[(begin + j) * fanout + f] = static_cast<uint16_t>(key & simd::kTileIndexMask);
      }
    }
  }
}

Status Partition::draw_leaders(const Ball& ball) {
  frame_ = {ball.centre, tile_factor(ball.radius, shared_.points.dimensions)};
  byte_frame_ = {ball.centre, byte_factor(ball.radius, shared_.points.dimensions)};
  const uint32_t n = shared_.points.count;
  OMEN_TRY(drawn_.reserve(shape_.leaders));
  // One of each of as many stretches: no leader twice.
  Random random(seed_);
  for (uint64_t i = 0; i < shape_.leaders; ++i) {
    const uint64_t begin = i * n / shape_.leaders;
    const uint64_t end = (i + 1) * n / shape_.leaders;
    drawn_.push_back_reserved(static_cast<uint32_t>(begin + random.below(end - begin)));
  }
  OMEN_TRY(leaders_.reserve(shape_.leaders));
  leaders_.pack(leaders(), frame_);
  return Status::ok();
}

// By a sample, how many balls a point joins, and whether bytes tell which.
// Unevenness is how much farther the twelfth nearest leader is than the nearest, on average. Where
// one leader is much nearer than all others, a point's balls share few of its neighbours, and it
// takes more balls to collect them.
void Partition::look_around(Worker& worker) {
  constexpr uint32_t kFar = simd::kTileNearestMax;
  const size_t width = leaders_.width();
  const uint32_t n = shared_.points.count;
  const float byte_steps = byte_frame_.factor / frame_.factor;
  const auto told = static_cast<float>(told_by_bytes(shared_.points.dimensions));
  Random random(seed_ + 1);
  double sum = 0;
  size_t count = 0;
  size_t coarse = 0;
  for (size_t block = 0; block < kUnevenSample / width; ++block) {
    uint32_t ids[simd::kTileWidthMax];
    for (size_t i = 0; i < width; ++i) ids[i] = static_cast<uint32_t>(random.below(n));
    look(worker, {ids, width}, Leaders<Panels>{leaders_, frame_}, kFar);
    for (size_t i = 0; i < width; ++i) {
      const float near = distance_of(worker.nearest[i] & ~simd::kTileIndexMask);
      const float far = distance_of(worker.nearest[(kFar - 1) * width + i]);
      if (!(near > 0) || !std::isfinite(far)) continue;  // A leader itself.
      sum += static_cast<double>(far / near);
      ++count;
      coarse += near * near * byte_steps * byte_steps < told ? 1 : 0;
    }
  }
  if (count == 0) return;
  if (sum / static_cast<double>(count) > kUneven) shape_.fanout = shape_.uneven_fanout;
  by_bytes_ = coarse * kCoarseShare <= count;
}

Status Partition::assign_all(Executor& executor, const Ball& ball) {
  OMEN_TRY(draw_leaders(ball));
  look_around(*workers_[0]);
  if (by_bytes_) {
    OMEN_TRY(byte_leaders_.reserve(shape_.leaders));
    byte_leaders_.pack(leaders(), byte_frame_);
  }
  const uint32_t n = shared_.points.count;
  OMEN_TRY(order_.resize(n));
  std::iota(order_.begin(), order_.end(), 0u);
  OMEN_TRY(balls_of_.make_zeros(size_t{n} * shape_.fanout));
  parallel_for(executor, n, kAssignGrain, [&](size_t begin, size_t end, unsigned worker) {
    const std::span<const uint32_t> ids(order_.data() + begin, end - begin);
    uint16_t* const out = balls_of_.data() + begin * shape_.fanout;
    if (by_bytes_) {
      assign(*workers_[worker], ids, Leaders<BytePanels>{byte_leaders_, byte_frame_}, shape_.fanout,
             out);
    } else {
      assign(*workers_[worker], ids, Leaders<Panels>{leaders_, frame_}, shape_.fanout, out);
    }
  });
  return Status::ok();
}

// Counting sort by nearest leader.
Status Partition::make_order() {
  const uint32_t n = shared_.points.count;
  Array<uint32_t> offsets(account_, Use::kScratch);
  OMEN_TRY(offsets.resize(shape_.leaders + 1));
  for (uint32_t i = 0; i < n; ++i) ++offsets[balls_of_[size_t{i} * shape_.fanout]];
  uint32_t sum = 0;
  for (uint32_t& offset : offsets) sum += std::exchange(offset, sum);
  for (uint32_t i = 0; i < n; ++i) order_[offsets[balls_of_[size_t{i} * shape_.fanout]]++] = i;
  return Status::ok();
}

Status Partition::run(Executor& executor, const Ball& ball, BulkProgress& progress) {
  const bool is_one_leaf = shared_.points.count <= shared_.leaf_max;
  for (unsigned i = 0; i < (is_one_leaf ? 1 : parallel_workers(executor)); ++i) {
    workers_.push_back(std::make_unique<Worker>(account_, shared_));
    OMEN_TRY(workers_.back()->reserve());
  }
  const uint32_t n = shared_.points.count;
  if (n <= shared_.leaf_max) {
    OMEN_TRY(order_.resize(n));
    std::iota(order_.begin(), order_.end(), 0u);
    if (n > 1) workers_[0]->leaf.run({order_.data(), n});
    OMEN_TRY(drawn_.append(order_.data(), n));
    progress.report(1);
    return Status::ok();
  }
  OMEN_TRY(assign_all(executor, ball));
  Balls balls(account_);
  OMEN_TRY(balls.fill({order_.data(), n}, balls_of_.data(), shape_.fanout, shape_.leaders));
  OMEN_TRY(make_order());
  // The largest first: no thread is left alone with one at the end.
  Array<uint32_t> by_size(account_, Use::kScratch);
  OMEN_TRY(by_size.resize(shape_.leaders));
  std::iota(by_size.begin(), by_size.end(), 0u);
  std::sort(by_size.begin(), by_size.end(), [&](uint32_t a, uint32_t b) {
    const size_t x = balls.of(a).size();
    const size_t y = balls.of(b).size();
    return x != y ? x > y : a < b;
  });
  const auto total = static_cast<double>(balls.members.size());
  std::atomic<uint64_t> done{0};
  parallel_for(executor, by_size.size(), 1, [&](size_t begin, size_t end, unsigned index) {
    Worker& worker = *workers_[index];
    for (size_t i = begin; i < end && worker.status.is_ok(); ++i) {
      const auto ids = balls.of(by_size[i]);
      worker.status = carve(worker, {ids, 1, mix64(seed_ ^ by_size[i])});
      const uint64_t sum = done.fetch_add(ids.size(), std::memory_order_relaxed) + ids.size();
      progress.report(static_cast<double>(sum) / total);
    }
  });
  for (const auto& worker : workers_) OMEN_TRY(Status(worker->status));
  return Status::ok();
}

Status Partition::carve(Worker& worker, const Part& part) {
  const auto m = static_cast<uint32_t>(part.ids.size());
  if (m < 2) return Status::ok();
  if (m <= shared_.leaf_max) {
    worker.leaf.run(part.ids);
    return Status::ok();
  }
  if (part.depth > kDepthMax) {  // No leaders tell these apart: any pieces serve.
    const uint32_t pieces = (m + shared_.leaf_max - 1) / shared_.leaf_max;
    for (uint64_t i = 0; i < pieces; ++i) {
      const size_t begin = i * m / pieces;
      worker.leaf.run(part.ids.subspan(begin, (i + 1) * m / pieces - begin));
    }
    return Status::ok();
  }
  // Balls of half a leaf on average, so that few of them must be carved once more. They do not
  // overlap: the balls that they are carved from do, and more of it gains nothing.
  const uint64_t wanted = (uint64_t{m} * 2 + shared_.leaf_max - 1) / shared_.leaf_max;
  const auto leaders = static_cast<uint32_t>(std::clamp<uint64_t>(wanted, 2, kSplitLeadersMax));
  uint32_t drawn[kSplitLeadersMax];
  Random random(part.seed);
  for (uint64_t i = 0; i < leaders; ++i) {
    const uint64_t begin = i * m / leaders;
    drawn[i] = part.ids[begin + random.below((i + 1) * m / leaders - begin)];
  }
  Balls parts(account_);
  {
    Array<uint16_t> balls_of(account_, Use::kScratch);
    OMEN_TRY(balls_of.resize(m));
    worker.leaders.pack({drawn, leaders}, frame_);
    assign(worker, part.ids, Leaders<Panels>{worker.leaders, frame_}, 1, balls_of.data());
    OMEN_TRY(parts.fill(part.ids, balls_of.data(), 1, leaders));
  }
  for (uint32_t i = 0; i < leaders; ++i) {
    const auto ids = parts.of(i);
    // A part as large as the whole would be carved for ever.
    const uint32_t depth = ids.size() == m ? kDepthMax + 1 : part.depth + 1;
    OMEN_TRY(carve(worker, {ids, depth, mix64(part.seed + i)}));
  }
  return Status::ok();
}

}  // namespace omen
