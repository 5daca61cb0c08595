import { type Batch, nextBatch, type Passenger, rowsIn, tokensIn } from './batch.js'
import { lengthBucket } from './length-bucket.js'
import type { PassCost } from './pass-cost.js'
import { mayRun, type PassRules, worthSendingAhead } from './pass-rules.js'

/** What the future needs to know of a sequence. */
export interface Plan {
  readonly length: number
  readonly remainingPasses: number
  /** Positions that a pass to come reveals; 0 is the next one. */
  rowsOf(pass: number): number
}

export interface SentPass<S> {
  readonly sequences: readonly S[]
  /** Undefined while it lies ready behind another. */
  readonly startedAt: number | undefined
}

/** Who waits, who runs and what is under way; each list in the order in which it is served. */
export interface Present<S extends Plan> {
  readonly now: number // on the clock of performance.now()
  readonly queued: readonly S[]
  readonly running: readonly S[] // those in a pass, too
  readonly sent: readonly SentPass<S>[]
}

/** A sequence as far as the future needs it. */
class Shadow implements Passenger {
  readonly length: number
  readonly #plan: Plan
  #passes = 0

  constructor(plan: Plan) {
    this.length = plan.length
    this.#plan = plan
  }

  get nextRows(): number {
    return this.#plan.rowsOf(this.#passes)
  }

  /** Has its next pass. True when that was the last. */
  pass(): boolean {
    return ++this.#passes === this.#plan.remainingPasses
  }
}

interface Lane {
  readonly shadows: readonly Shadow[]
  readonly endsAt: number
}

/** A pass that should have ended by now takes so much of its time more. */
const LATE = 0.1

/** So much of the future is enough: whoever waits longer is told that it is at least this long. */
const MOST_PASSES = 4096

/**
 * What will happen if nobody else comes or leaves: the rules of the scheduler played forward, pass by pass, on what each pass is
 * expected to take. All passes of a text are planned when it is accepted, so nothing is guessed but their duration.
 */
export class Forecast {
  /** When the first pass of those under way should end: if it has not, ask again. */
  readonly validUntil: number
  readonly #rules: PassRules
  readonly #cost: PassCost
  readonly #queued: Shadow[]
  readonly #lanes: Lane[] = []
  /** When each device is free. */
  readonly #freeAt: number[]
  readonly #leftAt: number[] = []
  #waiting: Shadow[] = [] // running, and in no pass
  #runs = 0
  #runningTokens = 0 // padded
  #now: number
  #passes = 0

  constructor(present: Present<Plan>, rules: PassRules, cost: PassCost) {
    this.#rules = rules
    this.#cost = cost
    this.#now = present.now
    this.#queued = present.queued.map((plan) => new Shadow(plan))
    this.#freeAt = Array(rules.parallel).fill(present.now)
    const shadows = new Map(present.running.map((plan) => [plan, new Shadow(plan)]))
    for (const shadow of shadows.values()) this.#run(shadow)
    for (const { sequences, startedAt } of present.sent) {
      // Who left during its pass has no shadow.
      const inPass = sequences.flatMap((sequence) => shadows.get(sequence) ?? [])
      this.#send({ length: this.#padded(sequences[0]!), sequences: inPass }, startedAt)
    }
    this.validUntil = Math.min(...this.#lanes.map(({ endsAt }) => endsAt))
  }

  /** When so many will have left the queue to run, on the clock of `performance.now()`; at least that, if it is far away. */
  leftAt(count: number): number {
    while (this.#leftAt.length < count && this.#passes < MOST_PASSES && this.#advance());
    return this.#leftAt[count - 1] ?? this.#now
  }

  /** To the end of the next pass. False when there is none. */
  #advance(): boolean {
    this.#sendAll()
    const next = this.#lanes.reduce<Lane | undefined>(
      (first, lane) => (first && first.endsAt <= lane.endsAt ? first : lane),
      undefined
    )
    if (!next) return false
    this.#lanes.splice(this.#lanes.indexOf(next), 1)
    this.#now = next.endsAt
    this.#passes++
    for (const shadow of next.shadows) this.#comeBack(shadow)
    this.#admit()
    return true
  }

  #sendAll(): void {
    const { lanes, parallel } = this.#rules
    while (this.#lanes.length < lanes) {
      this.#admit()
      if (this.#waiting.length === 0) return
      const batch = nextBatch(this.#waiting, this.#runningTokens, this.#rules)
      if (this.#lanes.length >= parallel && !worthSendingAhead(tokensIn(batch), this.#rules)) return
      this.#send(batch)
    }
  }

  #admit(): void {
    for (let next = this.#queued[0]; next; next = this.#queued[0]) {
      if (!mayRun(this.#runs + 1, this.#runningTokens + this.#padded(next), this.#rules)) return
      this.#queued.shift()
      this.#leftAt.push(this.#now)
      this.#run(next)
    }
  }

  #run(shadow: Shadow): void {
    this.#runs++
    this.#runningTokens += this.#padded(shadow)
    this.#waiting.push(shadow)
  }

  #comeBack(shadow: Shadow): void {
    if (shadow.pass()) {
      this.#runs--
      this.#runningTokens -= this.#padded(shadow)
    } else {
      this.#waiting.push(shadow)
    }
  }

  /** @param startedAt where the device runs it already */
  #send(batch: Batch<Shadow>, startedAt?: number): void {
    const device = this.#freeAt.indexOf(Math.min(...this.#freeAt))
    const start = startedAt ?? Math.max(this.#now, this.#freeAt[device]!)
    const ms = this.#cost.estimate({ tokens: tokensIn(batch), rows: rowsIn(batch.sequences) })
    const endsAt = start + ms >= this.#now ? start + ms : this.#now + LATE * ms
    this.#freeAt[device] = endsAt
    this.#lanes.push({ shadows: batch.sequences, endsAt })
    const inPass = new Set(batch.sequences)
    this.#waiting = this.#waiting.filter((shadow) => !inPass.has(shadow))
  }

  #padded({ length }: { length: number }): number {
    return lengthBucket(length, this.#rules.context)
  }
}
