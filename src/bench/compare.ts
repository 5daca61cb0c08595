/** What changed from one measurement to another, beyond noise. */
import type { MeasuredDocument } from './document.js'
import type { Result } from './measurement.js'
import { loadName, nameOf } from './plan.js'
import type { Round } from './tally.js'

/** How many times as large, with its 95 % interval. */
export interface Change {
  readonly ratio: number
  readonly low: number
  readonly high: number
}

/** Student's t that 97.5 % lie below, for 1, 2, ... 30 degrees of freedom. */
const STUDENT_T = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
  2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042
]

/**
 * Welch's interval for the ratio of two positive quantities: the difference of the means of their logarithms, of which
 * the rounds of each are samples. Null where there are fewer than two of either.
 */
export function changeOf(before: readonly number[], after: readonly number[]): Change | null {
  const [a, b] = [before, after].map((values) => logMoments(values)) as [Moments, Moments]
  if (a.count < 2 || b.count < 2) return null
  const [errorA, errorB] = [a.variance / a.count, b.variance / b.count]
  const error = errorA + errorB
  const degrees = error === 0 ? 1 : error ** 2 / (errorA ** 2 / (a.count - 1) + errorB ** 2 / (b.count - 1))
  const t = STUDENT_T[Math.min(STUDENT_T.length, Math.floor(degrees)) - 1]!
  const difference = b.mean - a.mean
  const margin = t * Math.sqrt(error)
  return {
    ratio: Math.exp(difference),
    low: Math.exp(difference - margin),
    high: Math.exp(difference + margin)
  }
}

interface Moments {
  readonly count: number
  readonly mean: number
  readonly variance: number
}

function logMoments(values: readonly number[]): Moments {
  const logs = values.filter((value) => value > 0).map(Math.log)
  const mean = logs.reduce((sum, value) => sum + value, 0) / logs.length
  const variance = logs.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (logs.length - 1)
  return { count: logs.length, mean, variance }
}

/** In words, a line for each run under each load, and for what only one of the two has. */
export function compare(before: MeasuredDocument, after: MeasuredDocument): string[] {
  const key = (result: Result) => `${nameOf(result)}, ${loadName(result.load)}`
  const [first, second] = [before, after].map(
    ({ results }) => new Map(results.map((result) => [key(result), result]))
  ) as [Map<string, Result>, Map<string, Result>]
  return [...new Set([...first.keys(), ...second.keys()])].map((name) => {
    const [a, b] = [first.get(name), second.get(name)]
    if (!a || !b) return `${name}: only in the ${a ? 'first' : 'second'} file`
    const of = (figure: keyof Round) =>
      changeOf(
        a.figures.rounds.map((round) => round[figure]),
        b.figures.rounds.map((round) => round[figure])
      )
    const { entropy } = a.variety
    return (
      `${name}: throughput ${words(of('tokensPerSecond'), ['higher', 'lower'])}; ` +
      `latency ${words(of('latency'), ['longer', 'shorter'])}; ` +
      `entropy ${entropy.toFixed(2)} before, ${b.variety.entropy.toFixed(2)} after`
    )
  })
}

function words(change: Change | null, [more, less]: readonly [string, string]): string {
  if (!change) return 'cannot be told from fewer than two rounds'
  const percent = (ratio: number) => `${ratio >= 1 ? '+' : '−'}${Math.abs(100 * (ratio - 1)).toFixed(1)} %`
  const interval = `${percent(change.low)} to ${percent(change.high)}`
  if (change.low <= 1 && change.high >= 1) return `unchanged beyond noise (${interval})`
  return `${change.ratio > 1 ? more : less}, ${percent(change.ratio)} (${interval})`
}
