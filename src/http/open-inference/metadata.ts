import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import { ModelMetadata, tensors } from '../../open-inference.js'
import type { HttpOptions } from '../http-options.js'
import { params, protocolAnswers, tags } from './routes.js'

/** What a model takes and gives, and whether it does so now. */
export const metadataRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (app, { engine, phase }) => {
  app.get(
    '/v2/models/:model',
    { schema: { tags, summary: 'Describe a model', params, response: protocolAnswers(ModelMetadata) } },
    async (request): Promise<ModelMetadata> => {
      const { name } = engine.resolve(request.params.model)
      return { name, platform: 'onnx_onnxv1', ...tensors }
    }
  )

  const ready = Type.Object({ name: Type.String(), ready: Type.Boolean() })
  app.get(
    '/v2/models/:model/ready',
    {
      schema: {
        tags,
        summary: 'Say whether a model takes requests',
        params,
        response: { 200: ready, '4xx': protocolAnswers(ModelMetadata)['4xx'], 503: ready }
      }
    },
    async (request, reply) => {
      const { name, denoiser } = engine.resolve(request.params.model)
      const isReady = phase() === 'ready' && denoiser.ready
      reply.code(isReady ? 200 : 503)
      return { name, ready: isReady }
    }
  )
}
