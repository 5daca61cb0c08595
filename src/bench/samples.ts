import type { Tokenizer } from '../tokenizer/tokenizer.js'
import { distinct, entropy } from './diversity.js'
import type { Text } from './text.js'

/** How varied the texts of a run are. */
export interface Variety {
  readonly texts: number
  /** Mean over texts, nats. */
  readonly entropy: number
  readonly distinct2: number
}

/** Texts kept of a run: enough to tell a tenth of a nat, and bounded. */
const MOST = 256

export interface Sample {
  readonly prompt: string
  readonly text: string
}

/** Texts that were timed, the first ones of a run, each seed once. */
export class Samples {
  readonly #samples = new Map<number, Sample>()

  add({ seed, prompt }: Text, text: string): void {
    if (this.#samples.size < MOST) this.#samples.set(seed, { prompt, text })
  }

  get all(): readonly Sample[] {
    return [...this.#samples.values()]
  }

  variety(tokenizer: Tokenizer): Variety {
    const texts = this.all.map(({ text }) => tokenizer.encode(text)).filter((tokens) => tokens.length > 0)
    const entropies = texts.map(entropy)
    return {
      texts: texts.length,
      entropy: entropies.reduce((sum, value) => sum + value, 0) / texts.length,
      distinct2: distinct(texts, 2)
    }
  }
}
