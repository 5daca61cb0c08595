import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Infill } from '../answers.js'
import type { Generation, ServedModel } from '../engine.js'
import { InfillRequest, ref } from '../schemas.js'
import { answers, eventStream } from './answer-schemas.js'
import { departure } from './departure.js'
import {
  effectiveParameters,
  type FinishedText,
  newId,
  onTheWire,
  readTexts,
  systemFingerprint,
  unixTime
} from './generation-answer.js'
import type { HttpOptions } from './http-options.js'
import { eventText, sendEvents } from './server-sent-events.js'
import { withErrorEvent } from './with-error-event.js'

const schema = {
  tags: ['Text'],
  summary: 'Fill holes in a text',
  description: 'Text and holes in any order; each hole gets exactly as many tokens as it is long.',
  body: ref(InfillRequest),
  response: answers(Infill, {
    ...eventStream('`sequence-start`, `step-end` and `sequence-end` events; `error` ends it early.')
  })
}

export const infillRoutes: FastifyPluginAsyncTypebox<HttpOptions> = async (
  app,
  { engine, metrics, limits }
) => {
  app.post('/v1/infill', { schema }, async (request, reply) => {
    const { body } = request
    const options = { id: newId('infill'), signal: departure(reply) }
    const generation = metrics.count(engine.infill(body, options))
    if (body.stream) {
      return sendEvents(reply, withErrorEvent(infillStream(generation), request), limits.heartbeatMs)
    }
    const [text] = await readTexts(generation)
    return infillAnswer(text!, engine.resolve(body.model))
  })
}

async function* infillStream(generation: Generation): AsyncGenerator<string> {
  for await (const event of generation) yield eventText(onTheWire(event), event.type)
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
