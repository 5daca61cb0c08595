import t from 'tap'
import { logprobsOf } from '../../src/http/logprobs.js'
import { tokenizer } from '../helper.js'

const reveals = (text: string, probability = 0.5) =>
  tokenizer.encode(text).map((token, position) => ({
    token,
    position,
    probability,
    step: 1,
    text: tokenizer.decodeToken(token)
  }))

t.test('offsets are characters of the text, also where tokens share one', async (t) => {
  const text = 'a 漢字 \u{1f600}b'
  const tokens = reveals(text)
  const { text_offset } = logprobsOf(
    { tokens, promptTokens: [] },
    { echo: false, alternatives: 0, tokenizer }
  )
  t.equal(text_offset.length, tokens.length)
  t.equal(text_offset[0], 0)
  t.equal(text_offset.at(-1), text.length - 1)
  for (const [i, offset] of text_offset.entries()) {
    const before = tokenizer.decode(tokens.slice(0, i).map(({ token }) => token))
    t.equal(offset, before.replace(/\ufffd+$/, '').length)
  }
})

t.test('the revealed token is always among the likeliest ones, and no number is infinite', async (t) => {
  const tokens = [
    { ...reveals(' red', 0)[0]!, alternatives: [{ token: 4171, text: ' blue', probability: 0.75 }] }
  ]
  const { top_logprobs, token_logprobs } = logprobsOf(
    { tokens, promptTokens: [] },
    { echo: false, alternatives: 1, tokenizer }
  )
  t.same(token_logprobs, [-9999])
  t.same(top_logprobs, [{ ' blue': Math.log(0.75), ' red': -9999 }])
})
