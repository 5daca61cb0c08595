import type { FastifyRequest } from 'fastify'
import { RequestError } from '../errors.js'
import { type ClientMessage, clientMessages, MAX_ID_LENGTH } from '../messages.js'
import { inWords } from '../schema-words.js'
import { ref } from '../schemas.js'
import { parseJson } from './json-text.js'
import { jsonType } from './json-type.js'
import { type Finding, validationError } from './validation-error.js'

/** Made once: the framework keeps one compiled validator for each schema object. */
const schemas = {
  completion: ref(clientMessages.completion),
  infill: ref(clientMessages.infill),
  cancel: ref(clientMessages.cancel),
  snapshot: ref(clientMessages.snapshot)
}
const isType = (type: unknown): type is keyof typeof schemas =>
  typeof type === 'string' && Object.hasOwn(schemas, type)

/**
 * One message of a WebSocket, checked by the schemas that check bodies, which name the same fields.
 * @throws {RequestError}
 */
export function checkMessage(message: unknown, request: FastifyRequest): ClientMessage {
  if (jsonType(message) !== 'object') {
    throw new RequestError('invalid_request', `message: expected an object, got ${jsonType(message)}`)
  }
  const { type } = message as { type?: unknown }
  if (!isType(type)) {
    const expected = inWords({ enum: Object.keys(schemas) })
    const got = typeof type === 'string' ? JSON.stringify(type.slice(0, 40)) : jsonType(type)
    throw new RequestError('invalid_request', `type: expected ${expected}, got ${got}`, { param: 'type' })
  }
  const validate = request.compileValidationSchema(schemas[type])
  if (validate(message)) return message as ClientMessage
  throw validationError((validate.errors ?? []) as unknown as Finding[], 'request')
}

/** The id that a message asks to have, be it wrong otherwise. One to cancel or look at something asks for none. */
export function wantedId(message: unknown): string | null {
  const { id, type } = (message ?? {}) as { id?: unknown; type?: unknown }
  return typeof id === 'string' && type !== 'cancel' && type !== 'snapshot' ? id : null
}

/** How the log names a message, be it wrong otherwise. */
export function nameOf(message: unknown): { type?: keyof typeof schemas; id?: string } {
  const { type, id } = (message ?? {}) as { type?: unknown; id?: unknown }
  return { ...(isType(type) && { type }), ...(typeof id === 'string' && { id: id.slice(0, MAX_ID_LENGTH) }) }
}

/** @throws {RequestError} when it is too long, binary or not JSON */
export function readMessage(data: Buffer, isBinary: boolean, maxBytes: number): unknown {
  if (isBinary) {
    throw new RequestError('invalid_request', 'message: expected JSON as text, got a binary message')
  }
  if (data.length > maxBytes) {
    const message = `message: expected at most ${maxBytes} bytes, got ${data.length}`
    throw new RequestError('body_too_large', message)
  }
  return parseJson(data.toString(), 'message')
}
