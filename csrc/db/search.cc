// Searching: plan, walk, re-rank on the originals, and check each hit once more before it goes out.
#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

#include "base/test_points.h"
#include "db/final_scorer.h"
#include "db/query.h"

namespace omen {

namespace {

// After so many scans, each overtaken by more writes than can be followed, the answer goes out with
// the hits that stand.
constexpr int kAttemptsMax = 3;

// Estimates may leave the range of their metric, where exact distances do not.
void bound_estimates(Metric metric, float* distances, size_t count) {
  if (metric == Metric::kDot) return;
  const float most = metric == Metric::kCosine ? 2.0f : std::numeric_limits<float>::max();
  for (size_t i = 0; i < count; ++i) distances[i] = std::clamp(distances[i], 0.0f, most);
}

}  // namespace

Status Collection::Impl::check_query(const float* query, size_t length,
                                     const SearchOptions& o) const {
  OMEN_TRY(check_alive());
  if (o.k < 1 || o.k > kHitsMax) {
    return Status::error(ErrorCode::kArgument, "k is " + std::to_string(o.k) +
                                                   ", and must be an integer from 1 to 10 000");
  }
  if (o.ef > kEfMax) {
    return Status::error(ErrorCode::kArgument,
                         "ef is " + std::to_string(o.ef) + ", and must be at most 10 000");
  }
  const uint32_t dimensions = fixed_dimensions_.load(std::memory_order_acquire);
  if (length == 0 || length > kDimensionsMax || (dimensions != 0 && length != dimensions)) {
    return Status::error(
        ErrorCode::kDimensions,
        "the query has " + std::to_string(length) + " dimensions" +
            (dimensions == 0 ? "; 1 to 16 384 are possible"
                             : ", collection '" + name + "' has " + std::to_string(dimensions)));
  }
  const double squares = env.kernels->norm_f32(query, length);
  if (!(squares <= static_cast<double>(std::numeric_limits<float>::max()))) {
    return Status::error(
        ErrorCode::kVector,
        "the query holds NaN or Infinity, or its squared length overflows float32");
  }
  if (options.metric == Metric::kCosine &&
      !(squares >= static_cast<double>(std::numeric_limits<float>::min()))) {
    return Status::error(ErrorCode::kVector,
                         "a zero query has no direction; cosine cannot compare it");
  }
  return Status::ok();
}

std::unique_ptr<QueryScratch> Collection::Impl::take_scratch() {
  if (auto scratch = scratch_.take()) return scratch;
  return std::make_unique<QueryScratch>(&account);
}

// The pool's live, matching slots, with their final distances; a slot that was replaced meanwhile
// stands for its record's new one.
Status Collection::Impl::rerank(Store& s, Query& q, const CodeSet* codes) {
  QueryScratch& scratch = *q.scratch;
  SearchScratch& g = scratch.graph;
  const BinaryCodec* binary = codes == nullptr ? nullptr : codes->binary();
  OMEN_TRY(scratch.slots.reserve(g.pool_size));
  OMEN_TRY(scratch.distances.resize(g.pool_size));
  scratch.slots.clear();
  bool followed = false;  // Once true, a slot may come a second time.
  for (size_t i = 0; i < g.pool_size; ++i) {
    uint32_t slot = g.pool_ids[i] & kNodeMask;
    float* guess = &scratch.distances[scratch.slots.size()];
    *guess = kUnknown;
    if (s.is_live(slot)) {
      if (!q.accepts(slot)) continue;
      *guess = g.pool_distances[i];
      if (binary != nullptr) *guess -= binary->error_bound(scratch.codes, codes->code(slot));
    } else {
      slot = s.states.has(slot, SlotStates::kMarked) ? s.find(s.id_view(slot)) : kNoSlot;
      // The row set was made before this slot had the record.
      if (slot == kNoSlot || !s.is_live(slot) || !still_matches(s, q, slot)) continue;
      followed = true;
    }
    const auto* end = scratch.slots.end();
    if (followed && std::find(scratch.slots.begin(), scratch.slots.end(), slot) != end) continue;
    scratch.slots.push_back_reserved(slot);
  }
  const bool races = (q.version & 1) != 0 || s.version.load(std::memory_order_acquire) != q.version;
  for (size_t i = 0; i < std::min<size_t>(q.k, scratch.slots.size()); ++i) {
    prefetch_read(s.ids.row(scratch.slots[i]));
  }
  FinalScorer finals(s, {&scratch.floats, &scratch.codes});
  OMEN_TRY(finals.prepare(q.vector, q.scale));
  OMEN_TRY(binary != nullptr ? score_by_bounds(finals.scorer(), q.k, scratch)
                             : score_by_errors(finals.scorer(), {q.k, races}, scratch));
  q.plan.reranked += scratch.slots.size();
  sort_hits(s, scratch);
  return Status::ok();
}

// Over everything, until enough of it matches.
Status Collection::Impl::walk_matching(Store& s, Query& q, const Scorer& scorer) {
  SearchScratch& g = q.scratch->graph;
  const Graph::Accept accept{q.rows->rows.words(), q.rows->rows.size()};
  const auto run = [&]() -> Status {
    OMEN_TRY(g.reserve(s.high_water(), q.ef));
    OMEN_TRY(g.reserve_matches(q.matching_ef));
    const bool done = s.graph.search_matching(
        scorer,
        {accept, s.marked() > 0, q.matching_ef, q.nodes_min, q.ef, q.rows_limit, q.share_min}, g);
    // What matches is elsewhere: the scan answers.
    const uint64_t enough = std::min<uint64_t>(q.matching_ef, q.matches) / 2;
    if (!done || g.pool_size < enough) g.pool_size = 0;
    return Status::ok();
  };
  OMEN_TRY(run());
  if (q.matching_ef >= kCrowdEfMax || !is_crowded(g, q.matching_ef)) return Status::ok();
  q.matching_ef = std::min(q.matching_ef * kCrowdFactor, kCrowdEfMax);
  q.nodes_min = std::max(q.nodes_min, q.matching_ef);
  q.ef = std::max(std::min(q.ef * kCrowdFactor, kEfMax), q.nodes_min);
  return run();
}

Status Collection::Impl::walk(Store& s, Query& q) {
  QueryScratch& scratch = *q.scratch;
  if (q.walked && q.route == Query::Route::kGraph && q.matching_ef == 0) {
    return rerank(s, q, q.walked_codes);
  }
  OMEN_TRY(scratch.graph.reserve(s.high_water(), q.ef));
  scratch.graph.counters = {};
  const auto run = [&](auto& scorer) -> Status {
    OMEN_TRY(scorer.reserve(s.dimensions()));
    scorer.prepare(q.vector, q.scale);
    if (q.route == Query::Route::kFilteredGraph) {
      const Graph::Accept accept{q.rows->rows.words(), q.rows->rows.size()};
      const bool done = s.graph.search_filtered(scorer, q.ef, accept, q.rows_limit, scratch.graph);
      // Given up, or dried up: what matches lies too far apart to walk between. The scan answers.
      if (!done || scratch.graph.pool_size < std::min<uint64_t>(q.ef, q.matches)) {
        scratch.graph.pool_size = 0;
      }
    } else if (q.matching_ef > 0) {
      OMEN_TRY(walk_matching(s, q, scorer));
    } else {
      s.graph.search(scorer, q.ef, scratch.graph);
      if (q.ef < kCrowdEfMax && is_crowded(scratch.graph, q.ef)) {
        q.ef = std::min(q.ef * kCrowdFactor, kCrowdEfMax);
        OMEN_TRY(scratch.graph.reserve(s.high_water(), q.ef));
        s.graph.search(scorer, q.ef, scratch.graph);
      }
    }
    return Status::ok();
  };
  const CodeSet* codes = s.codes();
  if (codes != nullptr && codes->packed() != nullptr && q.is_plain_walk()) {
    return walk_packed(s, q, *codes);
  }
  if (codes != nullptr) {
    OMEN_TRY(codes->visit([&](const auto& codec) -> Status {
      RowScorer scorer(codec, codes->views(), s.kernels, &scratch.codes);
      return run(scorer);
    }));
  } else {
    RowScorer<Float32Codec> scorer(s.floats, s.float_views(), s.kernels, &scratch.floats);
    OMEN_TRY(run(scorer));
  }
  q.plan.rows_scored += scratch.graph.counters.rows_scored;
  q.plan.hops += scratch.graph.counters.hops;
  return rerank(s, q, codes);
}

Status Collection::Impl::find_matches(Store& s, Query& q) {
  q.matches = s.live();
  if (q.options->filter != nullptr && !q.options->filter->matches_all()) {
    OMEN_TRY(filter_rows(s, q.options->filter, &q.rows));
    q.matches = q.rows->matches;
  }
  q.plan.matches = q.matches;
  q.plan.selectivity =
      s.live() == 0 ? 0 : static_cast<double>(q.matches) / static_cast<double>(s.live());
  return Status::ok();
}

Status Collection::Impl::find_hits(Store& s, Query& q) {
  QueryScratch& scratch = *q.scratch;
  for (int attempt = 1;; ++attempt) {
    scratch.slots.clear();
    scratch.distances.clear();
    if (!q.walked) {
      q.moves = s.moves.count();
      q.version = s.version.load(std::memory_order_acquire);
    }
    OMEN_TRY(find_matches(s, q));
    bool whole = false;
    if (q.matches > 0) {
      choose_plan(s, q);
      const bool scans = q.route == Query::Route::kScan;
      q.plan.plan = q.route == Query::Route::kFilteredGraph ? "filtered-graph" : "graph";
      if (!scans || q.share_min > 0) {
        OMEN_TRY(walk(s, q));
        OMEN_TRY(settle(s, q).status());
        whole = scratch.slots.size() >= q.wanted();
        q.plan.fallback = !whole && !scans;
      }
      if (scans && !whole) {
        q.plan.plan = scans_codes(s, q) ? "scan" : "exact";
        q.plan.ef = 0;
      }
      if (!whole) OMEN_TRY(scan(s, q));
    }
    q.walked = false;
    if (!whole) {
      OMEN_ASSIGN(whole, settle(s, q));
      // A record met in both its slots took the place of another hit. The committer may stand in
      // the middle of such a change for long: from now on only the one that the index names counts.
      whole = whole && scratch.slots.size() >= q.wanted();
      q.by_index = true;
    }
    if (whole || attempt == kAttemptsMax) break;
  }
  size_t count = std::min<size_t>(scratch.slots.size(), q.k);
  q.plan.approximate = !s.has_floats();
  if (q.plan.approximate) bound_estimates(s.metric(), scratch.distances.data(), count);
  while (count > 0 && scratch.distances[count - 1] > q.options->max_distance) --count;
  scratch.slots.truncate(count);
  return Status::ok();
}

namespace {

float query_scale(const Store& s, const float* query) {
  if (!s.has_norms) return 1.0f;
  return static_cast<float>(1.0 / std::sqrt(s.kernels.norm_f32(query, s.dimensions())));
}

}  // namespace

Status Collection::Impl::prepare(const Store& s, const float* query, const SearchOptions& options,
                                 Query* q) {
  q->vector = query;
  q->scale = query_scale(s, query);
  q->options = &options;
  q->k = options.k;
  return options.cancel == nullptr ? Status::ok() : options.cancel->check(*env.clock);
}

Status Collection::search(const float* query, size_t length, const SearchOptions& options,
                          Rows* out, Plan* plan) {
  Impl& c = *impl_;
  OMEN_TEST_POINT("search");
  const uint64_t start_ns = plan == nullptr ? 0 : c.env.clock->now_ns();
  out->clear();
  if (plan != nullptr) *plan = {};
  OMEN_TRY(c.answer(query, length, options, plan, [&](const Store& s, const QueryScratch& hits) {
    const size_t count = hits.slots.size();
    out->distances.assign(hits.distances.data(), hits.distances.data() + count);
    return c.write_rows(s, hits.slots.data(), count, options.include, out);
  }));
  if (plan != nullptr) plan->native_ns = c.env.clock->now_ns() - start_ns;
  return Status::ok();
}

Status Collection::search_into(const float* query, size_t length, const SearchOptions& options,
                               uint64_t* ids, float* distances, size_t* count) {
  OMEN_TEST_POINT("search");
  *count = 0;
  const auto write = [&](const Store& s, const QueryScratch& hits) -> Status {
    for (size_t i = 0; i < hits.slots.size(); ++i) {
      const IdView id = s.id_view(hits.slots[i]);
      if (id.is_string) {
        return Status::error(ErrorCode::kId, "a hit has the string id " + id_to_json(id) +
                                                 ", which a typed array cannot hold; use search()")
            .with_id(id_to_json(id));
      }
      ids[i] = id.integer;
      distances[i] = hits.distances[i];
    }
    *count = hits.slots.size();
    return Status::ok();
  };
  return impl_->answer(query, length, options, nullptr, write);
}

}  // namespace omen
