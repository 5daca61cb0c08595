import { philox } from './philox.js'

/** What a coin decides. Streams never share coins, so no choice leans on another. */
const streams = { plan: 0, lambda: 1, token: 2 } as const

/**
 * The coins of one text: a pure function of (seed, text, stream, window, step, position), so that a text
 * depends on its seed alone, whatever shares its batch and however often a pass is run again.
 */
export class Coins {
  readonly #key: readonly [number, number]
  readonly #text: number

  /** @param seed a safe integer @param text index of the text in its request */
  constructor(seed: number, text: number) {
    this.#key = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0]
    this.#text = text
  }

  /** Decides the step that reveals a position. Uniform in [0, 1), 53 bits. */
  plan(window: number, position: number): number {
    return this.#draw('plan', window, 0, position)
  }

  /** The mixture latent of a pass. 24 bits, so that float32 holds it and it stays below 1. */
  lambda(window: number, step: number): number {
    return Math.floor(this.#draw('lambda', window, step, 0) * 2 ** 24) / 2 ** 24
  }

  /** Decides the token of a position. Uniform in [0, 1), 53 bits. */
  token(window: number, step: number, position: number): number {
    return this.#draw('token', window, step, position)
  }

  #draw(stream: keyof typeof streams, window: number, step: number, position: number): number {
    const [high, low] = philox(this.#key, [position, step, (window << 2) | streams[stream], this.#text])
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53
  }
}
