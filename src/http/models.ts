import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { Model, ModelList } from '../answers.js'
import type { ServedModel } from '../engine.js'
import { answers } from './answer-schemas.js'
import { unixTime } from './generation-answer.js'
import type { HttpOptions } from './http-options.js'

export const modelRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (app, { engine, aliases }) => {
  const created = unixTime()

  function describe({ name, denoiser: { manifest } }: ServedModel): Model {
    const { kind, description, teacher, context_length, steps, parameters, licence, evaluation } = manifest
    return {
      id: name,
      object: 'model',
      created,
      owned_by: 'fewstep',
      aliases: [...aliases].filter(([, model]) => model === name).map(([alias]) => alias),
      ...{ kind, description, teacher, context_length, steps, parameters, licence, evaluation }
    }
  }

  app.get(
    '/v1/models',
    { schema: { tags: ['Models'], summary: 'List the served models', response: answers(ModelList) } },
    async (): Promise<ModelList> => ({ object: 'list', data: engine.models.map(describe) })
  )

  app.get(
    '/v1/models/:id',
    {
      schema: {
        tags: ['Models'],
        summary: 'Describe one model',
        params: Type.Object({ id: Type.String({ description: 'Its name or an alias.' }) }),
        response: answers(Model)
      }
    },
    async ({ params }) => describe(engine.resolve(params.id))
  )
}
