/** When to try again, and how often: as the server allows. */
import { DisconnectedError, FewstepError } from './fewstep-error.js'
import { wait } from './wait.js'

export interface Retry {
  readonly error: FewstepError | DisconnectedError
  /** How long is waited before the next attempt. */
  readonly afterMs: number
}

export interface Persistence {
  /** How many attempts in a row may fail for want of a server before the error is thrown. */
  readonly retries: number
  /** Told before each wait. */
  readonly onRetry?: ((retry: Retry) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

const FIRST_BACKOFF_MS = 250
const LONGEST_BACKOFF_MS = 5000

/** Counts the failures in a row of one piece of work. */
export class Attempts {
  readonly #persistence: Persistence
  #failures = 0

  constructor(persistence: Persistence) {
    this.#persistence = persistence
  }

  succeed(): void {
    this.#failures = 0
  }

  /** Waits until another attempt makes sense. @throws the error itself when none does. */
  async fail(error: unknown): Promise<void> {
    const { retries, onRetry, signal } = this.#persistence
    signal?.throwIfAborted()
    if (!isRetryable(error) || this.#failures >= retries) throw error
    const backoffMs = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** this.#failures++)
    const afterMs = (error instanceof FewstepError ? error.retryAfterMs : undefined) ?? backoffMs
    onRetry?.({ error, afterMs })
    await wait(afterMs, signal)
  }
}

function isRetryable(error: unknown): error is FewstepError | DisconnectedError {
  if (error instanceof FewstepError)
    return error.retryAfterMs !== undefined || error.code === 'denoiser_failed'
  return error instanceof DisconnectedError
}
