import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Completion } from '../answers.js'
import type { GenerationOptions } from '../engine.js'
import { RequestError } from '../errors.js'
import { CompletionRequest, ref, StreamHeaders } from '../schemas.js'
import { answers, eventStream } from './answer-schemas.js'
import { Bookmark } from './bookmark.js'
import { CompletionAnswer } from './completion-answer.js'
import { completionStream } from './completion-stream.js'
import { readTexts } from './generation-answer.js'
import { generationOptions } from './generation-options.js'
import type { HttpOptions } from './http-options.js'
import { retell } from './retelling.js'
import { lastEventId, sendEvents } from './server-sent-events.js'
import { serverTiming } from './server-timing.js'
import { withErrorEvent } from './with-error-event.js'

const schema = {
  tags: ['Text'],
  summary: 'Complete a prompt',
  description:
    "OpenAI's completions, written by text diffusion: all positions at once, in `steps` steps. With `stream` the text grows at its end; with `drafts`, too, every reveal is told.",
  headers: StreamHeaders,
  body: ref(CompletionRequest),
  response: answers(Completion, {
    ...eventStream(
      '`data:` chunks of the type Completion, then `data: [DONE]`; `event: error` ends it early.'
    )
  })
}

export const completionRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (app, http) => {
  const { engine, limits } = http
  app.post('/v1/completions', { schema }, async (request, reply) => {
    const { body } = request
    const options = generationOptions('cmpl', reply, http)
    if (!body.stream) {
      const answer = await wholeCompletion(body, engine, options)
      reply.header('server-timing', serverTiming(answer.choices.map(({ fewstep }) => fewstep!.timings)))
      return answer
    }
    const model = engine.resolve(body.model)
    const bookmark = Bookmark.at(lastEventId(request), body, model)
    const generation = engine.complete({ ...body, seed: bookmark.seed }, options)
    const answer = new CompletionAnswer(body, model, generation)
    const events = completionStream(retell(generation, bookmark), answer, body)
    return sendEvents(reply, withErrorEvent(events, request), limits.heartbeatMs)
  })
}

/** The answer to a request without a stream. */
export async function wholeCompletion(
  request: CompletionRequest,
  engine: HttpOptions['engine'],
  options: GenerationOptions
): Promise<Completion> {
  refuseWithoutStream(request)
  const generation = engine.complete(request, options)
  const answer = new CompletionAnswer(request, engine.resolve(request.model), generation)
  return answer.whole(await readTexts(generation))
}

/** Fields that say how to stream mean nothing without a stream. */
function refuseWithoutStream({ stream, drafts, stream_options }: CompletionRequest): void {
  if (stream) return
  const param = drafts ? 'drafts' : stream_options ? 'stream_options' : undefined
  if (param === undefined) return
  const message = `${param}: expected only with "stream": true, got it without`
  throw new RequestError('invalid_request', message, { param })
}
