/** What is measured: models at numbers of steps, each on the same prompts and seeds. */

/** A model at a number of steps; null on a server that knows no steps. */
export interface Run {
  readonly model: string
  readonly steps: number | null
}

/** How requests come: so many clients, each with its next when the last has ended; or so many a second, whatever becomes of them. */
export type Load =
  | { readonly kind: 'closed'; readonly concurrency: number }
  | { readonly kind: 'open'; readonly rate: number; readonly arrivals: Arrivals }
export const arrivals = ['poisson', 'constant', 'ramp'] as const
export type Arrivals = (typeof arrivals)[number]

export const transports = ['websocket', 'sse', 'http'] as const
export type TransportName = (typeof transports)[number]

/** How long, or how many requests: the other one is endless. */
export interface Extent {
  readonly seconds: number
  readonly requests: number
}

/** A stretch in which one run is under load. */
export interface Slice extends Extent {
  readonly run: Run
  readonly load: Load
  /** Slices of one round ask for the same texts. */
  readonly round: number
}

/**
 * Rounds of slices: in each, every run has its turn, and the first of one round is the second of the next. So what else the
 * machine does falls on all alike.
 */
export function interleave(
  runs: readonly Run[],
  load: Load,
  rounds: number,
  { seconds, requests }: Extent
): Slice[] {
  return Array.from({ length: rounds }, (_, round) =>
    runs.map((_, turn) => {
      const run = runs[(turn + runs.length - (round % runs.length)) % runs.length]!
      return {
        run,
        load,
        round,
        seconds: seconds / rounds,
        requests: Math.floor((requests + round) / rounds)
      }
    })
  ).flat()
}

export const nameOf = ({ model, steps }: Run) => (steps === null ? model : `${model}, ${steps} steps`)

export function loadName(load: Load): string {
  return load.kind === 'closed' ? `${load.concurrency} at once` : `${load.rate}/s (${load.arrivals})`
}
