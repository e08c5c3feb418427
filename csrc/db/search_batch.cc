// Searching for many queries at once: on all threads, and on each several that take turns, so that
// while one waits for memory the others compute.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <type_traits>

#include "base/test_points.h"
#include "db/query.h"
#include "graph/locality.h"

namespace omen {

namespace {

constexpr size_t kGroup = 2;
static_assert(kGroup <= Graph::kGroupMax);
// Queries are answered in the order in which they lie where there are so many, about so many of
// which are not told apart, and where what they read is more than caches hold.
constexpr size_t kOrderedMin = 32;
constexpr size_t kLeafQueries = 4;
constexpr uint64_t kOrderedBytesMin = uint64_t{2} << 20;

class QueryRows final : public LocalRows {
 public:
  QueryRows(const Store& store, const float* queries)
      : dimensions_(store.dimensions()),
        kernels_(store.has_norms ? &store.kernels : nullptr),
        queries_(queries) {}
  FloatRow row(size_t i) const override {
    const float* const query = queries_ + i * dimensions_;
    if (kernels_ == nullptr) return {query, 1.0f};
    return {query, static_cast<float>(1.0 / std::sqrt(kernels_->norm_f32(query, dimensions_)))};
  }

 private:
  const size_t dimensions_;
  const simd::Kernels* const kernels_;  // Under cosine.
  const float* const queries_;
};

}  // namespace

Status Collection::Impl::walk_group(Store& s, std::span<Query> queries) const {
  const CodeSet* codes = s.codes();
  Query* walkers[Graph::kGroupMax];
  size_t walker_count = 0;
  for (Query& q : queries) {
    q.moves = s.moves.count();
    q.version = s.version.load(std::memory_order_acquire);
    q.matches = s.live();
    choose_plan(s, q);
    if (q.is_plain_walk()) walkers[walker_count++] = &q;
  }
  const std::span<Query* const> walking(walkers, walker_count);
  if (codes != nullptr && codes->packed() != nullptr) {
    return walk_packed_group(s, walking, *codes);
  }
  const auto run = [&](const auto& codec, const RowViews& views, auto memory) -> Status {
    using Scorer = RowScorer<std::remove_cvref_t<decltype(codec)>>;
    std::optional<Scorer> scorers[Graph::kGroupMax];
    Graph::Search searches[Graph::kGroupMax];
    size_t count = 0;
    for (Query* const walker : walking) {
      Query& q = *walker;
      QueryScratch& scratch = *q.scratch;
      OMEN_TRY(scratch.graph.reserve(s.high_water(), q.ef));
      scratch.graph.counters = {};
      scorers[count].emplace(codec, views, s.kernels, memory(scratch));
      OMEN_TRY(scorers[count]->reserve(s.dimensions()));
      scorers[count]->prepare(q.vector, q.scale);
      searches[count] = {&*scorers[count], &scratch.graph, q.ef};
      ++count;
    }
    s.graph.search_group({searches, count});
    for (size_t i = 0; i < count; ++i) {
      walking[i]->walked = !is_crowded(walking[i]->scratch->graph, walking[i]->ef);
      walking[i]->walked_codes = codes;
    }
    return Status::ok();
  };
  if (codes == nullptr) {
    return run(s.floats, s.float_views(), [](QueryScratch& q) { return &q.floats; });
  }
  return codes->visit([&](const auto& codec) {
    return run(codec, codes->views(), [](QueryScratch& q) { return &q.codes; });
  });
}

struct Collection::Impl::QueryBatch {
  const float* queries;
  size_t count;
  size_t dimensions;
  const SearchOptions* options;
};

struct Collection::Impl::BatchFault {
  size_t row = 0;
  Status status;
};

// Answers the queries of some rows, at most kGroup, each to `write(row, store, hits)`, or tells the
// first fault.
template <class Write>
Collection::Impl::BatchFault Collection::Impl::answer_group(const QueryBatch& batch,
                                                            std::span<const uint32_t> rows,
                                                            const Write& write) {
  const size_t n = rows.size();
  OMEN_ASSERT(n <= kGroup);
  const auto vector = [&](size_t i) { return batch.queries + rows[i] * batch.dimensions; };
  const EpochDomain::Pin pin = epochs.pin();
  for (size_t i = 0; i < n; ++i) {
    Status status = check_query(vector(i), batch.dimensions, *batch.options);
    if (!status.is_ok()) return {rows[i], std::move(status)};
  }
  Store* s = store();
  if (s == nullptr || s->live() == 0) return {};
  // The first rows came between: now the dimensions are fixed, and not as the queries have them.
  if (batch.dimensions != s->dimensions()) {
    return {rows[0], check_query(vector(0), batch.dimensions, *batch.options)};
  }
  std::unique_ptr<QueryScratch> scratches[kGroup];
  Query queries[kGroup];
  for (size_t i = 0; i < n; ++i) {
    scratches[i] = take_scratch();
    queries[i].scratch = scratches[i].get();
    Status status = prepare(*s, vector(i), *batch.options, &queries[i]);
    if (!status.is_ok()) return {rows[i], std::move(status)};
  }
  if (batch.options->filter == nullptr) {
    Status status = walk_group(*s, {queries, n});
    if (!status.is_ok()) return {rows[0], std::move(status)};
  }
  for (size_t i = 0; i < n; ++i) {
    const size_t row = rows[i];
    Status status = answer_prepared(*s, queries[i], [&](const Store& store, const auto& hits) {
      return write(row, store, hits);
    });
    if (!status.is_ok()) return {row, std::move(status)};
    scratch_.put(std::move(scratches[i]));
  }
  return {};
}

// In which order to answer queries, which need not be right.
Status Collection::Impl::order_queries(const QueryBatch& batch, Array<uint32_t>* order) {
  const EpochDomain::Pin pin = epochs.pin();
  const Store* s = store();
  if (batch.count >= kOrderedMin && s != nullptr && s->dimensions() == batch.dimensions &&
      s->live() * batch.dimensions >= kOrderedBytesMin) {
    const QueryRows rows(*s, batch.queries);
    const Locality locality{rows,      batch.count,   batch.dimensions, kLeafQueries,
                            s->kernels, *env.executor, &account};
    if (order_by_locality(locality, order).is_ok()) return Status::ok();
  }
  OMEN_TRY(order->resize(batch.count));
  std::iota(order->begin(), order->end(), 0u);
  return Status::ok();
}

Status Collection::search_batch(const float* queries, size_t count, size_t dimensions,
                                const SearchOptions& options, Rows* out, uint32_t* counts) {
  Impl& c = *impl_;
  OMEN_TEST_POINT("search-batch");
  out->clear();
  const size_t k = options.k;
  if (k < 1 || k > kHitsMax) return c.check_query(queries, dimensions, options);
  out->ids.assign(count * k, IdOut{});
  out->distances.assign(count * k, std::numeric_limits<float>::quiet_NaN());
  std::mutex mutex;
  Status first_fault;
  const auto write = [&](size_t row, const Store& s, const QueryScratch& hits) {
    counts[row] = static_cast<uint32_t>(hits.slots.size());
    for (size_t j = 0; j < hits.slots.size(); ++j) {
      const IdView id = s.id_view(hits.slots[j]);
      IdOut& o = out->ids[row * k + j];
      out->distances[row * k + j] = hits.distances[j];
      o.is_string = id.is_string;
      o.value = id.integer;
      if (!id.is_string) continue;
      const std::lock_guard<std::mutex> guard(mutex);
      o.value = out->text.size();
      o.length = static_cast<uint32_t>(id.text.size());
      out->text.append(id.text);
    }
    return Status::ok();
  };
  const auto note = [&](size_t row, Status status) {
    const std::lock_guard<std::mutex> guard(mutex);
    if (!first_fault.is_ok() && first_fault.row() <= static_cast<int64_t>(row)) return;
    const bool of_query =
        status.code() == ErrorCode::kVector || status.code() == ErrorCode::kDimensions;
    first_fault = of_query ? Status::error(status.code(),
                                           "query " + std::to_string(row) + ": " + status.message())
                                 .with_row(static_cast<int64_t>(row))
                           : std::move(status);
  };
  std::fill(counts, counts + count, 0u);
  const Impl::QueryBatch batch{queries, count, dimensions, &options};
  Array<uint32_t> order(&c.account, Use::kScratch);
  OMEN_TRY(c.order_queries(batch, &order));
  parallel_for(*c.env.executor, count, kGroup, [&](size_t begin, size_t end, unsigned) {
    std::sort(order.data() + begin, order.data() + end);  // Of two faults the first one is told.
    auto fault = c.answer_group(batch, {order.data() + begin, end - begin}, write);
    if (!fault.status.is_ok()) note(fault.row, std::move(fault.status));
  });
  const EpochDomain::Pin pin = c.epochs.pin();
  const Store* s = c.store();
  out->approximate = s != nullptr && !s->has_floats();
  return first_fault;
}

}  // namespace omen
