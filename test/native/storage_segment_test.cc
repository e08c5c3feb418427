// Segments: what was written is read back, and nothing else ever is.
#include <thread>

#include "storage_support.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint64_t kDatabase = 77;
constexpr char kFile[] = "/db/000005.seg";

struct Written {
  struct Extent {
    ExtentShape shape;
    DrawnRows rows;
    ExtentPlace place;
  };
  std::vector<Extent> extents;
  std::vector<std::pair<BlobPlace, std::string>> blobs;
  ManifestFile file;
};

std::unique_ptr<SegmentWriter> create(SimEnv* env, Memory* memory) {
  env->make_directory("/db");
  return SegmentWriter::create(env, "/db", 5, kDatabase, &memory->account).take();
}

Status write(SimEnv* env, Random& random, const std::vector<size_t>& blobs, Written* out) {
  Memory memory;
  env->make_directory("/db");
  OMEN_ASSIGN(const std::unique_ptr<SegmentWriter> writer,
              SegmentWriter::create(env, "/db", 5, kDatabase, &memory.account));
  for (Written::Extent& e : out->extents) {
    OMEN_TRY(writer->append_extent(e.shape, e.rows, &e.place));
  }
  for (const size_t size : blobs) {
    const std::string text = bytes_of(random, size);
    OMEN_TRY(writer->begin_blob());
    for (size_t at = 0; at < size;) {
      const size_t part = std::min<size_t>(size - at, 1 + random.below(90000));
      OMEN_TRY(writer->append(text.data() + at, part));
      at += part;
    }
    OMEN_ASSIGN(const BlobPlace place, writer->end_blob());
    out->blobs.emplace_back(place, text);
  }
  OMEN_TRY(writer->finish());
  out->file = writer->manifest_file();
  return Status::ok();
}

Written draw(Random& random, size_t extents) {
  Written w;
  for (size_t i = 0; i < extents; ++i) {
    const ExtentShape shape = draw_shape(random);
    const DrawnRows::How how{random.below(2) > 0, random.below(2) > 0, random.below(9)};
    w.extents.push_back({shape, DrawnRows(shape, how, random), {}});
  }
  return w;
}

// A small one, for tests that change each of its bits.
Written small(SimEnv* env, Random& random) {
  Written w;
  for (const uint32_t rows : {1u, 4u, 8u}) {
    const ExtentShape shape{3, rows, rows, 3, 16, rows != 4};
    w.extents.push_back({shape, DrawnRows(shape, {rows != 1, rows == 8, 6}, random), {}});
  }
  CHECK_OK(write(env, random, {0, 300}, &w));
  return w;
}

// Reads all of it: whether each answer was right, and the first error.
Status read_all(SimEnv* env, const Written& w) {
  OMEN_ASSIGN(const auto reader, SegmentReader::open(env, "/db", w.file, kDatabase));
  Status first;
  for (const Written::Extent& e : w.extents) {
    const ReadExtent read = read_extent(*reader, e.place, e.shape, e.rows);
    CHECK(read.is_same || !read.status.is_ok());
    if (first.is_ok()) first = read.status;
  }
  for (const auto& [place, text] : w.blobs) {
    std::string found(text.size(), '\0');
    const Status status = reader->read_blob(place, 0, found.data(), found.size());
    CHECK(!status.is_ok() || found == text);
    if (first.is_ok()) first = status;
  }
  return first;
}

}  // namespace

TEST(segments_give_back_what_was_written) {
  Random random(test_seed());
  for (int round = 0; round < 60; ++round) {
    SimEnv env(random.next());
    Written w = draw(random, random.below(12));
    std::vector<size_t> blobs;
    for (uint64_t n = random.below(4); n > 0; --n) blobs.push_back(random.below(200000));
    CHECK_OK(write(&env, random, blobs, &w));
    CHECK_EQ(env.bytes(kFile)->size(), w.file.size);
    CHECK_OK(read_all(&env, w));
    for (const Written::Extent& e : w.extents) CHECK_EQ(e.place.offset % 64, 0);
    for (const auto& [place, text] : w.blobs) CHECK_EQ(place.offset % 64, 0);
  }
}

// More than the writer's buffer: headers are filled in after what follows them was written.
TEST(extents_larger_than_the_buffer_are_whole) {
  Random random(test_seed());
  SimEnv env;
  Written w;
  const ExtentShape shape{1, 0, 1024, 384, 1536, true};
  w.extents.push_back({shape, DrawnRows(shape, {true, true, 8}, random), {}});
  w.extents.push_back({shape, DrawnRows(shape, {true, true, 8}, random), {}});
  CHECK_OK(write(&env, random, {3 * kBlobBlockBytes}, &w));
  CHECK_OK(read_all(&env, w));
}

// On a full disk a segment must not take more than it was given, by rows or by anything else.
TEST(a_segment_keeps_to_its_limit) {
  Random random(test_seed());
  for (int round = 0; round < 20; ++round) {
    SimEnv env;
    Memory memory;
    env.make_directory("/db");
    auto writer = SegmentWriter::create(&env, "/db", 5, kDatabase, &memory.account);
    REQUIRE_OK(writer);
    const uint64_t limit = 1000 + random.below(200000);
    writer.value()->set_limit(limit);
    const ExtentShape shape = draw_shape(random);
    const DrawnRows rows(shape, {true, true, 6}, random);
    Status status;
    while (status.is_ok()) {
      ExtentPlace place;
      status = writer.value()->append_extent(shape, rows, &place);
      CHECK(writer.value()->bytes() <= limit);
    }
    CHECK(status.code() == ErrorCode::kNoSpace && !status.path().empty());
  }
}

TEST(parts_of_a_blob_are_read_by_several_threads) {
  Random random(test_seed());
  SimEnv env;
  for (const size_t size : {kBlobBlockBytes - 1, kBlobBlockBytes, kBlobBlockBytes + 1,
                            5 * kBlobBlockBytes, 7 * kBlobBlockBytes + 123}) {
    Written w;
    CHECK_OK(write(&env, random, {size}, &w));
    const auto reader = SegmentReader::open(&env, "/db", w.file, kDatabase).take();
    std::string found(size, '\0');
    std::vector<std::thread> threads;
    for (size_t at = 0; at < size; at += 2 * kBlobBlockBytes) {
      threads.emplace_back([&, at] {
        const size_t part = std::min(size - at, 2 * kBlobBlockBytes);
        CHECK_OK(reader->read_blob(w.blobs[0].first, at, found.data() + at, part));
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(found == w.blobs[0].second);
  }
}

// A flipped bit is found, or is in zeros between the parts, of which nothing depends.
TEST(every_flipped_bit_of_a_segment_is_found) {
  Random random(test_seed());
  SimEnv env;
  const Written w = small(&env, random);
  CHECK_OK(read_all(&env, w));
  const SimEnv::Bytes whole = *env.bytes(kFile);
  std::vector<bool> is_used(whole.size());
  const auto use = [&](uint64_t from, uint64_t size) {
    for (uint64_t i = from; i < from + size; ++i) is_used[i] = true;
  };
  use(0, kSegmentHeaderBytes);
  for (const Written::Extent& e : w.extents) {
    use(e.place.offset, e.place.head_bytes + e.place.vector_bytes);
  }
  for (const auto& [place, text] : w.blobs) {
    use(place.offset, place.bytes + (place.bytes > 0 ? 4 : 0) + kBlobTrailerBytes);
  }
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    *env.bytes(kFile) = whole;
    (*env.bytes(kFile))[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const Status status = read_all(&env, w);
    CHECK(status.code() == ErrorCode::kCorrupt || (status.is_ok() && !is_used[bit / 8]));
    if (!status.is_ok()) CHECK(status.message().find(kFile) != std::string::npos);
  }
}

TEST(every_shorter_segment_is_found) {
  Random random(test_seed());
  SimEnv env;
  Written w = small(&env, random);
  const SimEnv::Bytes whole = *env.bytes(kFile);
  for (size_t size = 0; size < whole.size(); ++size) {
    env.bytes(kFile)->assign(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    CHECK(read_all(&env, w).code() == ErrorCode::kCorrupt);
  }
  // It becomes shorter after it was opened.
  *env.bytes(kFile) = whole;
  const auto reader = SegmentReader::open(&env, "/db", w.file, kDatabase).take();
  env.bytes(kFile)->resize(kSegmentHeaderBytes);
  for (const Written::Extent& e : w.extents) {
    CHECK(read_extent(*reader, e.place, e.shape, e.rows).status.code() == ErrorCode::kCorrupt);
  }
}

// A place that the snapshot has wrong, an extent of another one: refused, not misread.
TEST(wrong_places_are_refused) {
  Random random(test_seed());
  SimEnv env;
  const Written w = small(&env, random);
  const auto reader = SegmentReader::open(&env, "/db", w.file, kDatabase).take();
  const Written::Extent& e = w.extents[1];
  const auto refuses = [&](const ExtentPlace& place, const ExtentShape& shape) {
    return read_extent(*reader, place, shape, e.rows).status.code() == ErrorCode::kCorrupt;
  };
  for (int i = 0; i < 20000; ++i) {
    ExtentPlace place = e.place;
    switch (random.below(4)) {
      case 0: place.segment = random.next(); break;
      case 1: place.offset = random.next() >> random.below(64); break;
      case 2: place.head_bytes = static_cast<uint32_t>(random.next() >> random.below(64)); break;
      default: place.vector_bytes = static_cast<uint32_t>(random.next() >> random.below(64)); break;
    }
    if (!(place == e.place)) CHECK(refuses(place, e.shape));
  }
  for (size_t field = 0; field < 6; ++field) {
    ExtentShape shape = e.shape;
    shape.collection += field == 0;
    shape.index += field == 1;
    shape.rows *= field == 2 ? 2 : 1;
    shape.dimensions -= field == 3;
    shape.stride += field == 4 ? 4 : 0;
    shape.has_norms ^= field == 5;
    CHECK(refuses(e.place, shape));
  }
  for (int i = 0; i < 20000; ++i) {
    BlobPlace place = w.blobs[1].first;
    uint64_t* const fields[] = {&place.segment, &place.offset, &place.bytes};
    *fields[random.below(3)] = random.next() >> random.below(64);
    if (place == w.blobs[1].first || place == w.blobs[0].first) continue;
    if (!reader->may_hold(place) || place.bytes > 10000) {
      std::byte out[1];
      CHECK(reader->read_blob(place, 0, out, 0).code() == ErrorCode::kCorrupt);
    } else {
      std::vector<std::byte> out(place.bytes);
      CHECK(reader->read_blob(place, 0, out.data(), out.size()).code() == ErrorCode::kCorrupt);
    }
  }
}

// The manifest says which file it is.
TEST(another_segment_is_not_taken_for_it) {
  Random random(test_seed());
  SimEnv env;
  Written first;
  CHECK_OK(write(&env, random, {100}, &first));
  Written second;
  CHECK_OK(write(&env, random, {100}, &second));
  CHECK(read_all(&env, first).code() == ErrorCode::kCorrupt);
  CHECK_OK(read_all(&env, second));
  CHECK(SegmentReader::open(&env, "/db", second.file, 1).status().code() == ErrorCode::kCorrupt);
  ManifestFile missing = second.file;
  missing.number = 6;
  CHECK(SegmentReader::open(&env, "/db", missing, kDatabase).status().code() ==
        ErrorCode::kCorrupt);
}

TEST(a_segment_that_is_not_finished_is_removed) {
  Random random(test_seed());
  SimEnv env;
  Memory memory;
  {
    const auto writer = create(&env, &memory);
    CHECK(env.bytes(kFile) != nullptr);
  }
  CHECK(env.bytes(kFile) == nullptr);
  // Nor is anything left when any of its calls fails.
  for (uint64_t fails_at = 0;; ++fails_at) {
    uint64_t calls = 0;
    env.fault = [&](uint64_t, SimEnv::Call call) {
      SimEnv::Fault f;
      const bool is_fatal = call == SimEnv::Call::kOpen || call == SimEnv::Call::kWrite ||
                            call == SimEnv::Call::kSync;
      if (is_fatal && calls++ == fails_at) f.result = -ENOSPC;
      return f;
    };
    Written w = draw(random, 3);
    const Status status = write(&env, random, {2000000}, &w);
    env.fault = nullptr;
    if (status.is_ok()) break;
    CHECK(status.code() == ErrorCode::kNoSpace);
    CHECK(env.bytes(kFile) == nullptr);
  }
}

// Heads whose checksums are right and whose content is not: refused or read within their bounds.
TEST(heads_trust_no_length) {
  Random random(test_seed());
  SimEnv env;
  Memory memory;
  const ExtentShape shape{3, 1, 8, 3, 16, true};
  Written w;
  w.extents.push_back({shape, DrawnRows(shape, {true, true, 6}, random), {}});
  CHECK_OK(write(&env, random, {}, &w));
  const ExtentPlace place = w.extents[0].place;
  const SimEnv::Bytes& file = *env.bytes(kFile);
  const size_t size = extent_buffer_bytes(place.head_bytes, shape.rows);
  size_t accepted = 0;
  for (int i = 0; i < 30000; ++i) {
    Array<std::byte> bytes(&memory.account, Use::kScratch);
    CHECK_OK(bytes.reserve(size));
    CHECK_OK(bytes.resize(size));
    std::memcpy(bytes.data(), file.data() + place.offset, place.head_bytes);
    for (uint64_t n = random.below(3); n > 0; --n) {
      bytes[random.below(place.head_bytes)] = static_cast<std::byte>(random.next());
    }
    ExtentHead head;
    if (decode_extent_head(bytes.data(), place.head_bytes, shape, &head) != nullptr) continue;
    ++accepted;
    size_t total = 0;
    for (size_t row = 0; row < shape.rows; ++row) {
      for (const char c : head.id(row).text) total += c == 'x' ? 2 : 1;
      for (const char c : head.metadata(row)) total += c == 'x' ? 2 : 1;
    }
    CHECK(total <= 2 * place.head_bytes);
  }
  CHECK(accepted > 0);
}
