import t from 'tap'
import { logprobsOf } from '../../src/http/logprobs.js'
import { build, post, tokenizer } from '../helper.js'
import { lawsOf, TOKENS } from '../table-denoiser.js'

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

t.test('the logarithm is that of the probability which the model gave the token', async (t) => {
  const { app, denoiser } = await build(t)
  const request = { max_tokens: 12, seed: 1, steps: 4, logprobs: 3 }
  const { tokens, token_logprobs } = (await post(app, '/v1/completions', request)).body.choices[0].logprobs
  const laws = lawsOf(denoiser.passes)
  let unlikely = 0
  for (const [i, text] of tokens.entries()) {
    const law = laws.get(i + 1)! // behind the beginning-of-text token
    const expected = law[TOKENS.indexOf(tokenizer.encode(text)[0]!)]!
    t.ok(Math.abs(token_logprobs[i] - Math.log(expected)) < 1e-5, `${token_logprobs[i]} of ${law}`)
    if (expected < Math.max(...law)) unlikely++
  }
  t.ok(unlikely > 0)
})
