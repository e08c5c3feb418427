// Status, Result and seeded randomness: what every other room leans on.
#include <set>
#include <string>

#include "test.h"

namespace omen {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Status::error(ErrorCode::kArgument, "odd").with_row(n);
  return n / 2;
}

Status quarter(int n, int* out) {
  OMEN_ASSIGN(const int h, half(n));
  OMEN_ASSIGN(*out, half(h));
  return Status::ok();
}

// A status keeps its code, row, path and id through copies, moves and OMEN_ASSIGN.
TEST(status_carries_its_details) {
  int out = 0;
  CHECK_OK(quarter(12, &out));
  CHECK_EQ(out, 3);
  const Status s = quarter(6, &out);
  CHECK(!s.is_ok());
  CHECK_EQ(s.code(), ErrorCode::kArgument);
  CHECK_EQ(s.row(), 3);
  Status full = Status::error(ErrorCode::kFilter, "m").with_path("a.b").with_id("\"x\"");
  const Status copy = full;
  const Status moved = std::move(full);
  for (const Status* one : {&copy, &moved}) {
    CHECK_EQ(one->message(), std::string("m"));
    CHECK_EQ(one->path(), std::string("a.b"));
    CHECK_EQ(one->id(), std::string("\"x\""));
    CHECK_EQ(one->row(), Status::kNoRow);
  }
}

// Every error code has a name of its own that starts with ERR_.
TEST(error_codes_are_named_once) {
  std::set<std::string> seen;
  CHECK_EQ(std::string(error_code_name(ErrorCode::kOk)), std::string("OK"));
  int n = 0;
#define X(name, text, http, grpc, advice)                             \
  ++n;                                                                \
  seen.insert(error_code_name(ErrorCode::name));                      \
  CHECK_EQ(std::string(error_code_name(ErrorCode::name)).rfind("ERR_", 0), size_t{0});
#include "base/error_codes.def"
#undef X
  CHECK_EQ(seen.size(), n);
}

// The same seed gives the same sequence, and below() keeps its bound: replays depend on both.
TEST(random_replays_and_keeps_its_bounds) {
  const uint64_t seed = test_seed();
  Random a(seed);
  Random b(seed);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t bound = (a.next() >> (i % 64)) | 1;
    CHECK_EQ(bound, (b.next() >> (i % 64)) | 1);
    CHECK(a.below(bound) < bound);
    const double u = a.unit();
    CHECK(u >= 0 && u < 1);
    (void)b.next();
    (void)b.next();
  }
}

// Every byte, the length and the seed reach the hash, at each length around its 8-byte step.
TEST(hash_sees_every_byte) {
  unsigned char data[40] = {};
  for (size_t length = 0; length < sizeof data; ++length) {
    const uint64_t h = hash_bytes(data, length);
    CHECK(h != hash_bytes(data, length, 1));
    if (length > 0) CHECK(h != hash_bytes(data, length - 1));
    for (size_t i = 0; i < length; ++i) {
      data[i] ^= 1;
      CHECK(h != hash_bytes(data, length));
      data[i] ^= 1;
    }
  }
}

}  // namespace
}  // namespace omen
