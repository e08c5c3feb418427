// Graph: linking many slots at once. See bulk_build.h.
#include "graph/bulk_build.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "exec/parallel_for.h"

namespace omen {

namespace {

// A leaf's panels fit the second cache: 1.3 MB.
constexpr uint32_t kLeafMax = 1024;
constexpr uint32_t kLeafMin = 256;
constexpr size_t kLeafValuesMax = size_t{5} << 17;
// Balls that each point joins at an efConstruction of 96, and twice as many at most; measured
// (docs/decisions/0018).
constexpr uint32_t kFanout = 6;
constexpr uint32_t kUnevenFanout = 8;
constexpr double kUsualEf = 96;
constexpr double kEffortMin = 2.0 / 3;
constexpr double kEffortMax = 2;
constexpr double kLongListEffort = 1.5;
static_assert(kFanout * kEffortMax <= simd::kTileNearestMax);
constexpr uint32_t kLeadersMax = 2048;
// Of which so many are linked among each other.
constexpr uint32_t kBridgesMax = 1024;
constexpr uint32_t kCentrePoints = 1024;
constexpr size_t kPassGrain = 512;
constexpr size_t kRowsGrain = 256;
constexpr size_t kListsAhead = 3;
constexpr double kPlanShare = 0.7;  // Of the time, for progress.
// How much nearer to a kept neighbour than to the node a candidate must be to be pruned: 1.1 in
// distance.
constexpr float kSlack = 1.1f * 1.1f;
constexpr uint32_t kTwinChildren = 3;

uint32_t leaf_max_for(size_t dimensions) {
  const size_t fitting = kLeafValuesMax / std::max<size_t>(dimensions, 1);
  return static_cast<uint32_t>(std::clamp<size_t>(fitting, kLeafMin, kLeafMax));
}

// How much is done for a point, beside the usual.
double effort_for(uint32_t ef_construction, size_t points) {
  const double wanted = Graph::few_factor(points) * ef_construction / kUsualEf;
  return std::clamp(wanted, kEffortMin, kEffortMax);
}

uint32_t times(uint32_t usual, double effort) {
  return static_cast<uint32_t>(std::lround(usual * effort));
}

// As many leaders as make balls of three quarters of a leaf.
PartitionShape shape_for(uint32_t points, uint32_t leaf_max, double effort) {
  const uint32_t fanout = times(kFanout, effort);
  const uint64_t wanted = uint64_t{points} * fanout * 4 / (uint64_t{leaf_max} * 3) + 1;
  const auto leaders =
      static_cast<uint32_t>(std::clamp<uint64_t>(wanted, simd::kTileNearestMax, kLeadersMax));
  // More than the leaders were drawn for makes balls that are carved again.
  const uint32_t uneven = std::max(fanout, times(kUnevenFanout, std::min(effort, 1.0)));
  return {leaders, fanout, uneven};
}

// Reports a part of the whole.
class PartOfProgress final : public BulkProgress {
 public:
  PartOfProgress(BulkProgress& whole, double from, double share)
      : whole_(whole), from_(from), share_(share) {}
  void report(double share) override { whole_.report(from_ + share * share_); }

 private:
  BulkProgress& whole_;
  const double from_;
  const double share_;
};

class NoProgress final : public BulkProgress {
 public:
  void report(double) override {}
};

// The mean of a sample, scaled.
void find_centre(const BulkPoints& points, uint64_t seed, float* centre) {
  const size_t n = points.dimensions;
  const uint32_t count = std::min(points.count, kCentrePoints);
  std::fill(centre, centre + n, 0.0f);
  Random random(seed);
  float room[kRowFloatsMax];
  for (uint32_t i = 0; i < count; ++i) {
    const FloatRow row = points.row(static_cast<uint32_t>(random.below(points.count)), room);
    const float weight = row.scale / static_cast<float>(count);
    for (size_t d = 0; d < n; ++d) centre[d] += row.values[d] * weight;
  }
}

float find_radius(const BulkPoints& points, const float* centre, Executor& executor) {
  const auto norm = static_cast<float>(points.kernels.norm_f32(centre, points.dimensions));
  std::atomic<float> radius{0};
  parallel_for(executor, points.count, kPassGrain, [&](size_t begin, size_t end, unsigned) {
    float room[kRowFloatsMax];
    float largest = 0;
    for (size_t i = begin; i < end; ++i) {
      const FloatRow row = points.row(static_cast<uint32_t>(i), room);
      largest = std::max(largest, distance_to(points, row, centre, norm));
    }
    float old = radius.load(std::memory_order_relaxed);
    while (largest > old && !radius.compare_exchange_weak(old, largest)) {
    }
  });
  return radius.load() * 1.0001f + 1e-30f;
}

}  // namespace

// ---- planning: candidates for every layer ----

Status Graph::BulkBuild::plan() {
  uint32_t top = 0;
  for (const uint32_t slot : bulk_.fresh) top = std::max(top, graph_.level_of(slot));
  size_t points = bulk_.fresh.size();
  Entry entry;
  if (points == 0 && graph_.load_entry(&entry)) {  // All layers anew.
    top = entry.level;
    points = graph_.nodes_.load(std::memory_order_acquire);
  }
  const double effort = effort_for(graph_.options_.ef_construction, points);
  const uint32_t entries = graph_.layer(0).rows.capacity() * (effort < kLongListEffort ? 1 : 2);
  const uint32_t list_size = std::clamp<uint32_t>((entries + 15) / 16 * 16, 32, 128);
  for (uint32_t level = 0; level <= top; ++level) {
    plans_.push_back(std::make_unique<Plan>(graph_.account_, level, list_size));
    OMEN_TRY(gather(*plans_.back()));
    OMEN_TRY(plan_layer(*plans_.back()));
  }
  return Status::ok();
}

Status Graph::BulkBuild::gather(Plan& plan) {
  size_t wanted = plan.level == 0 ? bulk_.fresh.size() : 0;
  for (const uint32_t slot : bulk_.fresh) {
    wanted += plan.level > 0 && graph_.level_of(slot) >= plan.level ? 1 : 0;
  }
  const Layer& l = graph_.layer(plan.level);
  const uint32_t high =
      plan.level == 0 ? graph_.nodes_.load(std::memory_order_acquire) : l.high_water;
  const auto is_linked = [&](uint32_t node) {
    const uint32_t slot = graph_.slot_of(plan.level, node);
    return slot != kNoSlot && graph_.states_->has(slot, SlotStates::kLinked) &&
           !graph_.states_->has(slot, SlotStates::kMarked);
  };
  plan.fresh = static_cast<uint32_t>(wanted);
  for (uint32_t node = 0; node < high; ++node) wanted += is_linked(node) ? 1 : 0;
  OMEN_TRY(plan.slots.reserve(wanted));
  OMEN_TRY(plan.nodes.reserve(wanted));
  for (const uint32_t slot : bulk_.fresh) {
    if (plan.level > 0 && graph_.level_of(slot) < plan.level) continue;
    plan.slots.push_back_reserved(slot);
    plan.nodes.push_back_reserved(slot);  // Above the bottom: see number().
  }
  for (uint32_t node = 0; node < high; ++node) {
    if (!is_linked(node)) continue;
    plan.slots.push_back_reserved(graph_.slot_of(plan.level, node));
    plan.nodes.push_back_reserved(node);
  }
  return Status::ok();
}

Status Graph::BulkBuild::plan_layer(Plan& plan) {
  MemoryAccount* const account = graph_.account_;
  const size_t n = bulk_.space.dimensions();
  const uint64_t seed = mix64(graph_.options_.seed + plan.level);
  const BulkPoints all{bulk_.space, graph_.kernels_, plan.slots.data(),
                       static_cast<uint32_t>(plan.slots.size()), n};
  OMEN_TRY(plan.twins.find(all, seed, bulk_.executor));
  Array<uint32_t> slots(account, Use::kScratch);
  OMEN_TRY(slots.reserve(plan.twins.heads().size()));
  for (const uint32_t point : plan.twins.heads()) slots.push_back_reserved(plan.slots[point]);
  const BulkPoints points{bulk_.space, graph_.kernels_, slots.data(),
                          static_cast<uint32_t>(slots.size()), n};

  Array<float> centre(account, Use::kScratch);
  OMEN_TRY(centre.resize(n));
  find_centre(points, seed, centre.data());
  const float radius = find_radius(points, centre.data(), bulk_.executor);
  Sketches sketches(account);
  // Three standard deviations of a projection by directions of variance 1/4.
  OMEN_TRY(sketches.reserve(points, centre.data(), 1.5f * radius, seed));
  parallel_for(bulk_.executor, points.count, kPassGrain, [&](size_t begin, size_t end, unsigned) {
    for (size_t i = begin; i < end; ++i) sketches.compute(points, static_cast<uint32_t>(i));
  });

  OMEN_TRY(plan.lists.reserve(points.count));
  const uint32_t nearest = std::clamp<uint32_t>(graph_.options_.m * 5 / 16, 4, 12);
  // A small layer's workers need no more room than it has points.
  const uint32_t leaf_max = std::min(leaf_max_for(n), std::max(points.count, kLeafMin));
  const BulkShared shared{points, sketches, plan.lists, leaf_max, nearest};
  const double effort = effort_for(graph_.options_.ef_construction, points.count);
  Partition partition(account, shared, shape_for(points.count, leaf_max, effort), seed);
  NoProgress silent;
  PartOfProgress part(bulk_.progress, 0, kPlanShare);
  BulkProgress& progress = plan.level == 0 ? static_cast<BulkProgress&>(part) : silent;
  OMEN_TRY(partition.run(bulk_.executor, {centre.data(), radius}, progress));
  const auto leaders = partition.leaders();
  const size_t bridges = std::min<size_t>(leaders.size(), kBridgesMax);
  OMEN_TRY(plan.leaders.reserve(bridges));
  for (size_t i = 0; i < bridges; ++i) {
    plan.leaders.push_back_reserved(leaders[i * leaders.size() / bridges]);
  }
  const Layer& l = graph_.layer(plan.level);
  const uint32_t high =
      plan.level == 0 ? graph_.nodes_.load(std::memory_order_acquire) : l.reserved;
  OMEN_TRY(plan.reverse.reserve(points.count, high));
  return put_in_order(plan, partition.order());
}

Status Graph::BulkBuild::put_in_order(Plan& plan, std::span<const uint32_t> near_together) {
  OMEN_TRY(plan.order.reserve(near_together.size()));
  for (const bool fresh : {true, false}) {
    for (const uint32_t head : near_together) {
      if ((plan.head(head) < plan.fresh) == fresh) plan.order.push_back_reserved(head);
    }
  }
  return Status::ok();
}

// ---- linking ----

void Graph::BulkBuild::link() {
  const Plan* below = nullptr;
  for (const auto& plan : plans_) {
    number(*plan, below);
    choose_rows(*plan);
    hang_twins(*plan);
    link_leaders(*plan);
    add_reverse(*plan);
    below = plan.get();
  }
  const Plan& top = *plans_.back();
  const std::lock_guard<std::mutex> guard(graph_.entry_mutex_);
  Entry entry;
  if (graph_.load_entry(&entry) && entry.level >= top.level) return;
  graph_.store_entry(top.level, top.nodes[0]);
}

// New nodes get their numbers and empty rows, and count as linked before anything leads to them.
void Graph::BulkBuild::number(Plan& plan, const Plan* below) {
  if (below == nullptr) {
    parallel_for(bulk_.executor, plan.fresh, kPassGrain, [&](size_t begin, size_t end, unsigned) {
      for (size_t i = begin; i < end; ++i) {
        graph_.layers_[0]->rows.write(plan.slots[i], nullptr, 0);
        graph_.states_->set(plan.slots[i], SlotStates::kLinked);
      }
    });
    return;
  }
  uint32_t at = 0;
  for (uint32_t i = 0; i < plan.fresh; ++i) {
    const uint32_t slot = plan.slots[i];
    while (below->slots[at] != slot) ++at;  // In the same order, and there.
    plan.nodes[i] = graph_.take_number(plan.level, slot, below->nodes[at]);
  }
}

void Graph::BulkBuild::choose_rows(const Plan& plan) {
  const auto all = static_cast<uint32_t>(plan.order.size());
  const auto others = plan.twins.others();
  // Heads of twins leave room for them.
  const auto room = [&](uint32_t head) {
    const auto first =
        std::lower_bound(others.begin(), others.end(), head,
                         [](const Twins::Twin& twin, uint32_t value) { return twin.head < value; });
    uint32_t twins = 0;
    for (auto it = first; it != others.end() && it->head == head && twins < kTwinChildren; ++it) {
      ++twins;
    }
    return twins;
  };
  uint32_t fresh = 0;
  while (fresh < all && plan.head(plan.order[fresh]) < plan.fresh) ++fresh;
  std::atomic<uint32_t> done{0};
  const auto pass = [&](uint32_t from, uint32_t to) {
    parallel_for(
        bulk_.executor, to - from, kRowsGrain, [&](size_t begin, size_t end, unsigned worker) {
          BuildScratch& scratch = *bulk_.workers[worker];
          const uint32_t* heads = plan.order.data() + from;
          for (size_t i = begin; i < end; ++i) {
            if (i + kListsAhead < end) plan.lists.prefetch_ids(heads[i + kListsAhead]);
            if (i + 1 < end) prefetch_listed(plan, heads[i + 1], scratch);
            choose_row(plan, heads[i], others.empty() ? 0 : room(heads[i]), scratch);
          }
          if (plan.level > 0) return;
          const auto count = static_cast<uint32_t>(end - begin);
          const double share = (done.fetch_add(count) + count) / static_cast<double>(all);
          bulk_.progress.report(kPlanShare + (1 - kPlanShare) * share);
        });
  };
  pass(0, fresh);
  pass(fresh, all);
}

// The rows of a list that comes next.
void Graph::BulkBuild::prefetch_listed(const Plan& plan, uint32_t head,
                                       const BuildScratch& scratch) const {
  const uint32_t* ids = plan.lists.ids(head);
  const uint32_t size = plan.lists.size(head);
  uint32_t slots[kScoreBlock];
  for (uint32_t i = 0; i < std::min<uint32_t>(size, kScoreBlock); ++i) {
    slots[i] = plan.slots[plan.head(ids[i])];
  }
  scratch.node->prefetch(slots, std::min<size_t>(size, kScoreBlock));
}

// From the list, and what an old node had, by the distances that searches go by.
void Graph::BulkBuild::choose_row(const Plan& plan, uint32_t head, uint32_t room,
                                  BuildScratch& scratch) {
  EdgeRows& rows = graph_.layers_[plan.level]->rows;
  const uint32_t node = plan.node(head);
  const uint32_t slot = graph_.slot_of(plan.level, node);
  Candidates c;
  const uint32_t* ids = plan.lists.ids(head);
  for (uint32_t i = 0; i < plan.lists.size(head); ++i) c.push(plan.node(ids[i]), 0);
  uint32_t row[kRowIdsMax];
  const uint32_t had = plan.head(head) < plan.fresh ? 0 : rows.read_counted(node, row);
  for (uint32_t i = 0; i < had; ++i) {
    const uint32_t other = graph_.slot_of(plan.level, row[i]);
    if (graph_.states_->has(other, SlotStates::kMarked)) continue;
    if (std::find(c.nodes, c.nodes + c.size, row[i]) == c.nodes + c.size) c.push(row[i], 0);
  }
  scratch.node->bind(slot);
  graph_.score_all(plan.level, *scratch.node, c);
  c.sort();
  // Ratios of what the dot product calls distances mean nothing.
  const Keep keep{rows.capacity() - room, bulk_.space.is_euclidean() ? kSlack : 1.0f};
  const size_t kept = graph_.select(plan.level, c, keep, scratch);
  const SlotLock lock(*graph_.states_, slot);
  rows.write(node, c.nodes, kept);
}

// The members of a kind are a tree with the head as its root. A twin has the head's neighbours too,
// so that it can take the head's place.
void Graph::BulkBuild::hang_twins(const Plan& plan) {
  const auto others = plan.twins.others();
  EdgeRows& rows = graph_.layers_[plan.level]->rows;
  const size_t capacity = rows.capacity();
  for (size_t begin = 0, end = 0; begin < others.size(); begin = end) {
    while (end < others.size() && others[end].head == others[begin].head) ++end;
    const size_t members = end - begin + 1;
    const auto member = [&](size_t i) {
      return i == 0 ? plan.node(others[begin].head) : plan.nodes[others[begin + i - 1].point];
    };
    uint32_t near[kRowIdsMax];
    const uint32_t near_count = rows.read_counted(member(0), near);
    for (size_t i = members; i-- > 0;) {
      uint32_t row[kRowIdsMax];
      size_t n = 0;
      const auto add = [&](uint32_t id) {
        if (n < capacity && id != member(i) && std::find(row, row + n, id) == row + n)
          row[n++] = id;
      };
      if (i > 0) add(member((i - 1) / kTwinChildren));
      for (size_t child = 1; child <= kTwinChildren; ++child) {
        if (i * kTwinChildren + child < members) add(member(i * kTwinChildren + child));
      }
      for (uint32_t j = 0; j < near_count; ++j) add(near[j]);
      const SlotLock lock(*graph_.states_, graph_.slot_of(plan.level, member(i)));
      rows.write(member(i), row, n);
    }
  }
}

// Leaves that lie far from all others are islands, and their leaders the bridges: among each other
// they are linked by the diversity rule over all leaders, which alone makes a connected graph.
void Graph::BulkBuild::link_leaders(const Plan& plan) {
  if (plan.leaders.size() < 2) return;
  parallel_for(bulk_.executor, plan.leaders.size(), 8,
               [&](size_t begin, size_t end, unsigned worker) {
                 for (size_t i = begin; i < end; ++i) {
                   link_leader(plan, plan.leaders[i], *bulk_.workers[worker]);
                 }
               });
}

void Graph::BulkBuild::link_leader(const Plan& plan, uint32_t leader, BuildScratch& scratch) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EdgeRows& rows = graph_.layers_[plan.level]->rows;
  const uint32_t node = plan.node(leader);
  const uint32_t slot = graph_.slot_of(plan.level, node);
  struct Near {
    float distance;
    uint32_t node;
    bool operator<(const Near& o) const {
      return distance != o.distance ? distance < o.distance : node < o.node;
    }
  };
  static_assert(kLeafMax <= kBridgesMax);  // One leaf's points are all leaders.
  OMEN_ASSERT(plan.leaders.size() <= kBridgesMax);
  Near all[kBridgesMax];
  size_t count = 0;
  scratch.node->bind(slot);
  for (size_t first = 0; first < plan.leaders.size(); first += kScoreBlock) {
    const size_t block = std::min(kScoreBlock, plan.leaders.size() - first);
    uint32_t nodes[kScoreBlock];
    float distances[kScoreBlock];
    for (size_t i = 0; i < block; ++i) nodes[i] = plan.node(plan.leaders[first + i]);
    graph_.score_nodes(plan.level, *scratch.node, nodes, block, kInfinity, distances);
    for (size_t i = 0; i < block; ++i) {
      if (nodes[i] != node) all[count++] = {distances[i], nodes[i]};
    }
  }
  const size_t looked_at = std::min(count, Candidates::kMax);
  if (looked_at < count) std::nth_element(all, all + looked_at, all + count);
  std::sort(all, all + looked_at);
  Candidates c;
  for (size_t i = 0; i < looked_at; ++i) c.push(all[i].node, all[i].distance);
  const size_t limit = rows.capacity() / 4;
  const size_t kept = graph_.select(plan.level, c, {limit}, scratch);
  const SlotLock lock(*graph_.states_, slot);
  uint32_t row[kRowIdsMax];
  size_t n = rows.read_counted(node, row);
  // Where the row is full, the farthest neighbours give way.
  size_t fresh = 0;
  for (size_t i = 0; i < kept; ++i) {
    if (std::find(row, row + n, c.nodes[i]) == row + n) c.nodes[fresh++] = c.nodes[i];
  }
  n = std::min<size_t>(n, rows.capacity() - fresh);
  std::copy(c.nodes, c.nodes + fresh, row + n);
  rows.write(node, row, n + fresh);
}

// Each edge is led back where there is room, unless it is there. The lists are done with, and their
// memory holds the edges meanwhile.
void Graph::BulkBuild::add_reverse(Plan& plan) {
  EdgeRows& rows = graph_.layers_[plan.level]->rows;
  const auto read = [&](size_t head, uint32_t* node, uint32_t* row) {
    *node = plan.node(static_cast<uint32_t>(head));
    return rows.read_counted(*node, row);
  };
  plan.reverse.collect(bulk_.executor, plan.lists.take_memory(), read);
  plan.reverse.take(bulk_.executor, [&](uint32_t to, uint32_t from) { rows.append(to, from); });
}

Status Graph::insert_many(const Bulk& bulk) {
  BulkBuild build(*this, bulk);
  OMEN_TRY(build.plan());
  begin_change();
  build.link();
  return Status::ok();
}

}  // namespace omen
