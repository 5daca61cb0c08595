/** Weight of the newest pass in the moving average. */
const NEWEST = 0.2

/** What a pass costs: milliseconds a padded token, as a moving average over the passes seen. */
export class PassCost {
  #msPerToken: number | undefined

  observe(tokens: number, ms: number): void {
    const seen = ms / tokens
    this.#msPerToken =
      this.#msPerToken === undefined ? seen : this.#msPerToken + NEWEST * (seen - this.#msPerToken)
  }

  /** Expected milliseconds of a pass; 0 before the first one was seen. */
  estimate(tokens: number): number {
    return tokens * (this.#msPerToken ?? 0)
  }
}
