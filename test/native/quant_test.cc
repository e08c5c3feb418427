// Codecs: what a code says of a distance, against the distance itself.
#include <cfloat>
#include <cmath>
#include <memory>

#include "quant/binary.h"
#include "quant/float32.h"
#include "quant/sq8.h"
#include "quant_support.h"

using namespace omen;
using namespace omen::test;

// float32 scores are the exact distances, for a query and for a row in its place.
TEST(float32_is_exact) {
  Clusters clusters(33, 5, test_seed());
  for (const Distance distance : kAll) {
    const Rows8 data(clusters.draw_many(40), 33, distance);
    const Float32Codec codec(distance, 33, kernels());
    PreparedQuery query;
    CHECK_OK(query.reserve(33));
    for (size_t i = 0; i < 40; ++i) {
      const Encoded row = encode(codec, data.rows[i], data.scales[i]);
      const double truth =
          exact(distance, data.rows[0], data.scales[0], data.rows[i], data.scales[i], 33);
      codec.prepare(data.rows[0], data.scales[0], &query);
      CHECK_NEAR(score(codec, query, row), truth, 1e-4 * (1 + std::fabs(truth)));
      const Encoded first = encode(codec, data.rows[0], data.scales[0]);
      codec.prepare_row(first.code.data(), first.factor, &query);
      CHECK_NEAR(score(codec, query, row), truth, 1e-4 * (1 + std::fabs(truth)));
    }
  }
}

// sq8 stays within its own error bound (L2, cosine) of the exact distance for rows of the training
// range.
TEST(sq8_keeps_its_error_bound) {
  for (const uint32_t d : {1u, 7u, 64u, 128u, 300u}) {
    Clusters clusters(d, 8, test_seed() + d);
    for (const Distance distance : kAll) {
      const Rows8 data(clusters.draw_many(300), d, distance);
      auto trained =
          Sq8Codec::train(distance, d, kernels(), data.rows.data(), data.scales.data(), 300);
      CHECK_OK(trained);
      const Sq8Codec& codec = *trained.value();
      PreparedQuery query;
      CHECK_OK(query.reserve(d));
      double sum = 0;
      for (size_t i = 0; i < 300; ++i) {
        const size_t q = (i * 7) % 300;
        codec.prepare(data.rows[q], data.scales[q], &query);
        const double truth =
            exact(distance, data.rows[q], data.scales[q], data.rows[i], data.scales[i], d);
        const double got = score(codec, query, encode(codec, data.rows[i], data.scales[i]));
        if (distance != Distance::kDot) {
          CHECK(std::fabs(got - truth) <=
                static_cast<double>(codec.error_bound(static_cast<float>(truth))) + 1e-5);
        }
        sum += std::fabs(got - truth) / (1 + std::fabs(truth));
      }
      CHECK(sum / 300 < 0.05);  // And far nearer on average.
    }
  }
}

// Integers in a range of 255 are encoded and scored without any error, also those that the sample
// missed.
TEST(sq8_is_exact_on_small_integers) {
  Random random(test_seed());
  for (const int low : {0, -128}) {
    std::vector<float> v(200 * 100);
    for (float& x : v) x = static_cast<float>(low + 20 + static_cast<int>(random.below(200)));
    const Rows8 sample(v, 100, Distance::kL2);
    auto trained = Sq8Codec::train(Distance::kL2, 100, kernels(), sample.rows.data(),
                                   sample.scales.data(), 200);
    CHECK_OK(trained);
    const Sq8Codec& codec = *trained.value();
    CHECK(codec.is_integer());
    PreparedQuery query;
    CHECK_OK(query.reserve(100));
    for (int i = 0; i < 200; ++i) {
      float a[100];
      float b[100];
      for (int j = 0; j < 100; ++j) {
        a[j] = static_cast<float>(low + static_cast<int>(random.below(256)));
        b[j] = static_cast<float>(low + static_cast<int>(random.below(256)));
      }
      codec.prepare(a, 1, &query);
      CHECK_EQ(static_cast<double>(score(codec, query, encode(codec, b, 1))),
               exact(Distance::kL2, a, 1, b, 1, 100));
    }
  }
}

// Distances between codes (a row as the query) agree with the distances of what the codes stand
// for.
TEST(sq8_scores_codes_against_codes) {
  Clusters clusters(48, 8, test_seed());
  for (const Distance distance : kAll) {
    const Rows8 data(clusters.draw_many(200), 48, distance);
    auto trained =
        Sq8Codec::train(distance, 48, kernels(), data.rows.data(), data.scales.data(), 200);
    CHECK_OK(trained);
    const Sq8Codec& codec = *trained.value();
    PreparedQuery query;
    CHECK_OK(query.reserve(48));
    const auto decoded = [&](const Encoded& e) {
      std::vector<float> x(48);
      for (uint32_t i = 0; i < 48; ++i) x[i] = codec.low(i) + codec.step(i) * e.code[i];
      return x;
    };
    for (size_t i = 1; i < 200; ++i) {
      const Encoded a = encode(codec, data.rows[i - 1], data.scales[i - 1]);
      const Encoded b = encode(codec, data.rows[i], data.scales[i]);
      codec.prepare_row(a.code.data(), a.factor, &query);
      const auto x = decoded(a);
      const auto y = decoded(b);
      double truth = exact(distance == Distance::kCosine ? Distance::kL2 : distance, x.data(), 1,
                           y.data(), 1, 48);
      if (distance == Distance::kCosine) truth /= 2;
      // The weights' rounding is relative to the vectors, not to their distance.
      const double size = std::sqrt(exact(Distance::kDot, x.data(), 1, x.data(), 1, 48) *
                                    exact(Distance::kDot, y.data(), 1, y.data(), 1, 48));
      CHECK_NEAR(score(codec, query, b), truth, 1e-3 * (1 + size));
    }
  }
}

// Bytes of one step are as far apart as the codes that they were made of: exactly so for integers,
// within their rounding otherwise.
TEST(sq8_bytes_of_one_step_keep_distances) {
  Clusters clusters(48, 8, test_seed());
  const auto many = clusters.draw_many(200);
  for (const Distance distance : {Distance::kL2, Distance::kCosine}) {
    for (const bool integers : {false, true}) {
      std::vector<float> v = many;
      for (float& x : v) x = integers ? std::round(std::clamp(x * 40, -128.0f, 127.0f)) : x;
      const Rows8 data(v, 48, distance);
      auto trained =
          Sq8Codec::train(distance, 48, kernels(), data.rows.data(), data.scales.data(), 200);
      CHECK_OK(trained);
      const Sq8Codec& codec = *trained.value();
      CHECK_EQ(codec.has_even_steps(), integers && distance == Distance::kL2);
      const double half = distance == Distance::kCosine ? 0.5 : 1;
      double off = 0;
      for (size_t i = 1; i < 200; ++i) {
        float decoded[2][48];
        int8_t bytes[2][48];
        for (size_t j = 0; j < 2; ++j) {
          const auto code = encode(codec, data.rows[i - j], data.scales[i - j]).code;
          codec.decode(code.data(), decoded[j]);
          codec.even_out(code.data(), bytes[j]);
        }
        const double truth = half * exact(Distance::kL2, decoded[0], 1, decoded[1], 1, 48);
        const double told = kernels().l2_i8(bytes[0], bytes[1], 48) *
                            static_cast<double>(codec.even_unit());
        if (codec.has_even_steps()) CHECK_EQ(told, truth);
        // Each coordinate of both is moved by half a step at most.
        const double most = std::sqrt(48 * static_cast<double>(codec.even_unit()));
        CHECK(std::fabs(std::sqrt(told) - std::sqrt(truth)) <= most * 1.001);
        off += std::fabs(told - truth) / truth / 199;
      }
      CHECK(off < 0.03);
    }
  }
}

// Constant dimensions, one vast dimension and tiny values train to something that still orders
// neighbours.
TEST(sq8_bears_odd_data) {
  Random random(test_seed());
  for (const float large : {0.0f, 1.0f, 100.0f, 1e6f, 1e-20f}) {
    std::vector<float> v(300 * 16);
    for (size_t i = 0; i < v.size(); ++i) {
      const float x = static_cast<float>(random.unit());
      v[i] = i % 16 == 3 ? large * std::floor(4 * x) : i % 16 == 5 ? 2.5f : x;
    }
    const Rows8 data(v, 16, Distance::kL2);
    auto trained =
        Sq8Codec::train(Distance::kL2, 16, kernels(), data.rows.data(), data.scales.data(), 300);
    CHECK_OK(trained);
    PreparedQuery query;
    CHECK_OK(query.reserve(16));
    int right = 0;
    for (size_t q = 0; q < 300; ++q) {
      trained.value()->prepare(data.rows[q], 1, &query);
      size_t best = 300;
      size_t best_exact = 300;
      double best_d = INFINITY;
      double best_exact_d = INFINITY;
      for (size_t i = 0; i < 300; ++i) {
        if (i == q) continue;
        const double d = score(*trained.value(), query, encode(*trained.value(), data.rows[i], 1));
        const double e = exact(Distance::kL2, data.rows[q], 1, data.rows[i], 1, 16);
        CHECK(std::isfinite(d));
        if (d < best_d) best_d = d, best = i;
        if (e < best_exact_d) best_exact_d = e, best_exact = i;
      }
      right += best == best_exact;
    }
    CHECK(right >= 240);
  }
}

// The dot product's order does not depend on the query's length, down to lengths that float32
// barely holds.
TEST(sq8_orders_rows_for_tiny_queries) {
  Clusters clusters(32, 8, test_seed());
  const Rows8 data(clusters.draw_many(300), 32, Distance::kDot);
  auto trained = Sq8Codec::train(Distance::kDot, 32, kernels(), data.rows.data(),
                                 data.scales.data(), 300);
  CHECK_OK(trained);
  PreparedQuery query;
  CHECK_OK(query.reserve(32));
  for (const float length : {1.0f, 1e-20f, 1e-30f, 1e-34f, 1e-36f, 1e-37f}) {
    int right = 0;
    for (size_t q = 0; q < 100; ++q) {
      float small[32];
      for (int i = 0; i < 32; ++i) small[i] = data.rows[q][i] * length;
      trained.value()->prepare(small, 1, &query);
      size_t best[2] = {0, 0};
      double best_d[2] = {INFINITY, INFINITY};
      for (size_t i = 0; i < 300; ++i) {
        const auto& row = data.rows[i];
        const double got = score(*trained.value(), query, encode(*trained.value(), row, 1));
        const double truth = exact(Distance::kDot, data.rows[q], 1, row, 1, 32);
        if (got < best_d[0]) best_d[0] = got, best[0] = i;
        if (truth < best_d[1]) best_d[1] = truth, best[1] = i;
      }
      right += best[0] == best[1];
    }
    CHECK(right >= 85);
    if (right < 85) std::printf("  %d of 100 at %g\n", right, static_cast<double>(length));
  }
}

// Rows farther apart than float32 counts are as far as can be, and still hits.
TEST(distances_that_overflow_are_finite) {
  const std::vector<float> values = {1.5e19f, 0, -1.5e19f, 0, 0, 0, 1.2e19f, -1.2e19f};
  for (const Distance distance : {Distance::kL2, Distance::kDot}) {
    const Rows8 data(values, 2, distance);
    auto sq8 = Sq8Codec::train(distance, 2, kernels(), data.rows.data(), data.scales.data(), 4);
    CHECK_OK(sq8);
    const Float32Codec float32(distance, 2, kernels());
    PreparedQuery query;
    CHECK_OK(query.reserve(2));
    auto binary = BinaryCodec::train(
        {distance, 2, data.rows.data(), data.scales.data(), 4, test_seed()}, kernels());
    CHECK_OK(binary);
    for (const Codec* codec : {static_cast<const Codec*>(&float32),
                               static_cast<const Codec*>(sq8.value().get()),
                               static_cast<const Codec*>(binary.value().get())}) {
      for (size_t q = 0; q < 4; ++q) {
        const Encoded from = encode(*codec, data.rows[q], 1);
        for (const bool is_row : {false, true}) {
          if (is_row) codec->prepare_row(from.code.data(), from.factor, &query);
          else codec->prepare(data.rows[q], 1, &query);
          for (size_t i = 0; i < 4; ++i) {
            const float d = score(*codec, query, encode(*codec, data.rows[i], 1));
            CHECK(std::fabs(d) <= FLT_MAX);
          }
        }
      }
    }
  }
  // Sums that only overflow on the way: the query's bias is infinite, and so is what is taken off.
  std::vector<float> small(64 * 2);
  for (size_t i = 0; i < small.size(); ++i) small[i] = static_cast<float>(i % 7) * 1e17f;
  const Rows8 data(small, 2, Distance::kL2);
  auto sq8 =
      Sq8Codec::train(Distance::kL2, 2, kernels(), data.rows.data(), data.scales.data(), 64);
  CHECK_OK(sq8);
  PreparedQuery query;
  CHECK_OK(query.reserve(2));
  const float far[2] = {-1.8e19f, 1e18f};
  sq8.value()->prepare(far, 1, &query);
  CHECK(score(*sq8.value(), query, encode(*sq8.value(), data.rows[9], 1)) <= FLT_MAX);
}

// min(k, count) hits come back whatever the distances: by the scan and by the graph.
TEST(distances_that_overflow_lose_no_hits) {
  InlineExecutor executor;
  Fixture fixture(&executor);
  auto c = fixture.make(options_of(2, Metric::kL2, Quantization::kNone));
  const float rows[] = {1.5e19f, 0, -1.5e19f, 0, 0, 0};
  CHECK_OK(write(*c, kAdd, rows, 3, 2, {1, 2, 3}));
  for (const Mode mode : {Mode::kExact, Mode::kGraph}) {
    SearchOptions o;
    o.k = 3;
    o.mode = mode;
    Rows hits;
    CHECK_OK(c->search(rows, 2, o, &hits));
    CHECK_EQ(hits.ids.size(), size_t{3});
    for (const float d : hits.distances) CHECK(std::isfinite(d));
  }
}
