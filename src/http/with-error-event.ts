import type { FastifyRequest } from 'fastify'
import { noteError, toRequestError } from './error-answer.js'
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
    noteError(request, known)
    const { error: body } = told(known, request.url)
    yield eventText({ error: body }, 'error')
  }
}
