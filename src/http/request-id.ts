import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** What a log and a header can hold without harm. */
const ACCEPTABLE = /^[\w.:-]{1,128}$/

const drawn = new WeakMap<object, string>()

/** The id that the client or its proxy gave the request, or a new one: the same whenever it is asked for. */
export function requestId(request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers['x-request-id']
  if (typeof given === 'string' && ACCEPTABLE.test(given)) return given
  const id = drawn.get(request) ?? randomUUID()
  drawn.set(request, id)
  return id
}
