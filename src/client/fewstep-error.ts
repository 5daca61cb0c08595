import type { ErrorBody, ErrorCode } from '../errors.js'

/** A refusal by the server, with its error object. */
export class FewstepError extends Error {
  override readonly name = 'FewstepError'
  /** The error object as the server sent it. */
  readonly error: ErrorBody
  /** When to come back, milliseconds; only where waiting helps. */
  readonly retryAfterMs: number | undefined

  constructor(error: ErrorBody, retryAfterMs?: number) {
    super(error.message)
    this.error = error
    this.retryAfterMs = retryAfterMs
  }

  get code(): ErrorCode {
    return this.error.code
  }

  /** The field of the request that caused it. */
  get param(): string | null {
    return this.error.param
  }
}

/** The server could not be reached, or left in the middle of an answer. */
export class DisconnectedError extends Error {
  override readonly name = 'DisconnectedError'
}
