// Collections on disk that keep codes alone: what codes tell must survive as it is.
#include <cmath>
#include <cstdlib>

#include "db/salvage.h"
#include "db_disk_support.h"

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDims = 20;

CollectionOptions coded_options(Metric metric, Quantization codec) {
  CollectionOptions o = options_of(kDims, metric, codec);
  o.keep_vectors = false;
  o.given = CollectionOptions::kGivenDimensions | CollectionOptions::kGivenMetric |
            CollectionOptions::kGivenQuantization | CollectionOptions::kGivenKeepVectors;
  return o;
}

// A database whose collection keeps no vectors, and the vectors that were given to it.
struct Coded : OneCollection {
  Coded(uint64_t seed, Metric m, Quantization q)
      : OneCollection(seed), metric(m), quantization(q) {
    Random random(seed);
    rows.resize(size_t{6000} * kDims);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto range = static_cast<float>(1 + i % kDims);
      rows[i] = static_cast<float>(random.unit()) * range - 2.0f;
    }
    open(&env);
  }
  void open(SimEnv* from) {
    DatabaseOptions o = fixture.options(from);
    o.record_bytes = 64 << 10;
    o.checkpoint_bytes = uint64_t{1} << 40;  // Checkpoints are the tests' to make.
    OneCollection::open(o, coded_options(metric, quantization));
  }
  void add(size_t first, size_t count) {
    std::vector<uint64_t> ids(count);
    std::vector<std::string> metadata(count);
    for (size_t i = 0; i < count; ++i) {
      ids[i] = first + i;
      metadata[i] = "{\"n\":" + std::to_string((first + i) % 7) + "}";
    }
    CHECK_OK(write(*collection, kUpsert, rows.data() + first * kDims, count, kDims, ids,
                   metadata));
  }
  // All that is read of the collection, searches and distances included.
  std::string text() {
    std::string out = dump(*database);
    for (size_t q = 0; q < 20; ++q) {
      SearchOptions search;
      search.mode = q % 2 == 0 ? Mode::kExact : Mode::kPlan;
      Rows hits;
      CHECK_OK(collection->search(rows.data() + q * 211 * kDims, kDims, search, &hits));
      if (search.mode == Mode::kPlan) continue;
      for (size_t i = 0; i < hits.ids.size(); ++i) {
        out += std::to_string(hits.ids[i].value) + " " + std::to_string(hits.distances[i]) + " ";
      }
    }
    return out;
  }
  bool is_approximate() {
    return collection->stats().trained && collection->stats().bytes.vectors == 0;
  }
  // By how much a record is off what was given, at most: of the range of a dimension.
  double worst() {
    double most = 0;
    uint64_t cursor = 0;
    do {
      Rows found;
      CHECK_OK(collection->scroll(&cursor, 500, nullptr, kIncludeVector, &found));
      for (size_t i = 0; i < found.ids.size(); ++i) {
        const float* given = rows.data() + found.ids[i].value * kDims;
        for (uint32_t d = 0; d < kDims; ++d) {
          const double delta = found.vectors[i * kDims + d] - given[d];
          most = std::max(most, std::abs(delta) / (1 + d));
        }
      }
    } while (cursor != 0);
    return most;
  }

  const Metric metric;
  const Quantization quantization;
  std::vector<float> rows;
};

constexpr Metric kMetrics[] = {Metric::kL2, Metric::kCosine, Metric::kDot};
constexpr Quantization kCodecs[] = {Quantization::kSq8, Quantization::kBinary};

// OMEN_CODES_KINDS (6): so many of them, those that the seed says.
template <class Fn>
void each_kind(const Fn& fn) {
  const char* given = std::getenv("OMEN_CODES_KINDS");
  const size_t count = given == nullptr ? 6 : std::strtoul(given, nullptr, 10);
  for (size_t i = 0; i < count; ++i) {
    const size_t kind = (test_seed() + i) % 6;
    fn(kMetrics[kind / 2], kCodecs[kind % 2]);
  }
}

}  // namespace

// What a database tells after it was opened must be what it told before, to the bit, from a
// snapshot and from the log behind it.
TEST(codes_come_back_as_they_were) {
  each_kind([](Metric metric, Quantization codec) {
    Coded d(test_seed(), metric, codec);
    d.add(0, 4400);
    CHECK(d.is_approximate());
    CHECK_OK(d.database->checkpoint());
    const std::string before = d.text();
    d.open(&d.env);
    CHECK(d.is_approximate());
    CHECK_EQ(d.database->stats().recovery.rebuilt_graphs.size(), 0u);
    CHECK(d.text() == before);
    // Behind the snapshot, by the same parameters.
    d.add(4300, 400);
    CHECK_EQ(remove(*d.collection, {1, 2, 3}), 3);
    const std::string later = d.text();
    d.open(&d.env);
    CHECK(d.text() == later);
    CHECK_OK(check_database(*d.database));
    d.add(4700, 300);
    CHECK_OK(d.database->checkpoint());
    const std::string last = d.text();
    d.open(&d.env);
    CHECK(d.text() == last);
    CHECK_OK(check_database(*d.database));
  });
}

// Before codes are trained vectors are exact on disk too, and a snapshot of vectors is followed by
// one of codes.
TEST(vectors_are_stored_until_codes_are_trained) {
  each_kind([](Metric metric, Quantization codec) {
    Coded d(test_seed(), metric, codec);
    d.add(0, 1000);
    CHECK_OK(d.database->checkpoint());
    d.open(&d.env);
    CHECK(!d.is_approximate());
    CHECK_EQ(d.worst(), 0);
    d.add(1000, 3200);
    CHECK(d.is_approximate());
    const double worst = d.worst();
    CHECK(worst > 0);
    if (codec == Quantization::kSq8) CHECK(worst < 1);
    const std::string before = d.text();
    CHECK_OK(d.database->checkpoint());
    CHECK(d.text() == before);
    d.open(&d.env);
    CHECK(d.text() == before);
    CHECK_OK(check_database(*d.database));
  });
}

// Whenever the machine stops, what was acknowledged is there, as vectors or as codes.
TEST(no_crash_loses_codes) {
  const uint64_t seed = test_seed();
  Coded d(seed, Metric::kL2, Quantization::kSq8);
  d.close();
  const auto start = d.env.copy(seed);
  struct Mark {
    size_t changes;
    uint64_t count;
  };
  std::vector<Mark> marks;
  d.open(&d.env);
  const size_t first_change = d.env.changes();
  for (size_t at = 0; at < 5600; at += 700) {
    d.add(at, 700);
    marks.push_back({d.env.changes(), at + 700});
    if (at % 1400 == 0) CHECK_OK(d.database->checkpoint());
  }
  d.close();
  Random random(seed);
  const size_t last_change = d.env.changes();
  for (int draw = 0; draw < 8; ++draw) {
    const size_t count = first_change + random.below(last_change - first_change + 1);
    const auto keep = static_cast<SimEnv::Keep>(random.below(3));
    const auto left = d.env.after_crash(*start, count, keep, random.next());
    uint64_t least = 0;
    for (const Mark& mark : marks) {
      if (mark.changes <= count) least = mark.count;
    }
    d.open(left.get());
    CHECK(d.collection->count() >= least);
    CHECK(d.worst() < 1);
    CHECK_OK(check_database(*d.database));
    d.add(5600, 100);
    // Until a snapshot has the codes an opening trains them anew.
    CHECK_OK(d.database->checkpoint());
    const std::string text = d.text();
    d.open(left.get());
    CHECK(d.text() == text);
    d.close();
  }
}

// A graph that is damaged is built anew by codes; damaged codes are an error, and never other ones.
TEST(damaged_codes_are_told) {
  Coded d(test_seed(), Metric::kCosine, Quantization::kBinary);
  d.add(0, 5000);
  CHECK_OK(d.database->checkpoint());
  const std::string before = d.text();
  d.close();
  Random random(test_seed());
  int rebuilt = 0;
  int refused = 0;
  for (const std::string& path : d.env.paths()) {
    if (!path.ends_with(".seg")) continue;
    for (int draw = 0; draw < 5; ++draw) {
      const auto env = d.env.copy(random.next());
      SimEnv::Bytes& bytes = *env->bytes(path);
      bytes[random.below(bytes.size())] ^= 4;
      DatabaseOptions o = d.fixture.options(env.get());
      auto opened = Database::open(o);
      if (!opened.is_ok()) {
        CHECK(opened.status().code() == ErrorCode::kCorrupt);
        ++refused;
        continue;
      }
      opened = Status::error(ErrorCode::kClosed, "opened again below");
      d.open(env.get());
      if (!d.database->stats().recovery.rebuilt_graphs.empty()) ++rebuilt;
      CHECK(d.text() == before);
      CHECK_OK(d.database->checkpoint());  // Until then check() tells of the damaged graph.
      CHECK_OK(check_database(*d.database));
      d.close();
    }
  }
  CHECK(rebuilt > 0 && refused > 0);
}

// A rescue brings what codes tell; of a snapshot whose table is lost it tells that they are lost.
TEST(codes_can_be_rescued) {
  Coded d(test_seed(), Metric::kCosine, Quantization::kSq8);
  d.add(0, 5000);
  CHECK_OK(d.database->checkpoint());
  const double worst = d.worst();
  d.close();
  const std::string newest_path = newest_segment(d.env);
  auto salvaged = Database::salvage(d.fixture.options(&d.env), "/out");
  REQUIRE_OK(salvaged);
  CHECK(salvaged.value().loss.rows == 0 && salvaged.value().loss.extents == 0);
  DatabaseOptions o = d.fixture.options(&d.env);
  o.path = "/out";
  {
    auto opened = Database::open(o);
    REQUIRE_OK(opened);
    d.database = opened.take();
    d.collection =
        d.database->collection("a", CollectionOptions(), OpenMode::kOpen).take();
    CHECK_EQ(d.collection->count(), 5000);
    CHECK(!d.collection->stats().options.keep_vectors);
    CHECK(d.worst() < 4 * worst);  // Codes of what codes told, trained on other rows of it.
    d.close();
  }
  SimEnv::Bytes& newest = *d.env.bytes(newest_path);
  newest[newest.size() - 60] ^= 1;  // The table, at its end.
  auto without = Database::salvage(d.fixture.options(&d.env), "/out2");
  REQUIRE_OK(without);
  CHECK_EQ(without.value().loss.tables, 1);
  CHECK(without.value().loss.extents > 0);
}
