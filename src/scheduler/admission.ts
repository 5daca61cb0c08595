import { type Client, FairQueue } from './fair-queue.js'
import { lengthBucket } from './length-bucket.js'
import type { PassSize } from './pass-cost.js'
import { mayRun, type PassRules } from './pass-rules.js'
import type { Sequence } from './sequence.js'

/**
 * Who waits and who runs, both in the order in which they are served. Clients get passes by their weights, each one's sequences first
 * come, first served; nobody overtakes the sequence at the head of the queue, however long it is.
 *
 *   add -> queued (waits for room) -> running (waits for a pass <-> is in one) -> remove
 */
export class Admission {
  readonly #queued: FairQueue<Sequence>
  readonly #running = new Set<Sequence>()
  readonly #inPass = new Set<Sequence>()
  readonly #rules: PassRules

  /** @param cost what so many padded tokens and rows take, in any unit */
  constructor(rules: PassRules, cost: (size: PassSize) => number) {
    this.#rules = rules
    this.#queued = new FairQueue({
      clientOf: ({ options }) => options.client,
      costOf: ({ length, passes, rows }) => cost({ tokens: this.padded(length) * passes, rows })
    })
  }

  get queued(): number {
    return this.#queued.size
  }

  /** As they would be let in if nobody else came. */
  get queueInOrder(): readonly Sequence[] {
    return this.#queued.inOrder
  }

  get running(): readonly Sequence[] {
    return [...this.#running]
  }

  runs(sequence: Sequence): boolean {
    return this.#running.has(sequence)
  }

  get all(): readonly Sequence[] {
    return [...this.#running, ...this.#queued.all]
  }

  /** What a pass for each of the running sequences holds, in all. */
  get round(): PassSize & { readonly sequences: number } {
    let tokens = 0
    let rows = 0
    for (const sequence of this.#running) {
      tokens += this.padded(sequence.length)
      rows += sequence.rows / sequence.passes
    }
    return { tokens, rows, sequences: this.#running.size }
  }

  /** What all the passes hold that these sequences still need: how many that is for the longest of them, and if none were shared. */
  get backlog(): PassSize & { readonly passes: number; readonly alone: number } {
    let tokens = 0
    let rows = 0
    let passes = 0
    let alone = 0
    for (const sequence of this.all) {
      const remaining = sequence.remainingPasses
      alone += remaining
      tokens += this.padded(sequence.length) * remaining
      rows += (sequence.rows / sequence.passes) * remaining
      passes = Math.max(passes, remaining)
    }
    return { tokens, rows, passes, alone }
  }

  padded(length: number): number {
    return lengthBucket(length, this.#rules.context)
  }

  add(sequences: readonly Sequence[]): void {
    for (const sequence of sequences) this.#queued.add(sequence)
    this.admit()
  }

  /** Lets the queue's head run while there is room. Returns who waits for a pass, the longest first. */
  admit(): readonly Sequence[] {
    let { tokens } = this.round
    for (let next = this.#queued.next; next; next = this.#queued.next) {
      tokens += this.padded(next.length)
      if (!mayRun(this.#running.size + 1, tokens, this.#rules)) break
      this.#running.add(this.#queued.take()!)
    }
    return this.running.filter((sequence) => !this.#inPass.has(sequence))
  }

  /** How many would leave the queue before a sequence of this client that came now. */
  ahead(client: Client | undefined): number {
    return this.#queued.ahead(client)
  }

  /** They are in a pass now. */
  depart(sequences: readonly Sequence[]): void {
    for (const sequence of sequences) this.#inPass.add(sequence)
  }

  /** Their pass is over: they go behind the others that run, but for those that left meanwhile. */
  comeBack(sequences: readonly Sequence[]): void {
    for (const sequence of sequences) {
      this.#inPass.delete(sequence)
      if (this.#running.delete(sequence)) this.#running.add(sequence)
    }
  }

  /** True when it was here. */
  remove(sequence: Sequence): boolean {
    return this.#queued.delete(sequence) || this.#running.delete(sequence)
  }
}
