/** What the routes of the Open Inference Protocol have in common. */
import Type, { type TSchema } from 'typebox'
import { OpenInferenceError } from '../../open-inference.js'
import { ref } from '../../schemas.js'

export const tags = ['Open Inference Protocol']

export const params = Type.Object({ model: Type.String({ description: 'Its name or an alias.' }) })

const content = (schema: TSchema & { $id?: string }) => ({ 'application/json': { schema: ref(schema) } })
const refusal = (description: string) => ({ description, content: content(OpenInferenceError) })

/** This body, or an error in the protocol's shape. `more` are other content types of the same answer. */
export function protocolAnswers(schema: TSchema & { $id?: string }, more: Record<string, object> = {}) {
  return {
    200: { description: 'The answer.', content: { ...content(schema), ...more } },
    '4xx': refusal('The request cannot be met.'),
    '5xx': refusal('The server cannot meet it now.')
  }
}
