// Summary: medians over rounds, figures interpolated at given recalls, and ratios between engines.
//
// Every round alternates the engines, so figures of one round met the same noise: ratios are taken
// round by round, and their median and spread are what the tables say.

import { median, spreadPercent } from '../lib/measure.mjs'

export const TARGETS = [0.9, 0.95, 0.99]
/** Figures of a point of the sweep that are told at a recall. */
const FIGURES = ['qps', 'p50Us', 'p99Us', 'cpuUs']

/** One engine's entry of the run, reduced to medians. */
export function summarise({ name, variant, builds, sweep, absent }) {
  const result = { name, variant, absent, about: builds[0]?.about, builds: [], sweep: [] }
  for (const threads of new Set(builds.map((build) => build.threads))) {
    const own = builds.filter((build) => build.threads === threads)
    const opens = own.flatMap(({ openMs }) => (typeof openMs === 'number' ? [openMs] : []))
    result.builds.push({
      threads,
      rate: median(own.map(({ rate }) => rate)),
      spreadPercent: spreadPercent(own.map(({ rate }) => rate)),
      cpuSeconds: median(own.map(({ cpuSeconds }) => cpuSeconds)),
      resident: median(own.map(({ resident }) => resident)),
      openMs: opens.length > 0 ? median(opens) : undefined,
    })
  }
  for (const [ef, rounds] of sweep) {
    const of = (figure) => median(rounds.map((round) => round[figure]))
    result.sweep.push({
      ef,
      recall: of('recall'),
      qps: of('qps'),
      spreadPercent: spreadPercent(rounds.map(({ qps }) => qps)),
      p50Us: of('p50Us'),
      p99Us: of('p99Us'),
      cpuUs: of('cpuUs'),
    })
  }
  const rounds = roundsOf(sweep)
  result.at = Object.fromEntries(TARGETS.map((target) => [target, over(rounds, target)]))
  return result
}

/** One sweep per round: the points that every round has. */
function roundsOf(sweep) {
  const counts = [...sweep.values()].map((rounds) => rounds.length)
  return Array.from({ length: counts.length > 0 ? Math.min(...counts) : 0 }, (_, round) =>
    [...sweep].map(([ef, rounds]) => ({ ef, ...rounds[round] })),
  )
}

/** Medians over rounds of what each round shows at a recall; undefined if none reaches it. */
function over(rounds, target) {
  const each = rounds.map((sweep) => speedAt(sweep, target))
  if (each.length === 0 || each.includes(undefined)) return undefined
  const result = { atLeast: each.some(({ atLeast }) => atLeast) }
  for (const figure of FIGURES) result[figure] = median(each.map((one) => one[figure]))
  result.spreadPercent = spreadPercent(each.map(({ qps }) => qps))
  result.rounds = each.map(({ qps }) => qps)
  result.cpuRounds = each.map(({ cpuUs }) => 1e6 / cpuUs)
  return result
}

/**
 * The figures of a sweep at a recall: between the two points around it, linear in recall and in the
 * logarithm of the figure. `atLeast` when even the smallest ef finds more, undefined when the
 * largest finds less.
 */
export function speedAt(sweep, target) {
  const points = [...sweep].sort((a, b) => a.ef - b.ef)
  const above = points.findIndex((point) => point.recall >= target)
  if (above < 0) return undefined
  const high = points[above]
  const low = points[above - 1] ?? high
  const share = low === high ? 1 : (target - low.recall) / (high.recall - low.recall)
  const result = { atLeast: above === 0 && high.recall > target }
  for (const figure of FIGURES.filter((name) => high[name] !== undefined)) {
    result[figure] = high[figure] * (low[figure] / high[figure]) ** (1 - share)
  }
  return result
}

/**
 * How many times as many queries per second `ours` answers as `theirs` at a recall: the median over
 * rounds, and half the range in per cent. undefined where one of them does not reach it. `bound`:
 * '≤' if the peer finds more even at its smallest ef, so that its speed there is only a bound;
 * '≥' if we do. By `cpuRounds` instead of `rounds`: queries per second of CPU time.
 */
export function ratioAt(ours, theirs, target, figure = 'rounds') {
  const [a, b] = [ours.at[target], theirs.at[target]]
  if (a === undefined || b === undefined) return undefined
  const count = Math.min(a.rounds.length, b.rounds.length)
  const ratios = Array.from({ length: count }, (_, round) => a[figure][round] / b[figure][round])
  const bound = a.atLeast === b.atLeast ? (a.atLeast ? '~' : '') : a.atLeast ? '≥' : '≤'
  return { ratio: median(ratios), spreadPercent: spreadPercent(ratios), bound, rounds: count }
}
