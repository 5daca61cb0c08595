import type { Result } from './measurement.js'
import { loadName, nameOf } from './plan.js'

const columns: readonly [head: string, cell: (result: Result) => string][] = [
  ['run', nameOf],
  ['load', ({ load }) => loadName(load)],
  ['done', ({ figures }) => `${figures.requests.done}`],
  ['refused, failed', ({ figures: { requests: r } }) => `${r.refused}, ${r.failed + r.timedOut}`],
  ['tokens/s', ({ figures }) => number(figures.tokensPerSecond, 0)],
  ['p50 ms', ({ figures }) => number(figures.latency.p50, 0)],
  ['p90 ms', ({ figures }) => number(figures.latency.p90, 0)],
  ['p99 ms', ({ figures }) => number(figures.latency.p99, 0)],
  ['first text', ({ figures }) => number(figures.firstText.p50, 0)],
  ['queue', ({ figures }) => number(figures.queue.p50, 0)],
  ['passes', ({ figures }) => number(figures.passesPerText, 1)],
  ['batch', ({ server }) => number(server.batch, 1)],
  ['goodput', ({ figures }) => number(figures.goodput, 3)],
  ['entropy', ({ variety }) => number(variety.entropy, 2)],
  ['distinct-2', ({ variety }) => number(variety.distinct2, 2)],
  ['repeated', ({ variety }) => number(variety.repetition, 2)]
]
const perplexity: (typeof columns)[number] = [
  'perplexity',
  ({ perplexity }) => number(perplexity?.value ?? Number.NaN, 1)
]

/** What a server does not tell is a dash. */
function number(value: number, digits: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(digits)
}

/** The head, and a row of cells for each result. */
export function rowsOf(results: readonly Result[]): string[][] {
  const shown = results.some((result) => result.perplexity) ? [...columns, perplexity] : columns
  return [shown.map(([head]) => head), ...results.map((result) => shown.map(([, cell]) => cell(result)))]
}

/** A table for a terminal: names to the left, numbers to the right. */
export function table(results: readonly Result[]): string {
  const rows = rowsOf(results)
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  return rows
    .map((row) =>
      row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')
    )
    .join('\n')
}
