import type { MeasuredDocument } from '../../src/bench/document.js'
import type { Result } from '../../src/bench/measurement.js'
import type { Load } from '../../src/bench/plan.js'
import { Tally } from '../../src/bench/tally.js'

/** A result whose texts took these milliseconds each, round by round. */
export function resultOf(
  model: string,
  steps: number,
  rounds: readonly (readonly number[])[],
  load: Load = closed(8)
): Result {
  const tally = new Tally(1000)
  let now = 0
  for (const latencies of rounds) {
    const start = now
    const calls = latencies.map((ms) => {
      const due = now
      now += ms
      const written = { text: '', tokens: 10, steps, timings: null, firstStep: due, firstText: due }
      return { due, sent: due, ended: now, outcome: 'done' as const, written }
    })
    for (const call of calls) tally.add(call as never)
    tally.addSlice({ start, stop: now }, calls as never)
  }
  const server = { batch: 1, passesPerSecond: 1, tokensPerPass: 1, cpuShare: 1, residentMiB: 1 }
  const variety = { texts: 1, entropy: 4 + steps / 100, distinct2: 0.7, repetition: 0.1 }
  return { model, steps, load, figures: tally.figures, server, variety, saturation: null }
}

export const closed = (concurrency: number): Load => ({ kind: 'closed', concurrency })

export const documentOf = (results: readonly Result[]): MeasuredDocument => ({
  fewstep: '0.0.0',
  date: '2026-01-02T03:04:05.678Z',
  machine: '2 cores',
  command: 'fewstep bench',
  settings: { sloMs: 1000 },
  results
})
