import type { PassSize } from './pass-cost.js'

/** What a scheduler goes by, and whoever foretells what it will do. */
export interface PassRules {
  /** Longest window of the model. */
  readonly context: number
  /** Passes that run at once. */
  readonly parallel: number
  /** Passes that are sent at once: those that run, and those that lie ready behind. */
  readonly lanes: number
  /** Padded tokens that a pass should have. */
  readonly passTokens: number
  /** Rows that a pass may have. */
  readonly maxRows: number
}

/** Whether so many sequences may run at once. Each lane has room for one, however long it is. */
export function mayRun(sequences: number, paddedTokens: number, { lanes, passTokens }: PassRules): boolean {
  return sequences <= lanes || paddedTokens <= lanes * passTokens
}

/** Whether a pass is worth sending while every device has one: else it waits for its turn, and grows. */
export function worthSendingAhead({ tokens }: PassSize, { passTokens }: PassRules): boolean {
  return tokens >= passTokens / 2
}
