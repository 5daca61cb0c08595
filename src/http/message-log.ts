import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { RequestError } from '../errors.js'
import type { RequestTrace } from '../tracing.js'
import { nameOf } from './client-message.js'
import type { HttpOptions } from './http-options.js'

/** What the log and the trace tell of one message of a WebSocket, as they do of one request over HTTP. */
export class MessageLog {
  readonly logger: FastifyBaseLogger
  /** That of a message which asks for texts, whether it gets them or is refused. */
  readonly trace: RequestTrace | undefined
  readonly #start = performance.now()
  readonly #key: string | undefined

  constructor(
    message: unknown,
    request: FastifyRequest,
    { gate, traces }: Pick<HttpOptions, 'gate' | 'traces'>
  ) {
    const { type, id } = nameOf(message)
    this.logger = request.log.child({ type, id })
    if (type === 'completion' || type === 'infill') this.trace = traces.begin(type, id, request)
    this.#key = gate.access.keyName(request)
  }

  /** The message was done, or ended with an error. */
  end(error?: RequestError): void {
    const status = error?.status ?? 200
    const ms = Math.round(performance.now() - this.#start)
    this.logger.info({ status, code: error?.code, ms, key: this.#key }, 'answered')
    this.trace?.end(status, error?.code)
  }
}
