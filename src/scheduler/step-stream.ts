/** A token that a step put in the place of a mask. */
export interface TokenReveal {
  readonly position: number // in the text, beginning-of-text token counted
  readonly token: number
  readonly probability: number
  readonly step: number
  readonly alternatives: readonly { readonly token: number; readonly probability: number }[]
}

/** What a step did to a sequence. */
export interface SequenceStep {
  readonly step: number // the last step that it covers, from 1
  readonly t: number
  readonly reveals: readonly TokenReveal[]
  readonly masked: number
}

/** Steps kept apart for a reader that lags; from here on they are joined. */
const MAX_PENDING = 32

/**
 * The way from the pass loop, which never waits, to a reader, who may be slow. Past MAX_PENDING unread steps
 * the newest two become one, so that memory is bounded by the text itself and no reveal is ever lost.
 */
export class StepStream implements AsyncIterableIterator<SequenceStep> {
  readonly #pending: SequenceStep[] = []
  #wake: (() => void) | undefined
  #ended = false
  #error: Error | undefined

  push(step: SequenceStep): void {
    const last = this.#pending.at(-1)
    if (last && this.#pending.length >= MAX_PENDING) {
      this.#pending[this.#pending.length - 1] = { ...step, reveals: [...last.reveals, ...step.reveals] }
    } else {
      this.#pending.push(step)
    }
    this.#wake?.()
  }

  /** Steps already pushed are still read; then the stream ends, or throws `error`. */
  end(error?: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<SequenceStep>> {
    while (this.#pending.length === 0) {
      if (this.#error) throw this.#error
      if (this.#ended) return { done: true, value: undefined }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return { done: false, value: this.#pending.shift()! }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
