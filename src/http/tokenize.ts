import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { PlainText, Tokens } from '../answers.js'
import { DetokenizeRequest, ref, TokenizeRequest } from '../schemas.js'
import { answers } from './answer-schemas.js'
import type { HttpOptions } from './http-options.js'

export const tokenizeRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (app, { engine }) => {
  app.post(
    '/v1/tokenize',
    {
      schema: {
        tags: ['Tokens'],
        summary: 'Turn text into tokens',
        body: ref(TokenizeRequest),
        response: answers(Tokens)
      }
    },
    async ({ body }): Promise<Tokens> => {
      const { name, tokenizer } = engine.resolve(body.model)
      const tokens = tokenizer.encode(body.text)
      return { model: name, tokens, texts: tokens.map((token) => tokenizer.decodeToken(token)) }
    }
  )

  app.post(
    '/v1/detokenize',
    {
      schema: {
        tags: ['Tokens'],
        summary: 'Turn tokens into text',
        body: ref(DetokenizeRequest),
        response: answers(PlainText)
      }
    },
    async ({ body }): Promise<PlainText> => {
      const { name, tokenizer } = engine.resolve(body.model)
      return { model: name, text: tokenizer.decode(body.tokens) }
    }
  )
}
