import type { FastifyRequest } from 'fastify'
import { RequestError } from '../errors.js'
import type { Access } from './access.js'

/** Counts the requests that each key has in work, so that one client cannot take every place. */
export class WorkLimit {
  readonly #most: number
  readonly #access: Access
  readonly #inWork = new Map<string, number>()

  constructor(most: number, access: Access) {
    this.#most = most
    this.#access = access
  }

  /**
   * @returns what to call, once, when the request has ended
   * @throws {RequestError}
   */
  take(request: FastifyRequest): () => void {
    const name = this.#access.keyName(request)
    if (name === undefined) return () => {}
    const count = this.#inWork.get(name) ?? 0
    if (count >= this.#most) {
      throw new RequestError('overloaded', `Expected at most ${this.#most} requests in work for one key.`)
    }
    this.#inWork.set(name, count + 1)
    return () => this.#leave(name)
  }

  #leave(name: string): void {
    const count = this.#inWork.get(name)! - 1
    if (count > 0) this.#inWork.set(name, count)
    else this.#inWork.delete(name)
  }
}
