import type { Result } from './measurement.js'
import { loadName, nameOf } from './plan.js'

const columns: readonly [head: string, cell: (result: Result) => string][] = [
  ['run', nameOf],
  ['load', ({ load }) => loadName(load)],
  ['done', ({ figures }) => `${figures.requests.done}`],
  ['refused, failed', ({ figures: { requests } }) => `${requests.refused}, ${requests.failed}`],
  ['tokens/s', ({ figures }) => figures.tokensPerSecond.toFixed(0)],
  ['texts/s', ({ figures }) => figures.textsPerSecond.toFixed(2)],
  ['p50 ms', ({ figures }) => figures.latency.p50.toFixed(0)],
  ['p90 ms', ({ figures }) => figures.latency.p90.toFixed(0)],
  ['p99 ms', ({ figures }) => figures.latency.p99.toFixed(0)],
  ['first step', ({ figures }) => figures.firstStep.p50.toFixed(0)],
  ['first text', ({ figures }) => figures.firstText.p50.toFixed(0)],
  ['queue', ({ figures }) => figures.queue.p50.toFixed(0)],
  ['passes', ({ figures }) => figures.passesPerText.toFixed(1)],
  ['goodput', ({ figures }) => figures.goodput.toFixed(3)],
  ['entropy', ({ variety }) => variety.entropy.toFixed(2)],
  ['distinct-2', ({ variety }) => variety.distinct2.toFixed(2)]
]

/** A table for a terminal: names to the left, numbers to the right. */
export function table(results: readonly Result[]): string {
  const rows = [
    columns.map(([head]) => head),
    ...results.map((result) => columns.map(([, cell]) => cell(result)))
  ]
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  return rows
    .map((row) =>
      row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')
    )
    .join('\n')
}
