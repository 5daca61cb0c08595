import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { Readiness } from '../answers.js'
import { ref } from '../schemas.js'
import type { HttpOptions } from './http-options.js'
import { readiness } from './readiness.js'

const described = (description: string) => ({
  description,
  content: { 'application/json': { schema: ref(Readiness) } }
})

export const healthRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (
  app,
  { engine, phase, gate, batches }
) => {
  app.get(
    '/health/live',
    {
      logLevel: 'warn',
      schema: {
        tags: ['Operation'],
        summary: 'Say that the process is alive',
        response: { 200: Type.Object({ status: Type.Literal('live') }) }
      }
    },
    async () => ({ status: 'live' as const })
  )

  app.get(
    '/health/ready',
    {
      logLevel: 'warn',
      schema: {
        tags: ['Operation'],
        summary: 'Say whether requests are taken',
        response: {
          200: described('Every model takes requests.'),
          503: described('Not yet, or no longer: `status` says which.')
        }
      }
    },
    async (request, reply) => {
      await gate.countGuess(request)
      const tells = gate.access.may(request, 'metrics')
      const models = (tells ? engine.models : []).map(({ name, denoiser, scheduler }) => {
        const { ready, device, fallback, restarts } = denoiser
        const outage = denoiser.outage?.reason ?? null
        const { queued, running } = scheduler.stats
        return {
          ...{ name, ready, outage, device, fallback, restarts, queued, running },
          backlog_ms: Math.round(scheduler.backlogMs)
        }
      })
      const answer: Readiness = {
        status: readiness({ engine, phase }),
        models,
        ...(tells && batches && { batches: { queue: batches.kind, trouble: batches.trouble } })
      }
      reply.code(answer.status === 'ready' ? 200 : 503)
      return answer
    }
  )
}
