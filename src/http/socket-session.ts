import type { FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import type { Generation } from '../engine.js'
import { Cancellation, RequestError } from '../errors.js'
import type { ClientMessage, CompletionMessage, ErrorEvent, InfillMessage } from '../messages.js'
import type { Snapshot } from '../schemas.js'
import { Bookmark } from './bookmark.js'
import { checkMessage, readMessage, wantedId } from './client-message.js'
import { retryAfterMs, toRequestError } from './error-answer.js'
import { onTheWire } from './generation-answer.js'
import type { HttpOptions } from './http-options.js'
import { MessageLog } from './message-log.js'
import { retell } from './retelling.js'
import { wasCut } from './stalled-readers.js'

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
 * id: the work goes on. An event is sent before the next one is taken, so that a slow reader gets steps joined and
 * the server keeps no backlog.
 */
export class SocketSession {
  readonly #socket: WebSocket
  readonly #request: FastifyRequest
  readonly #options: HttpOptions
  readonly #works = new Map<string, Work>()

  constructor(socket: WebSocket, request: FastifyRequest, options: HttpOptions) {
    this.#socket = socket
    this.#request = request
    this.#options = options
  }

  /** Does what a message asks. Resolves when the answer to it, if it has one, has left. */
  async handle(data: Buffer, isBinary: boolean): Promise<void> {
    let message: unknown
    let log: MessageLog | undefined
    try {
      message = readMessage(data, isBinary, this.#options.limits.bodyLimit)
      log = new MessageLog(message, this.#request, this.#options)
      for (const answer of await this.#obey(checkMessage(message, this.#request), log))
        await this.#send(answer)
    } catch (error) {
      log ??= new MessageLog(message, this.#request, this.#options)
      await this.#refuse(this.#freeId(message), error, log)
    }
  }

  /** The client has left: everything of it goes. */
  close(): void {
    for (const { controller } of this.#works.values()) controller.abort(this.#departure)
  }

  get #departure(): Cancellation {
    const stalled = wasCut(this.#request.raw.socket)
    return new Cancellation(stalled ? 'stalled' : 'left', 'The socket was closed.')
  }

  async #obey(message: ClientMessage, log: MessageLog): Promise<Snapshot[]> {
    const { type, id } = message
    if (type === 'completion' || type === 'infill') {
      await this.#options.gate.enter(this.#request)
      if (this.#socket.readyState !== this.#socket.OPEN) throw this.#departure // nobody would end its work
      if (this.#options.logPrompts) log.logger.info({ asked: message.request }, 'asked')
      this.#start(message, log)
      return []
    }
    const { generation, controller } = this.#workOf(id)
    if (type === 'snapshot') return generation.snapshot()
    controller.abort(new Cancellation('cancelled', 'The request was cancelled by the client.'))
    return []
  }

  #workOf(id: string): Work {
    const work = this.#works.get(id)
    if (work) return work
    const message = `id: expected the id of a request in work, got ${JSON.stringify(id)}`
    throw new RequestError('sequence_not_found', message, { param: 'id' })
  }

  #start(message: CompletionMessage | InfillMessage, log: MessageLog): void {
    const { id } = message
    const { engine, limits, gate } = this.#options
    if (this.#works.has(id)) {
      const text = `id: expected one that is not in use, got ${JSON.stringify(id)}`
      throw new RequestError('invalid_request', text, { param: 'id' })
    }
    this.#expectRoom(limits.maxSocketSequences)
    const bookmark = Bookmark.at(
      message.last_event_id,
      message.request,
      engine.resolve(message.request.model)
    )
    const { seed } = bookmark
    const controller = new AbortController()
    const release = gate.work.take(this.#request)
    const client = gate.access.keyOf(this.#request)
    const options = { id, signal: controller.signal, client, watch: log.trace }
    try {
      const generation =
        message.type === 'completion'
          ? engine.complete({ ...message.request, seed }, options)
          : engine.infill({ ...message.request, seed }, options)
      this.#works.set(id, { generation, controller })
      void this.#run(id, generation, bookmark, log).then(release)
    } catch (error) {
      release()
      throw error
    }
  }

  #expectRoom(most: number): void {
    const generations = [...this.#works.values()].map(({ generation }) => generation)
    if (generations.reduce((sum, { texts }) => sum + texts, 0) < most) return
    const retryAfterMs = Math.min(...generations.map((generation) => generation.msLeft()))
    throw new RequestError('overloaded', `Expected fewer than ${most} texts in work on one socket.`, {
      retryAfterMs
    })
  }

  async #run(id: string, generation: Generation, bookmark: Bookmark, log: MessageLog): Promise<void> {
    let texts = generation.texts
    try {
      for await (const { event, id: event_id } of retell(generation, bookmark)) {
        // The client may use the id again as soon as it has the last event.
        if (event.type === 'sequence-end' && --texts === 0) this.#works.delete(id)
        if (event_id) await this.#send({ ...onTheWire(event), event_id })
      }
      log.end()
    } catch (error) {
      this.#works.delete(id)
      await this.#refuse(id, error, log)
    }
  }

  async #refuse(id: string | null, cause: unknown, log: MessageLog): Promise<void> {
    const error = toRequestError(cause, this.#request, log.logger)
    const { readyState, OPEN } = this.#socket
    if (readyState === OPEN) this.#request.server.metrics.countError(error.code) // else nobody is told
    await this.#send(errorEvent(id, error))
    log.end(error)
  }

  /** The id that a refused request wanted, unless one in work has it. Other messages end nothing. */
  #freeId(message: unknown): string | null {
    const id = wantedId(message)
    return id === null || this.#works.has(id) ? null : id
  }

  /** Resolves when the event has left the process; also when it cannot any more, for then `close` is near. */
  #send(event: object): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.send(JSON.stringify(event), () => resolve())
    })
  }
}

function errorEvent(id: string | null, error: RequestError): ErrorEvent {
  const afterMs = retryAfterMs(error)
  const event: ErrorEvent = { type: 'error', id, error: error.body }
  return afterMs === undefined ? event : { ...event, retry_after_ms: afterMs }
}
