import type { FastifyRequest } from 'fastify'
import { toRequestError } from './error-answer.js'
import { told } from './open-inference/told.js'
import { eventText } from './server-sent-events.js'

/** Once a stream has begun its status is out: an error is its last event. */
export async function* withErrorEvent(
  events: AsyncIterable<string>,
  request: FastifyRequest
): AsyncGenerator<string> {
  try {
    yield* events
  } catch (error) {
    const known = toRequestError(error, request)
    request.server.metrics.countError(known.code)
    const { error: body } = told(known, request.url)
    yield eventText({ error: body }, 'error')
  }
}
