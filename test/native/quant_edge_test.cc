// Codes of neighbours relative to their node: estimates are right on average, close near the query,
// the same with every table, and a lane's business alone.
#include <memory>

#include "quant/edge_codec.h"
#include "quant_support.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr size_t kLanes = EdgeCodec::kLanes;

struct Edges {
  Edges(Distance distance, const Rows8& rows, const simd::Kernels& k)
      : data(rows),
        binary(BinaryCodec::train({distance, rows.dimensions, rows.rows.data(), rows.scales.data(),
                                   rows.rows.size(), 3},
                                  k)
                   .take()),
        codec(*binary, k),
        account(&budget),
        query(&account),
        rotated(codec.padded()) {
    CHECK_OK(prepared.reserve(rows.dimensions));
  }
  EdgeCodec::Row row(size_t i) const { return {data.rows[i], data.scales[i]}; }
  // The neighbours' codes, `first` and on.
  std::vector<uint64_t> block_of(size_t node, size_t first) {
    std::vector<uint64_t> block(codec.block_bytes() / 8);
    auto* bytes = reinterpret_cast<uint8_t*>(block.data());
    codec.prepare_node(row(node), rotated.data());
    for (size_t lane = 0; lane < kLanes; ++lane) {
      codec.encode({row(node), rotated.data()}, row(first + lane), lane, bytes);
    }
    return block;
  }
  void prepare(size_t i) {
    binary->prepare(data.rows[i], data.scales[i], &prepared);
    CHECK_OK(codec.prepare(prepared, &query));
  }
  void score(const std::vector<uint64_t>& block, float node_distance, float* out) const {
    codec.score(query, reinterpret_cast<const uint8_t*>(block.data()), node_distance, out);
  }

  const Rows8& data;
  std::unique_ptr<BinaryCodec> binary;
  EdgeCodec codec;
  MemoryBudget budget{0};
  MemoryAccount account;
  EdgeQuery query;
  PreparedQuery prepared;
  std::vector<float> rotated;
};

double length(const float* a, float sa, const float* b, float sb, uint32_t d) {
  double sum = 0;
  for (uint32_t i = 0; i < d; ++i) {
    const double x = static_cast<double>(a[i]) * sa - static_cast<double>(b[i]) * sb;
    sum += x * x;
  }
  return std::sqrt(sum);
}

}  // namespace

// Off by no more than RaBitQ says, |r| |q - c| / sqrt(n) times the tangent of the mean angle, and
// by nothing on average.
TEST(edge_estimates_are_unbiased_and_close) {
  for (const uint32_t d : {32u, 100u, 128u, 784u, 1536u}) {
    for (const Distance distance : kAll) {
      Clusters clusters(d, 12, test_seed());
      const Rows8 data(clusters.draw_many(400), d, distance);
      Edges edges(distance, data, kernels());
      double bias = 0;
      double squares = 0;
      size_t count = 0;
      for (size_t node = 0; node < 30; ++node) {
        const auto block = edges.block_of(node, 40);
        for (size_t q = 300; q < 320; ++q) {
          edges.prepare(q);
          const auto truth = [&](size_t i) {
            return exact(distance, data.rows[q], data.scales[q], data.rows[i], data.scales[i], d);
          };
          float estimates[kLanes];
          edges.score(block, static_cast<float>(truth(node)), estimates);
          const double to_node =
              length(data.rows[q], data.scales[q], data.rows[node], data.scales[node], d);
          for (size_t lane = 0; lane < kLanes; ++lane) {
            const size_t i = 40 + lane;
            const double edge =
                length(data.rows[i], data.scales[i], data.rows[node], data.scales[node], d);
            // Of dot, the error goes with the query's own distance from the centre.
            const double reach =
                distance == Distance::kDot
                    ? std::sqrt(exact(Distance::kL2, data.rows[q], 1, edges.binary->centre(), 1, d))
                    : to_node;
            const double slope = distance == Distance::kL2 ? 2 : 1;
            const double unit = slope * edge * reach / std::sqrt(static_cast<double>(d));
            const double off = (estimates[lane] - truth(i)) / std::max(unit, 1e-9);
            bias += off;
            squares += off * off;
            ++count;
          }
        }
      }
      const double mean = bias / static_cast<double>(count);
      const double deviation = std::sqrt(squares / static_cast<double>(count));
      if (!CHECK(std::fabs(mean) < 0.1) || !CHECK(deviation < 0.9) || !CHECK(deviation > 0.05)) {
        std::printf("  %u dimensions: mean %.3f, deviation %.3f\n", d, mean, deviation);
      }
    }
  }
}

// Dimensions that hold nearly everything are kept as they are.
TEST(edges_keep_dominant_dimensions_exactly) {
  constexpr uint32_t kDimensions = 64;
  for (const Distance distance : {Distance::kL2, Distance::kDot}) {
    Clusters clusters(kDimensions, 12, test_seed());
    auto values = clusters.draw_many(400);
    for (size_t i = 7; i < values.size(); i += kDimensions) values[i] *= 1000;
    const Rows8 data(std::move(values), kDimensions, distance);
    Edges edges(distance, data, kernels());
    CHECK(edges.binary->dominants() >= 1);
    const auto block = edges.block_of(0, 40);
    double worst = 0;
    double scale = 0;
    for (size_t q = 300; q < 320; ++q) {
      edges.prepare(q);
      const auto truth = [&](size_t i) {
        return exact(distance, data.rows[q], 1, data.rows[i], 1, kDimensions);
      };
      float estimates[kLanes];
      edges.score(block, static_cast<float>(truth(0)), estimates);
      for (size_t lane = 0; lane < kLanes; ++lane) {
        worst = std::max(worst, std::fabs(estimates[lane] - truth(40 + lane)));
        scale = std::max(scale, std::fabs(truth(40 + lane)));
      }
    }
    CHECK(worst < 1e-3 * scale);
  }
}

// A row packed on one machine scores the same on another.
TEST(edge_codes_are_equal_in_every_table) {
  constexpr uint32_t kDimensions = 200;
  Clusters clusters(kDimensions, 12, test_seed());
  const Rows8 data(clusters.draw_many(200), kDimensions, Distance::kCosine);
  Edges reference(Distance::kCosine, data, simd::scalar::kTable);
  const auto expected = reference.block_of(3, 40);
  reference.prepare(100);
  float want[kLanes];
  reference.score(expected, 0.5f, want);
  for (const simd::Kernels* const* t = simd::available_kernels(); *t != nullptr; ++t) {
    Edges edges(Distance::kCosine, data, **t);
    const auto block = edges.block_of(3, 40);
    CHECK(block == expected);
    edges.prepare(100);
    float got[kLanes];
    edges.score(block, 0.5f, got);
    CHECK(std::equal(got, got + kLanes, want));
  }
}

// Writing a lane leaves the others, and a cleared one is farther than anything.
TEST(lanes_are_written_alone) {
  constexpr uint32_t kDimensions = 96;
  Clusters clusters(kDimensions, 12, test_seed());
  const Rows8 data(clusters.draw_many(200), kDimensions, Distance::kL2);
  Edges edges(Distance::kL2, data, kernels());
  edges.prepare(100);
  auto block = edges.block_of(3, 40);
  float before[kLanes];
  edges.score(block, 1.0f, before);
  auto* bytes = reinterpret_cast<uint8_t*>(block.data());
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const auto whole = block;
    float after[kLanes];
    edges.codec.clear(lane, bytes);
    edges.score(block, 1.0f, after);
    for (size_t i = 0; i < kLanes; ++i) CHECK_EQ(after[i], i == lane ? FLT_MAX : before[i]);
    edges.codec.encode({edges.row(3), edges.rotated.data()}, edges.row(80), lane, bytes);
    edges.codec.encode({edges.row(3), edges.rotated.data()}, edges.row(40 + lane), lane, bytes);
    CHECK(block == whole);
  }
}

// Copies of the node, rows of nothing, huge values: estimates are numbers, and copies are as far as
// the node.
TEST(edges_bear_odd_data) {
  constexpr uint32_t kDimensions = 64;
  for (const Distance distance : {Distance::kL2, Distance::kDot}) {
    Clusters clusters(kDimensions, 3, test_seed());
    auto values = clusters.draw_many(200);
    for (size_t i = 40 * kDimensions; i < 41 * kDimensions; ++i)
      values[i] = values[i % kDimensions];
    for (size_t i = 41 * kDimensions; i < 42 * kDimensions; ++i) values[i] = 0;
    for (size_t i = 42 * kDimensions; i < 43 * kDimensions; ++i) values[i] = i % 2 ? 1e18f : -1e18f;
    const Rows8 data(std::move(values), kDimensions, distance);
    Edges edges(distance, data, kernels());
    const auto block = edges.block_of(0, 40);
    for (const size_t q : {0u, 41u, 42u, 100u}) {
      edges.prepare(q);
      float estimates[kLanes];
      edges.score(block, 3.0f, estimates);
      for (const float e : estimates) CHECK(std::isfinite(e));
      CHECK_EQ(estimates[0], 3.0f);
    }
  }
}
