// Binary codes: what RaBitQ promises of them, over made and real data.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "quant/binary.h"
#include "quant_support.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr size_t kWidths[] = {1, 2};

std::unique_ptr<BinaryCodec> train(Distance distance, const Rows8& data, uint64_t seed,
                                   size_t bits) {
  auto trained = BinaryCodec::train({distance, data.dimensions, data.rows.data(),
                                     data.scales.data(), data.rows.size(), seed, bits},
                                    kernels());
  CHECK_OK(trained);
  return trained.take();
}

std::vector<float> normals(size_t count, uint64_t seed) {
  Clusters source(1, 1, seed);
  std::vector<float> v(count);
  for (float& x : v) x = static_cast<float>(source.normal());
  return v;
}

double truth_of(Distance distance, const Rows8& data, size_t a, size_t b) {
  return exact(distance, data.rows[a], data.scales[a], data.rows[b], data.scales[b],
               data.dimensions);
}

struct Coverage {
  uint64_t pairs = 0, within = 0;
  uint64_t near_pairs = 0, near_within = 0;
  double error = 0, bound = 0;

  // Scores every row for queries of the data, and counts the errors that keep their bound: of all
  // rows, and of the ten nearest.
  void add(Distance distance, const Rows8& data, size_t queries, size_t bits, uint64_t seed) {
    const auto codec = train(distance, data, seed, bits);
    std::vector<Encoded> codes;
    for (size_t i = 0; i < data.rows.size(); ++i) {
      codes.push_back(encode(*codec, data.rows[i], data.scales[i]));
    }
    PreparedQuery query;
    CHECK_OK(query.reserve(data.dimensions));
    for (size_t q = 0; q < queries; ++q) {
      codec->prepare(data.rows[q], data.scales[q], &query);
      std::vector<std::pair<double, bool>> seen;
      for (size_t i = 0; i < data.rows.size(); ++i) {
        if (i == q) continue;
        const double distance_of_pair = truth_of(distance, data, q, i);
        const double off = std::fabs(score(*codec, query, codes[i]) - distance_of_pair);
        const double limit = codec->error_bound(query, codes[i].code.data());
        seen.emplace_back(distance_of_pair, off <= limit);
        error += off;
        bound += limit;
      }
      std::sort(seen.begin(), seen.end());
      for (size_t i = 0; i < seen.size(); ++i) {
        ++pairs, within += seen[i].second;
        if (i < 10) ++near_pairs, near_within += seen[i].second;
      }
    }
  }
  // Near rows lie along the query where data have structure, and closer to their estimates. 400 of
  // them vary by 1 %.
  void check(const char* what, double near_floor) const {
    const double share = static_cast<double>(within) / static_cast<double>(pairs);
    const double near = static_cast<double>(near_within) / static_cast<double>(near_pairs);
    const bool held = CHECK(share >= 0.94) && CHECK(near >= near_floor) &&
                      CHECK(error / bound > 0.25);  // And it says something.
    if (!held) std::printf("  %s: %.4f, near %.4f, error %.3f\n", what, share, near, error / bound);
  }
};

// A set's 1 000 queries, bytes, as rows; empty where the set is absent.
std::vector<float> read_queries(const std::string& name, bool is_signed) {
  const char* folder = std::getenv("OMENDB_DATA");
  if (folder == nullptr) return {};
  FILE* file = std::fopen((std::string(folder) + "/" + name).c_str(), "rb");
  if (file == nullptr) return {};
  std::vector<float> values;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) {
    values.push_back(static_cast<float>(is_signed ? static_cast<int8_t>(c) : c));
  }
  std::fclose(file);
  return values;
}

}  // namespace

// Lengths and angles stay; a vector of one element is spread over all; the seed decides.
TEST(rotation_is_orthonormal_and_seeded) {
  const uint64_t seed = test_seed();
  for (const size_t d : {1u, 63u, 64u, 100u, 128u, 192u, 256u, 784u, 960u, 1536u}) {
    const auto rotation = Rotation::make(d, seed, kernels()).take();
    const auto same = Rotation::make(d, seed, kernels()).take();
    const auto other = Rotation::make(d, seed + 1, kernels()).take();
    const size_t n = rotation->padded();
    CHECK_EQ(n, (d + 63) / 64 * 64);
    std::vector<std::vector<float>> images;  // Of some unit vectors.
    for (size_t i = 0; i < n; i += 1 + n / 64) {
      std::vector<float> x(n, 0.0f);
      x[i] = 1;
      auto y = x;
      auto z = x;
      rotation->apply(x.data());
      same->apply(y.data());
      other->apply(z.data());
      CHECK(x == y);
      CHECK(x != z);
      float largest = 0;
      for (const float v : x) largest = std::max(largest, std::fabs(v));
      CHECK(largest <= 0.75f);
      images.push_back(x);
    }
    for (size_t i = 0; i < images.size(); ++i) {
      for (size_t j = 0; j <= i; ++j) {
        const double dot = -exact(Distance::kDot, images[i].data(), 1, images[j].data(), 1,
                                  static_cast<uint32_t>(n));
        CHECK_NEAR(dot, i == j ? 1.0 : 0.0, 1e-5);
      }
    }
  }
}

// A code is the same with every kernel table, bit for bit, and so are its factors.
TEST(binary_codes_are_equal_in_every_table) {
  for (const uint32_t d : {3u, 128u, 200u, 784u}) {
    Clusters clusters(d, 5, test_seed() + d);
    const Rows8 data(clusters.draw_many(50), d, Distance::kCosine);
    for (const size_t bits : kWidths) {
      std::vector<std::vector<uint8_t>> first;
      for (const simd::Kernels* const* t = simd::available_kernels(); *t != nullptr; ++t) {
        auto codec = BinaryCodec::train(
            {Distance::kCosine, d, data.rows.data(), data.scales.data(), 50, 9, bits}, **t);
        CHECK_OK(codec);
        CHECK_EQ(codec.value()->dominants(), d == 3 ? 3u : 0u);
        CHECK_EQ(codec.value()->code_bytes(), (d + 63) / 64 * 8 * bits + (d == 3 ? 24 : 8));
        std::vector<std::vector<uint8_t>> codes;
        for (size_t i = 0; i < 50; ++i) {
          codes.push_back(encode(*codec.value(), data.rows[i], data.scales[i]).code);
        }
        if (first.empty()) first = codes;
        CHECK(codes == first);
      }
    }
  }
}

// Over rotations the estimate of any pair has the exact distance as its mean, near pairs and far.
TEST(binary_estimates_are_unbiased) {
  constexpr int kRotations = 300;
  constexpr uint32_t d = 96;
  Clusters clusters(d, 4, test_seed());
  for (const Distance distance : kAll) {
    auto values = clusters.draw_many(40);
    for (size_t i = 0; i < d; ++i) values[d + i] = values[i] * 1.01f + 0.05f;  // Near the first.
    const Rows8 data(values, d, distance);
    PreparedQuery query;
    CHECK_OK(query.reserve(d));
    for (const size_t bits : kWidths) {
      double sum[40] = {};
      double squares[40] = {};
      for (int rotation = 0; rotation < kRotations; ++rotation) {
        const auto codec =
            train(distance, data, test_seed() + static_cast<uint64_t>(rotation), bits);
        codec->prepare(data.rows[0], data.scales[0], &query);
        for (size_t i = 1; i < 40; ++i) {
          const double off = score(*codec, query, encode(*codec, data.rows[i], data.scales[i])) -
                             truth_of(distance, data, 0, i);
          sum[i] += off;
          squares[i] += off * off;
        }
      }
      for (size_t i = 1; i < 40; ++i) {
        const double mean = sum[i] / kRotations;
        const double deviation = std::sqrt(squares[i] / kRotations / kRotations);
        if (!CHECK(std::fabs(mean) <= 5 * deviation)) {
          std::printf("  row %zu, %zu bits: off by %g, deviation %g\n", i, bits, mean, deviation);
        }
      }
    }
  }
}

// 95 % of all estimates keep their bound, less what chance allows: on data with clusters, and
// without any structure.
TEST(binary_keeps_its_error_bound) {
  const uint64_t seed = test_seed();
  for (const uint32_t d : {24u, 64u, 128u, 300u, 784u}) {
    Clusters clusters(d, 8, seed + d);
    for (const Distance distance : kAll) {
      for (const size_t bits : kWidths) {
        Coverage structured;
        Coverage cloud;
        for (uint64_t i = 0; i < 4; ++i) {
          const Rows8 rows(clusters.draw_many(300), d, distance);
          structured.add(distance, rows, 10, bits, seed + i);
          const Rows8 noise(normals(300 * d, seed + i), d, distance);
          cloud.add(distance, noise, 10, bits, seed + i);
        }
        structured.check("clusters", 0.95);
        cloud.check("a cloud", 0.9);
      }
    }
  }
}

TEST(binary_keeps_its_error_bound_on_real_data) {
  const auto sift = read_queries("sift-128/query.u8", false);
  const auto mnist = read_queries("mnist-784/query.u8", false);
  const auto words = read_queries("wordnet-256/query.i8", true);
  if (sift.empty() || mnist.empty() || words.empty()) SKIP("OMENDB_DATA names no real sets");
  for (const size_t bits : kWidths) {
    Coverage coverage[3];
    coverage[0].add(Distance::kL2, Rows8(sift, 128, Distance::kL2), 50, bits, test_seed());
    coverage[1].add(Distance::kL2, Rows8(mnist, 784, Distance::kL2), 20, bits, test_seed());
    coverage[2].add(Distance::kCosine, Rows8(words, 256, Distance::kCosine), 50, bits, test_seed());
    coverage[0].check("sift", 0.95);
    coverage[1].check("mnist", 0.95);
    coverage[2].check("wordnet", 0.95);
  }
}

// Two bits halve the error of one, and more dimensions lessen it: by what widths are chosen.
TEST(binary_errors_fall_with_bits_and_dimensions) {
  double error[2][2];
  for (size_t many = 0; many < 2; ++many) {
    const uint32_t d = many ? 1024 : 128;
    const Rows8 data(normals(200 * d, test_seed()), d, Distance::kL2);
    for (const size_t bits : kWidths) {
      const auto codec = train(Distance::kL2, data, 3, bits);
      PreparedQuery query;
      CHECK_OK(query.reserve(d));
      codec->prepare(data.rows[0], 1, &query);
      double sum = 0;
      for (size_t i = 1; i < 200; ++i) {
        const double truth = truth_of(Distance::kL2, data, 0, i);
        sum += std::fabs(score(*codec, query, encode(*codec, data.rows[i], 1)) - truth) / truth;
      }
      error[many][bits - 1] = sum / 199;
    }
  }
  CHECK(error[0][1] < 0.6 * error[0][0]);
  CHECK(error[1][1] < 0.6 * error[1][0]);
  CHECK(error[1][0] < 0.5 * error[0][0]);
}

// A stored row as the query stands for B x, rounded as every query is.
TEST(binary_scores_codes_against_codes) {
  constexpr uint32_t d = 100;
  constexpr size_t n = 128;
  Clusters clusters(d, 6, test_seed());
  for (const Distance distance : kAll) {
    const Rows8 data(clusters.draw_many(60), d, distance);
    for (const size_t bits : kWidths) {
      const auto codec = train(distance, data, test_seed(), bits);
      struct Decoded {
        std::vector<double> x;
        float a;
        float b;
      };
      const auto decode = [&](const Encoded& e) {
        Decoded out;
        for (size_t i = 0; i < n; ++i) {
          const size_t block = 8 * bits;
          const int byte = e.code[i / 64 * block + i % block];
          const int u = byte >> (i % 64 / block * bits) & ((1 << bits) - 1);
          out.x.push_back(u - ((1 << bits) - 1) / 2.0);
        }
        std::memcpy(&out.a, e.code.data() + n * bits / 8, sizeof(float));
        std::memcpy(&out.b, e.code.data() + n * bits / 8 + 4, sizeof(float));
        return out;
      };
      PreparedQuery query;
      CHECK_OK(query.reserve(d));
      const Encoded first = encode(*codec, data.rows[0], data.scales[0]);
      const Decoded from = decode(first);
      codec->prepare_row(first.code.data(), first.factor, &query);
      double shift = 0;  // Of dot, whose distances hold the centre's square.
      for (size_t i = 1; i < 60; ++i) {
        const Encoded row = encode(*codec, data.rows[i], data.scales[i]);
        const Decoded to = decode(row);
        double product = 0;
        for (size_t j = 0; j < n; ++j) product += from.x[j] * to.x[j];
        product *= static_cast<double>(from.b) * to.b;
        const double half = distance == Distance::kCosine ? 0.5 : 1.0;
        double expected = half * (static_cast<double>(from.a) + to.a - 2 * product);
        if (distance == Distance::kDot) expected = -static_cast<double>(from.a) - to.a - product;
        const double got = score(*codec, query, row);
        if (distance == Distance::kDot && i == 1) shift = got - expected;
        const double size = std::fabs(expected) + std::fabs(product) + std::fabs(shift);
        CHECK_NEAR(got, expected + shift, 0.02 * size);
      }
    }
  }
}

// A dimension or two a hundred times the others are kept apart: the bound of the others holds as if
// they were not there, and errors are small beside the differences that those make.
TEST(binary_keeps_dominant_dimensions_exactly) {
  constexpr uint32_t d = 128;
  for (const Distance distance : kAll) {
    for (const size_t bits : kWidths) {
      auto values = normals(300 * d, test_seed());
      const Rows8 plain(values, d, distance);
      for (size_t i = 0; i < values.size(); i += d) values[i + 5] *= 100, values[i + 77] *= -40;
      const Rows8 scaled(values, d, distance);
      const auto codec = train(distance, scaled, test_seed(), bits);
      CHECK_EQ(codec->dominants(), 2u);
      CHECK_EQ(train(distance, plain, test_seed(), bits)->dominants(), 0u);
      Coverage coverage;
      coverage.add(distance, scaled, 20, bits, test_seed());
      coverage.check("scaled", 0.9);
      PreparedQuery query;
      CHECK_OK(query.reserve(d));
      const Encoded first = encode(*codec, scaled.rows[0], scaled.scales[0]);
      double off = 0;
      double size = 0;
      for (const bool is_row : {false, true}) {
        if (is_row)
          codec->prepare_row(first.code.data(), first.factor, &query);
        else
          codec->prepare(scaled.rows[0], scaled.scales[0], &query);
        for (size_t i = 1; i < 300; ++i) {
          const Encoded row = encode(*codec, scaled.rows[i], scaled.scales[i]);
          const double truth = truth_of(distance, scaled, 0, i);
          off += std::fabs(score(*codec, query, row) - truth);
          size += std::fabs(truth);
        }
      }
      CHECK(off < 0.02 * size);
    }
  }
}

// Rows that are all the same, or lie at the centre, have exact distances; constant dimensions and
// one vast dimension keep most nearest neighbours.
TEST(binary_bears_odd_data) {
  const std::vector<float> same(50 * 20, 1.5f);
  const Rows8 equal(same, 20, Distance::kL2);
  PreparedQuery query;
  CHECK_OK(query.reserve(20));
  const auto flat = train(Distance::kL2, equal, 1, 2);
  std::vector<float> away(20, 1.5f);
  away[7] = 4.5f;
  flat->prepare(away.data(), 1, &query);
  const Encoded centre = encode(*flat, equal.rows[0], 1);
  CHECK_NEAR(score(*flat, query, centre), 9.0, 1e-4);
  CHECK_EQ(flat->error_bound(query, centre.code.data()), 0.0f);
  Random random(test_seed());
  for (const float large : {0.0f, 100.0f, 1e6f, 1e18f, 1e-20f}) {
    std::vector<float> v(300 * 16);
    for (size_t i = 0; i < v.size(); ++i) {
      const auto x = static_cast<float>(random.unit());
      v[i] = i % 16 == 3 ? large * x : i % 16 == 5 ? 2.5f : x;
    }
    const Rows8 data(v, 16, Distance::kL2);
    const auto codec = train(Distance::kL2, data, test_seed(), 2);
    double rank_sum = 0;
    for (size_t q = 0; q < 100; ++q) {
      codec->prepare(data.rows[q], 1, &query);
      std::vector<std::pair<double, double>> rows;  // Exact, estimated.
      for (size_t i = 0; i < 300; ++i) {
        if (i == q) continue;
        const double d = score(*codec, query, encode(*codec, data.rows[i], 1));
        CHECK(std::isfinite(d));
        rows.emplace_back(truth_of(Distance::kL2, data, q, i), d);
      }
      const double best = std::min_element(rows.begin(), rows.end())->second;
      for (const auto& row : rows) rank_sum += row.second < best ? 1 : 0;
    }
    CHECK(rank_sum / 100 < 40);  // Of 299; chance gives 150.
  }
}

// The dot product's order does not depend on the query's length.
TEST(binary_orders_rows_for_tiny_queries) {
  Clusters clusters(64, 8, test_seed());
  const Rows8 data(clusters.draw_many(300), 64, Distance::kDot);
  const auto codec = train(Distance::kDot, data, test_seed(), 2);
  PreparedQuery query;
  CHECK_OK(query.reserve(64));
  std::vector<std::vector<size_t>> orders;
  for (const float length : {1.0f, 1e-20f, 1e-30f, 1e15f}) {
    std::vector<float> q(data.rows[5], data.rows[5] + 64);
    for (float& x : q) x *= length;
    codec->prepare(q.data(), 1, &query);
    std::vector<std::pair<float, size_t>> rows;
    for (size_t i = 0; i < 300; ++i) {
      rows.emplace_back(score(*codec, query, encode(*codec, data.rows[i], 1)), i);
    }
    std::sort(rows.begin(), rows.end());
    std::vector<size_t> order;
    for (size_t i = 0; i < 20; ++i) order.push_back(rows[i].second);
    std::sort(order.begin(), order.end());
    orders.push_back(order);
  }
  for (const auto& order : orders) {
    std::vector<size_t> common;
    std::set_intersection(order.begin(), order.end(), orders[0].begin(), orders[0].end(),
                          std::back_inserter(common));
    CHECK(common.size() >= 18);
  }
}
