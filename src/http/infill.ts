import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Infill } from '../answers.js'
import type { GenerationOptions, ServedModel } from '../engine.js'
import { InfillRequest, ref, StreamHeaders } from '../schemas.js'
import { answers, eventStream } from './answer-schemas.js'
import { Bookmark } from './bookmark.js'
import {
  effectiveParameters,
  type FinishedText,
  onTheWire,
  readTexts,
  systemFingerprint,
  unixTime
} from './generation-answer.js'
import { generationOptions } from './generation-options.js'
import type { HttpOptions } from './http-options.js'
import { type Retold, retell } from './retelling.js'
import { eventText, lastEventId, sendEvents } from './server-sent-events.js'
import { serverTiming } from './server-timing.js'
import { withErrorEvent } from './with-error-event.js'

const schema = {
  tags: ['Text'],
  summary: 'Fill holes in a text',
  description: 'Text and holes in any order; each hole gets exactly as many tokens as it is long.',
  headers: StreamHeaders,
  body: ref(InfillRequest),
  response: answers(Infill, {
    ...eventStream('`sequence-start`, `step-end` and `sequence-end` events; `error` ends it early.')
  })
}

export const infillRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (app, http) => {
  const { engine, limits } = http
  app.post('/v1/infill', { schema }, async (request, reply) => {
    const { body } = request
    const options = generationOptions('infill', reply, http)
    if (!body.stream) {
      const answer = await wholeInfill(body, engine, options)
      reply.header('server-timing', serverTiming([answer.timings]))
      return answer
    }
    const bookmark = Bookmark.at(lastEventId(request), body, engine.resolve(body.model))
    const generation = engine.infill({ ...body, seed: bookmark.seed }, options)
    const events = infillStream(retell(generation, bookmark))
    return sendEvents(reply, withErrorEvent(events, request), limits.heartbeatMs)
  })
}

/** The answer to a request without a stream. */
export async function wholeInfill(
  request: InfillRequest,
  engine: HttpOptions['engine'],
  options: GenerationOptions
): Promise<Infill> {
  const [text] = await readTexts(engine.infill(request, options))
  return infillAnswer(text!, engine.resolve(request.model))
}

async function* infillStream(events: AsyncIterable<Retold>): AsyncGenerator<string> {
  for await (const { event, id } of events) if (id) yield eventText(onTheWire(event), event.type, id)
}

function infillAnswer({ start, end }: FinishedText, model: ServedModel): Infill {
  const inside = (hole: { start: number; length: number }) =>
    end.tokens.filter(({ position }) => position >= hole.start && position < hole.start + hole.length)
  return {
    id: end.id,
    object: 'infill',
    created: unixTime(),
    model: model.name,
    system_fingerprint: systemFingerprint(model),
    text: end.text,
    holes: end.holes.map((hole) => ({ ...hole, tokens: inside(hole) })),
    finish_reason: end.finish_reason,
    usage: end.usage,
    ...effectiveParameters(start),
    steps: start.steps,
    timings: end.timings
  }
}
