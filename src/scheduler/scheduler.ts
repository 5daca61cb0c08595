import { type Denoiser, DenoiserLost, type Outage, type Pass, type Revealed } from '../denoiser/denoiser.js'
import { RequestError } from '../errors.js'
import { Admission } from './admission.js'
import { applyRevealed, type Batch, fillBatch, nextBatch, PassAssembler } from './batch.js'
import type { Client } from './fair-queue.js'
import type { PassCost, PassSize, PassTerms } from './pass-cost.js'
import type { PassReport } from './pass-report.js'
import type { Priority, Sequence } from './sequence.js'

export interface SchedulerOptions {
  /** Sequences that may wait for a place; one more is refused. */
  readonly maxQueue: number
  /** Milliseconds of passes that interactive sequences may still need when one more comes. */
  readonly maxBacklogMs: number
  /** Padded tokens of a pass, and TOKENS_PER_ROW times its rows: bounds its memory. One sequence always fits. */
  readonly maxBatchTokens: number
  /** What a pass costs on this denoiser. */
  readonly cost: PassCost
  readonly prefer: Preference
  /** Told of every pass, for metrics. */
  readonly onPass?: (pass: PassReport) => void
}

/** What to do with texts that wait: end those that run soon, or write as many tokens a second as can be. */
export type Preference = keyof typeof preferences

/**
 * How large a pass is: as large as gives this share of what the device can do at most. And how many passes a device is sent at
 * once: it runs one, and a second lies ready, so that it never waits; but then each sequence waits for two.
 */
const preferences = {
  latency: { share: 0.9, lanes: 1 },
  throughput: { share: 0.98, lanes: 2 }
}

export type Outcome = 'completed' | 'cancelled' | 'failed' | 'refused'

export interface SchedulerStats {
  readonly queued: number // interactive ones, as are those that run
  readonly running: number
  readonly offline: number // queued and running
  readonly passes: number
  readonly rows: number
  /** Steps whose reveals were applied, and steps that revealed nothing and so cost no pass. */
  readonly steps: number
  readonly emptySteps: number
  readonly sequences: Readonly<Record<Outcome, number>>
}

/** A row takes much more memory than a token: its logits over the vocabulary, and what is made of them. */
const TOKENS_PER_ROW = 4

/** An interactive pass takes offline sequences along while it costs at most so many times what the smallest one does. */
const COMPANY = 2

/** Times a pass is run before its sequences are given up: its denoiser may have died of something else. */
const ATTEMPTS = 3

/**
 * Decides which sequences share the next pass: the one that has waited longest, and all that fit beside it. Sequences
 * join and leave between passes. A pass that is lost is run again, with the same coins. Offline sequences get the passes that
 * no interactive one waits for, and places in others where they cost next to nothing; else they wait, part way as they are.
 *
 *   submit -> queued -> running -> in a pass -> running -> ... -> done
 *
 * Each lane has a pass under way; one that has ended its pass takes the next batch.
 */
export class Scheduler {
  readonly #denoiser: Denoiser
  readonly #options: SchedulerOptions
  readonly #admissions: Readonly<Record<Priority, Admission>>
  readonly #passTokens: number
  readonly #offlineTokens: number
  readonly #maxLanes: number
  readonly #counts = { passes: 0, rows: 0, steps: 0, emptySteps: 0 }
  readonly #outcomes: Record<Outcome, number> = { completed: 0, cancelled: 0, failed: 0, refused: 0 }
  readonly #lanes = new Set<Promise<void>>()
  readonly #assemblers: PassAssembler[] = [] // those of the lanes that are free
  #draining = false

  constructor(denoiser: Denoiser, options: SchedulerOptions) {
    this.#denoiser = denoiser
    this.#options = options
    const { share, lanes } = preferences[options.prefer]
    this.#passTokens = Math.min(options.cost.tokensFor(share), options.maxBatchTokens)
    this.#offlineTokens = Math.min(options.cost.tokensFor(preferences.latency.share), this.#passTokens)
    this.#maxLanes = lanes * denoiser.parallel
    const { terms } = options.cost
    const cost = ({ tokens, rows }: PassSize) => tokens * terms.msPerToken + rows * terms.msPerRow
    const admission = () =>
      new Admission(this.#context, this.#passTokens * this.#maxLanes, this.#maxLanes, cost)
    this.#admissions = { interactive: admission(), offline: admission() }
  }

  get stats(): SchedulerStats {
    const { queued, running } = this.#admissions.interactive
    const offline = this.#admissions.offline.all.length
    return { queued, running: running.length, offline, ...this.#counts, sequences: { ...this.#outcomes } }
  }

  /** Milliseconds of passes that interactive sequences still need: by it, replicas can be compared. */
  get backlogMs(): number {
    const { backlog } = this.#admissions.interactive
    // A sequence that is longer than a pass should be has passes of its own.
    const full = Math.min(Math.ceil(backlog.tokens / this.#passTokens), backlog.alone)
    const passes = Math.max(backlog.passes, full)
    return this.#options.cost.estimate(backlog, passes) / this.#denoiser.parallel
  }

  /** What a pass is expected to cost by now. */
  get passTerms(): PassTerms {
    return this.#options.cost.terms
  }

  /**
   * Takes all of these sequences, which are of one priority, or none. Read each one's `stream`.
   * @throws {RequestError} `overloaded` or `unavailable`, with when to come back, or `draining`
   */
  submit(sequences: readonly Sequence[]): void {
    if (this.#draining) {
      throw new RequestError('draining', 'The server is shutting down and takes no new work.')
    }
    const { outage } = this.#denoiser
    if (outage) throw this.#refuseDuring(outage, sequences)
    const admission = this.#admissionOf(sequences[0]!)
    this.#checkBacklog(sequences)
    admission.add(sequences)
    const over = admission.queued - this.#options.maxQueue
    if (over > 0) throw this.#refuse(sequences, over)
    this.#wake()
  }

  /** Ends sequences early: `completed` when nobody needs the rest, else with the error its reader gets. */
  leave(sequences: readonly Sequence[], error?: RequestError): void {
    for (const sequence of sequences) this.#end(sequence, error ? 'cancelled' : 'completed', error)
    this.#wake()
  }

  /** Steps that each window of a text of this client which came now could take to be done in time. May be less than 1. */
  stepsWithin(
    ms: number,
    {
      length,
      windows,
      rows,
      client
    }: { length: number; windows: number; rows: number; client?: Client | undefined }
  ): number {
    const { cost } = this.#options
    const { interactive } = this.#admissions
    const { round } = interactive
    const own = { tokens: interactive.padded(length), rows: 0 }
    const all = { ...round, tokens: round.tokens + own.tokens, sequences: round.sequences + 1 }
    const stepMs = Math.max(cost.estimate(own), this.#roundMs(all))
    const rowsMs = rows * cost.terms.msPerRow
    return Math.floor((ms - this.#msUntilLeft(interactive.ahead(client)) - rowsMs) / windows / stepMs)
  }

  /** Refuses new work and resolves when what was accepted is done. */
  async drain(): Promise<void> {
    this.#draining = true
    while (this.#lanes.size > 0) await Promise.all(this.#lanes)
  }

  /** Refuses new work and ends what is under way with an error. */
  close(): void {
    this.#draining = true
    const { interactive, offline } = this.#admissions
    this.leave(
      [...interactive.all, ...offline.all],
      new RequestError('draining', 'The server shut down before the text was done.')
    )
  }

  /** Starts passes while there is a lane for one and somebody who waits. */
  #wake(): void {
    while (this.#lanes.size < this.#maxLanes) {
      const ahead = this.#lanes.size >= this.#denoiser.parallel
      const batch = this.#takeBatch(ahead)
      if (!batch) return
      const assembler = this.#assemblers.pop() ?? new PassAssembler()
      // Not before it is counted: whoever submits more meanwhile comes by here again.
      const lane = Promise.resolve()
        .then(() => this.#pass(batch, assembler, ahead))
        .finally(() => {
          this.#lanes.delete(lane)
          this.#assemblers.push(assembler)
          for (const sequence of batch.sequences) this.#admissionOf(sequence).comeBack([sequence])
          this.#wake()
        })
      this.#lanes.add(lane)
    }
  }

  /**
   * The batch of the next pass, when somebody waits for one. Devices share what runs evenly.
   * @param ahead every device has a pass: one to lie ready behind is at least half of what it should be, else it waits and
   * grows; and it is not an offline one: whoever comes meanwhile would wait for two
   */
  #takeBatch(ahead: boolean): Batch | undefined {
    const { interactive, offline } = this.#admissions
    const first = interactive.admit()
    const second = interactive.queued > 0 ? [] : offline.admit()
    if (first.length === 0 && ahead) return undefined
    const [waiting, { round }] = first.length > 0 ? [first, interactive] : [second, offline]
    if (waiting.length === 0) return undefined
    const passTokens = waiting === first ? this.#passTokens : this.#offlineTokens
    const batch = nextBatch(waiting, this.#context, {
      maxTokens: Math.min(Math.ceil(round.tokens / this.#denoiser.parallel), passTokens),
      maxRows: this.#maxRows
    })
    if (ahead && batch.sequences.length * batch.length < this.#passTokens / 2) return undefined
    const whole = waiting === first ? this.#withCompany(batch, second) : batch
    for (const sequence of whole.sequences) this.#admissionOf(sequence).depart([sequence])
    return whole
  }

  /** An interactive batch and the offline sequences that hardly delay it. */
  #withCompany(batch: Batch, offline: readonly Sequence[]): Batch {
    const { cost } = this.#options
    const boundMs = COMPANY * cost.terms.fixedMs
    return fillBatch(
      batch,
      offline,
      this.#context,
      (size) =>
        size.tokens <= this.#passTokens && size.rows <= this.#maxRows && cost.estimate(size) <= boundMs
    )
  }

  async #pass(batch: Batch, assembler: PassAssembler, ahead: boolean): Promise<void> {
    const start = performance.now()
    const roundMs = this.#roundMs(this.#admissions.interactive.round)
    for (const sequence of batch.sequences) {
      sequence.startedAt ??= start
      sequence.heedDeadline(start, roundMs)
    }
    const pass = assembler.assemble(batch)
    const masked = batch.sequences.reduce((sum, sequence) => sum + sequence.masked, 0)
    let revealed: Revealed
    try {
      revealed = await this.#reveal(pass)
    } catch (error) {
      this.#fail(batch.sequences, error)
      return
    }
    const totalMs = performance.now() - start
    applyRevealed(batch, revealed)
    for (const sequence of batch.sequences) {
      if (sequence.done) this.#end(sequence, 'completed')
    }
    const size = { tokens: pass.tokens.length, rows: pass.rows.length }
    // One that lay ready waited for another pass, not for its own way there and back.
    this.#options.cost.observe(size, ahead ? revealed.passMs : totalMs)
    const timing = { startedAt: start, passMs: revealed.passMs, totalMs }
    const report = {
      ...size,
      ...timing,
      masked,
      number: ++this.#counts.passes,
      sequences: batch.sequences.length
    }
    this.#count(report)
    for (const sequence of batch.sequences) sequence.options.onPass?.(report, sequence)
  }

  async #reveal(pass: Pass): Promise<Revealed> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#denoiser.run(pass)
      } catch (error) {
        if (!(error instanceof DenoiserLost) || attempt === ATTEMPTS) throw error
      }
    }
  }

  #count(report: PassReport): void {
    this.#counts.rows += report.rows
    this.#counts.steps += report.sequences
    this.#options.onPass?.(report)
  }

  #fail(sequences: readonly Sequence[], cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause)
    for (const sequence of sequences) {
      this.#end(sequence, 'failed', new RequestError('denoiser_failed', `The denoiser failed: ${reason}`))
    }
  }

  #end(sequence: Sequence, outcome: Outcome, error?: RequestError): void {
    if (!this.#admissionOf(sequence).remove(sequence)) return // it has left before
    this.#outcomes[outcome]++
    if (sequence.done && !sequence.struck) this.#counts.emptySteps += sequence.steps - sequence.passesDone
    sequence.stream.end(error)
  }

  #refuseDuring({ reason, retryAfterMs }: Outage, sequences: readonly Sequence[]): RequestError {
    this.#outcomes.refused += sequences.length
    const { name } = this.#denoiser.manifest
    return new RequestError('unavailable', `The model ${name} is out of service: ${reason}`, { retryAfterMs })
  }

  #checkBacklog(sequences: readonly Sequence[]): void {
    const { maxBacklogMs } = this.#options
    const { backlogMs } = this
    if (backlogMs <= maxBacklogMs || sequences[0]!.options.priority === 'offline') return
    this.#outcomes.refused += sequences.length
    const retryAfterMs = Math.ceil(backlogMs - maxBacklogMs)
    const message = `The server has work for ${Math.round(backlogMs)} ms: expected at most ${maxBacklogMs} ms. Try again in ${retryAfterMs} ms.`
    throw new RequestError('overloaded', message, { retryAfterMs })
  }

  #refuse(sequences: readonly Sequence[], over: number): RequestError {
    for (const sequence of sequences) this.#admissionOf(sequence).remove(sequence)
    this.#outcomes.refused += sequences.length
    const retryAfterMs = this.#msUntilLeft(over)
    const expected = `expected at most ${this.#options.maxQueue} sequences waiting`
    const message = `The queue is full: ${expected}. Try again in ${retryAfterMs} ms.`
    return new RequestError('overloaded', message, { retryAfterMs })
  }

  /** Milliseconds until `count` interactive sequences have left the queue. */
  #msUntilLeft(count: number): number {
    const { interactive } = this.#admissions
    return Math.ceil(this.#roundMs(interactive.round) * interactive.roundsUntilLeft(count))
  }

  /** Milliseconds until each of these sequences, of so many tokens and rows in all, has had a pass. */
  #roundMs(size: Admission['round']): number {
    const { parallel } = this.#denoiser
    const full = Math.min(Math.ceil(size.tokens / this.#passTokens), size.sequences)
    const passes = Math.max(parallel, full)
    return this.#options.cost.estimate(size, passes) / parallel
  }

  #admissionOf({ options }: Sequence): Admission {
    return this.#admissions[options.priority]
  }

  get #maxRows(): number {
    return this.#options.maxBatchTokens / TOKENS_PER_ROW
  }

  get #context(): number {
    return this.#denoiser.manifest.context_length
  }
}
