import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Metrics } from '../metrics.js'
import type { Access } from './access.js'

/** Where a client left before its answer was written. */
const LEFT = 499

/** One line and one count for each request, when its connection or its answer ends. The answer names it as the log does. */
export function logRequests(app: FastifyInstance, metrics: Metrics, access: Access): void {
  app.decorateRequest('errorCode', undefined)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
    reply.raw.once('close', () => {
      const { method, routeOptions, log, errorCode: code } = request // what is undefined is left out
      const route = routeOptions.url ?? 'unknown'
      const status = statusOf(request, reply)
      const key = access.keyName(request)
      log.info({ method, route, status, code, ms: Math.round(reply.elapsedTime), key }, 'answered')
      metrics.countRequest({ method, route, status }, reply.elapsedTime / 1000)
    })
  })
}

/** How a request ended, once its connection or its answer has. */
export function statusOf({ ws }: FastifyRequest, { raw, statusCode }: FastifyReply): number {
  if (ws && !raw.writableEnded) return 101
  return raw.writableEnded ? statusCode : LEFT
}
