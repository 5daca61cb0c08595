import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import type { HttpOptions } from './http-options.js'

const schema = {
  tags: ['Operation'],
  summary: 'Tell the metrics, as Prometheus reads them',
  response: { 200: { description: 'The metrics.', content: { 'text/plain': { schema: Type.String() } } } }
}

export const metricRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (app, { metrics }) => {
  app.get('/metrics', { schema, logLevel: 'warn' }, async (_request, reply) => {
    reply.header('content-type', metrics.registry.contentType)
    return metrics.registry.metrics()
  })
}
