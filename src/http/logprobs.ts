/** Log-probabilities in the shape of OpenAI's completions. */
import type { Logprobs } from '../answers.js'
import type { Reveal } from '../schemas.js'
import type { TextEnd } from '../text/text.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'

/** @param alternatives how many likeliest tokens to list beside each */
export function logprobsOf(
  { tokens, promptTokens }: Pick<TextEnd, 'tokens' | 'promptTokens'>,
  { echo, alternatives, tokenizer }: { echo: boolean; alternatives: number; tokenizer: Tokenizer }
): Logprobs {
  const prompt = echo ? promptTokens : []
  const none = prompt.map(() => null)
  return {
    tokens: [...prompt, ...tokens].map(({ text }) => text),
    token_logprobs: [...none, ...tokens.map(({ probability }) => logprob(probability))],
    top_logprobs: alternatives === 0 ? null : [...none, ...tokens.map(topLogprobs)],
    text_offset: textOffsets([...prompt, ...tokens], tokenizer)
  }
}

/** The likeliest first, and the revealed one where it is not among them. Of tokens with the same text the likeliest stays. */
function topLogprobs({ text, probability, alternatives = [] }: Reveal): Record<string, number> {
  const named = [...alternatives, { text, probability }]
  const top: Record<string, number> = {}
  for (const { text, probability } of named) top[text] ??= logprob(probability)
  return top
}

/** JSON has no infinity: a probability that is 0 in float32 becomes what OpenAI sends for it. */
export const logprob = (probability: number) => Math.max(Math.log(probability), -9999)

/** Where each token starts in the text; tokens that share a character start where it does. */
function textOffsets(tokens: readonly { readonly token: number }[], tokenizer: Tokenizer): number[] {
  let whole = 0 // characters before `open`
  let open: number[] = [] // tokens of which the last is perhaps not all of a character
  return tokens.map(({ token }) => {
    const start = whole + tokenizer.decode(open).replace(/\ufffd+$/, '').length
    open.push(token)
    const text = tokenizer.decode(open)
    if (!text.endsWith('\ufffd')) {
      whole += text.length
      open = []
    }
    return start
  })
}
