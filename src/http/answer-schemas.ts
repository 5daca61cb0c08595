/** How answers are described in OpenAPI. */
import type { TSchema } from 'typebox'
import { ErrorAnswer } from '../answers.js'
import { ref } from '../schemas.js'

type Content = Record<string, { schema: object }>

/** The answers of a route: this body, or an error. `more` are other content types of the same answer. */
export function answers(schema: TSchema & { $id?: string }, more: Content = {}) {
  const { $id } = schema
  return {
    200: {
      description: 'The answer.',
      content: { 'application/json': { schema: $id ? ref(schema) : schema }, ...more }
    },
    ...refusals
  }
}

const refusal = (description: string) => ({
  description,
  content: { 'application/json': { schema: ref(ErrorAnswer) } }
})

export const refusals = {
  '4xx': refusal('The request cannot be met: `error.message` names the field.'),
  '5xx': refusal('The server cannot meet it now.')
}

export function eventStream(description: string): Content {
  return { 'text/event-stream': { schema: { type: 'string', description } } }
}
