import { type Client, FairQueue, type FairQueueOptions } from './fair-queue.js'
import { lengthBucket } from './length-bucket.js'
import type { PassSize } from './pass-cost.js'
import { mayRun, type PassRules } from './pass-rules.js'

/** What admission needs to know of a sequence. */
export interface Admissible {
  readonly client: Client | undefined
  /** Tokens that its next pass sees. */
  readonly length: number
  readonly remainingPasses: number
  /** Positions that a pass to come reveals; 0 is the next one. */
  rowsOf(pass: number): number
  /** Has to be done in time, and so keeps its place. */
  readonly hurried: boolean
}

/** Passes that a sequence has before it makes room for who waits. Few-step texts are done by then, and slow ones part way. */
export const TURN = 32

/**
 * Who waits and who runs, both in the order in which they are served. Clients get passes by their weights, each one's sequences first
 * come, first served; nobody overtakes the sequence at the head of the queue, however long it is. Who has had its turn while others
 * wait goes on, as it is, when it has waited again: so nobody waits for all of a text of a thousand steps.
 *
 *   add -> queued (waits for room) -> running (waits for a pass <-> is in one) -> remove
 *             ^----------- its turn is over, and somebody waits -----------'
 */
export class Admission<S extends Admissible> {
  readonly #rules: PassRules
  readonly #cost: (size: PassSize) => number
  /** With the passes that each has had since it was let in. */
  readonly #running = new Map<S, number>()
  readonly #inPass = new Set<S>()
  readonly #queueOptions: FairQueueOptions<S> = {
    clientOf: ({ client }) => client,
    costOf: (sequence) => this.#costOfTurn(sequence)
  }
  #queued = new FairQueue(this.#queueOptions)

  /** @param cost what so many padded tokens and rows take, in any unit */
  constructor(rules: PassRules, cost: (size: PassSize) => number) {
    this.#rules = rules
    this.#cost = cost
  }

  /** The same with others in the places of these: what is done to one is not done to the other. */
  map<T extends Admissible>(of: (sequence: S) => T): Admission<T> {
    const other = new Admission<T>(this.#rules, this.#cost)
    other.#queued = this.#queued.map(of, other.#queueOptions)
    for (const [sequence, passes] of this.#running) {
      const twin = of(sequence)
      other.#running.set(twin, passes)
      if (this.#inPass.has(sequence)) other.#inPass.add(twin)
    }
    return other
  }

  get queued(): number {
    return this.#queued.size
  }

  get running(): readonly S[] {
    return [...this.#running.keys()]
  }

  get all(): readonly S[] {
    return [...this.running, ...this.#queued.all]
  }

  /** How many wait that are this client's. */
  queuedOf(client: Client): number {
    return this.#queued.sizeOf(client)
  }

  runs(sequence: S): boolean {
    return this.#running.has(sequence)
  }

  has(sequence: S): boolean {
    return this.#running.has(sequence) || this.#queued.has(sequence)
  }

  /** What a pass for each of the running sequences holds, in all. */
  get round(): PassSize & { readonly sequences: number } {
    let tokens = 0
    let rows = 0
    for (const sequence of this.#running.keys()) {
      tokens += this.padded(sequence.length)
      rows += sequence.rowsOf(0)
    }
    return { tokens, rows, sequences: this.#running.size }
  }

  padded(length: number): number {
    return lengthBucket(length, this.#rules.context)
  }

  add(sequences: readonly S[]): void {
    for (const sequence of sequences) this.#queued.add(sequence)
    this.admit()
  }

  /** Lets the queue's head run while there is room. Returns who waits for a pass, the longest first. */
  admit(): readonly S[] {
    let { tokens } = this.round
    for (let next = this.#queued.next; next; next = this.#queued.next) {
      tokens += this.padded(next.length)
      if (!mayRun(this.#running.size + 1, tokens, this.#rules)) break
      this.#running.set(this.#queued.take()!, 0)
    }
    return this.running.filter((sequence) => !this.#inPass.has(sequence))
  }

  /** They are in a pass now. */
  depart(sequences: readonly S[]): void {
    for (const sequence of sequences) this.#inPass.add(sequence)
  }

  /** Their pass is over: they go behind the others that run, or that wait, but for those that left meanwhile. */
  comeBack(sequences: readonly S[]): void {
    for (const sequence of sequences) {
      this.#inPass.delete(sequence)
      const passes = this.#running.get(sequence)
      if (passes === undefined) continue
      this.#running.delete(sequence)
      if (passes + 1 >= TURN && this.queued > 0 && !sequence.hurried) this.#queued.add(sequence)
      else this.#running.set(sequence, passes + 1)
    }
  }

  /** True when it was here. */
  remove(sequence: S): boolean {
    return this.#queued.delete(sequence) || this.#running.delete(sequence)
  }

  #costOfTurn(sequence: S): number {
    const { length, remainingPasses, hurried } = sequence
    const passes = hurried ? remainingPasses : Math.min(TURN, remainingPasses)
    let rows = 0
    for (let pass = 0; pass < passes; pass++) rows += sequence.rowsOf(pass)
    return this.#cost({ tokens: this.padded(length) * passes, rows })
  }
}
