import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** What a log and a header can hold without harm. */
const ACCEPTABLE = /^[\w.:-]{1,128}$/

/** The id that the client or its proxy gave the request, or a new one. */
export function requestId({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const id = headers['x-request-id']
  return typeof id === 'string' && ACCEPTABLE.test(id) ? id : randomUUID()
}
