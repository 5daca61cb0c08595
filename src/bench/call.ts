import { DisconnectedError, FewstepError } from '../client/client.js'
import type { CompletionRequest } from '../schemas.js'
import type { Transport, Written } from './transport.js'

/** How a request went. Times are milliseconds on the clock of `performance.now()`. */
export interface Call {
  /** When it was due. Latency counts from here: of a request that could only be sent late, the wait is a part. */
  readonly due: number
  readonly ended: number
  readonly outcome: Outcome
  /** The error's code, of one that is not done. */
  readonly reason?: string
  readonly written?: Written
}

export type Outcome = 'done' | 'refused' | 'failed' | 'cancelled'

/** Codes that say "not now". */
const REFUSALS = new Set(['overloaded', 'loading', 'draining'])

export async function call(
  transport: Transport,
  request: CompletionRequest,
  due: number,
  signal: AbortSignal
): Promise<Call> {
  try {
    const written = await transport.write(request, signal)
    return { due, ended: performance.now(), outcome: 'done', written }
  } catch (error) {
    const ended = performance.now()
    if (signal.aborted) return { due, ended, outcome: 'cancelled', reason: 'cancelled' }
    const reason = reasonOf(error)
    return { due, ended, outcome: REFUSALS.has(reason) ? 'refused' : 'failed', reason }
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof FewstepError) return error.code
  if (error instanceof DisconnectedError) return 'disconnected'
  throw error
}
