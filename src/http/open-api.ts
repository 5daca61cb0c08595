/** The API described from the schemas that check it, and a page to read it. */
import fastifySwagger from '@fastify/swagger'
import fastifySwaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import * as answers from '../answers.js'
import * as messages from '../messages.js'
import * as openInference from '../open-inference.js'
import * as schemas from '../schemas.js'
import { fewstepVersion } from '../version.js'

/** Call before any route is added. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  for (const schema of Object.values({ ...schemas, ...answers, ...messages, ...openInference })) {
    if (typeof schema === 'object' && '$id' in schema) app.addSchema(schema)
  }
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'fewstep',
        version: fewstepVersion,
        description:
          'Few-step text diffusion: whole texts in a handful of steps, told while they take shape.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' }
      }
    },
    refResolver: { buildLocalReference: (schema, _base, _fragment, i) => String(schema.$id ?? `schema-${i}`) }
  })
  await app.register(fastifySwaggerUi, {
    routePrefix: '/docs',
    staticCSP: { 'default-src': "'self'", 'img-src': "'self' data:", 'frame-ancestors': "'none'" },
    logLevel: 'warn'
  })
  app.get('/openapi.json', { schema: { hide: true }, logLevel: 'warn' }, async () => app.swagger())
}
