import type { Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { RequestError } from '../errors.js'
import type { Access } from './access.js'

export interface WorkLimits {
  /** Requests that one key may have in work. */
  readonly maxKeyRequests: number
  /** Requests that one connection may have in work: messages of a WebSocket, or pipelined HTTP/1.1. */
  readonly maxSocketSequences: number
}

/** Counts the requests that each key and each connection has in work, so that one client cannot take every place. */
export class WorkLimit {
  readonly #limits: WorkLimits
  readonly #access: Access
  readonly #inWork = new Map<string | Socket, number>()

  constructor(limits: WorkLimits, access: Access) {
    this.#limits = limits
    this.#access = access
  }

  /**
   * @returns what to call, once, when the request has ended
   * @throws {RequestError}
   */
  take(request: FastifyRequest): () => void {
    const { maxKeyRequests, maxSocketSequences } = this.#limits
    const key = this.#access.keyName(request)
    const connection = request.ws ? undefined : request.raw.socket // a WebSocket counts its own
    this.#check(key, maxKeyRequests, 'for one key')
    this.#check(connection, maxSocketSequences, 'on one connection')
    const holders = [key, connection].filter((holder) => holder !== undefined)
    for (const holder of holders) this.#inWork.set(holder, this.#countOf(holder) + 1)
    return () => {
      for (const holder of holders) this.#leave(holder)
    }
  }

  #check(holder: string | Socket | undefined, most: number, whose: string): void {
    if (holder === undefined || this.#countOf(holder) < most) return
    throw new RequestError('overloaded', `Expected at most ${most} requests in work ${whose}.`)
  }

  #countOf(holder: string | Socket): number {
    return this.#inWork.get(holder) ?? 0
  }

  #leave(holder: string | Socket): void {
    const count = this.#countOf(holder) - 1
    if (count > 0) this.#inWork.set(holder, count)
    else this.#inWork.delete(holder)
  }
}
