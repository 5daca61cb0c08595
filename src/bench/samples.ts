import type { Tokenizer } from '../tokenizer/tokenizer.js'
import { distinct, entropy } from './diversity.js'

/** How varied the texts of a run are. */
export interface Variety {
  readonly texts: number
  /** Mean over texts, nats. */
  readonly entropy: number
  readonly distinct2: number
}

/** Texts kept of a run: enough to tell a tenth of a nat, and bounded. */
const MOST = 256

/** Texts that were timed, the first ones of a run, each seed once. */
export class Samples {
  readonly #texts = new Map<number, string>()

  add(seed: number, text: string): void {
    if (this.#texts.size < MOST) this.#texts.set(seed, text)
  }

  get texts(): readonly string[] {
    return [...this.#texts.values()]
  }

  variety(tokenizer: Tokenizer): Variety {
    const texts = this.texts.map((text) => tokenizer.encode(text)).filter((tokens) => tokens.length > 0)
    const entropies = texts.map(entropy)
    return {
      texts: texts.length,
      entropy: entropies.reduce((sum, value) => sum + value, 0) / texts.length,
      distinct2: distinct(texts, 2)
    }
  }
}
