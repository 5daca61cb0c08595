import { request } from 'undici'
import { type ProcessTree, processTree } from './process-tree.js'

/** What the server did meanwhile, by its own metrics and /proc. NaN, which JSON has as null, is what cannot be known. */
export interface ServerFigures {
  /** Sequences that shared a pass, mean. */
  readonly batch: number
  readonly passesPerSecond: number
  /** Tokens revealed by a pass, mean. */
  readonly tokensPerPass: number
  /** Of one core: 1.5 is one and a half. Of a server of one's own. */
  readonly cpuShare: number
  /** Most that was seen, of a server of one's own. */
  readonly residentMiB: number
}

/** A server, as far as it can be watched. */
export interface Watched {
  readonly url: string
  readonly key: string | null
  /** Of a server of one's own. */
  readonly pid: number | undefined
}

interface Reading {
  readonly at: number
  readonly passes: number
  readonly sequences: number
  readonly rows: number
  readonly tree: ProcessTree | undefined
}

/** Adds up what a server does for a model over the slices of a run. */
export class ServerUse {
  readonly #watched: Watched
  readonly #model: string
  #passes = 0
  #sequences = 0
  #rows = 0
  #cpuSeconds = 0
  #seconds = 0
  #residentMiB = Number.NaN

  constructor(watched: Watched, model: string) {
    this.#watched = watched
    this.#model = model
  }

  /** Counts what is done from here until the returned function is called. */
  async begin(): Promise<() => Promise<void>> {
    const before = await this.#read()
    return async () => {
      const after = await this.#read()
      this.#seconds += (after.at - before.at) / 1000
      this.#passes += after.passes - before.passes
      this.#sequences += after.sequences - before.sequences
      this.#rows += after.rows - before.rows
      this.#cpuSeconds += (after.tree?.cpuSeconds ?? Number.NaN) - (before.tree?.cpuSeconds ?? Number.NaN)
      const residentMiB = after.tree?.residentMiB ?? Number.NaN
      this.#residentMiB = Math.max(residentMiB, this.#residentMiB || residentMiB)
    }
  }

  get figures(): ServerFigures {
    return {
      batch: this.#sequences / this.#passes,
      passesPerSecond: this.#passes / this.#seconds,
      tokensPerPass: this.#rows / this.#passes,
      cpuShare: this.#cpuSeconds / this.#seconds,
      residentMiB: this.#residentMiB
    }
  }

  async #read(): Promise<Reading> {
    const { url, key, pid } = this.#watched
    const headers = key ? { authorization: `Bearer ${key}` } : {}
    const [metrics, tree] = await Promise.all([
      request(new URL('/metrics', url), { headers }).then(
        ({ body }) => body.text(),
        () => ''
      ),
      pid === undefined ? undefined : processTree(pid)
    ])
    const value = (name: string) => metricOf(metrics, name, this.#model)
    return {
      at: performance.now(),
      passes: value('fewstep_batch_sequences_count'),
      sequences: value('fewstep_batch_sequences_sum'),
      rows: value('fewstep_rows_total'),
      tree
    }
  }
}

function metricOf(metrics: string, name: string, model: string): number {
  const start = `${name}{model="${model}"} `
  const line = metrics.split('\n').find((line) => line.startsWith(start))
  return line === undefined ? Number.NaN : Number(line.slice(start.length))
}
