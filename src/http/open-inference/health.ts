/** Health and metadata of the server in the Open Inference Protocol; like fewstep's own, they take no key. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { ServerMetadata } from '../../open-inference.js'
import { ref } from '../../schemas.js'
import { fewstepVersion } from '../../version.js'
import type { HttpOptions } from '../http-options.js'
import { readiness } from '../readiness.js'
import { tags } from './routes.js'

export const openInferenceHealthRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (app, options) => {
  const server = { name: 'fewstep', version: fewstepVersion, extensions: ['generate'] }
  const schema = { tags, summary: 'Describe the server', response: { 200: ref(ServerMetadata) } }
  app.get('/v2', { schema }, async () => server)
  app.get('/v2/', { schema: { ...schema, hide: true } }, async () => server)

  const live = Type.Object({ live: Type.Literal(true) })
  app.get(
    '/v2/health/live',
    { logLevel: 'warn', schema: { tags, summary: 'Say that the process is alive', response: { 200: live } } },
    async () => ({ live: true as const })
  )

  const ready = Type.Object({ live: Type.Literal(true), ready: Type.Boolean() })
  app.get(
    '/v2/health/ready',
    {
      logLevel: 'warn',
      schema: { tags, summary: 'Say whether requests are taken', response: { 200: ready, 503: ready } }
    },
    async (_request, reply) => {
      const isReady = readiness(options) === 'ready'
      reply.code(isReady ? 200 : 503)
      return { live: true as const, ready: isReady }
    }
  )
}
