// What the tests of the collection share: one over a pool or inline, rows with structure, exact
// answers.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "db/collection_impl.h"
#include "db/database.h"
#include "exec/executor.h"
#include "test.h"

namespace omen::test {

struct Fixture {
  explicit Fixture(Executor* executor, uint64_t limit_bytes = 0) {
    env.executor = executor;
    env.budget = std::make_shared<MemoryBudget>(limit_bytes);
    env.kernels = simd::choose_kernels().take();
    env.clock = &clock;
    env.seed = 7;
  }
  std::shared_ptr<Collection> make(const CollectionOptions& options) {
    return Collection::create("test", options, env).take();
  }
  SystemClock clock;
  Collection::Env env;
};

inline CollectionOptions options_of(uint32_t dimensions, Metric metric, Quantization codec,
                                    Layout layout = Layout::kCompact) {
  CollectionOptions o;
  o.dimensions = dimensions;
  o.metric = metric;
  o.quantization = codec;
  o.layout = layout;
  return o;
}

// Adds or replaces rows [0, count) of `vectors` under the given ids; empty ids: generated.
inline Status write(Collection& c, Commit::Kind kind, const float* vectors, size_t count,
                    uint32_t dimensions, const std::vector<uint64_t>& ids,
                    const std::vector<std::string>& metadata = {}) {
  auto batch = c.begin_write(count, dimensions);
  if (!batch.is_ok()) return batch.status();
  OMEN_TRY(batch.value()->stage_vectors(0, count, vectors));
  for (size_t i = 0; i < ids.size(); ++i) OMEN_TRY(batch.value()->stage_integer_id(i, ids[i]));
  for (size_t i = 0; i < metadata.size(); ++i) {
    OMEN_TRY(batch.value()->stage_metadata(i, metadata[i]));
  }
  Commit commit;
  commit.kind = kind;
  commit.batch = batch.take();
  c.run(&commit);
  return commit.status;
}

inline Commit::Kind kAdd = Commit::Kind::kAdd;
inline Commit::Kind kUpsert = Commit::Kind::kUpsert;

inline std::shared_ptr<const Filter> filter_of(const std::string& text) {
  return Filter::parse(text, nullptr).take();
}

inline uint64_t remove(Collection& c, const std::vector<uint64_t>& ids) {
  Commit commit;
  commit.kind = Commit::Kind::kDeleteIds;
  for (const uint64_t id : ids) commit.ids.push_back(IdOut{false, 0, id});
  c.run(&commit);
  return commit.count;
}

inline Status optimize(Collection& c) {
  Commit commit;
  commit.kind = Commit::Kind::kOptimize;
  c.run(&commit);
  return commit.status;
}

// Clusters of low intrinsic dimension, as embeddings are: never uniform noise.
class Clusters {
 public:
  Clusters(uint32_t dimensions, uint32_t clusters, uint64_t seed)
      : dimensions_(dimensions), clusters_(clusters), random_(seed) {
    centres_.resize(static_cast<size_t>(clusters) * dimensions);
    directions_.resize(static_cast<size_t>(clusters) * kInner * dimensions);
    for (float& x : centres_) x = static_cast<float>(normal() * 4);
    for (float& x : directions_) x = static_cast<float>(normal());
  }
  double normal() {
    const double u = random_.unit() + 1e-12;
    return std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * random_.unit());
  }
  void draw(float* out) {
    const size_t c = random_.below(clusters_);
    for (uint32_t i = 0; i < dimensions_; ++i) {
      out[i] = centres_[c * dimensions_ + i] + static_cast<float>(0.1 * normal());
    }
    for (size_t j = 0; j < kInner; ++j) {
      const auto along = static_cast<float>(normal());
      const float* direction = &directions_[(c * kInner + j) * dimensions_];
      for (uint32_t i = 0; i < dimensions_; ++i) out[i] += along * direction[i];
    }
  }
  std::vector<float> draw_many(size_t rows) {
    std::vector<float> out(rows * dimensions_);
    for (size_t r = 0; r < rows; ++r) draw(&out[r * dimensions_]);
    return out;
  }

 private:
  static constexpr size_t kInner = 8;
  uint32_t dimensions_;
  uint32_t clusters_;
  Random random_;
  std::vector<float> centres_;
  std::vector<float> directions_;
};

// Share of the exact scan's k hits (by distance, so that ties count) that the graph finds.
inline double recall(Collection& c, const std::vector<float>& queries, uint32_t dimensions,
                     uint32_t k, uint32_t ef,
                     const std::shared_ptr<const Filter>& filter = nullptr) {
  double found = 0;
  double wanted = 0;
  for (size_t q = 0; q * dimensions < queries.size(); ++q) {
    SearchOptions o;
    o.k = k;
    o.ef = ef;
    o.filter = filter;
    o.mode = Mode::kExact;
    Rows exact;
    CHECK_OK(c.search(&queries[q * dimensions], dimensions, o, &exact));
    o.mode = Mode::kGraph;
    Rows graph;
    CHECK_OK(c.search(&queries[q * dimensions], dimensions, o, &graph));
    CHECK_EQ(graph.ids.size(), exact.ids.size());
    if (exact.distances.empty()) continue;
    const float worst = exact.distances.back();
    for (const float d : graph.distances) found += d <= worst ? 1 : 0;
    wanted += static_cast<double>(exact.distances.size());
  }
  return wanted == 0 ? 1 : found / wanted;
}

}  // namespace omen::test
