import type { FastifyInstance } from 'fastify'
import type { Metrics } from '../metrics.js'

/** One line and one count for each answer; the answer names its request as the log does. */
export function logRequests(app: FastifyInstance, metrics: Metrics): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })

  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions, log } = request
    const route = routeOptions.url ?? 'unknown'
    const status = reply.statusCode
    log.info({ method, route, status, ms: Math.round(reply.elapsedTime) }, 'answered')
    metrics.countRequest({ method, route, status }, reply.elapsedTime / 1000)
  })
}
