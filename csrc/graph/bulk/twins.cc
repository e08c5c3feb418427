// Twins: found by a hash of the row, and compared.
#include "graph/bulk/twins.h"

#include <cstring>

#include "base/random.h"
#include "exec/parallel_for.h"

namespace omen {

namespace {

constexpr size_t kHashGrain = 1024;

// Of all bytes of a row, in four chains: a row of 128 floats takes some 40 ns.
uint64_t hash_row(const float* values, size_t n, uint64_t seed) {
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15ull;
  uint64_t h[4] = {seed, seed ^ 1, seed ^ 2, seed ^ 3};
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t words[4];
    std::memcpy(words, values + i, sizeof(words));
    for (size_t j = 0; j < 4; ++j) {
      h[j] = (h[j] ^ words[j]) * kOdd;
      h[j] ^= h[j] >> 29;
    }
  }
  const uint64_t tail = hash_bytes(values + i, (n - i) * sizeof(float), seed);
  return mix64(h[0] ^ mix64(h[1] ^ mix64(h[2] ^ mix64(h[3] ^ tail))));
}

}  // namespace

Status Twins::find(const BulkPoints& points, uint64_t seed, Executor& executor) {
  const uint32_t n = points.count;
  Array<uint64_t> hashes(account_, Use::kScratch);
  OMEN_TRY(hashes.make_zeros(n));
  parallel_for(executor, n, kHashGrain, [&](size_t begin, size_t end, unsigned) {
    float room[kRowFloatsMax];
    for (size_t i = begin; i < end; ++i) {
      const auto point = static_cast<uint32_t>(i);
      hashes[i] = hash_row(points.row(point, room).values, points.dimensions, seed);
    }
  });
  // An open-addressed table of positions in heads_, plus one, at most half full.
  size_t size = 64;
  while (size < size_t{n} * 2) size *= 2;
  Array<uint32_t> table(account_, Use::kScratch);
  OMEN_TRY(table.make_zeros(size));
  OMEN_TRY(heads_.reserve(n));
  heads_.clear();
  others_.clear();
  Array<float> rooms(account_, Use::kScratch);
  OMEN_TRY(rooms.resize(2 * points.dimensions));
  const auto are_equal = [&](uint32_t a, uint32_t b) {
    const float* x = points.row(a, rooms.data()).values;
    const float* y = points.row(b, rooms.data() + points.dimensions).values;
    return std::memcmp(x, y, points.dimensions * sizeof(float)) == 0;
  };
  for (uint32_t point = 0; point < n; ++point) {
    for (size_t at = hashes[point] & (size - 1);; at = (at + 1) & (size - 1)) {
      if (table[at] == 0) {
        heads_.push_back_reserved(point);
        table[at] = static_cast<uint32_t>(heads_.size());
        break;
      }
      const uint32_t head = heads_[table[at] - 1];
      if (hashes[head] != hashes[point]) continue;
      if (!are_equal(head, point)) continue;
      OMEN_TRY(others_.push_back({table[at] - 1, point}));
      break;
    }
  }
  std::sort(others_.begin(), others_.end(), [](const Twin& a, const Twin& b) {
    return a.head != b.head ? a.head < b.head : a.point < b.point;
  });
  return Status::ok();
}

}  // namespace omen
