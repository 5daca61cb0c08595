import { ConfigError } from '../setting.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'
import type { Call } from './call.js'
import { runSlice } from './load.js'
import { interleave, type Load, nameOf, type Run } from './plan.js'
import { Samples, type Variety } from './samples.js'
import { type Figures, Tally } from './tally.js'
import type { Transport } from './transport.js'

export interface MeasurementOptions {
  readonly transport: Transport
  readonly tokenizer: Tokenizer
  readonly runs: readonly Run[]
  readonly loads: readonly Load[]
  readonly prompts: readonly string[]
  readonly maxTokens: number
  readonly temperature: number
  /** Of each run under each load. */
  readonly seconds: number
  readonly rounds: number
  readonly sloMs: number
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

export interface Progress {
  readonly load: Load
  readonly run: Run
  readonly done: number
  /** Of the whole measurement, 0 to 1. */
  readonly share: number
}

/** A run under a load. */
export interface Result extends Run {
  readonly load: Load
  readonly figures: Figures
  readonly variety: Variety
}

/** Under each load, every run in turn. Ends early, with what was measured by then, when the signal says so. */
export async function measure(options: MeasurementOptions): Promise<Result[]> {
  const { loads, runs, rounds, seconds, signal } = options
  await warmUp(options)
  const results: Result[] = []
  for (const [index, load] of loads.entries()) {
    const cells = new Map(
      runs.map((run) => [run, { tally: new Tally(options.sloMs), samples: new Samples() }])
    )
    const slices = interleave(runs, load, rounds, seconds)
    for (const [turn, slice] of slices.entries()) {
      if (signal.aborted) break
      const { run } = slice
      const { tally, samples } = cells.get(run)!
      const calls: Call[] = []
      const span = await runSlice(slice, {
        ...options,
        onCall(call, { seed }) {
          calls.push(call)
          tally.add(call)
          if (call.written) samples.add(seed, call.written.text)
          const share = (index + turn / slices.length) / loads.length
          options.onProgress({ load, run, done: tally.done, share })
        }
      })
      tally.addSlice(span, calls)
    }
    for (const [run, { tally, samples }] of cells)
      results.push({ ...run, load, figures: tally.figures, variety: samples.variety(options.tokenizer) })
  }
  return results
}

/** A slice of one text for each run, that counts nowhere: it opens connections and shows a request that is refused. */
async function warmUp(options: MeasurementOptions): Promise<void> {
  for (const run of options.runs) {
    const load: Load = { kind: 'closed', concurrency: 1 }
    const onCall = ({ outcome, reason }: Call) => {
      if (outcome === 'failed')
        throw new ConfigError(`--run: expected what the server takes, got ${nameOf(run)} (${reason})`)
    }
    await runSlice({ run, load, round: 0, seconds: 1e-3 }, { ...options, onCall })
  }
}
