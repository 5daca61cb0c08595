import type { Admission } from './admission.js'
import { rowsIn } from './batch.js'
import type { Client } from './fair-queue.js'
import { Forecast, type Plan, type SentPass } from './forecast.js'
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
  readonly #admission: Admission
  readonly #sent: readonly SentPass<Sequence>[]
  readonly #rules: PassRules
  readonly #cost: PassCost
  /** Of things as they are; made when somebody asks. */
  #forecast: Forecast | undefined

  constructor(admission: Admission, sent: readonly SentPass<Sequence>[], rules: PassRules, cost: PassCost) {
    this.#admission = admission
    this.#sent = sent
    this.#rules = rules
    this.#cost = cost
  }

  /** Things are no longer as they were. */
  change(): void {
    this.#forecast = undefined
  }

  /** Of all the passes that accepted sequences still need, less what those under way have had. */
  get backlogMs(): number {
    const { backlog } = this.#admission
    const { passTokens, parallel } = this.#rules
    // A sequence that is longer than a pass should be has passes of its own.
    const full = Math.min(Math.ceil(backlog.tokens / passTokens), backlog.alone)
    const totalMs = this.#cost.estimate(backlog, Math.max(backlog.passes, full))
    return Math.max(0, totalMs - this.#hadMs) / parallel
  }

  /** Until each of the running sequences has had a pass. */
  get roundMs(): number {
    return this.#roundMs(this.#admission.round)
  }

  /** Until so many sequences have left the queue. */
  msUntilLeft(count: number): number {
    const now = performance.now()
    if (!this.#forecast || now > this.#forecast.validUntil)
      this.#forecast = this.#foretell(this.#admission.queueInOrder, now)
    return Math.max(1, Math.ceil(this.#forecast.leftAt(count) - now))
  }

  /** What a text takes where there is no other, in one step a window. */
  leastMs({ length, windows, rows }: Newcomer): number {
    return windows * this.#cost.estimate({ tokens: this.#admission.padded(length), rows: rows / windows })
  }

  /** Until a text that came now had a place, and what each of its steps and all of its rows then take. */
  timesOf({ length, windows, rows, client }: Newcomer): { waitMs: number; stepMs: number; rowsMs: number } {
    const now = performance.now()
    const ahead = this.#admission.ahead(client)
    const queued: Plan[] = [...this.#admission.queueInOrder]
    queued.splice(ahead, 0, { length, remainingPasses: windows, rowsOf: () => rows / windows })
    const forecast = this.#foretell(queued, now)
    const { round } = this.#admission
    const own = { tokens: this.#admission.padded(length), rows: 0 }
    const all = { ...round, tokens: round.tokens + own.tokens, sequences: round.sequences + 1 }
    return {
      waitMs: Math.max(0, forecast.leftAt(ahead + 1) - now),
      stepMs: Math.max(this.#cost.estimate(own), this.#roundMs(all)),
      rowsMs: rows * this.#cost.terms.msPerRow
    }
  }

  /** What passes under way have had by now. */
  get #hadMs(): number {
    const now = performance.now()
    return this.#sent.reduce((sum, { sequences, startedAt = now }) => {
      const tokens = sequences.length * this.#admission.padded(sequences[0]!.length)
      const passMs = this.#cost.estimate({ tokens, rows: rowsIn(sequences) })
      return sum + Math.min(now - startedAt, passMs)
    }, 0)
  }

  #foretell(queued: readonly Plan[], now: number): Forecast {
    const { running } = this.#admission
    return new Forecast({ now, queued, running, sent: this.#sent }, this.#rules, this.#cost)
  }

  /** Until each of these sequences, of so many tokens and rows in all, has had a pass. */
  #roundMs(size: Admission['round']): number {
    const { passTokens, parallel } = this.#rules
    const full = Math.min(Math.ceil(size.tokens / passTokens), size.sequences)
    return this.#cost.estimate(size, Math.max(parallel, full)) / parallel
  }
}
