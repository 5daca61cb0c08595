import type { Admissible, Admission } from './admission.js'
import { type Batch, nextBatch, type Passenger, sizeOf } from './batch.js'
import type { PassCost } from './pass-cost.js'
import { type PassRules, worthSendingAhead } from './pass-rules.js'

export interface SentPass<S> {
  readonly sequences: readonly S[]
  /** Undefined while it lies ready behind another. */
  readonly startedAt: number | undefined
}

/** A sequence as far as the future needs it: each pass of its plan will be what it is. */
class Shadow implements Admissible, Passenger {
  readonly client: Admissible['client']
  readonly length: number
  readonly hurried: boolean
  readonly #plan: Admissible
  #passes = 0

  constructor(plan: Admissible) {
    this.client = plan.client
    this.length = plan.length
    this.hurried = plan.hurried
    this.#plan = plan
  }

  get remainingPasses(): number {
    return this.#plan.remainingPasses - this.#passes
  }

  get nextRows(): number {
    return this.rowsOf(0)
  }

  rowsOf(pass: number): number {
    return this.#plan.rowsOf(this.#passes + pass)
  }

  pass(): void {
    this.#passes++
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
export class Forecast<S extends Admissible> {
  readonly #admission: Admission<Shadow>
  readonly #shadows = new Map<Admissible, Shadow>()
  readonly #rules: PassRules
  readonly #cost: PassCost
  readonly #lanes: Lane[] = []
  /** When each device is free. */
  readonly #freeAt: number[]
  #now: number
  #passes = 0

  /**
   * @param now on the clock of `performance.now()`
   * @param sent passes under way, in the order in which they were sent
   */
  constructor(
    now: number,
    admission: Admission<S>,
    sent: readonly SentPass<S>[],
    rules: PassRules,
    cost: PassCost
  ) {
    this.#now = now
    this.#rules = rules
    this.#cost = cost
    this.#freeAt = Array(rules.parallel).fill(now)
    this.#admission = admission.map((sequence) => this.#shadowOf(sequence))
    for (const { sequences, startedAt } of sent) {
      // Who left during its pass has no shadow.
      const inPass = sequences.flatMap((sequence) => this.#shadows.get(sequence) ?? [])
      this.#send({ length: admission.padded(sequences[0]!.length), sequences: inPass }, startedAt)
    }
  }

  /** One more comes now. */
  add(newcomer: Admissible): void {
    this.#admission.add([this.#shadowOf(newcomer)])
  }

  get queued(): number {
    return this.#admission.queued
  }

  queuedOf(client: NonNullable<Admissible['client']>): number {
    return this.#admission.queuedOf(client)
  }

  runs(sequence: Admissible): boolean {
    return this.#admission.runs(this.#shadows.get(sequence)!)
  }

  has(sequence: Admissible): boolean {
    const shadow = this.#shadows.get(sequence)
    return shadow !== undefined && this.#admission.has(shadow)
  }

  /** Goes on until this holds. @returns when that is, on the clock of `performance.now()`; at least that, if it is far away */
  when(holds: (future: this) => boolean): number {
    while (!holds(this) && this.#passes < MOST_PASSES && this.#advance());
    return this.#now
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
    for (const shadow of next.shadows) {
      shadow.pass()
      if (shadow.remainingPasses === 0) this.#admission.remove(shadow)
    }
    this.#admission.comeBack(next.shadows)
    this.#admission.admit()
    return true
  }

  #sendAll(): void {
    const { lanes, parallel } = this.#rules
    while (this.#lanes.length < lanes) {
      const waiting = this.#admission.admit()
      if (waiting.length === 0) return
      const batch = nextBatch(waiting, this.#admission.round.tokens, this.#rules)
      if (this.#lanes.length >= parallel && !worthSendingAhead(sizeOf(batch), this.#rules)) return
      this.#admission.depart(batch.sequences)
      this.#send(batch)
    }
  }

  /** @param startedAt where the device runs it already */
  #send(batch: Batch<Shadow>, startedAt?: number): void {
    const device = this.#freeAt.indexOf(Math.min(...this.#freeAt))
    const start = startedAt ?? Math.max(this.#now, this.#freeAt[device]!)
    const ms = this.#cost.estimate(sizeOf(batch))
    const endsAt = start + ms >= this.#now ? start + ms : this.#now + LATE * ms
    this.#freeAt[device] = endsAt
    this.#lanes.push({ shadows: batch.sequences, endsAt })
  }

  #shadowOf(sequence: Admissible): Shadow {
    const shadow = new Shadow(sequence)
    this.#shadows.set(sequence, shadow)
    return shadow
  }
}
