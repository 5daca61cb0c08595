import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RequestTrace, Tracing } from '../tracing.js'
import { statusOf } from './request-log.js'

/** The trace of each request under way. Where nothing is traced it has none, and costs nothing. */
export class RequestTraces {
  readonly #tracing: Tracing | undefined
  readonly #traces = new WeakMap<FastifyRequest, RequestTrace>()

  constructor(tracing: Tracing | undefined) {
    this.#tracing = tracing
  }

  /** Follows a request to the end of its answer or its connection. */
  follow(request: FastifyRequest, reply: FastifyReply): void {
    if (!this.#tracing) return
    const { method, routeOptions, headers, id } = request
    const route = routeOptions.url ?? 'unknown'
    const trace = this.#tracing.begin(`${method} ${route}`, headers, {
      'http.request.method': method,
      'http.route': route,
      'fewstep.request': id
    })
    this.#traces.set(request, trace)
    reply.raw.once('close', () => trace.end(statusOf(request, reply), request.errorCode))
  }

  /** That of a request which came over HTTP. */
  of(request: FastifyRequest): RequestTrace | undefined {
    return this.#traces.get(request)
  }

  /** One that came as a message of a WebSocket, which the handshake may have put into a trace. */
  begin(
    type: string,
    id: string | undefined,
    { headers, id: connection }: FastifyRequest
  ): RequestTrace | undefined {
    const attributes = { 'fewstep.connection': connection, ...(id && { 'fewstep.request': id }) }
    return this.#tracing?.begin(`${type} over WebSocket`, headers, attributes)
  }
}
