// Neighbours chosen by rows of bytes are those that scores choose, by every way into the graph.
#include <cmath>

#include "db_support.h"
#include "graph/bulk/progress.h"
#include "graph/graph.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kRows = 1500;
constexpr size_t kDims = 24;

const simd::Kernels& kernels() { return *simd::choose_kernels().value(); }

// Small integers, some of them copies, whose scorer gives out bytes or does not.
class IntegerSpace final : public Space {
 public:
  IntegerSpace(uint64_t seed, bool with_bytes) : with_bytes_(with_bytes) {
    Clusters clusters(kDims, 20, seed);
    points_ = clusters.draw_many(kRows);
    for (float& x : points_) x = std::round(std::clamp(x * 12, -100.0f, 100.0f));
    Random random(seed);
    for (size_t i = 0; i < kRows / 10; ++i) {
      std::copy_n(row_of(static_cast<uint32_t>(random.below(kRows))), kDims,
                  &points_[random.below(kRows) * kDims]);
    }
  }

  class Scorer final : public SlotScorer {
   public:
    explicit Scorer(const IntegerSpace& space) : space_(space) {}
    void bind(uint32_t slot) override { at_ = slot; }
    void prefetch(const uint32_t*, size_t) const override {}
    uint32_t score(const uint32_t* slots, const uint32_t*, size_t n, float threshold,
                   float* distances) const override {
      uint32_t mask = 0;
      for (size_t i = 0; i < n; ++i) {
        distances[i] = kernels().l2_f32(space_.row_of(at_), space_.row_of(slots[i]), kDims);
        mask |= (distances[i] < threshold ? 1u : 0u) << i;
      }
      return mask;
    }
    bool copy_bytes(const uint32_t* slots, size_t n, float, ByteRows* out) const override {
      if (!space_.with_bytes_) return false;
      ++space_.asked;
      for (size_t i = 0; i < n; ++i) {
        const float* from = space_.row_of(slots[i]);
        for (size_t d = 0; d < kDims; ++d) out->row(i)[d] = static_cast<int8_t>(from[d]);
      }
      out->start(n, {1, false});
      return true;
    }

   private:
    const IntegerSpace& space_;
    uint32_t at_ = 0;
  };
  std::unique_ptr<SlotScorer> make_slot_scorer() const override {
    return std::make_unique<Scorer>(*this);
  }
  size_t dimensions() const override { return kDims; }
  FloatRow row(uint32_t slot, float*) const override { return {row_of(slot), 1.0f}; }
  bool is_euclidean() const override { return true; }
  const float* row_of(uint32_t slot) const { return &points_[slot * kDims]; }

  mutable size_t asked = 0;

 private:
  const bool with_bytes_;
  std::vector<float> points_;
};

class NoProgress final : public BulkProgress {
 public:
  void report(double) override {}
};

// All edges of the bottom layer, after inserts and deletions. The first `bulk` rows go in together.
std::vector<uint32_t> edges_of(const IntegerSpace& space, uint32_t bulk, uint64_t seed) {
  MemoryBudget budget(0);
  MemoryAccount account(&budget);
  SlotStates states(&account, Use::kGraph);
  GraphOptions options;
  options.seed = seed;
  Graph graph(&account, &states, options, kernels());
  InlineExecutor executor;
  std::vector<uint32_t> slots;
  for (uint32_t slot = 0; slot < kRows; ++slot) slots.push_back(slot);
  CHECK_OK(states.ensure(kRows));
  CHECK_OK(graph.reserve(kRows, slots));
  std::vector<std::unique_ptr<BuildScratch>> workers;
  for (int i = 0; i < 2; ++i) {
    workers.push_back(std::make_unique<BuildScratch>(&account));
    CHECK_OK(workers.back()->reserve(kRows, graph.insert_ef(), space, kernels()));
  }
  for (const uint32_t slot : slots) states.set(slot, SlotStates::kLive);
  NoProgress progress;
  if (bulk > 0) {
    CHECK_OK(graph.insert_many({{slots.data(), bulk}, workers, executor, space, progress}));
  }
  for (uint32_t slot = bulk; slot < kRows; ++slot) graph.insert(slot, *workers[0]);
  std::vector<uint64_t> words((kRows + 63) / 64);
  for (uint32_t slot = 0; slot < kRows; slot += 7) {
    CHECK(states.mark(slot));
    words[slot / 64] |= uint64_t{1} << slot % 64;
  }
  const Graph::Accept doomed{words.data(), kRows};
  CHECK_OK(graph.unlink(doomed, kRows, executor, space));
  graph.forget(doomed, kRows);
  for (uint32_t slot = 0; slot < kRows; slot += 7) states.reset(slot);
  CHECK_OK(graph.repair(kRows, space));
  CHECK_OK(graph.validate(kRows));
  std::vector<uint32_t> edges;
  uint32_t row[kRowIdsMax];
  for (uint32_t slot = 0; slot < kRows; ++slot) {
    const uint32_t n = states.load(slot) == 0 ? 0 : graph.read_row(slot, row);
    edges.push_back(n);
    edges.insert(edges.end(), row, row + n);
  }
  return edges;
}

}  // namespace

// Where bytes are what is scored, rows of edges are the same to the last one.
TEST(bytes_choose_the_neighbours_that_scores_choose) {
  const uint64_t seed = test_seed();
  for (const uint32_t bulk : {0u, kRows, kRows / 2}) {
    const IntegerSpace with(seed, true);
    const IntegerSpace without(seed, false);
    CHECK(edges_of(with, bulk, seed) == edges_of(without, bulk, seed));
    CHECK(with.asked > kRows / 2);
    CHECK_EQ(without.asked, 0u);
  }
}

// Distances are those of the bytes; rows that moved up are still themselves; what lies within the
// rounding is not told.
TEST(byte_rows_tell_distances) {
  MemoryBudget budget(0);
  MemoryAccount account(&budget);
  Random random(test_seed());
  for (const size_t n : {1u, 3u, 24u, 128u, 785u}) {
    ByteRows rows(&account);
    CHECK_OK(rows.reserve(kernels(), n));
    const size_t count = 1 + random.below(ByteRows::kMax);
    for (size_t i = 0; i < count; ++i) {
      for (size_t d = 0; d < n; ++d) {
        rows.row(i)[d] = static_cast<int8_t>(static_cast<int>(random.below(256)) - 128);
      }
    }
    rows.start(count, {0.25f, false});
    const size_t moved = random.below(count);
    rows.move(count - 1, moved);
    float distances[kScoreBlock];
    for (size_t begin = 0; begin < count; begin += kScoreBlock) {
      const size_t some = std::min(kScoreBlock, count - begin);
      rows.score(0, begin, some, distances);
      const size_t from = moved == 0 ? count - 1 : 0;
      for (size_t i = 0; i < some; ++i) {
        const size_t at = begin + i == moved ? count - 1 : begin + i;
        CHECK_EQ(distances[i],
                 static_cast<float>(kernels().l2_i8(rows.row(from), rows.row(at), n)) * 0.25f);
      }
    }
    CHECK(rows.can_tell(0, {1, false}));
    CHECK(!rows.can_tell(static_cast<float>(n), {1, true}));
    CHECK(rows.can_tell(static_cast<float>(4 * n), {1, true}));
    CHECK(!rows.can_tell(1, {INFINITY, true}));
  }
}
