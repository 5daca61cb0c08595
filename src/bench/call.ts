import { DisconnectedError } from '../client/client.js'
import type { CompletionRequest } from '../schemas.js'
import { Refusal } from './refusal.js'
import type { Transport, Written } from './transport.js'

/** How a request went. Times are milliseconds on the clock of `performance.now()`. */
export interface Call {
  /** When it was due. Latency counts from here: of a request that could only be sent late, the wait is a part. */
  readonly due: number
  readonly sent: number
  readonly ended: number
  readonly outcome: Outcome
  /** Of one that is not done: the error's code, or what ended it. */
  readonly reason?: string
  readonly message?: string
  readonly written?: Written
}

/** `slow`: done, for a reader who read late, so its times say nothing about the server. */
export const outcomes = ['done', 'slow', 'refused', 'failed', 'timedOut', 'cancelled'] as const
export type Outcome = (typeof outcomes)[number]

export interface Manner {
  readonly due: number
  readonly slow: boolean
  /** From when it is sent. */
  readonly leavesAfterMs?: number | undefined
}

/** Makes calls, each with an end of its own. When the signal says so, those that are under way end. */
export class Caller {
  readonly #transport: Transport
  readonly #timeoutMs: number
  // One listener for all calls: the signal outlives them, and would keep one for each.
  readonly #underWay = new Set<AbortController>()
  #interruptedAt = Number.POSITIVE_INFINITY

  constructor(transport: Transport, timeoutMs: number, signal: AbortSignal) {
    this.#transport = transport
    this.#timeoutMs = timeoutMs
    const interrupt = () => {
      this.#interruptedAt = performance.now()
      for (const call of this.#underWay) call.abort(interrupted)
    }
    signal.addEventListener('abort', interrupt, { once: true })
  }

  get interruptedAt(): number {
    return this.#interruptedAt
  }

  async call(request: CompletionRequest, { due, slow, leavesAfterMs }: Manner): Promise<Call> {
    const end = new AbortController()
    this.#underWay.add(end)
    const sent = performance.now()
    const timers = [setTimeout(() => end.abort(timedOut), due + this.#timeoutMs - sent)]
    if (leavesAfterMs !== undefined) timers.push(setTimeout(() => end.abort(left), leavesAfterMs))
    try {
      const written = await this.#transport.write(request, { signal: end.signal, slow })
      return { due, sent, ended: performance.now(), outcome: slow ? 'slow' : 'done', written }
    } catch (error) {
      const ending: Ending = end.signal.aborted ? end.signal.reason : endingBy(error)
      return { due, sent, ended: performance.now(), ...ending }
    } finally {
      for (const timer of timers) clearTimeout(timer)
      this.#underWay.delete(end)
    }
  }
}

type Ending = Pick<Call, 'outcome' | 'reason' | 'message'>

const interrupted: Ending = { outcome: 'cancelled', reason: 'interrupted' }
const left: Ending = { outcome: 'cancelled', reason: 'left' }
const timedOut: Ending = { outcome: 'timedOut', reason: 'timed_out' }

function endingBy(error: unknown): Ending {
  if (error instanceof Refusal) {
    const { code, message, overload } = error
    return { outcome: overload ? 'refused' : 'failed', reason: code, message }
  }
  if (error instanceof DisconnectedError)
    return { outcome: 'failed', reason: 'disconnected', message: error.message }
  throw error
}
