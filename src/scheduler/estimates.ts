import type { Admissible, Admission } from './admission.js'
import { sizeOf } from './batch.js'
import type { Client } from './fair-queue.js'
import { Forecast, type SentPass } from './forecast.js'
import type { PassCost } from './pass-cost.js'
import type { PassRules } from './pass-rules.js'
import type { Sequence } from './sequence.js'

/** A text that has not come yet. */
export interface Newcomer {
  readonly length: number // tokens
  readonly windows: number
  readonly rows: number
  readonly client?: Client | undefined
}

/** Milliseconds that interactive sequences will take or wait, by what passes cost. */
export class Estimates {
  readonly #admission: Admission<Sequence>
  readonly #sent: readonly SentPass<Sequence>[]
  readonly #rules: PassRules
  readonly #cost: PassCost
  /** What was foretold of things as they are, by the question. */
  readonly #told = new Map<unknown, number>()
  #toldUntil = 0

  constructor(
    admission: Admission<Sequence>,
    sent: readonly SentPass<Sequence>[],
    rules: PassRules,
    cost: PassCost
  ) {
    this.#admission = admission
    this.#sent = sent
    this.#rules = rules
    this.#cost = cost
  }

  /** Things are no longer as they were. */
  change(): void {
    this.#toldUntil = 0
  }

  /** Of all the passes that accepted sequences, or those of one client, still need, less what those under way have had. */
  backlogMs(client?: Client): number {
    const { passTokens, parallel } = this.#rules
    let tokens = 0
    let rows = 0
    let longest = 0
    let alone = 0
    for (const sequence of this.#admission.all) {
      if (client && sequence.client?.name !== client.name) continue
      const passes = sequence.remainingPasses
      tokens += this.#admission.padded(sequence.length) * passes
      rows += sequence.masked
      longest = Math.max(longest, passes)
      alone += passes
    }
    // A sequence that is longer than a pass should be has passes of its own.
    const full = Math.min(Math.ceil(tokens / passTokens), alone)
    const totalMs = this.#cost.estimate({ tokens, rows }, Math.max(longest, full))
    return Math.max(0, totalMs - this.#hadMs(client)) / parallel
  }

  /** Until each of the running sequences has had a pass. */
  get roundMs(): number {
    return this.#roundMs(this.#admission.round)
  }

  /**
   * Until something will hold, if nobody else comes or leaves.
   * @param question what it is about: it is answered once while things are as they are
   */
  msUntil(question: unknown, holds: (future: Forecast<Sequence>) => boolean): number {
    const now = performance.now()
    if (now >= this.#toldUntil) {
      this.#told.clear()
      this.#toldUntil = now + this.#restMs
    }
    const at = this.#told.get(question) ?? this.#foretell(now).when(holds)
    this.#told.set(question, at)
    return Math.max(1, Math.ceil(at - now))
  }

  /** What a text takes where there is no other, in one step a window. */
  leastMs({ length, windows, rows }: Newcomer): number {
    return windows * this.#cost.estimate({ tokens: this.#admission.padded(length), rows: rows / windows })
  }

  /** Until a text that came now had a place, and what each of its steps and all of its rows then take. */
  timesOf({ length, windows, rows, client }: Newcomer): { waitMs: number; stepMs: number; rowsMs: number } {
    const now = performance.now()
    const plan: Admissible = {
      client,
      length,
      remainingPasses: windows,
      rowsOf: () => rows / windows,
      hurried: true
    }
    const forecast = this.#foretell(now)
    forecast.add(plan)
    const { round } = this.#admission
    const own = { tokens: this.#admission.padded(length), rows: 0 }
    const all = { ...round, tokens: round.tokens + own.tokens, sequences: round.sequences + 1 }
    return {
      waitMs: forecast.when((future) => future.runs(plan)) - now,
      stepMs: Math.max(this.#cost.estimate(own), this.#roundMs(all)),
      rowsMs: rows * this.#cost.terms.msPerRow
    }
  }

  /** What passes under way have had by now, or a client's share of them. */
  #hadMs(client?: Client): number {
    const now = performance.now()
    return this.#sent.reduce((sum, { sequences, startedAt = now }) => {
      const own = client ? sequences.filter((sequence) => sequence.client?.name === client.name) : sequences
      const hadMs = Math.min(now - startedAt, this.#passMs(sequences))
      return sum + (hadMs * own.length) / sequences.length
    }, 0)
  }

  /** Until the first of the passes under way should end: if it does not, what was foretold is no longer true. */
  get #restMs(): number {
    const now = performance.now()
    const rests = this.#sent.map(
      ({ sequences, startedAt = now }) => startedAt + this.#passMs(sequences) - now
    )
    return Math.max(0, Math.min(...rests))
  }

  #passMs(sequences: readonly Sequence[]): number {
    return this.#cost.estimate(sizeOf({ length: this.#admission.padded(sequences[0]!.length), sequences }))
  }

  #foretell(now: number): Forecast<Sequence> {
    return new Forecast(now, this.#admission, this.#sent, this.#rules, this.#cost)
  }

  /** Until each of these sequences, of so many tokens and rows in all, has had a pass. */
  #roundMs(size: Admission<Sequence>['round']): number {
    const { passTokens, parallel } = this.#rules
    const full = Math.min(Math.ceil(size.tokens / passTokens), size.sequences)
    return this.#cost.estimate(size, Math.max(parallel, full)) / parallel
  }
}
