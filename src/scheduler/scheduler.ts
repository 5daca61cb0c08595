import { type Denoiser, DenoiserLost, type Pass, type Revealed } from '../denoiser/denoiser.js'
import { type Cancellation, RequestError } from '../errors.js'
import { Admission } from './admission.js'
import {
  applyRevealed,
  type Batch,
  fillBatch,
  latentTokensIn,
  nextBatch,
  PassAssembler,
  sizeOf
} from './batch.js'
import { type Endings, noEndings, type Outcome, totals } from './endings.js'
import { Estimates, type Newcomer } from './estimates.js'
import type { Client } from './fair-queue.js'
import type { PassCost, PassSize, PassTerms } from './pass-cost.js'
import type { PassReport } from './pass-report.js'
import { type PassRules, worthSendingAhead } from './pass-rules.js'
import { Room, type RoomLimits } from './room.js'
import type { Priority, Sequence } from './sequence.js'

export interface SchedulerOptions extends RoomLimits {
  /** Padded tokens of a pass, and TOKENS_PER_ROW times its rows: bounds its memory. One sequence always fits. */
  readonly maxBatchTokens: number
  /** What a pass costs on this denoiser. */
  readonly cost: PassCost
  readonly prefer: Preference
  readonly watch?: SchedulerWatch | undefined
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

/** Is told what a scheduler does, for metrics. */
export interface SchedulerWatch {
  /** A sequence no longer waits: its first pass begins, or it has ended without one. */
  onWaited(sequence: Sequence): void
  onPass(pass: PassReport, sequences: readonly Sequence[]): void
  onEnd(sequence: Sequence, outcome: Outcome): void
}

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

/**
 * Times a pass is run before its sequences are given up: its denoiser may have died of something else. The last time each
 * sequence runs alone: one that kills its denoiser, or is too much for it, takes no other with it.
 */
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
  readonly #admissions: Readonly<Record<Priority, Admission<Sequence>>>
  readonly #rules: PassRules
  readonly #offlineRules: PassRules
  readonly #estimates: Estimates
  readonly #room: Room
  readonly #counts = { passes: 0, rows: 0, steps: 0, emptySteps: 0 }
  readonly #endings = noEndings()
  readonly #lanes = new Set<Promise<void>>()
  /** Passes under way, in the order in which they were sent. */
  readonly #sent: { readonly sequences: readonly Sequence[]; startedAt: number | undefined }[] = []
  readonly #assemblers: PassAssembler[] = [] // those of the lanes that are free
  #draining = false

  constructor(denoiser: Denoiser, options: SchedulerOptions) {
    this.#denoiser = denoiser
    this.#options = options
    const { share, lanes } = preferences[options.prefer]
    const { parallel, manifest } = denoiser
    const { cost, maxBatchTokens } = options
    const passTokens = Math.min(cost.tokensFor(share), maxBatchTokens)
    this.#rules = {
      context: manifest.context_length,
      parallel,
      lanes: lanes * parallel,
      passTokens,
      maxRows: maxBatchTokens / TOKENS_PER_ROW
    }
    const offlineTokens = Math.min(cost.tokensFor(preferences.latency.share), passTokens)
    this.#offlineRules = { ...this.#rules, passTokens: offlineTokens }
    const { terms } = cost
    const work = ({ tokens, rows }: PassSize) => tokens * terms.msPerToken + rows * terms.msPerRow
    const admission = () => new Admission<Sequence>(this.#rules, work)
    this.#admissions = { interactive: admission(), offline: admission() }
    const { interactive } = this.#admissions
    this.#estimates = new Estimates(interactive, this.#sent, this.#rules, cost)
    this.#room = new Room(options, interactive, this.#estimates, this.#endings.refused)
  }

  get stats(): SchedulerStats {
    const { queued, running } = this.#admissions.interactive
    const offline = this.#admissions.offline.all.length
    return { queued, running: running.length, offline, ...this.#counts, sequences: totals(this.#endings) }
  }

  /** How sequences ended, and why. */
  get endings(): Endings {
    return this.#endings
  }

  /** Milliseconds of passes that interactive sequences still need: by it, replicas can be compared. */
  get backlogMs(): number {
    return this.#estimates.backlogMs()
  }

  /** What a pass is expected to cost by now. */
  get passTerms(): PassTerms {
    return this.#options.cost.terms
  }

  /**
   * Refuses so many sequences before anything is done for them.
   * @throws {RequestError} `overloaded` or `unavailable`, with when to come back, or `draining`
   */
  expectRoom(count: number, priority: Priority, client?: Client): void {
    this.#expectService(count, priority)
    const { queued } = this.#admissions[priority]
    // Nobody overtakes those that wait.
    if (queued > 0) this.#expectQueue(count, priority, queued + count)
    if (priority === 'offline') return
    this.#room.expectBacklog(count)
    if (queued > 0 && client) this.#room.expectShare(count, client)
  }

  /**
   * Takes all of these sequences, which are of one priority, or none. Read each one's `stream`.
   * @throws {RequestError} as `expectRoom` does
   */
  submit(sequences: readonly Sequence[]): void {
    const { priority, client } = sequences[0]!.options
    const admission = this.#admissions[priority]
    this.expectRoom(sequences.length, priority, client)
    admission.add(sequences)
    try {
      this.#expectQueue(sequences.length, priority, admission.queued)
    } catch (error) {
      for (const sequence of sequences) admission.remove(sequence)
      throw error
    } finally {
      this.#estimates.change()
    }
    this.#wake()
  }

  /** Padded tokens that a pass should have. */
  get passTokens(): number {
    return this.#rules.passTokens
  }

  /** Milliseconds until all of these have ended. */
  msUntilGone(sequences: readonly Sequence[]): number {
    return this.#estimates.msUntil(sequences, (future) => !sequences.some((sequence) => future.has(sequence)))
  }

  /** Milliseconds until one of a client's sequences has ended; undefined where it has none. */
  msUntilOneEnds({ name }: Client): number | undefined {
    const own = this.#admissions.interactive.all.filter(({ client }) => client?.name === name)
    if (own.length === 0) return undefined
    return this.#estimates.msUntil(`one of ${name} ends`, (future) => !own.every((one) => future.has(one)))
  }

  /** Ends sequences early: `completed` when nobody needs the rest, else with the error its reader gets. */
  leave(sequences: readonly Sequence[], cancellation?: Cancellation): void {
    for (const sequence of sequences) {
      if (cancellation) this.#end(sequence, 'cancelled', cancellation.reason, cancellation)
      else this.#end(sequence, 'completed', 'stop')
    }
    this.#wake()
  }

  /** As `Room` says. */
  stepsWithin(ms: number, newcomer: Newcomer): number {
    return this.#room.stepsWithin(ms, newcomer)
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
    const error = new RequestError('draining', 'The server shut down before the text was done.')
    for (const sequence of [...interactive.all, ...offline.all])
      this.#end(sequence, 'cancelled', 'shutdown', error)
    this.#wake()
  }

  /** Starts passes while there is a lane for one and somebody who waits. */
  #wake(): void {
    this.#estimates.change()
    while (this.#lanes.size < this.#rules.lanes) {
      const ahead = this.#lanes.size >= this.#rules.parallel
      const batch = this.#takeBatch(ahead)
      if (!batch) return
      const assembler = this.#assemblers.pop() ?? new PassAssembler()
      const sent = { sequences: batch.sequences, startedAt: ahead ? undefined : performance.now() }
      this.#sent.push(sent)
      // Not before it is counted: whoever submits more meanwhile comes by here again.
      const lane = Promise.resolve()
        .then(() => this.#pass(batch, assembler, ahead))
        .finally(() => {
          this.#lanes.delete(lane)
          this.#assemblers.push(assembler)
          this.#sent.splice(this.#sent.indexOf(sent), 1)
          for (const next of this.#sent.slice(0, this.#rules.parallel)) next.startedAt ??= performance.now()
          for (const sequence of batch.sequences) this.#admissionOf(sequence).comeBack([sequence])
          this.#wake()
        })
      this.#lanes.add(lane)
    }
  }

  /**
   * The batch of the next pass, when somebody waits for one.
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
    const rules = waiting === first ? this.#rules : this.#offlineRules
    const batch = nextBatch(waiting, round.tokens, rules)
    if (ahead && !worthSendingAhead(sizeOf(batch), rules)) return undefined
    const whole = waiting === first ? this.#withCompany(batch, second) : batch
    for (const sequence of whole.sequences) this.#admissionOf(sequence).depart([sequence])
    return whole
  }

  /** An interactive batch and the offline sequences that hardly delay it. */
  #withCompany(batch: Batch, offline: readonly Sequence[]): Batch {
    const { cost } = this.#options
    const { context, passTokens, maxRows } = this.#rules
    const boundMs = COMPANY * cost.terms.fixedMs
    return fillBatch(
      batch,
      offline,
      context,
      (size) => size.tokens <= passTokens && size.rows <= maxRows && cost.estimate(size) <= boundMs
    )
  }

  async #pass(
    batch: Batch,
    assembler: PassAssembler,
    ahead: boolean,
    attempts = batch.sequences.length === 1 ? ATTEMPTS : ATTEMPTS - 1
  ): Promise<void> {
    const start = performance.now()
    const { roundMs } = this.#estimates
    for (const sequence of batch.sequences) {
      if (sequence.waiting) this.#begin(sequence, start)
      sequence.heedDeadline(start, roundMs)
    }
    const pass = assembler.assemble(batch)
    const latentTokens = latentTokensIn(batch)
    let revealed: Revealed
    try {
      revealed = await this.#reveal(pass, attempts)
    } catch (error) {
      if (batch.sequences.length === 1) this.#fail(batch.sequences[0]!, error)
      else await this.#passAlone(batch, assembler)
      return
    }
    const totalMs = performance.now() - start
    applyRevealed(batch, revealed)
    for (const sequence of batch.sequences) {
      if (sequence.done) this.#end(sequence, 'completed', sequence.struck ? 'deadline' : 'done')
    }
    const size = { tokens: pass.tokens.length, rows: pass.rows.length }
    // One that lay ready waited for another pass, not for its own way there and back.
    this.#options.cost.observe(size, ahead ? revealed.passMs : totalMs)
    const timing = { startedAt: start, passMs: revealed.passMs, totalMs }
    const report = {
      ...size,
      ...timing,
      ...latentTokens,
      number: ++this.#counts.passes,
      sequences: batch.sequences.length
    }
    this.#counts.rows += report.rows
    this.#counts.steps += report.sequences
    this.#options.watch?.onPass(report, batch.sequences)
    for (const sequence of batch.sequences) sequence.options.watch?.onPass(report, sequence)
  }

  /** One after the other, each for the last time. */
  async #passAlone({ length, sequences }: Batch, assembler: PassAssembler): Promise<void> {
    for (const sequence of sequences) {
      if (!this.#admissionOf(sequence).runs(sequence)) continue // it has left meanwhile
      await this.#pass({ length, sequences: [sequence] }, assembler, true, 1)
    }
  }

  async #reveal(pass: Pass, attempts: number): Promise<Revealed> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#denoiser.run(pass)
      } catch (error) {
        if (!(error instanceof DenoiserLost) || attempt === attempts) throw error
      }
    }
  }

  #fail(sequence: Sequence, cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.#end(
      sequence,
      'failed',
      'denoiser',
      new RequestError('denoiser_failed', `The denoiser failed: ${reason}`)
    )
  }

  #begin(sequence: Sequence, at: number): void {
    sequence.startedAt = at
    this.#tellWaited(sequence)
  }

  #end<O extends Outcome>(
    sequence: Sequence,
    outcome: O,
    reason: keyof Endings[O] & string,
    error?: RequestError
  ): void {
    if (!this.#admissionOf(sequence).remove(sequence)) return // it has left before
    const counts: Record<string, number> = this.#endings[outcome]
    counts[reason]!++
    const { waiting } = sequence
    sequence.endedAt = performance.now()
    if (waiting) this.#tellWaited(sequence)
    this.#options.watch?.onEnd(sequence, outcome)
    if (sequence.done && !sequence.struck) this.#counts.emptySteps += sequence.steps - sequence.passesDone
    sequence.stream.end(error)
  }

  #tellWaited(sequence: Sequence): void {
    this.#options.watch?.onWaited(sequence)
    sequence.options.watch?.onWaited(sequence)
  }

  /** Offline sequences come back by themselves until they are taken, and are not counted. */
  #expectService(count: number, priority: Priority): void {
    const { outage, manifest } = this.#denoiser
    if (!this.#draining && !outage) return
    if (priority === 'interactive') this.#endings.refused[this.#draining ? 'draining' : 'outage'] += count
    if (!outage || this.#draining)
      throw new RequestError('draining', 'The server is shutting down and takes no new work.')
    const { reason, retryAfterMs } = outage
    const message = `The model ${manifest.name} is out of service: ${reason}`
    throw new RequestError('unavailable', message, { retryAfterMs })
  }

  #expectQueue(count: number, priority: Priority, queued: number): void {
    if (priority === 'interactive') this.#room.expectQueue(count, queued)
    // Nobody can tell when interactive ones will let offline ones go on.
    else if (queued > this.#options.maxQueue) throw new RequestError('overloaded', 'The queue is full.')
  }

  #admissionOf({ options }: Sequence): Admission<Sequence> {
    return this.#admissions[options.priority]
  }
}
