import type { Manifest } from './manifest.js'

export type Device = 'cpu' | 'cuda'

/** Likeliest tokens reported beside a revealed one, when a pass asks for them. */
export const ALTERNATIVES = 5

/** One call of the denoiser: B sequences of padded length L, R rows to reveal. All arrays are plain, so that they travel. */
export interface Pass {
  readonly length: number // L
  readonly tokens: Int32Array // (B, L), right-padded
  readonly lengths: Int32Array // (B), real lengths
  readonly lambda: Float32Array // (B), in [0, 1); a product model ignores it
  readonly rows: Int32Array // (R), flat indices b * L + i
  readonly coins: Float64Array // (R), in [0, 1), 53 bits
  readonly temperature: Float32Array // (R), 0 is argmax
  readonly topP: Float32Array // (R), 1 is off
  readonly topK: Int32Array // (R), 0 is off
  readonly alternatives: boolean
}

/** What a pass reveals, row by row. */
export interface Revealed {
  readonly tokens: Int32Array // (R)
  readonly probabilities: Float32Array // (R), plain distribution
  readonly alternativeTokens: Int32Array // (R, K), or empty when not asked for; K = min(ALTERNATIVES, vocabulary)
  readonly alternativeProbabilities: Float32Array // (R, K), or empty
  readonly passMs: number // inside the denoiser
}

/**
 * The denoiser's process ended during a pass (crash, out of memory, watchdog). Nothing was revealed;
 * the same pass may be run again: coins come with it, so it reveals the same tokens.
 */
export class DenoiserLost extends Error {
  override readonly name = 'DenoiserLost'
}

/** A denoiser that is out of service: every pass failed. */
export interface Outage {
  readonly reason: string
  /** When it will have been tried again. */
  readonly retryAfterMs: number
}

/** Latent tokens (and lambda) to revealed tokens. */
export interface Denoiser {
  readonly manifest: Manifest
  readonly device: Device
  /** Passes that run at once; one more waits its turn. */
  readonly parallel: number
  /** Undefined while passes are taken. */
  readonly outage?: Outage | undefined
  /** @throws {DenoiserLost} when the process ended during the pass; a later call waits for its successor. */
  run(pass: Pass): Promise<Revealed>
  close(): Promise<void>
}
