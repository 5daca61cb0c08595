import { type Denoiser, DenoiserLost, type Pass, type Revealed } from '../denoiser/denoiser.js'
import { RequestError } from '../errors.js'
import { applyRevealed, assemblePass, nextBatch } from './batch.js'
import { lengthBucket } from './length-bucket.js'
import { PassCost } from './pass-cost.js'
import type { Sequence } from './sequence.js'

export interface SchedulerOptions {
  /** Sequences that may wait for a place; one more is refused. */
  readonly maxQueue: number
  /** Padded tokens that may be under way at once: bounds the memory of a pass. One sequence always fits. */
  readonly maxBatchTokens: number
  /** Told of every pass, for metrics. */
  readonly onPass?: (pass: PassReport) => void
}

export interface PassReport {
  readonly sequences: number
  readonly rows: number
  readonly tokens: number // padded
  readonly passMs: number // inside the denoiser
  readonly totalMs: number // with the way there and back
}

export type Outcome = 'completed' | 'cancelled' | 'failed' | 'refused'

export interface SchedulerStats {
  readonly queued: number
  readonly running: number
  readonly passes: number
  readonly rows: number
  /** Steps whose reveals were applied, and steps that revealed nothing and so cost no pass. */
  readonly steps: number
  readonly emptySteps: number
  readonly sequences: Readonly<Record<Outcome, number>>
}

/** Times a pass is run before its sequences are given up: its denoiser may have died of something else. */
const ATTEMPTS = 3

/**
 * Decides which sequences share the next pass. First come, first served: sequences run in the order they came, each
 * joins and leaves between passes, and the one that has waited longest for a pass is always in the next.
 *
 *   submit -> #queue (waits for room) -> #running (gets passes, longest waiting first) -> done
 */
export class Scheduler {
  readonly #denoiser: Denoiser
  readonly #options: SchedulerOptions
  readonly #cost = new PassCost()
  // Both in the order in which their sequences are served.
  readonly #queue = new Set<Sequence>()
  readonly #running = new Set<Sequence>()
  #looping = false
  #draining = false
  #idle: (() => void)[] = []
  #passes = 0
  #rows = 0
  #steps = 0
  #emptySteps = 0
  readonly #outcomes: Record<Outcome, number> = { completed: 0, cancelled: 0, failed: 0, refused: 0 }

  constructor(denoiser: Denoiser, options: SchedulerOptions) {
    this.#denoiser = denoiser
    this.#options = options
  }

  get stats(): SchedulerStats {
    return {
      queued: this.#queue.size,
      running: this.#running.size,
      passes: this.#passes,
      rows: this.#rows,
      steps: this.#steps,
      emptySteps: this.#emptySteps,
      sequences: { ...this.#outcomes }
    }
  }

  /**
   * Takes all of these sequences or none. Read each one's `stream`.
   * @throws {RequestError} `overloaded`, with when to come back, or `draining`
   */
  submit(sequences: readonly Sequence[]): void {
    if (this.#draining)
      throw new RequestError('draining', 'The server is shutting down and takes no new work.')
    for (const sequence of sequences) this.#queue.add(sequence)
    this.#admit()
    const over = this.#queue.size - this.#options.maxQueue
    if (over > 0) {
      for (const sequence of sequences) this.#remove(sequence)
      this.#outcomes.refused += sequences.length
      const retryAfterMs = this.#msUntilPlaces(over)
      throw new RequestError(
        'overloaded',
        `The queue is full: expected at most ${this.#options.maxQueue} sequences waiting. Try again in ${retryAfterMs} ms.`,
        { retryAfterMs }
      )
    }
    if (!this.#looping) this.#start()
  }

  /** Ends sequences early: `completed` when nobody needs the rest, else with the error its reader gets. */
  leave(sequences: readonly Sequence[], error?: RequestError): void {
    for (const sequence of sequences) {
      if (this.#remove(sequence)) this.#end(sequence, error ? 'cancelled' : 'completed', error)
    }
    this.#admit()
  }

  /** Milliseconds a pass takes for the load of now and one more sequence of this length. */
  expectedRoundMs(length: number): number {
    const tokens = this.#tokensUnderWay() + this.#bucket(length)
    return this.#cost.estimate(Math.min(tokens, this.#options.maxBatchTokens))
  }

  /** Milliseconds until a sequence that came now would get its first pass. */
  expectedWaitMs(): number {
    return this.#queue.size === 0 ? 0 : this.#msUntilPlaces(this.#queue.size)
  }

  /** Refuses new work and resolves when what was accepted is done. */
  async drain(): Promise<void> {
    this.#draining = true
    if (this.#looping) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  /** Refuses new work and ends what is under way with an error. */
  close(): void {
    this.#draining = true
    const error = new RequestError('draining', 'The server shut down before the text was done.')
    this.leave([...this.#running, ...this.#queue], error)
  }

  async #start(): Promise<void> {
    this.#looping = true
    while (this.#admit()) await this.#pass()
    this.#looping = false
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** Moves sequences from the queue to the running ones while there is room. True when there is work. */
  #admit(): boolean {
    let tokens = this.#tokensUnderWay()
    for (const sequence of this.#queue) {
      tokens += this.#bucket(sequence.length)
      if (this.#running.size > 0 && tokens > this.#options.maxBatchTokens) break
      this.#queue.delete(sequence)
      this.#running.add(sequence)
    }
    return this.#running.size > 0
  }

  async #pass(): Promise<void> {
    const batch = nextBatch([...this.#running], this.#context, this.#options.maxBatchTokens)
    const now = performance.now()
    for (const sequence of batch.sequences) {
      sequence.startedAt ??= now
      sequence.heedDeadline(now, this.#cost.estimate(this.#tokensUnderWay()))
    }
    const pass = assemblePass(batch)
    let revealed: Revealed
    try {
      revealed = await this.#run(pass)
    } catch (error) {
      this.#fail(batch.sequences, error)
      return
    }
    const totalMs = performance.now() - now
    const tokens = batch.length * batch.sequences.length
    this.#cost.observe(tokens, totalMs)
    this.#passes++
    this.#rows += pass.rows.length
    applyRevealed(batch, revealed)
    this.#requeue(batch.sequences)
    const { passMs } = revealed
    this.#options.onPass?.({
      sequences: batch.sequences.length,
      rows: pass.rows.length,
      tokens,
      passMs,
      totalMs
    })
  }

  async #run(pass: Pass): Promise<Revealed> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#denoiser.run(pass)
      } catch (error) {
        if (!(error instanceof DenoiserLost) || attempt === ATTEMPTS) throw error
      }
    }
  }

  /** Puts the sequences of a pass behind those that still wait for theirs; the ones that are done leave. */
  #requeue(sequences: readonly Sequence[]): void {
    this.#steps += sequences.length
    for (const sequence of sequences) {
      if (!this.#remove(sequence)) continue // left during the pass
      if (sequence.done) this.#end(sequence, 'completed')
      else this.#running.add(sequence)
    }
  }

  #fail(sequences: readonly Sequence[], cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause)
    for (const sequence of sequences) {
      const error = new RequestError('denoiser_failed', `The denoiser failed: ${reason}`)
      if (this.#remove(sequence)) this.#end(sequence, 'failed', error)
    }
  }

  #end(sequence: Sequence, outcome: Outcome, error?: RequestError): void {
    this.#outcomes[outcome]++
    if (sequence.done && !sequence.struck) this.#emptySteps += sequence.steps - sequence.passesDone
    sequence.stream.end(error)
  }

  /** True when the sequence was waiting or running. */
  #remove(sequence: Sequence): boolean {
    return this.#queue.delete(sequence) || this.#running.delete(sequence)
  }

  /** Milliseconds until `count` more sequences can leave the queue: running ones end pass by pass. */
  #msUntilPlaces(count: number): number {
    const roundMs = this.#cost.estimate(this.#tokensUnderWay())
    const remaining = [...this.#running].map(({ remainingPasses }) => remainingPasses).sort((a, b) => a - b)
    const rounds = Math.floor((count - 1) / remaining.length) * remaining.at(-1)!
    return Math.ceil(roundMs * (rounds + remaining[(count - 1) % remaining.length]!))
  }

  #tokensUnderWay(): number {
    let tokens = 0
    for (const { length } of this.#running) tokens += this.#bucket(length)
    return tokens
  }

  #bucket(length: number): number {
    return lengthBucket(length, this.#context)
  }

  get #context(): number {
    return this.#denoiser.manifest.context_length
  }
}
