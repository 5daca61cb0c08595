/** Every error on its way to a client becomes the one shape that errors.ts names. */
import type { FastifyBaseLogger, FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { type ErrorCode, RequestError } from '../errors.js'
import type { Metrics } from '../metrics.js'
import { told } from './open-inference/told.js'
import { type Finding, validationError } from './validation-error.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Counts the errors that clients are told. */
    readonly metrics: Metrics
  }
  interface FastifyRequest {
    /** Of the error that its client was told, whatever the status. */
    errorCode: ErrorCode | undefined
  }
}

/** Come back after this long when nothing better is known. */
const RETRY_AFTER_MS = 1000
const retryable: ReadonlySet<ErrorCode> = new Set([
  'overloaded',
  'rate_limited',
  'unavailable',
  'loading',
  'batches_unavailable',
  'draining'
])

/** Answers a failed request. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = toRequestError(error, request)
  noteError(request, known)
  const afterMs = retryAfterMs(known)
  if (afterMs !== undefined) {
    reply.headers({ 'retry-after': Math.ceil(afterMs / 1000), 'retry-after-ms': afterMs })
  }
  if (known.code === 'unauthenticated') reply.header('www-authenticate', 'Bearer')
  if (known.code === 'upgrade_required') reply.headers({ connection: 'upgrade', upgrade: 'websocket' })
  const { status, error: body } = told(known, request.url)
  return reply.code(status).send({ error: body })
}

/** An error goes out: the log and the trace of its request name it. A client that has left is told nothing. */
export function noteError(request: FastifyRequest, { code }: RequestError): void {
  if (request.raw.socket.destroyed) return
  request.errorCode = code
  request.server.metrics.countError(code)
}

/** When to come back, where that helps. */
export function retryAfterMs({ code, retryAfterMs = RETRY_AFTER_MS }: RequestError): number | undefined {
  return retryable.has(code) ? Math.ceil(retryAfterMs) : undefined
}

/** What the client is to be told. Only what no client can be blamed for goes to the log. */
export function toRequestError(
  error: unknown,
  request: FastifyRequest,
  log: FastifyBaseLogger = request.log
): RequestError {
  if (!(error instanceof RequestError)) return fromFramework(error as FastifyError, request, log)
  if (error.code === 'denoiser_failed' || error.code === 'disk_full') log.error(error.message)
  return error
}

/** What the framework refuses by a status of its own. */
const codes: Readonly<Record<number, ErrorCode>> = {
  412: 'precondition_failed',
  416: 'range_not_satisfiable'
}

function fromFramework(
  error: FastifyError,
  { headers, routeOptions }: FastifyRequest,
  log: FastifyBaseLogger
): RequestError {
  if (error.validation) return validationError(error.validation as unknown as Finding[])
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const got = headers['content-length'] ?? 'more'
    const message = `body: expected at most ${routeOptions.bodyLimit} bytes, got ${got}`
    return new RequestError('body_too_large', message)
  }
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const message = `content-type: expected application/json, got ${headers['content-type'] ?? 'none'}`
    return new RequestError('unsupported_media_type', message)
  }
  const status = error.statusCode ?? 500
  if (status >= 400 && status < 500)
    return new RequestError(codes[status] ?? 'invalid_request', error.message)
  log.error({ err: error }, 'unexpected error')
  return new RequestError('internal_error', 'The server failed unexpectedly; its log says more.')
}
