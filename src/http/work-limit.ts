import type { Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Engine } from '../engine.js'
import { RequestError } from '../errors.js'
import type { Access } from './access.js'

export interface WorkLimits {
  /** Requests that one key may have in work. */
  readonly maxKeyRequests: number
  /** Requests that one HTTP/1.1 connection may have in work; a WebSocket counts its own. */
  readonly maxSocketSequences: number
}

/** Counts the requests that each key and each connection has in work, so that one client cannot take every place. */
export class WorkLimit {
  readonly #limits: WorkLimits
  readonly #access: Access
  readonly #engine: Engine
  readonly #inWork = new Map<string | Socket, number>()

  constructor(limits: WorkLimits, access: Access, engine: Engine) {
    this.#limits = limits
    this.#access = access
    this.#engine = engine
  }

  /**
   * @returns what to call, once, when the request has ended
   * @throws {RequestError}
   */
  take(request: FastifyRequest): () => void {
    const { maxKeyRequests, maxSocketSequences } = this.#limits
    const key = this.#access.keyOf(request)
    const connection = request.ws ? undefined : request.raw.socket
    if (key && this.#countOf(key.name) >= maxKeyRequests) {
      const retryAfterMs = this.#engine.msUntilOneEnds(key)
      const message = `Expected at most ${maxKeyRequests} requests in work for one key.`
      throw new RequestError('overloaded', message, { ...(retryAfterMs && { retryAfterMs }) })
    }
    if (connection && this.#countOf(connection) >= maxSocketSequences) {
      const message = `Expected at most ${maxSocketSequences} requests in work on one connection.`
      throw new RequestError('overloaded', message)
    }
    const holders = [key?.name, connection].filter((holder) => holder !== undefined)
    for (const holder of holders) this.#inWork.set(holder, this.#countOf(holder) + 1)
    return () => {
      for (const holder of holders) this.#leave(holder)
    }
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
