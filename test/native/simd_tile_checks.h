// Checks of one kernel table's tiles, of int16 and of bytes, as simd_checks.h checks the others.
#pragma once

#include "simd_checks.h"

namespace omen::simd::checks {

// The panels of `a` and `b`, packed by a table, and their points in plain order.
struct TilePair {
  std::vector<int16_t> plain[2];
  Guarded<int16_t> panels[2];
  std::vector<int32_t> norms[2];

  TilePair(const Kernels& k, Random& random, size_t n, float magnitude)
      : panels{Guarded<int16_t>(k.tile_width * (n + n % 2)),
               Guarded<int16_t>(k.tile_width * (n + n % 2))} {
    // As large as the contract allows at most.
    const float limit = std::sqrt(static_cast<float>(kTileNormMax) / static_cast<float>(n));
    const float factor = std::min(limit, 32000.0f) / 2.5f;
    const Guarded<float> x(n), centre(n);
    for (size_t side = 0; side < 2; ++side) {
      for (size_t lane = 0; lane < k.tile_width; ++lane) {
        for (size_t i = 0; i < n; ++i) {
          x[i] = static_cast<float>(random.unit() * 2 - 1) * magnitude;
          centre[i] = static_cast<float>(random.unit() - 0.5);
        }
        const float scale = 1 / magnitude;
        const int32_t norm =
            k.tile_pack({x.data(), scale, centre.data(), factor}, n, lane, panels[side].data());
        int64_t expected = 0;
        for (size_t i = 0; i < n; ++i) {
          volatile float moved = x[i] * scale;
          moved = moved - centre[i];
          moved = moved * factor;
          const auto c = static_cast<int16_t>(std::nearbyint(moved));
          plain[side].push_back(c);
          expected += int64_t{c} * c;
        }
        CHECK_EQ(int64_t{norm}, expected);
        CHECK(norm <= kTileNormMax);
        norms[side].push_back(norm);
      }
    }
  }
};

// Few different distances, so that ties are common.
inline void check_nearest(const Kernels& k, Random& random) {
  const size_t w = k.tile_width;
  const size_t kept = 1 + random.below(kTileNearestMax);
  const size_t tiles = 1 + random.below(4);
  std::vector<uint32_t> nearest(kept * w, UINT32_MAX >> 1);
  std::vector<std::vector<uint32_t>> model(w);
  for (size_t t = 0; t < tiles; ++t) {
    std::vector<uint32_t> keys(w * w);
    for (auto& key : keys) key = static_cast<uint32_t>(random.below(60)) << kTileIndexBits;
    for (size_t i = 0; i < w; ++i) {
      for (size_t j = 0; j < w; ++j) {
        model[j].push_back(keys[i * w + j] | static_cast<uint32_t>(t * w + i));
      }
    }
    k.tile_nearest(keys.data(), static_cast<uint32_t>(t * w), kept, nearest.data());
  }
  for (size_t j = 0; j < w; ++j) {
    std::sort(model[j].begin(), model[j].end());
    model[j].resize(kept, UINT32_MAX >> 1);
    for (size_t i = 0; i < kept; ++i) CHECK_EQ(nearest[i * w + j], model[j][i]);
  }
}

inline void check_tiles(const Kernels& k, uint64_t seed) {
  Random random(seed);
  const size_t w = k.tile_width;
  CHECK(w <= kTileWidthMax);
  for (size_t n : {1u, 2u, 3u, 7u, 8u, 15u, 16u, 17u, 31u, 33u, 128u, 255u, 256u, 257u, 784u}) {
    const TilePair pair(k, random, n, n % 2 == 0 ? 1.0f : 1000.0f);
    const Guarded<uint32_t> keys(w * w), turned(w * w);
    const Kernels::TilePanel a{pair.panels[0].data(), pair.norms[0].data()};
    const Kernels::TilePanel b{pair.panels[1].data(), pair.norms[1].data()};
    k.tile_distances(a, b, n, keys.data());
    k.tile_transpose(keys.data(), turned.data());
    for (size_t i = 0; i < w; ++i) {
      for (size_t j = 0; j < w; ++j) {
        int64_t sum = 0;
        for (size_t d = 0; d < n; ++d) {
          const int64_t difference = pair.plain[0][i * n + d] - pair.plain[1][j * n + d];
          sum += difference * difference;
        }
        const auto distance = static_cast<float>(sum);
        uint32_t bits;
        std::memcpy(&bits, &distance, sizeof(bits));
        CHECK_EQ(keys[i * w + j], bits & ~kTileIndexMask);
        CHECK_EQ(turned[j * w + i], keys[i * w + j]);
        CHECK(keys[i * w + j] < kTileFar);
      }
    }
  }
  for (int round = 0; round < 100; ++round) check_nearest(k, random);
}

// Points anywhere in the box of bytes, most of them clamped, so that sums wrap as far as they can.
struct BytePair {
  std::vector<int> plain[2];
  Guarded<uint8_t> panels[2];
  std::vector<int32_t> norms[2];

  BytePair(const Kernels& k, Random& random, size_t n, float factor)
      : panels{Guarded<uint8_t>(k.tile_width * ((n + 3) / 4 * 4)),
               Guarded<uint8_t>(k.tile_width * ((n + 3) / 4 * 4))} {
    const Guarded<float> x(n), centre(n);
    for (size_t side = 0; side < 2; ++side) {
      for (size_t lane = 0; lane < k.tile_width; ++lane) {
        for (size_t i = 0; i < n; ++i) {
          x[i] = static_cast<float>(random.unit() * 2 - 1);
          centre[i] = static_cast<float>(random.unit() - 0.5);
        }
        const float scale = 0.75f;
        const int32_t norm =
            k.byte_pack({x.data(), scale, centre.data(), factor}, n, lane, panels[side].data());
        int32_t expected = 0;
        for (size_t i = 0; i < n; ++i) {
          volatile float moved = x[i] * scale;
          moved = moved - centre[i];
          moved = moved * factor;
          moved = moved + static_cast<float>(kByteMiddle);
          const float at = std::nearbyint(moved);
          const int c = static_cast<int>(std::clamp(at, 0.0f, static_cast<float>(kByteMax)));
          plain[side].push_back(c);
          expected += c * c;
        }
        CHECK_EQ(norm, expected);
        norms[side].push_back(norm);
      }
    }
  }
};

inline void check_byte_tiles(const Kernels& k, uint64_t seed) {
  Random random(seed);
  const size_t w = k.tile_width;
  for (size_t n : {1u, 2u, 3u, 4u, 5u, 15u, 31u, 33u, 128u, 254u, 256u, 259u, 784u, 4096u}) {
    for (const float factor : {10.0f, 80.0f, 1e6f}) {
      const BytePair pair(k, random, n, factor);
      const Guarded<uint32_t> keys(w * w);
      const Kernels::BytePanel a{pair.panels[0].data(), pair.norms[0].data()};
      const Kernels::BytePanel b{pair.panels[1].data(), pair.norms[1].data()};
      k.byte_distances(a, b, n, keys.data());
      for (size_t i = 0; i < w; ++i) {
        for (size_t j = 0; j < w; ++j) {
          uint32_t sum = 0;
          for (size_t d = 0; d < n; ++d) {
            const int difference = pair.plain[0][i * n + d] - pair.plain[1][j * n + d];
            sum += static_cast<uint32_t>(difference * difference);
          }
          CHECK_EQ(keys[i * w + j], (sum & 0xFFFF) << kTileIndexBits);
        }
      }
    }
  }
}

}  // namespace omen::simd::checks
