import type { Tokenizer } from '../tokenizer/tokenizer.js'
import { distinct, entropy, repetition } from './diversity.js'
import type { Text } from './text.js'

/** How varied the texts of a run are. */
export interface Variety {
  readonly texts: number
  /** Mean over texts, nats. */
  readonly entropy: number
  readonly distinct2: number
  /** Share of the 4-grams that were in the same text before, mean over texts. */
  readonly repetition: number
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
    const mean = (of: (tokens: readonly number[]) => number) =>
      texts.reduce((sum, tokens) => sum + of(tokens), 0) / texts.length
    return {
      texts: texts.length,
      entropy: mean(entropy),
      distinct2: distinct(texts, 2),
      repetition: mean((tokens) => repetition(tokens, 4))
    }
  }
}
