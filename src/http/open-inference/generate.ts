/** The text generation of the Open Inference Protocol: one prompt, one text, whole or as it grows. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import type { Generation } from '../../engine.js'
import { GenerateAnswer, GenerateRequest } from '../../open-inference.js'
import { ref, type SequenceStart } from '../../schemas.js'
import { eventStream } from '../answer-schemas.js'
import { effectiveParameters, type FinishedText, readTexts } from '../generation-answer.js'
import { generationOptions } from '../generation-options.js'
import type { HttpOptions } from '../http-options.js'
import { logprob } from '../logprobs.js'
import { eventText, sendEvents } from '../server-sent-events.js'
import { serverTiming } from '../server-timing.js'
import { withErrorEvent } from '../with-error-event.js'
import { params, protocolAnswers, tags } from './routes.js'

/** Where the protocol differs from fewstep's own default. */
const MAX_TOKENS = 20

const schema = { tags, params, body: ref(GenerateRequest) }

export const generateRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (app, http) => {
  const { engine, limits } = http
  function generate(model: string, { text_input, parameters = {} }: GenerateRequest, reply: FastifyReply) {
    const { details, max_tokens = MAX_TOKENS, ...sampling } = parameters
    const completion = { ...sampling, model, prompt: text_input, max_tokens }
    return engine.complete(completion, generationOptions('generate', reply, http))
  }

  app.post(
    '/v2/models/:model/generate',
    { schema: { ...schema, summary: 'Complete a prompt', response: protocolAnswers(GenerateAnswer) } },
    async ({ params: { model }, body }, reply): Promise<GenerateAnswer> => {
      const generation = generate(model, body, reply)
      const text = (await readTexts(generation))[0]!
      reply.header('server-timing', serverTiming([text.end.timings]))
      const answer = { model_name: generation.model, text_output: text.end.text }
      return body.parameters?.details ? { ...answer, details: detailsOf(text) } : answer
    }
  )

  const streamed = eventStream('`data:` events of the type GenerateAnswer; `event: error` ends it early.')
  app.post(
    '/v2/models/:model/generate_stream',
    {
      schema: {
        ...schema,
        summary: 'Complete a prompt, told as it grows',
        response: {
          ...protocolAnswers(GenerateAnswer),
          200: { description: 'The events.', content: streamed }
        }
      }
    },
    async (request, reply) => {
      const { body, params } = request
      const events = deltas(generate(params.model, body, reply), body.parameters?.details ?? false)
      return sendEvents(reply, withErrorEvent(events, request), limits.heartbeatMs)
    }
  )
}

async function* deltas(generation: Generation, details: boolean): AsyncGenerator<string> {
  const tell = (text_output: string, more?: Pick<GenerateAnswer, 'details'>) =>
    eventText({ model_name: generation.model, text_output, ...more } satisfies GenerateAnswer)
  let start: SequenceStart
  for await (const event of generation) {
    if (event.type === 'sequence-start') start = event
    if (event.type === 'step-end' && event.delta) yield tell(event.delta)
    if (event.type === 'sequence-end' && details)
      yield tell('', { details: detailsOf({ start: start!, end: event }) })
  }
}

function detailsOf({ start, end }: FinishedText): NonNullable<GenerateAnswer['details']> {
  const stopped = end.cut ? 'stop_sequence' : 'eos_token'
  return {
    finish_reason: end.finish_reason === 'stop' ? stopped : 'length',
    logprobs: end.tokens.map(({ token, text, probability }) => ({
      ...{ id: token, text, logprob: logprob(probability) },
      special: false // the end-of-text token is no part of a text
    })),
    ...effectiveParameters(start),
    steps: start.steps,
    timings: end.timings
  }
}
