/** What a pass holds. */
export interface PassSize {
  readonly tokens: number // padded
  readonly rows: number
}

export interface PassTerms {
  readonly fixedMs: number
  readonly msPerToken: number
  readonly msPerRow: number
}

/** Weight of the newest pass in the moving average, which is one of logarithms: a pass that was held up moves it little. */
const NEWEST = 0.2
/** So many times as long as expected, or as short, is all that one pass can tell: it may have been lost, and run again. */
const MOST = 4

/**
 * What a pass costs: so much for being a pass, for each padded token and for each row. The terms are those of a device that
 * was measured when it was warmed up; what passes take from then on moves them all alike.
 */
export class PassCost {
  readonly #terms: PassTerms
  #drift = 1

  constructor(terms: PassTerms) {
    this.#terms = terms
  }

  get terms(): PassTerms {
    const { fixedMs, msPerToken, msPerRow } = this.#terms
    const drift = this.#drift
    return { fixedMs: drift * fixedMs, msPerToken: drift * msPerToken, msPerRow: drift * msPerRow }
  }

  /** Expected milliseconds of so much work, in so many passes. */
  estimate({ tokens, rows }: PassSize, passes = 1): number {
    const { fixedMs, msPerToken, msPerRow } = this.terms
    return passes * fixedMs + tokens * msPerToken + rows * msPerRow
  }

  observe(size: PassSize, ms: number): void {
    const factor = ms / this.estimate(size)
    this.#drift *= Math.min(MOST, Math.max(1 / MOST, factor)) ** NEWEST
  }

  /**
   * Tokens of a pass that gives this share of the tokens a second that an endless pass would give. What is added beyond gains
   * little, and everybody in the pass waits for it.
   */
  tokensFor(share: number): number {
    const { fixedMs, msPerToken } = this.#terms
    return Math.ceil(((share / (1 - share)) * fixedMs) / msPerToken)
  }
}
