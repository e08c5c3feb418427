// Codes of data that come ordered by content, that drift, or that change at once: trained anew in
// time, they find what floats find.
#include "db_support.h"

namespace omen::test {
namespace {

constexpr uint32_t kDimensions = 32;
constexpr size_t kRows = 15000;
constexpr size_t kBatch = 250;

using Stream = std::vector<float>;

// Cluster by cluster, in the order of their first coordinate.
Stream ordered(uint64_t seed) {
  Clusters clusters(kDimensions, 60, seed);
  const Stream drawn = clusters.draw_many(kRows);
  std::vector<size_t> order(kRows);
  for (size_t i = 0; i < kRows; ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return drawn[a * kDimensions] < drawn[b * kDimensions]; });
  Stream out;
  for (const size_t i : order) {
    out.insert(out.end(), &drawn[i * kDimensions], &drawn[(i + 1) * kDimensions]);
  }
  return out;
}

// Every dimension moves, over the whole stream by many times what it is wide.
Stream drifting(uint64_t seed) {
  Clusters clusters(kDimensions, 60, seed);
  Stream out = clusters.draw_many(kRows);
  for (size_t i = 0; i < kRows; ++i) {
    const float moved = 100.0f * static_cast<float>(i) / static_cast<float>(kRows);
    for (uint32_t d = 0; d < kDimensions; ++d) {
      out[i * kDimensions + d] += d % 2 == 0 ? moved : -moved;
    }
  }
  return out;
}

// From two thirds on the rows are five times as large: another model, another unit.
Stream changing(uint64_t seed) {
  Clusters clusters(kDimensions, 60, seed);
  Stream out = clusters.draw_many(kRows);
  for (size_t i = out.size() / 3 * 2; i < out.size(); ++i) out[i] *= 5;
  return out;
}

// Recall@10 at ef 100 of queries beside the last rows.
double recall_after(const Stream& stream, Metric metric, Quantization codec) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  const auto c = fixture.make(options_of(kDimensions, metric, codec));
  for (size_t i = 0; i < kRows; i += kBatch) {
    CHECK_OK(write(*c, kAdd, &stream[i * kDimensions], kBatch, kDimensions, {}));
  }
  std::vector<float> queries;
  for (size_t i = kRows - 4000; i < kRows; i += 40) {
    for (uint32_t d = 0; d < kDimensions; ++d) {
      queries.push_back(stream[i * kDimensions + d] * 0.9f +
                        stream[(i + 1) * kDimensions + d] * 0.1f);
    }
  }
  const CheckReport report = c->check();
  CHECK_EQ(report.problem, std::string());
  return recall(*c, queries, kDimensions, 10, 100);
}

TEST(codes_follow_the_data) {
  const struct {
    const char* name;
    Stream stream;
  } streams[] = {{"ordered", ordered(test_seed())},
                 {"drifting", drifting(test_seed())},
                 {"changing", changing(test_seed())}};
  for (const auto& s : streams) {
    for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
      if (metric == Metric::kCosine && &s != &streams[0]) continue;
      const double floats = recall_after(s.stream, metric, Quantization::kNone);
      const double codes = recall_after(s.stream, metric, Quantization::kSq8);
      std::printf("# %s, metric %d: floats %.4f, sq8 %.4f\n", s.name, static_cast<int>(metric),
                  floats, codes);
      CHECK(codes >= floats - 0.005);
    }
  }
}

}  // namespace
}  // namespace omen::test
