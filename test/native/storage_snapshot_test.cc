// The snapshot table: round trips, and bytes that are none.
#include "storage_support.h"

using namespace omen;
using namespace omen::test;

namespace {

std::vector<std::byte> encode(const Snapshot& snapshot) {
  Memory memory;
  Array<std::byte> bytes(&memory.account, Use::kScratch);
  CHECK_OK(encode_snapshot(snapshot, &bytes));
  return {bytes.begin(), bytes.end()};
}

bool same(const CollectionSnapshot& a, const CollectionSnapshot& b) {
  const auto numbers = [](const CollectionSnapshot& c) {
    return std::vector<uint64_t>{c.collection, c.sequence,     c.dimensions, c.m,
                                 c.metric,     c.quantization, c.layout,     c.ef_construction,
                                 c.next_id,    c.high_water,   c.next_order, c.extent_rows,
                                 c.stride};
  };
  if (a.blobs.size() != b.blobs.size()) return false;
  for (size_t i = 0; i < a.blobs.size(); ++i) {
    if (a.blobs[i].kind != b.blobs[i].kind || a.blobs[i].place != b.blobs[i].place) return false;
  }
  return numbers(a) == numbers(b) && a.name == b.name && a.schema == b.schema && a.live == b.live &&
         a.fresh == b.fresh && a.extents == b.extents;
}

bool same(const Snapshot& a, const Snapshot& b) {
  if (a.sequence != b.sequence || a.next_collection != b.next_collection) return false;
  if (a.collections.size() != b.collections.size()) return false;
  for (size_t i = 0; i < a.collections.size(); ++i) {
    if (!same(a.collections[i], b.collections[i])) return false;
  }
  if (a.receipts.size() != b.receipts.size()) return false;
  for (size_t i = 0; i < a.receipts.size(); ++i) {
    if (!test::same(a.receipts[i], b.receipts[i])) return false;
  }
  return true;
}

}  // namespace

TEST(tables_give_back_what_was_written) {
  Random random(test_seed());
  for (int round = 0; round < 500; ++round) {
    const Snapshot snapshot = draw_snapshot(random);
    const std::vector<std::byte> bytes = encode(snapshot);
    const auto decoded = decode_snapshot(bytes, "/t");
    if (CHECK_OK(decoded)) CHECK(same(decoded.value(), snapshot));
  }
}

TEST(tables_that_are_cut_or_longer_are_refused) {
  Random random(test_seed());
  for (int round = 0; round < 10; ++round) {
    std::vector<std::byte> bytes = encode(draw_snapshot(random));
    for (size_t size = 0; size < bytes.size(); ++size) {
      const std::vector<std::byte> cut(bytes.begin(),
                                       bytes.begin() + static_cast<ptrdiff_t>(size));
      CHECK(decode_snapshot(cut, "/t").status().code() == ErrorCode::kCorrupt);
    }
    bytes.push_back(std::byte{0});
    CHECK(decode_snapshot(bytes, "/t").status().code() == ErrorCode::kCorrupt);
  }
}

// What is taken is what would be written again: nothing in it went unseen.
TEST(changed_tables_are_refused_or_read_whole) {
  Random random(test_seed());
  size_t taken = 0;
  for (int round = 0; round < 20000; ++round) {
    Random same_again(1 + round % 7);
    std::vector<std::byte> bytes = encode(draw_snapshot(same_again));
    for (uint64_t n = 1 + random.below(3); n > 0; --n) {
      bytes[random.below(bytes.size())] = static_cast<std::byte>(random.next() >> random.below(64));
    }
    const auto decoded = decode_snapshot(bytes, "/t");
    if (!decoded.is_ok()) {
      const ErrorCode code = decoded.status().code();
      CHECK(code == ErrorCode::kCorrupt || code == ErrorCode::kFormat);
      CHECK(decoded.status().message().find("/t") != std::string::npos);
      continue;
    }
    ++taken;
    CHECK_EQ(encode(decoded.value()).size(), bytes.size());
  }
  CHECK(taken > 0);
}

TEST(tables_of_a_newer_version_are_told) {
  Random random(test_seed());
  std::vector<std::byte> bytes = encode(draw_snapshot(random));
  bytes[0] = std::byte{2};
  CHECK(decode_snapshot(bytes, "/t").status().code() == ErrorCode::kFormat);
}
