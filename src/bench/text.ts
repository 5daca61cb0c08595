import { randomFrom } from './random.js'
import { drawTextLength, type TextLength } from './text-length.js'

/** What is asked for, and how it is read. */
export interface Texts {
  readonly prompts: readonly string[]
  readonly maxTokens: TextLength
  /** Of readers who leave before the end, at any moment of it. */
  readonly cancelShare: number
  /** Of readers who read late. */
  readonly slowReaderShare: number
}

/** Of the nth text of a round: no two of a measurement share a seed, and what else there is to a text follows from it. */
export interface Text {
  readonly prompt: string
  readonly seed: number
  readonly maxTokens: number
  readonly reader: Reader
}

/** One that leaves has had `share` of the time that a text usually takes. */
export type Reader = 'keen' | 'slow' | { readonly share: number }

const TEXTS_A_ROUND = 1_000_000

export function textOf(texts: Texts, round: number, n: number): Text {
  const { prompts, cancelShare, slowReaderShare } = texts
  const seed = round * TEXTS_A_ROUND + n
  const random = randomFrom(seed)
  const maxTokens = drawTextLength(texts.maxTokens, random)
  const coin = random()
  const leaves = coin < cancelShare
  const reader = leaves ? { share: random() } : coin < cancelShare + slowReaderShare ? 'slow' : 'keen'
  return { prompt: prompts[seed % prompts.length]!, seed, maxTokens, reader }
}
