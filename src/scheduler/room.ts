import { RequestError } from '../errors.js'
import type { Admission } from './admission.js'
import type { Endings } from './endings.js'
import type { Estimates, Newcomer } from './estimates.js'
import type { Client } from './fair-queue.js'
import type { Sequence } from './sequence.js'

export interface RoomLimits {
  /** Sequences that may wait for a place; one more is refused. */
  readonly maxQueue: number
  /** Milliseconds of passes that interactive sequences may still need when one more comes. */
  readonly maxBacklogMs: number
}

/**
 * Whether there is room for more interactive sequences, and when there will be. Of what is bounded a client may have as much as it
 * leaves free, times its weight, so that there is always room for others (dynamic thresholds: Choudhury and Hahne,
 * IEEE/ACM Transactions on Networking 6(2), 1998).
 */
export class Room {
  readonly #limits: RoomLimits
  readonly #admission: Admission<Sequence>
  readonly #estimates: Estimates
  readonly #refused: Endings['refused']

  /** @param refused counts what is refused, by its reason */
  constructor(
    limits: RoomLimits,
    admission: Admission<Sequence>,
    estimates: Estimates,
    refused: Endings['refused']
  ) {
    this.#limits = limits
    this.#admission = admission
    this.#estimates = estimates
    this.#refused = refused
  }

  /**
   * @param count of the sequences that come
   * @param queued how many would then wait
   * @throws {RequestError} `overloaded`
   */
  expectQueue(count: number, queued: number): void {
    const { maxQueue } = this.#limits
    if (queued <= maxQueue) return
    const most = this.#admission.queued - (queued - maxQueue)
    const retryAfterMs = this.#estimates.msUntil(`${most} wait`, (future) => future.queued <= most)
    const message = `The queue is full: expected at most ${maxQueue} sequences waiting.`
    throw this.#refusal(count, 'queue', message, retryAfterMs)
  }

  /** @throws {RequestError} `overloaded` */
  expectBacklog(count: number): void {
    const { maxBacklogMs } = this.#limits
    const backlogMs = this.#estimates.backlogMs()
    if (backlogMs <= maxBacklogMs) return
    const message = `The server has work for ${Math.round(backlogMs)} ms: expected at most ${maxBacklogMs} ms.`
    throw this.#refusal(count, 'backlog', message, backlogMs - maxBacklogMs)
  }

  /** @throws {RequestError} `overloaded` */
  expectShare(count: number, client: Client): void {
    this.#expectQueueShare(count, client)
    this.#expectBacklogShare(count, client)
  }

  /**
   * Steps that each window of a text which came now could take to be done in time: at least one, or any number.
   * @throws {RequestError} `deadline_too_short` when no load would let it be met, `overloaded` when this one does not
   */
  stepsWithin(ms: number, newcomer: Newcomer): number {
    const aloneMs = this.#estimates.leastMs(newcomer)
    const param = 'deadline_ms'
    if (ms < aloneMs) {
      const message = `${param}: expected at least ${Math.ceil(aloneMs)} for a text of ${newcomer.length} tokens, got ${ms}`
      throw new RequestError('deadline_too_short', message, { param })
    }
    const { waitMs, stepMs, rowsMs } = this.#estimates.timesOf(newcomer)
    const passes = (ms - waitMs - rowsMs) / stepMs
    if (passes >= newcomer.rows) return Number.POSITIVE_INFINITY // a step that reveals nothing costs no pass
    const steps = Math.floor(passes / newcomer.windows)
    if (steps >= 1) return steps
    const neededMs = Math.ceil(waitMs + rowsMs + newcomer.windows * stepMs)
    const message = `${param}: expected at least ${neededMs} while others wait, got ${ms}.`
    throw this.#refusal(1, 'deadline', message, neededMs - ms, param)
  }

  #expectQueueShare(count: number, client: Client): void {
    const share = (queued: number) => Math.floor(client.weight * (this.#limits.maxQueue - queued))
    const own = this.#admission.queuedOf(client)
    const most = share(this.#admission.queued)
    if (own + count <= most) return
    const retryAfterMs = this.#estimates.msUntil(
      `room for ${count} of ${client.name}`,
      (future) => future.queuedOf(client) + count <= share(future.queued)
    )
    const message = `Expected at most ${most} sequences of one key waiting while so much of the queue is free, got ${own + count}.`
    throw this.#refusal(count, 'queue', message, retryAfterMs)
  }

  #expectBacklogShare(count: number, client: Client): void {
    const backlogMs = this.#estimates.backlogMs()
    const ownMs = this.#estimates.backlogMs(client)
    const shareMs = client.weight * (this.#limits.maxBacklogMs - backlogMs)
    if (ownMs <= shareMs) return
    // In a millisecond all that is owed shrinks by one, and a client's part of it by its part of that.
    const retryAfterMs = (ownMs - shareMs) / (client.weight + ownMs / backlogMs)
    const message = `The server has ${Math.round(ownMs)} ms of work of one key: expected at most ${Math.round(shareMs)} ms.`
    throw this.#refusal(count, 'backlog', message, retryAfterMs)
  }

  #refusal(
    count: number,
    reason: keyof Endings['refused'],
    message: string,
    ms: number,
    param?: string
  ): RequestError {
    this.#refused[reason] += count
    const retryAfterMs = Math.ceil(ms)
    return new RequestError('overloaded', `${message} Try again in ${retryAfterMs} ms.`, {
      retryAfterMs,
      ...(param && { param })
    })
  }
}
