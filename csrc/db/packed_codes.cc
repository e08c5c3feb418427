// PackedCodes: packing rows, and scoring from them. See packed_codes.h.
#include "db/packed_codes.h"

#include <algorithm>

#include "db/codes.h"

namespace omen {

namespace {

constexpr size_t kPaddedMax = 16384;
constexpr size_t kBlockBytesMax =
    4 * kPaddedMax + (2 + PreparedQuery::kDominantMax) * EdgeCodec::kLanes * sizeof(float);
// Beyond so many bytes of a row the processor's own prefetcher has understood.
constexpr size_t kPrefetchBytes = 2048;

static_assert(EdgeCodec::kLanes == PackedRows::kLanes && PackedRows::kLanes == kScoreBlock);

bool contains(std::span<const uint32_t> ids, uint32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

EdgeCodec::Row row_of(const RowViews& floats, uint32_t slot) {
  return {reinterpret_cast<const float*>(floats.row(slot)),
          floats.has_factors ? floats.factor(slot) : 1.0f};
}

}  // namespace

void PackedCodes::pack(uint32_t slot, std::span<const uint32_t> ids, const RowViews& floats) {
  uint32_t lanes[kRowIdsMax];
  for (uint32_t b = 0; b < rows_.blocks(); ++b) rows_.read_ids(slot, b, lanes + b * kScoreBlock);
  const std::span<uint32_t> all(lanes, rows_.lanes());
  uint32_t stale[kRowIdsMax / kScoreBlock] = {};  // Lanes to write, a bit each.
  for (uint32_t lane = 0; lane < all.size(); ++lane) {
    if (all[lane] == kNoSlot || contains(ids, all[lane])) continue;
    all[lane] = kNoSlot;
    stale[lane / kScoreBlock] |= 1u << lane % kScoreBlock;
  }
  uint32_t free = 0;
  for (const uint32_t id : ids) {
    if (contains(all, id)) continue;
    while (all[free] != kNoSlot) ++free;
    all[free] = id;
    stale[free / kScoreBlock] |= 1u << free % kScoreBlock;
  }
  alignas(64) float rotated[kPaddedMax];
  alignas(64) uint8_t block[kBlockBytesMax];
  const EdgeCodec::Node node{row_of(floats, slot), rotated};
  codec_.prepare_node(node.row, rotated);
  for (uint32_t b = 0; b < rows_.blocks(); ++b) {
    if (stale[b] == 0) continue;
    rows_.read_block(slot, b, block);
    for (uint32_t lane = 0; lane < kScoreBlock; ++lane) {
      const uint32_t id = all[b * kScoreBlock + lane];
      // What was never written is cleared too.
      if (id == kNoSlot) {
        codec_.clear(lane, block);
      } else if ((stale[b] >> lane & 1) != 0) {
        codec_.encode(node, row_of(floats, id), lane, block);
      }
    }
    rows_.write_block(slot, b, block);
    rows_.write_ids(slot, b, all.data() + b * kScoreBlock);
  }
}

void PackedCodes::reset(uint32_t slot) {
  uint32_t none[kScoreBlock];
  std::fill_n(none, kScoreBlock, kNoSlot);
  for (uint32_t b = 0; b < rows_.blocks(); ++b) rows_.write_ids(slot, b, none);
}

Status PackedCodes::validate(uint32_t slot, std::span<const uint32_t> ids,
                             const RowViews& floats) const {
  const auto wrong = [&](const char* what) {
    return Status::error(ErrorCode::kCorrupt,
                         "the packed row of slot " + std::to_string(slot) + " " + what);
  };
  alignas(64) float rotated[kPaddedMax];
  alignas(64) uint8_t block[kBlockBytesMax];
  alignas(64) uint8_t again[kBlockBytesMax];
  const EdgeCodec::Node node{row_of(floats, slot), rotated};
  codec_.prepare_node(node.row, rotated);
  size_t found = 0;
  for (uint32_t b = 0; b < rows_.blocks(); ++b) {
    uint32_t lanes[kScoreBlock];
    rows_.read_ids(slot, b, lanes);
    rows_.read_block(slot, b, block);
    std::copy_n(block, rows_.block_bytes(), again);
    for (uint32_t lane = 0; lane < kScoreBlock; ++lane) {
      if (lanes[lane] == kNoSlot) continue;
      if (!contains(ids, lanes[lane])) return wrong("names a slot that its edges do not");
      codec_.encode(node, row_of(floats, lanes[lane]), lane, again);
      ++found;
    }
    if (!std::equal(block, block + rows_.block_bytes(), again)) {
      return wrong("holds other codes than those of its neighbours");
    }
  }
  return found == ids.size() ? Status::ok() : wrong("lacks a neighbour");
}

void PackedScorer::prefetch(uint32_t node) const {
  codes_.rows().prefetch(node, std::min(codes_.rows().row_bytes(), kPrefetchBytes));
}

void PackedScorer::score(uint32_t node, uint32_t block, float node_distance, uint32_t* ids,
                         float* distances) const {
  alignas(64) uint8_t bytes[kBlockBytesMax];
  const PackedRows& rows = codes_.rows();
  rows.read_ids(node, block, ids);
  rows.read_block(node, block, bytes);
  codes_.codec().score(query_, bytes, node_distance, distances);
}

}  // namespace omen
