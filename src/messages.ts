/** What a client may send on a WebSocket. What it gets are the events of schemas.ts and `error`. */
import Type, { type Static } from 'typebox'
import { ErrorAnswer } from './answers.js'
import { CompletionRequest, InfillRequest, ref } from './schemas.js'

export const MAX_ID_LENGTH = 128

const id = Type.String({
  minLength: 1,
  maxLength: MAX_ID_LENGTH,
  description: 'Chosen by the client; one request at a time has it.'
})
const exact = { additionalProperties: false }
const last_event_id = Type.Optional(
  Type.String({
    maxLength: 4096,
    description: 'Go on behind this event of the same request, of which the connection was lost.'
  })
)

export const CompletionMessage = Type.Object(
  { type: Type.Literal('completion'), id, request: ref(CompletionRequest), last_event_id },
  { $id: 'CompletionMessage', ...exact }
)
export type CompletionMessage = Static<typeof CompletionMessage>

export const InfillMessage = Type.Object(
  { type: Type.Literal('infill'), id, request: ref(InfillRequest), last_event_id },
  { $id: 'InfillMessage', ...exact }
)
export type InfillMessage = Static<typeof InfillMessage>

export const CancelMessage = Type.Object(
  { type: Type.Literal('cancel'), id },
  {
    $id: 'CancelMessage',
    ...exact,
    description: 'End a request early; `error` with code `cancelled` follows.'
  }
)
export type CancelMessage = Static<typeof CancelMessage>

export const SnapshotMessage = Type.Object(
  { type: Type.Literal('snapshot'), id },
  { $id: 'SnapshotMessage', ...exact, description: 'Ask for all that was revealed so far.' }
)
export type SnapshotMessage = Static<typeof SnapshotMessage>

/** Messages by their type. */
export const clientMessages = {
  completion: CompletionMessage,
  infill: InfillMessage,
  cancel: CancelMessage,
  snapshot: SnapshotMessage
}
export type ClientMessage = CompletionMessage | InfillMessage | CancelMessage | SnapshotMessage

export const ErrorEvent = Type.Object(
  {
    type: Type.Literal('error'),
    id: Type.Union([Type.String(), Type.Null()], {
      description: 'The request that ends with this; null when only a message was refused.'
    }),
    error: ErrorAnswer.properties.error,
    retry_after_ms: Type.Optional(
      Type.Integer({ description: 'When to come back; only where waiting helps, as `Retry-After` is.' })
    )
  },
  { $id: 'ErrorEvent' }
)
export type ErrorEvent = Static<typeof ErrorEvent>
