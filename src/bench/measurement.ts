import { ConfigError } from '../setting.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'
import { Backlog } from './backlog.js'
import { type Call, Caller } from './call.js'
import { runSlice } from './load.js'
import type { Perplexity } from './perplexity.js'
import { type Extent, interleave, type Load, nameOf, type Run } from './plan.js'
import { Samples, type Variety } from './samples.js'
import { type ServerFigures, ServerUse, type Watched } from './server-use.js'
import { type Figures, Tally } from './tally.js'
import type { Text, Texts } from './text.js'
import type { Transport } from './transport.js'

export interface MeasurementOptions {
  readonly transport: Transport
  readonly watched: Watched
  readonly tokenizer: Tokenizer
  readonly runs: readonly Run[]
  readonly loads: readonly Load[]
  readonly texts: Texts
  readonly temperature: number
  readonly timeoutMs: number
  /** Of each run under each load. */
  readonly extent: Extent
  readonly rounds: number
  /** Before each load, of each run; counts nowhere. */
  readonly warmUpSeconds: number
  readonly sloMs: number
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
  /** Told of each text that was timed. */
  readonly onText: (run: Run, text: Text, written: string) => void
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
  readonly server: ServerFigures
  readonly variety: Variety
  /** Of the texts of this run under any load, where a judge was asked. */
  readonly perplexity?: Perplexity
  /** Why this load is more than the server can do; null where it is not. Higher loads of the run are then left out. */
  readonly saturation: string | null
}

/** More refusals than this are more load than the server takes. */
const MOST_REFUSED = 0.1

/** Under each load, every run in turn. Ends early, with what was measured by then, when the signal says so. */
export async function measure(options: MeasurementOptions): Promise<Result[]> {
  const { loads, rounds, extent, signal } = options
  const caller = new Caller(options.transport, options.timeoutMs, signal)
  const usualMs = await firstTexts(options, caller)
  const results: Result[] = []
  let runs = options.runs
  for (const [index, load] of loads.entries()) {
    if (signal.aborted) break
    const cells = new Map(runs.map((run) => [run, new Cell(options, run, usualMs.get(run)!)]))
    await warmUp(options, caller, load, cells)
    const slices = interleave(runs, load, rounds, extent)
    for (const [turn, slice] of slices.entries()) {
      if (signal.aborted) break
      const { run } = slice
      const cell = cells.get(run)!
      const calls: Call[] = []
      const end = await cell.use.begin()
      const span = await runSlice(slice, {
        ...options,
        caller,
        usualMs: () => cell.usualMs,
        onCall(call, text) {
          calls.push(call)
          cell.tally.add(call)
          if (call.written) {
            cell.samples.add(text, call.written.text)
            options.onText(run, text, call.written.text)
          }
          const share = (index + turn / slices.length) / loads.length
          options.onProgress({ load, run, done: cell.tally.done, share })
        }
      })
      await end()
      cell.tally.addSlice(span, calls)
      if (!signal.aborted) cell.backlog.addSlice(span, calls)
    }
    for (const [run, { tally, samples, backlog, use }] of cells) {
      if (tally.calls === 0) continue
      const { figures } = tally
      const variety = samples.variety(options.tokenizer)
      const saturation = saturationOf(load, figures, backlog)
      results.push({ ...run, load, figures, server: use.figures, variety, saturation })
    }
    runs = runs.filter((run) => !results.some((r) => nameOf(r) === nameOf(run) && r.saturation !== null))
  }
  return results
}

/** What is gathered of a run under a load. */
class Cell {
  readonly tally: Tally
  readonly samples = new Samples()
  readonly backlog = new Backlog()
  readonly use: ServerUse
  readonly #firstMs: number

  constructor({ sloMs, watched }: MeasurementOptions, run: Run, firstMs: number) {
    this.tally = new Tally(sloMs)
    this.use = new ServerUse(watched, run.model)
    this.#firstMs = firstMs
  }

  /** What a text takes. */
  get usualMs(): number {
    return this.tally.meanLatency || this.#firstMs
  }
}

function saturationOf(load: Load, { requests }: Figures, backlog: Backlog): string | null {
  const { done, slow, refused, failed, timedOut, cancelled } = requests
  const refusedShare = refused / (done + slow + refused + failed + timedOut + cancelled)
  if (refusedShare > MOST_REFUSED) return `${Math.round(100 * refusedShare)} % were refused`
  const steady = load.kind === 'open' && load.arrivals !== 'ramp'
  return steady && backlog.grows ? 'the queue grew all the time' : null
}

/** A text of each run, that counts nowhere: it shows a request that is refused, and what a text takes, milliseconds. */
async function firstTexts(options: MeasurementOptions, caller: Caller): Promise<Map<Run, number>> {
  const usualMs = new Map<Run, number>()
  const load: Load = { kind: 'closed', concurrency: 1 }
  const texts = { ...options.texts, cancelShare: 0, slowReaderShare: 0 }
  for (const run of options.runs) {
    const onCall = ({ outcome, reason, message, due, ended }: Call) => {
      if (outcome === 'failed')
        throw new ConfigError(
          `--run: expected what the server takes, got ${nameOf(run)} (${reason}: ${message})`
        )
      usualMs.set(run, ended - due)
    }
    const slice = { run, load, round: options.rounds, seconds: Number.POSITIVE_INFINITY, requests: 1 }
    await runSlice(slice, { ...options, texts, caller, usualMs: () => 0, onCall })
  }
  return usualMs
}

/** The load itself for a while, on texts of its own: connections open, code is compiled, passes find their size. */
async function warmUp(
  { warmUpSeconds, rounds, ...options }: MeasurementOptions,
  caller: Caller,
  load: Load,
  cells: ReadonlyMap<Run, Cell>
): Promise<void> {
  for (const [run, { usualMs }] of cells) {
    const slice = { run, load, round: rounds + 1, seconds: warmUpSeconds, requests: Number.POSITIVE_INFINITY }
    if (warmUpSeconds > 0)
      await runSlice(slice, { ...options, caller, usualMs: () => usualMs, onCall: () => {} })
  }
}
