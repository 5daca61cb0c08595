import type { Outage } from './denoiser.js'

/** Failures in a row that open the circuit: two passes are given up before, each after three attempts. */
const FAILURES = 6
const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 60_000

/**
 * Whether passes are worth sending.
 *
 *   closed -- FAILURES in a row --> open -- a while later, a trial succeeds --> closed
 *                                    '---- a trial fails: twice the while ----'
 *
 * The while is short again only after a pass that was asked for: a trial may succeed where real work fails.
 */
export class Circuit {
  readonly #trial: () => Promise<unknown>
  readonly #signal: AbortSignal
  #failures = 0
  #waitMs = FIRST_WAIT_MS
  #open: { readonly reason: string; readonly until: number } | undefined

  /** @param trial rejects with the reason when passes still fail; not called any more once the signal is aborted */
  constructor(trial: () => Promise<unknown>, signal: AbortSignal) {
    this.#trial = trial
    this.#signal = signal
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures
  }

  /** Why nothing is to be sent, and when to ask again. */
  get outage(): Outage | undefined {
    if (!this.#open) return undefined
    const { reason, until } = this.#open
    return { reason, retryAfterMs: Math.max(FIRST_WAIT_MS, until - performance.now()) }
  }

  succeed(): void {
    this.#failures = 0
    this.#waitMs = FIRST_WAIT_MS
  }

  fail(reason: string): void {
    if (!this.#open && ++this.#failures >= FAILURES) this.#wait(reason)
  }

  #wait(reason: string): void {
    this.#open = { reason, until: performance.now() + this.#waitMs }
    setTimeout(() => void this.#try(), this.#waitMs).unref()
    this.#waitMs = Math.min(2 * this.#waitMs, LONGEST_WAIT_MS)
  }

  async #try(): Promise<void> {
    if (this.#signal.aborted) return
    try {
      await this.#trial()
      this.#open = undefined
      this.#failures = 0
    } catch (error) {
      this.#wait((error as Error).message)
    }
  }
}
