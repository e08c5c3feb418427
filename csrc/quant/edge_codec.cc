// EdgeCodec: coding neighbours, and the look-up tables of queries. See edge_codec.h.
#include "quant/edge_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace omen {

namespace {

constexpr size_t kPaddedMax = 16384;
// Four of them fill a byte.
constexpr float kWeightMax = 63;
// Entries of a table, a byte each, whose index has bit j; the others where it is clear.
constexpr uint64_t kHasBit[3] = {0xFF00FF00FF00FF00, 0xFFFF0000FFFF0000, 0xFFFFFFFF00000000};
constexpr uint64_t kEveryByte = 0x0101010101010101;

float finite(double x) {
  return static_cast<float>(std::clamp(x, -static_cast<double>(FLT_MAX), double{FLT_MAX}));
}

// What the bits of a neighbour and its difference say together.
struct Sums {
  double squares = 0;   // |r|^2
  double absolute = 0;  // 2 <x, r>
  double along = 0;     // 2 <x, c - g>
};

// Writes the signs of r to a lane.
Sums pack_signs(const float* r, const float* node, size_t n, size_t lane, uint8_t* block) {
  uint8_t* byte = block + lane % 16;
  const unsigned shift = lane < 16 ? 0 : 4;
  const unsigned keep = 0xF0u >> shift;
  double squares[4] = {};
  double absolute[4] = {};
  double along[4] = {};
  for (size_t i = 0; i < n; i += 4, byte += 16) {
    unsigned bits = 0;
    for (size_t j = 0; j < 4; ++j) {
      const float y = r[i + j];
      const bool positive = !(y < 0);
      bits |= static_cast<unsigned>(positive) << j;
      squares[j] += static_cast<double>(y) * y;
      absolute[j] += std::fabs(y);
      along[j] += positive ? node[i + j] : -node[i + j];
    }
    *byte = static_cast<uint8_t>((*byte & keep) | bits << shift);
  }
  const auto sum = [](const double* x) { return (x[0] + x[1]) + (x[2] + x[3]); };
  return {sum(squares), sum(absolute), sum(along)};
}

}  // namespace

EdgeCodec::EdgeCodec(const BinaryCodec& codec, const simd::Kernels& kernels)
    : codec_(codec), kernels_(kernels), padded_(Rotation::padded(codec.dimensions())) {
  OMEN_ASSERT(padded_ <= kPaddedMax);
}

void EdgeCodec::prepare_node(const Row& node, float* rotated) const {
  const float* centre = codec_.centre();
  const size_t n = codec_.dimensions();
  for (size_t i = 0; i < n; ++i) rotated[i] = node.x[i] * node.scale - centre[i];
  std::fill(rotated + n, rotated + padded_, 0.0f);
  for (size_t j = 0; j < codec_.dominants(); ++j) rotated[codec_.dominant(j)] = 0;
  codec_.rotation().apply(rotated);
}

void EdgeCodec::encode(const Node& node, const Row& neighbour, size_t lane, uint8_t* block) const {
  alignas(64) float r[kPaddedMax];
  const size_t n = codec_.dimensions();
  for (size_t i = 0; i < n; ++i) {
    r[i] = neighbour.x[i] * neighbour.scale - node.row.x[i] * node.row.scale;
  }
  std::fill(r + n, r + padded_, 0.0f);
  const bool dot = codec_.distance() == Distance::kDot;
  float* const to = factors(block) + lane;
  double a = 0;
  for (size_t j = 0; j < codec_.dominants(); ++j) {
    const size_t d = codec_.dominant(j);
    const double at_node = static_cast<double>(node.row.x[d]) * node.row.scale;
    const double at_neighbour = static_cast<double>(neighbour.x[d]) * neighbour.scale;
    if (!dot) a += (at_neighbour - at_node) * (at_neighbour + at_node);
    to[(2 + j) * kLanes] = finite(at_neighbour - at_node);
    r[d] = 0;
  }
  if (dot) {
    for (size_t i = 0; i < n; ++i) a += static_cast<double>(r[i]) * codec_.centre()[i];
  }
  codec_.rotation().apply(r);
  const Sums sums = pack_signs(r, node.rotated, padded_, lane, block);
  const double b = sums.absolute > 0 ? 2 * sums.squares / sums.absolute : 0;
  if (!dot) a += sums.squares + b * sums.along;
  to[0] = finite(a);
  to[kLanes] = finite(b);
}

void EdgeCodec::clear(size_t lane, uint8_t* block) const {
  float* const to = factors(block) + lane;
  to[0] = std::numeric_limits<float>::quiet_NaN();  // bounded() takes it for the farthest.
  for (size_t j = 1; j < 2 + codec_.dominants(); ++j) to[j * kLanes] = 0;
}

// Of a dimension where the query is q, a neighbour with x = 1/2 gets |q| if q is positive, one with
// x = -1/2 if it is not: so that all entries are positive, and <x, q> is their sum less half of the
// sum of all |q|.
Status EdgeCodec::prepare(const PreparedQuery& query, EdgeQuery* out) const {
  OMEN_TRY(out->tables.resize(4 * padded_));
  float largest = 0;
  for (size_t i = 0; i < padded_; ++i) largest = std::max(largest, std::fabs(query.floats[i]));
  const float step = largest / kWeightMax;
  const float inverse_step = step > 0 ? finite(1 / static_cast<double>(step)) : 0.0f;
  int32_t sum = 0;
  for (size_t i = 0; i < padded_; i += 4) {
    uint64_t entries[2] = {};
    for (size_t j = 0; j < 4; ++j) {
      const float q = query.floats[i + j];
      const float steps = std::min(std::fabs(q) * inverse_step, kWeightMax);
      const auto weight = static_cast<int32_t>(steps + 0.5f);
      const uint64_t all = static_cast<uint64_t>(weight) * kEveryByte;
      sum += weight;
      if (j < 3) {
        const uint64_t mask = q < 0 ? ~kHasBit[j] : kHasBit[j];
        entries[0] += all & mask;
        entries[1] += all & mask;
      } else {
        entries[q < 0 ? 0 : 1] += all;
      }
    }
    std::memcpy(out->tables.data() + 4 * i, entries, sizeof(entries));
  }
  const float slope = codec_.distance() == Distance::kL2 ? 2.0f : 1.0f;
  out->factor_multiplier = query.factor_multiplier;
  out->multiplier = slope * step;
  out->offset = 0.5f * out->multiplier * static_cast<float>(sum);
  for (size_t j = 0; j < codec_.dominants(); ++j) out->dominant[j] = slope * query.dominant[j];
  return Status::ok();
}

void EdgeCodec::score(const EdgeQuery& query, const uint8_t* block, float node_distance,
                      float* distances) const {
  uint32_t sums[kLanes];
  kernels_.scan_u1(query.tables.data(), block, padded_, sums);
  const auto* a = reinterpret_cast<const float*>(block + 4 * padded_);
  const float* b = a + kLanes;
  for (size_t i = 0; i < kLanes; ++i) {
    const float product =
        query.multiplier * static_cast<float>(static_cast<int32_t>(sums[i])) - query.offset;
    distances[i] = node_distance + query.factor_multiplier * a[i] - b[i] * product;
  }
  for (size_t j = 0; j < codec_.dominants(); ++j) {
    const float* difference = a + (2 + j) * kLanes;
    for (size_t i = 0; i < kLanes; ++i) distances[i] -= query.dominant[j] * difference[i];
  }
  for (size_t i = 0; i < kLanes; ++i) distances[i] = bounded(distances[i]);
}

}  // namespace omen
