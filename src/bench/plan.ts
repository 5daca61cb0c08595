/** What is measured: models at numbers of steps, each on the same prompts and seeds. */

/** A model at a number of steps. */
export interface Run {
  readonly model: string
  readonly steps: number
}

/** How requests come: so many clients, each with its next when the last has ended; or so many a second, whatever becomes of them. */
export type Load =
  | { readonly kind: 'closed'; readonly concurrency: number }
  | { readonly kind: 'open'; readonly rate: number; readonly arrivals: Arrivals }
export type Arrivals = 'constant' | 'poisson'

export const transports = ['websocket', 'sse', 'http'] as const
export type TransportName = (typeof transports)[number]

/** A stretch of time in which one run is under load. */
export interface Slice {
  readonly run: Run
  readonly load: Load
  /** Slices of one round ask for the same texts. */
  readonly round: number
  readonly seconds: number
}

/**
 * Rounds of slices: in each, every run has its turn, and the first of one round is the second of the next. So what else the
 * machine does falls on all alike.
 */
export function interleave(runs: readonly Run[], load: Load, rounds: number, seconds: number): Slice[] {
  return Array.from({ length: rounds }, (_, round) =>
    runs.map((_, turn) => {
      const run = runs[(turn + runs.length - (round % runs.length)) % runs.length]!
      return { run, load, round, seconds: seconds / rounds }
    })
  ).flat()
}

/** Of the nth text of a round: no two of a measurement share a seed. */
export interface Text {
  readonly prompt: string
  readonly seed: number
}

const TEXTS_A_ROUND = 1_000_000

export function textOf(prompts: readonly string[], round: number, n: number): Text {
  const seed = round * TEXTS_A_ROUND + n
  return { prompt: prompts[seed % prompts.length]!, seed }
}

export const nameOf = ({ model, steps }: Run) => `${model}, ${steps} steps`

export function loadName(load: Load): string {
  return load.kind === 'closed' ? `${load.concurrency} at once` : `${load.rate}/s (${load.arrivals})`
}
