/** A pass that has been. */
export interface PassReport {
  readonly number: number // from 1
  readonly startedAt: number // on the clock of `performance.now()`
  readonly sequences: number
  readonly rows: number
  readonly tokens: number // padded
  readonly unpadded: number // tokens without padding
  readonly masked: number // of these, before it
  readonly passMs: number // inside the denoiser
  readonly totalMs: number // with the way there and back
}
