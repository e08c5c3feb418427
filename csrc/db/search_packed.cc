// Searching over packed codes (layout 'fast'), where all records match: alone, or for several
// queries that take turns. The distances found are exact, so that re-ranking only checks the hits.
#include <optional>

#include "db/query.h"

namespace omen {

namespace {

// One search's scorers, over memory of its scratch.
struct PackedScorers {
  PackedScorers(const Store& s, const CodeSet& codes, QueryScratch& scratch)
      : exact(s.floats, s.float_views(), s.kernels, &scratch.floats),
        coarse(*codes.binary(), codes.views(), s.kernels, &scratch.codes),
        rows(*codes.packed(), scratch.edges) {}

  Status prepare(const Store& s, const CodeSet& codes, const float* query, float scale,
                 QueryScratch& scratch) {
    OMEN_TRY(exact.reserve(s.dimensions()));
    OMEN_TRY(coarse.reserve(s.dimensions()));
    exact.prepare(query, scale);
    coarse.prepare(query, scale);
    return codes.packed()->codec().prepare(scratch.codes, &scratch.edges);
  }

  Graph::PackedSearch search(uint32_t ef, SearchScratch& g) const {
    return {&rows, &exact, &coarse, &g, ef};
  }

  RowScorer<Float32Codec> exact;
  RowScorer<BinaryCodec> coarse;
  PackedScorer rows;
};

}  // namespace

Status Collection::Impl::walk_packed(Store& s, Query& q, const CodeSet& codes) {
  QueryScratch& scratch = *q.scratch;
  PackedScorers scorers(s, codes, scratch);
  OMEN_TRY(scorers.prepare(s, codes, q.vector, q.scale, scratch));
  const auto run = [&]() -> Status {
    OMEN_TRY(scratch.graph.reserve_packed(s.high_water(), q.ef));
    s.graph.search_packed(scorers.search(q.ef, scratch.graph));
    return Status::ok();
  };
  OMEN_TRY(run());
  if (q.ef < kCrowdEfMax && is_crowded(scratch.graph, q.ef)) {
    q.ef = std::min(q.ef * kCrowdFactor, kCrowdEfMax);
    OMEN_TRY(run());
  }
  q.plan.rows_scored += scratch.graph.counters.rows_scored;
  q.plan.hops += scratch.graph.counters.hops;
  return rerank(s, q, nullptr);
}

Status Collection::Impl::walk_packed_group(Store& s, std::span<Query* const> queries,
                                           const CodeSet& codes) const {
  std::optional<PackedScorers> scorers[Graph::kGroupMax];
  Graph::PackedSearch searches[Graph::kGroupMax];
  for (size_t i = 0; i < queries.size(); ++i) {
    Query& q = *queries[i];
    QueryScratch& scratch = *q.scratch;
    OMEN_TRY(scratch.graph.reserve_packed(s.high_water(), q.ef));
    scratch.graph.counters = {};
    scorers[i].emplace(s, codes, scratch);
    OMEN_TRY(scorers[i]->prepare(s, codes, q.vector, q.scale, scratch));
    searches[i] = scorers[i]->search(q.ef, scratch.graph);
  }
  s.graph.search_packed_group({searches, queries.size()});
  for (Query* q : queries) {
    q->walked = !is_crowded(q->scratch->graph, q->ef);
    q->walked_codes = nullptr;  // Distances are exact.
  }
  return Status::ok();
}

}  // namespace omen
