// The planner: an exact scan of what matches, the graph, or the graph among what matches.
//
// The costs are rows scored, weighted by nanoseconds measured on 128 to 784 dimensions
// (docs/decisions): what counts is where they cross, and they cross at factors of two without harm.
#include <algorithm>

#include "db/query.h"

namespace omen {

namespace {

constexpr uint32_t kEfDefault = 64;
// Rows that a walk scores: fewer for each node the more nodes it visits, since it meets the same
// ones again.
constexpr double kRowsPerNode = 10;
constexpr double kRowsAtLeast = 600;
// A walk under a filter goes over so many times ef nodes at least, and keeps as many again as the
// share of matches asks for: around the query they may be sparser.
constexpr uint32_t kNodesPerMatch = 3;
constexpr double kNodesSlack = 2;
// Where a scan is cheaper by the share of all records, but a walk among nothing but matches would
// cost less than this part of it, a walk begins, and goes on only if it meets so many.
constexpr double kWorthTrying = 0.75;
constexpr double kBridgeNs = 25;  // Reading the row of a neighbour that does not match.
// Below this share, matching nodes two hops apart hang together too loosely: a walk among them
// stays where it began. On WordNet it found 0.78 to 0.93 of the neighbours at 10 %, and no
// faster than a scan; at 3 % and less the parts are not even connected (a node has some 300
// within two hops).
constexpr double kBridgedShareMin = 0.15;
// Reading rows of nodes that do not match costs more than the rows scored say: measured.
constexpr double kBridgedFactor = 3;

// Nanoseconds a row, by bench/native/filters_bench.cc.
double scan_row_ns(uint32_t dimensions, bool on_codes) {
  return on_codes ? 5 + 0.08 * dimensions : 4 + 0.2 * dimensions;
}
double walk_row_ns(uint32_t dimensions, bool on_codes) {
  return on_codes ? 20 + 0.1 * dimensions : 20 + 0.25 * dimensions;
}

uint32_t at_most_ef(double nodes) { return static_cast<uint32_t>(std::min<double>(nodes, kEfMax)); }

// The share of matches from which on a walk to `ef` of them scores fewer than `rows`; 0: none does.
double share_within(uint32_t ef, double rows) {
  const double nodes = (rows - kRowsAtLeast) / kRowsPerNode;
  return nodes < static_cast<double>(ef) * kNodesPerMatch ? 0 : ef / nodes;
}

}  // namespace

// For a walk under a filter that so large a share of the nodes passes.
void Collection::Impl::set_matching(Query& q, double share) {
  q.matching_ef = q.ef;
  q.nodes_min = at_most_ef(static_cast<double>(q.ef) * kNodesPerMatch);
  q.ef = at_most_ef(kNodesSlack * std::max<double>(q.nodes_min, q.matching_ef / share));
}

// Sets the route, ef as widened for it, and the limits of the walk.
void Collection::Impl::choose_plan(const Store& s, Query& q) const {
  q.ef = std::max(q.options->ef == 0 ? kEfDefault : q.options->ef, q.k);
  q.matching_ef = 0;
  const double live = std::max<double>(1, static_cast<double>(s.live()));
  const double share = std::min(1.0, static_cast<double>(q.matches) / live);
  q.plan.selectivity = share;
  q.plan.matches = q.matches;
  const bool filtered = q.rows != nullptr && q.matches < s.live();
  const double row = walk_row_ns(s.dimensions(), s.codes() != nullptr);
  const double scan_cost =
      static_cast<double>(q.matches) * scan_row_ns(s.dimensions(), scans_codes(s, q));
  // ef counts matches: a plain walk must go over ef / share of all.
  const double plain_ef =
      filtered ? std::max(q.ef / std::max(share, 1e-9), static_cast<double>(q.ef) * kNodesPerMatch)
               : q.ef;
  const double plain_cost = (plain_ef * kRowsPerNode + kRowsAtLeast) * row;
  const double bridges = std::min(32.0, 2.0 / std::max(share, 1e-9));
  const double filtered_cost =
      kBridgedFactor *
      ((q.ef * kRowsPerNode * 1.5 + 2 * kRowsAtLeast) * row + q.ef * bridges * kBridgeNs);
  const bool plain_fits = q.ef / std::max(share, 1e-9) <= kEfMax;
  const bool bridged_fits = share >= kBridgedShareMin;
  const bool plans = q.options->mode == Mode::kPlan;
  // A walk that costs as much as the scan would have is given up for it.
  q.rows_limit = plans ? static_cast<uint64_t>(scan_cost / row) + 64 : UINT64_MAX;
  q.share_min = 0;
  if (q.options->mode == Mode::kExact) {
    q.route = Query::Route::kScan;
  } else if (plans && scan_cost <= plain_cost &&
             (!filtered || !bridged_fits || scan_cost <= filtered_cost)) {
    q.route = Query::Route::kScan;
    if (filtered) q.share_min = share_within(q.ef, kWorthTrying * scan_cost / row);
    if (q.share_min > 0) set_matching(q, q.share_min);
  } else if (!filtered) {
    q.route = Query::Route::kGraph;
  } else if (plain_fits && (plain_cost <= filtered_cost || !bridged_fits)) {
    q.route = Query::Route::kGraph;
    set_matching(q, share);
  } else {
    q.route = Query::Route::kFilteredGraph;
    // Few matches are spread thin: keep more of them.
    q.ef = std::min<uint32_t>(kEfMax, q.ef + q.ef / 2);
  }
  q.plan.ef = q.route == Query::Route::kScan && q.share_min == 0 ? 0 : q.ef;
}

}  // namespace omen
