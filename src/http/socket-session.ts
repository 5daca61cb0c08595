import type { FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import type { Generation } from '../engine.js'
import { RequestError } from '../errors.js'
import type { ClientMessage, CompletionMessage, ErrorEvent, InfillMessage } from '../messages.js'
import { checkMessage, idOf, readMessage } from './client-message.js'
import { toRequestError } from './error-answer.js'
import { onTheWire } from './generation-answer.js'
import type { HttpOptions } from './http-options.js'

interface Work {
  readonly generation: Generation
  readonly controller: AbortController
}

/**
 * One WebSocket and the requests in work on it, each under the id that its client chose.
 *
 *   id free -> completion | infill -> in work -> last sequence-end, or error -> id free
 *
 * An `error` with an id is the last event of that id. A refused message that names an id in work is answered without
 * id: the work goes on. A message is answered before the next one is read, and an event
 * is sent before the next one is taken: who reads slowly gets steps joined, and the server keeps no backlog.
 */
export class SocketSession {
  readonly #socket: WebSocket
  readonly #request: FastifyRequest
  readonly #options: HttpOptions
  readonly #works = new Map<string, Work>()
  #answering = 0

  constructor(socket: WebSocket, request: FastifyRequest, options: HttpOptions) {
    this.#socket = socket
    this.#request = request
    this.#options = options
  }

  receive(data: Buffer, isBinary: boolean): void {
    let message: unknown
    try {
      message = readMessage(data, isBinary, this.#options.limits.bodyLimit)
      this.#obey(checkMessage(message, this.#request))
    } catch (error) {
      this.#answer(this.#errorEvent(this.#freeId(message), error))
    }
  }

  /** The client has left: everything of it goes. */
  close(): void {
    const reason = new RequestError('cancelled', 'The socket was closed.')
    for (const { controller } of this.#works.values()) controller.abort(reason)
  }

  #obey(message: ClientMessage): void {
    const { type, id } = message
    if (type === 'completion' || type === 'infill') {
      this.#start(message)
      return
    }
    const work = this.#works.get(id)
    if (!work) {
      const error = `id: expected the id of a request in work, got ${JSON.stringify(id)}`
      throw new RequestError('sequence_not_found', error, { param: 'id' })
    }
    if (type === 'cancel') work.controller.abort()
    else for (const snapshot of work.generation.snapshot()) this.#answer(snapshot)
  }

  #start(message: CompletionMessage | InfillMessage): void {
    const { id } = message
    const { engine, metrics, limits } = this.#options
    if (this.#works.has(id)) {
      const error = `id: expected one that is not in use, got ${JSON.stringify(id)}`
      throw new RequestError('invalid_request', error, { param: 'id' })
    }
    if (this.#works.size >= limits.maxSocketSequences) {
      const error = `expected at most ${limits.maxSocketSequences} requests in work on one socket`
      throw new RequestError('overloaded', error)
    }
    const controller = new AbortController()
    const options = { id, signal: controller.signal }
    const generation = metrics.count(
      message.type === 'completion'
        ? engine.complete(message.request, options)
        : engine.infill(message.request, options)
    )
    this.#works.set(id, { generation, controller })
    void this.#run(id, generation)
  }

  async #run(id: string, generation: Generation): Promise<void> {
    let texts = generation.texts
    try {
      for await (const event of generation) {
        // The client may use the id again as soon as it has the last event.
        if (event.type === 'sequence-end' && --texts === 0) this.#works.delete(id)
        await this.#send(onTheWire(event))
      }
    } catch (error) {
      this.#works.delete(id)
      await this.#send(this.#errorEvent(id, error))
    }
  }

  #errorEvent(id: string | null, error: unknown): ErrorEvent {
    return { type: 'error', id, error: toRequestError(error, this.#request).body }
  }

  /** The id of a refused message, unless a request in work has it. */
  #freeId(message: unknown): string | null {
    const id = idOf(message)
    return id === null || this.#works.has(id) ? null : id
  }

  /** Answers a message, and reads no further one until the answer is out. */
  async #answer(event: object): Promise<void> {
    this.#answering++
    this.#socket.pause()
    await this.#send(event)
    if (--this.#answering === 0) this.#socket.resume()
  }

  /** Resolves when the event has left the process; also when it cannot any more, for then `close` is near. */
  #send(event: object): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.send(JSON.stringify(event), () => resolve())
    })
  }
}
