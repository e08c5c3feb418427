// The planner: an exact scan of what matches, the graph, or the graph among what matches.
//
// The costs are rows scored, weighted by nanoseconds measured on 128 to 784 dimensions
// (docs/decisions): what counts is where they cross, and they cross at factors of two without harm.
#include <algorithm>

#include "db/query.h"

namespace omen {

namespace {

constexpr uint32_t kEfDefault = 64;
constexpr double kRowsPerHop = 14;    // Unvisited neighbours of an expanded node.
constexpr double kDescentRows = 200;  // Upper layers.
constexpr double kBridgeNs = 25;      // Reading the row of a neighbour that does not match.
// Below this share, matching nodes two hops apart hang together too loosely: a walk among them
// stays where it began. On WordNet it found 0.78 to 0.93 of the neighbours at 10 %, and no
// faster than a scan; at 3 % and less the parts are not even connected (a node has some 300
// within two hops).
constexpr double kBridgedShareMin = 0.15;
// Reading rows of nodes that do not match costs more than the rows scored say: measured.
constexpr double kBridgedFactor = 3;

double scan_row_ns(uint32_t dimensions) { return 4 + 0.11 * dimensions; }
double walk_row_ns(uint32_t dimensions, bool has_codes) {
  return has_codes ? 8 + 0.045 * dimensions : 10 + 0.13 * dimensions;
}

}  // namespace

// Sets the route, ef as widened for it, and the limits of the walk.
void Collection::Impl::choose_plan(const Store& s, Query& q) const {
  q.ef = std::max(q.options->ef == 0 ? kEfDefault : q.options->ef, q.k);
  q.matching_min = 0;
  const double live = std::max<double>(1, static_cast<double>(s.live()));
  const double share = std::min(1.0, static_cast<double>(q.matches) / live);
  q.plan.selectivity = share;
  q.plan.matches = q.matches;
  const bool filtered = q.rows != nullptr && q.matches < s.live();
  const double row = walk_row_ns(s.dimensions(), s.codes() != nullptr);
  const double scan_cost = static_cast<double>(q.matches) * scan_row_ns(s.dimensions());
  // ef counts matching candidates: a plain walk must keep ef / share of all.
  const double plain_ef = q.ef / std::max(share, 1e-9);
  const double plain_cost = (plain_ef * kRowsPerHop + kDescentRows) * row;
  const double bridges = std::min(32.0, 2.0 / std::max(share, 1e-9));
  const double filtered_cost =
      kBridgedFactor *
      ((q.ef * kRowsPerHop * 1.5 + kDescentRows + 600) * row + q.ef * bridges * kBridgeNs);
  const bool plain_fits = plain_ef <= kEfMax;
  if (q.options->mode == Mode::kExact) {
    q.route = Query::Route::kScan;
  } else if (!filtered) {
    q.route = q.options->mode == Mode::kPlan && scan_cost <= plain_cost ? Query::Route::kScan
                                                                        : Query::Route::kGraph;
  } else if (q.options->mode == Mode::kPlan &&
             scan_cost <= std::min(plain_cost, share < kBridgedShareMin ? 1e30 : filtered_cost)) {
    q.route = Query::Route::kScan;
  } else if (plain_fits && (plain_cost <= filtered_cost || share < kBridgedShareMin)) {
    q.route = Query::Route::kGraph;
    q.matching_min = static_cast<uint32_t>(std::min<uint64_t>(q.ef, q.matches) / 2);
    q.ef = static_cast<uint32_t>(plain_ef);
  } else {
    q.route = Query::Route::kFilteredGraph;
    // Few matches are spread thin: keep more of them.
    q.ef = std::min<uint32_t>(kEfMax, q.ef + q.ef / 2);
  }
  // A walk that costs as much as the scan would have is given up for it.
  q.rows_limit =
      q.options->mode == Mode::kPlan ? static_cast<uint64_t>(scan_cost / row) + 64 : UINT64_MAX;
  q.plan.ef = q.route == Query::Route::kScan ? 0 : q.ef;
}

}  // namespace omen
