import type { Socket } from 'node:net'
import { RequestError } from '../errors.js'

/** Answers what is not even HTTP, or takes too long to become so; there is no request to answer to yet. */
export function answerMalformedRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const refusal = new RequestError('invalid_request', `request: expected HTTP/1.1, got ${error.message}`)
  const body = JSON.stringify({ error: refusal.body })
  const head = [
    'HTTP/1.1 400 Bad Request',
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close'
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
