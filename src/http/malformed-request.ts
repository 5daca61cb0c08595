import { randomUUID } from 'node:crypto'
import { maxHeaderSize, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { RequestError } from '../errors.js'

const refusals: Readonly<Record<string, () => RequestError>> = {
  HPE_HEADER_OVERFLOW: () =>
    new RequestError('headers_too_large', `headers: expected at most ${maxHeaderSize} bytes, got more`),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: () =>
    new RequestError('body_too_large', 'body: expected chunk extensions of at most 16384 bytes, got more'),
  ERR_HTTP_REQUEST_TIMEOUT: () =>
    new RequestError('request_timeout', 'request: expected a whole one in time, got a part of it')
}

/** Answers what is not even HTTP, or takes too long to become so; there is no request to answer to yet. */
export function answerMalformedRequest(
  this: Pick<FastifyInstance, 'log' | 'metrics'>,
  { code = '', message }: NodeJS.ErrnoException,
  socket: Socket
): void {
  if (!canAnswer(socket)) {
    socket.destroy()
    return
  }
  const refusal =
    refusals[code]?.() ?? new RequestError('invalid_request', `request: expected HTTP/1.1, got ${message}`)
  const { status } = refusal
  const id = randomUUID()
  this.log.info({ reqId: id, status, reason: code }, 'malformed request')
  this.metrics.countError(refusal.code)
  const body = JSON.stringify({ error: refusal.body })
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${id}`,
    'connection: close'
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

/** Not before a TLS handshake has ended, and not into another answer. */
function canAnswer(socket: Socket & { _httpMessage?: ServerResponse }): boolean {
  if (socket instanceof TLSSocket && !socket.getCipher()?.name) return false
  return socket.writable && !socket._httpMessage?.headersSent
}
