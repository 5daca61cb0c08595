/**
 * Every error a client can see: code, HTTP status, OpenAI's error type. The message of each is
 * written where it is thrown, as "expected …, got …"; docs/errors.md lists the same codes.
 */
const table = {
  invalid_request: { status: 400, type: 'invalid_request_error' },
  unsupported_parameter: { status: 400, type: 'invalid_request_error' },
  deadline_too_short: { status: 400, type: 'invalid_request_error' },
  context_length_exceeded: { status: 400, type: 'invalid_request_error' },
  unauthenticated: { status: 401, type: 'authentication_error' },
  forbidden: { status: 403, type: 'permission_error' },
  route_not_found: { status: 404, type: 'invalid_request_error' },
  model_not_found: { status: 404, type: 'invalid_request_error' },
  sequence_not_found: { status: 404, type: 'invalid_request_error' },
  file_not_found: { status: 404, type: 'invalid_request_error' },
  batch_not_found: { status: 404, type: 'invalid_request_error' },
  batches_off: { status: 404, type: 'invalid_request_error' },
  method_not_allowed: { status: 405, type: 'invalid_request_error' },
  request_timeout: { status: 408, type: 'invalid_request_error' },
  not_resumable: { status: 409, type: 'invalid_request_error' },
  batch_cancelled: { status: 409, type: 'invalid_request_error' },
  batch_ended: { status: 409, type: 'invalid_request_error' },
  file_in_use: { status: 409, type: 'invalid_request_error' },
  batch_expired: { status: 410, type: 'invalid_request_error' },
  precondition_failed: { status: 412, type: 'invalid_request_error' },
  body_too_large: { status: 413, type: 'invalid_request_error' },
  storage_full: { status: 413, type: 'invalid_request_error' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error' },
  range_not_satisfiable: { status: 416, type: 'invalid_request_error' },
  upgrade_required: { status: 426, type: 'invalid_request_error' },
  overloaded: { status: 429, type: 'rate_limit_error' },
  rate_limited: { status: 429, type: 'rate_limit_error' },
  headers_too_large: { status: 431, type: 'invalid_request_error' },
  cancelled: { status: 499, type: 'cancelled_error' },
  internal_error: { status: 500, type: 'server_error' },
  denoiser_failed: { status: 500, type: 'server_error' },
  unavailable: { status: 503, type: 'server_error' },
  loading: { status: 503, type: 'server_error' },
  batches_unavailable: { status: 503, type: 'server_error' },
  draining: { status: 503, type: 'server_error' },
  disk_full: { status: 507, type: 'server_error' }
} as const

export type ErrorCode = keyof typeof table
export const errorTable: Readonly<Record<ErrorCode, { readonly status: number; readonly type: string }>> =
  table

/** The body of every refusal, shaped as OpenAI's. */
export interface ErrorBody {
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: ErrorCode
}

/** An error that a client may see. `param` names the field of the request that caused it. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  readonly code: ErrorCode
  readonly param: string | null
  /** When to come back, milliseconds; only where waiting helps (429, 503). */
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, message: string, options: { param?: string; retryAfterMs?: number } = {}) {
    super(message)
    this.code = code
    this.param = options.param ?? null
    this.retryAfterMs = options.retryAfterMs
  }

  get status(): number {
    return table[this.code].status
  }

  get body(): ErrorBody {
    return { message: this.message, type: table[this.code].type, param: this.param, code: this.code }
  }
}

/** Nobody waits for a text any more. */
export class Cancellation extends RequestError {
  readonly reason: 'left' | 'stalled' | 'cancelled' | 'shutdown' | 'request_failed'

  constructor(reason: Cancellation['reason'], message: string) {
    super('cancelled', message)
    this.reason = reason
  }
}
