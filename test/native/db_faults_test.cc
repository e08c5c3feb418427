// Every allocation of every operation refused in turn: an error, nothing half-applied, and the
// collection goes on. Needs the hook of memory/budget.h, so it is empty in builds without it.
#include "db_support.h"

#ifdef OMENDB_TEST_POINTS

using namespace omen;
using namespace omen::test;

namespace {

constexpr uint32_t kDimensions = 4;
constexpr uint64_t kForEver = uint64_t{1} << 60;

Status fill(Collection& c, size_t rows, uint64_t first, Commit::Kind kind) {
  Random random(first + rows);
  std::vector<float> vectors(rows * kDimensions);
  for (float& x : vectors) x = static_cast<float>(random.unit()) + 0.1f;
  OMEN_ASSIGN(std::unique_ptr<WriteBatch> batch, c.begin_write(rows, kDimensions));
  OMEN_TRY(batch->stage_vectors(0, rows, vectors.data()));
  for (size_t i = 0; i < rows; ++i) {
    const std::string n = std::to_string(i);
    OMEN_TRY(batch->stage_string_id(i, "id-" + std::to_string(first + i)));
    OMEN_TRY(batch->stage_metadata(i, "{\"n\":" + std::to_string(i % 7) + ",\"tags\":[\"a" + n +
                                          "\",\"b\"],\"f" + std::to_string(i % 5) + "\":\"x" + n +
                                          "\"}"));
  }
  Commit commit;
  commit.kind = kind;
  commit.batch = std::move(batch);
  c.run(&commit);
  return std::move(commit.status);
}

// The structures hold, and no slot is lost.
bool is_sound(Collection& c) {
  const CheckReport report = c.check();
  const Store* s = c.impl().store();
  const bool balanced = s == nullptr || s->slots.used_count() == s->live() + s->marked();
  if (!report.ok) std::printf("  %s\n", report.problem.c_str());
  return CHECK(report.ok) && CHECK(balanced);
}

// Refuses reservation n, n + 1, ... of the operation, for every n that it makes; once, and for
// ever.
template <class Prepare, class Operation>
void refuse_each(const Prepare& prepare, const Operation& operation) {
  for (const uint64_t times : {uint64_t{1}, kForEver}) {
    bool was_refused = true;
    for (uint64_t n = 0; was_refused; ++n) {
      InlineExecutor executor(1);
      Fixture fixture(&executor);
      const auto c = fixture.make(options_of(kDimensions, Metric::kCosine, Quantization::kSq8));
      prepare(*c);
      const uint64_t before = c->count();
      test_refuse_reservations(n, times);
      const Status status = operation(*c);
      was_refused = test_reservations() > n;
      test_refuse_reservations(0, 0);
      executor.run_all();
      if (!status.is_ok()) CHECK_EQ(c->count(), before);
      const bool sound = is_sound(*c) && CHECK(status.is_ok() || operation(*c).is_ok()) &&
                         CHECK_OK(fill(*c, 40, 50000, kUpsert)) && is_sound(*c);
      if (!sound) {
        std::printf("  after refusing reservation %llu: %s\n", static_cast<unsigned long long>(n),
                    status.message().c_str());
        return;
      }
    }
  }
}

void nothing(Collection&) {}
void some(Collection& c) { CHECK_OK(fill(c, 60, 0, kAdd)); }

}  // namespace

TEST(a_refused_first_add_leaves_nothing) {
  refuse_each(nothing, [](Collection& c) { return fill(c, 40, 1000, kAdd); });
}

TEST(a_refused_upsert_leaves_the_old_records) {
  refuse_each(some, [](Collection& c) { return fill(c, 40, 0, kUpsert); });
}

TEST(a_refused_update_leaves_the_old_record) {
  refuse_each(some, [](Collection& c) {
    Commit commit;
    commit.kind = Commit::Kind::kUpdate;
    commit.id_text = "id-7";
    commit.ids.push_back(IdOut{true, 4, 0});
    commit.metadata = "{\"z\":[\"q\",2],\"y\":\"a string that is new\"}";
    commit.vector = {1, 2, 3, 4};
    c.run(&commit);
    return std::move(commit.status);
  });
}

TEST(a_refused_delete_deletes_nothing) {
  refuse_each(some, [](Collection& c) {
    Commit commit;
    commit.kind = Commit::Kind::kDeleteFilter;
    commit.filter =
        Filter::parse("{\"n\":3,\"tags\":\"b\",\"$id\":{\"$gt\":\"a\"}}", nullptr).take();
    c.run(&commit);
    return std::move(commit.status);
  });
}

// A scratch that grew by half was once taken for whole, and the next search wrote past its end.
TEST(a_refused_search_harms_no_later_one) {
  refuse_each(some, [](Collection& c) {
    const float query[kDimensions] = {1, 2, 3, 4};
    SearchOptions o;
    o.mode = Mode::kGraph;
    o.ef = 3000;
    o.filter = Filter::parse("{\"tags\":\"b\"}", nullptr).take();
    Rows rows;
    Status status = c.search(query, kDimensions, o, &rows);
    if (status.is_ok()) CHECK_EQ(rows.ids.size(), 10u);
    return status;
  });
}

TEST(a_refused_optimize_changes_nothing) {
  const auto with_deleted = [](Collection& c) {
    some(c);
    Commit commit;
    commit.kind = Commit::Kind::kDeleteFilter;
    commit.filter = Filter::parse("{\"n\":3}", nullptr).take();
    c.run(&commit);
    CHECK_OK(commit.status);
  };
  refuse_each(with_deleted, [](Collection& c) { return optimize(c); });
}

// clear() came between staging and commit, and the rows' new place is refused.
TEST(rows_that_clear_overtook_are_refused_whole) {
  for (uint64_t n = 0;; ++n) {
    InlineExecutor executor(1);
    Fixture fixture(&executor);
    const auto c = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kSq8));
    some(*c);
    Commit add;
    add.batch = c->begin_write(300, kDimensions).take();
    const std::vector<float> vectors(300 * kDimensions, 1.0f);
    CHECK_OK(add.batch->stage_vectors(0, 300, vectors.data()));
    for (size_t i = 0; i < 300; ++i) {
      CHECK_OK(add.batch->stage_string_id(i, "s" + std::to_string(i)));
    }
    Commit clear;
    clear.kind = Commit::Kind::kClear;
    c->run(&clear);
    test_refuse_reservations(n, 1);
    c->run(&add);
    const bool was_refused = test_reservations() > n;
    test_refuse_reservations(0, 0);
    executor.run_all();
    CHECK_EQ(c->count(), add.status.is_ok() ? 300u : 0u);
    if (!is_sound(*c) || !was_refused) break;
  }
}

// The second commit of a group trains codes and is refused: the first one's rows are linked all the
// same.
TEST(a_refused_commit_does_not_harm_its_group) {
  for (uint64_t n = 0;; n += 1 + n / 3) {
    InlineExecutor executor(1);
    Fixture fixture(&executor);
    const auto c = fixture.make(options_of(kDimensions, Metric::kL2, Quantization::kSq8));
    CHECK_OK(fill(*c, 3000, 0, kAdd));
    executor.run_all();
    Commit group[2];
    const size_t rows[2] = {50, 1500};
    Random random(n);
    for (int i = 0; i < 2; ++i) {
      std::vector<float> vectors(rows[i] * kDimensions);
      for (float& x : vectors) x = static_cast<float>(random.unit());
      group[i].batch = c->begin_write(rows[i], kDimensions).take();
      CHECK_OK(group[i].batch->stage_vectors(0, rows[i], vectors.data()));
    }
    test_refuse_reservations(n, 1);
    c->submit(&group[0]);
    c->submit(&group[1]);
    executor.run_all();
    const bool was_refused = test_reservations() > n;
    test_refuse_reservations(0, 0);
    uint64_t expected = 3000;
    for (int i = 0; i < 2; ++i) expected += group[i].status.is_ok() ? rows[i] : 0;
    CHECK_EQ(c->count(), expected);
    if (!is_sound(*c) || !was_refused) break;
  }
}

#endif
