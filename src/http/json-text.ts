import { RequestError } from '../errors.js'

/**
 * JSON as a client sent it; `what` names it in the error.
 * @throws {RequestError} when it is not JSON
 */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text.startsWith('\ufeff') ? text.slice(1) : text)
  } catch (error) {
    const got = text === '' ? 'nothing' : (error as SyntaxError).message
    throw new RequestError('invalid_request', `${what}: expected JSON, got ${got}`)
  }
}
