// Small graphs churned without end: the entry point, slot reuse and repair have nowhere to hide
// among 1 to 50 nodes.
#include "db_support.h"
#include "graph/graph.h"

using namespace omen;
using namespace omen::test;

namespace {

// Points on a line and a plane: many ties, many duplicates.
class TinySpace final : public Space {
 public:
  struct Point {
    float x, y;
  };
  std::vector<Point> points = std::vector<Point>(64);

  class Scorer final : public SlotScorer {
   public:
    explicit Scorer(const TinySpace& space) : space_(space) {}
    void bind(uint32_t slot) override { at = space_.points[slot]; }
    void prefetch(const uint32_t*, size_t) const override {}
    uint32_t score(const uint32_t* slots, const uint32_t*, size_t n, float threshold,
                   float* distances) const override {
      uint32_t mask = 0;
      for (size_t i = 0; i < n; ++i) {
        const Point& p = space_.points[slots[i]];
        distances[i] = (p.x - at.x) * (p.x - at.x) + (p.y - at.y) * (p.y - at.y);
        mask |= (distances[i] < threshold ? 1u : 0u) << i;
      }
      return mask;
    }
    Point at{0, 0};

   private:
    const TinySpace& space_;
  };
  std::unique_ptr<SlotScorer> make_slot_scorer() const override {
    return std::make_unique<Scorer>(*this);
  }
  size_t dimensions() const override { return 2; }
  FloatRow row(uint32_t slot, float*) const override { return {&points[slot].x, 1.0f}; }
  bool is_euclidean() const override { return true; }
};

struct Tiny {
  explicit Tiny(uint32_t m, uint64_t seed)
      : budget(0),
        account(&budget),
        states(&account, Use::kGraph),
        graph(&account, &states, options_of_graph(m, seed), *simd::choose_kernels().value()),
        scratch(&account) {
    CHECK_OK(states.ensure(64));
    std::vector<uint32_t> all;
    for (uint32_t i = 0; i < 64; ++i) all.push_back(i);
    CHECK_OK(graph.reserve(64, all));
    CHECK_OK(scratch.reserve(64, 64, space, *simd::choose_kernels().value()));
  }
  static GraphOptions options_of_graph(uint32_t m, uint64_t seed) {
    GraphOptions o;
    o.m = m;
    o.ef_construction = 16;
    o.seed = seed;
    return o;
  }
  void consolidate() {
    uint64_t word = 0;
    for (uint32_t slot = 0; slot < 64; ++slot) {
      if (states.has(slot, SlotStates::kMarked)) word |= uint64_t{1} << slot;
    }
    const Graph::Accept doomed{&word, 64};
    CHECK_OK(graph.unlink(doomed, 64, executor, space));
    graph.forget(doomed, 64);
    for (uint32_t slot = 0; slot < 64; ++slot) {
      if (doomed.contains(slot)) states.reset(slot);
    }
    CHECK_OK(graph.repair(64, space));
  }
  MemoryBudget budget;
  MemoryAccount account;
  SlotStates states;
  TinySpace space;
  Graph graph;
  BuildScratch scratch;
  InlineExecutor executor;
};

int64_t churn(uint32_t m, uint32_t nodes_max, uint64_t seed, int64_t steps) {
  Tiny t(m, seed);
  Random random(seed);
  uint32_t live = 0;
  for (int64_t step = 0; step < steps; ++step) {
    const auto slot = static_cast<uint32_t>(random.below(nodes_max));
    const uint8_t state = t.states.load(slot);
    if (state == 0) {
      t.space.points[slot] = {static_cast<float>(random.below(6)),
                              static_cast<float>(random.below(3))};
      t.states.set(slot, SlotStates::kLive);
      t.graph.insert(slot, t.scratch);
      ++live;
    } else if ((state & SlotStates::kLive) != 0) {
      CHECK(t.states.mark(slot));
      --live;
    }
    if (random.below(12) == 0) t.consolidate();
    if (step % 997 == 0) {
      const Status status = t.graph.validate(64);
      if (!status.is_ok()) {
        CHECK_OK(status);
        return step;
      }
    }
    if (step % 1999 == 0) {
      t.consolidate();
      CHECK_EQ(t.graph.count_unreachable(64).value(), 0u);
      TinySpace::Scorer scorer(t.space);
      t.graph.search(scorer, 64, t.scratch.search);
      CHECK_EQ(t.scratch.search.pool_size, live);  // A wide search meets every node.
    }
  }
  CHECK_EQ(t.scratch.node != nullptr, true);
  return steps;
}

}  // namespace

// A million inserts, deletes and consolidations on graphs of 1 to 50 nodes; OMEN_CHURN sets another
// number.
TEST(tiny_graphs_survive_a_million_operations) {
  const uint64_t seed = test_seed();
  const char* given = std::getenv("OMEN_CHURN");
  const int64_t total = given != nullptr ? std::atoll(given) : 1000000;
  int64_t done = 0;
  for (uint64_t round = 0; done < total; ++round) {
    const auto nodes = static_cast<uint32_t>(1 + (seed + round * 7) % 50);
    const uint32_t m = round % 3 == 0 ? 2 : round % 3 == 1 ? 4 : 16;
    done += churn(m, nodes, seed + round, std::min<int64_t>(total - done, 20000));
  }
  CHECK_EQ(done, total);
}
