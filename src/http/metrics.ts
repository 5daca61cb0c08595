import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { refusals } from './answer-schemas.js'
import type { HttpOptions } from './http-options.js'

const schema = {
  tags: ['Operation'],
  summary: 'Tell the metrics, as Prometheus reads them',
  response: {
    200: { description: 'The metrics.', content: { 'text/plain': { schema: Type.String() } } },
    ...refusals
  }
}

export const metricRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (app, { metrics, gate }) => {
  app.addHook('onRequest', async (request) => {
    await gate.countGuess(request)
    gate.access.demand(request, 'metrics')
  })
  app.get('/metrics', { schema, logLevel: 'warn' }, async (_request, reply) => {
    reply.header('content-type', metrics.registry.contentType)
    return metrics.registry.metrics()
  })
}
