import t from 'tap'
import { layOutCompletion, layOutInfill } from '../../src/text/layout.js'
import { loadTokenizer } from '../../src/tokenizer/gpt2-tokenizer.js'
import { BOS, MASK, TableDenoiser } from '../table-denoiser.js'

const tokenizer = await loadTokenizer('models/tokenizers/gpt2')
const { manifest } = new TableDenoiser({ context_length: 16 })
const context = { manifest, tokenizer, maxTextTokens: 40 }
const complete = (prompt: string | number[], maxTokens?: number, suffix = '') =>
  layOutCompletion({ prompt, suffix, maxTokens }, context)

t.test('a completion is the beginning-of-text token, the prompt, masks and the suffix', async (t) => {
  const { tokens, holes, windows } = complete('The cat', 3, ' sat')
  t.same(Array.from(tokens), [
    BOS,
    ...tokenizer.encode('The cat'),
    MASK,
    MASK,
    MASK,
    ...tokenizer.encode(' sat')
  ])
  t.same(holes, [{ start: 2, length: 3 }])
  t.same(windows, [{ start: 0, end: 7, from: 3 }])
})

t.test('an unset length is what fits', async (t) => {
  t.same(complete('The cat').holes, [{ start: 2, length: 38 }])
  t.same(complete('The cat', undefined, ' sat').holes, [{ start: 2, length: 12 }])
})

t.test('what does not fit is refused by the field that could give way', async (t) => {
  t.throws(() => complete('The cat', 39), {
    code: 'context_length_exceeded',
    param: 'max_tokens',
    message: 'max_tokens: expected at most 38 (40 less 2 of prompt), got 39'
  })
  t.throws(() => complete('The cat', 13, ' sat'), {
    param: 'max_tokens',
    message: /at most 12 \(15 less 3 of prompt and suffix\)/
  })
  t.throws(() => complete('a '.repeat(40)), { param: 'prompt', message: /at most 40 tokens, got more/ })
  t.throws(() => complete('a'.repeat(10_000_000)), { code: 'context_length_exceeded', param: 'prompt' })
  t.throws(() => complete('The cat', 1, ' sat'.repeat(20)), {
    code: 'context_length_exceeded',
    param: 'suffix'
  })
  t.throws(() => complete(' a'.repeat(40)), {
    param: 'prompt',
    message: 'prompt: expected at most 39 tokens, got 40'
  })
})

t.test('token ids are taken as they are, except what is no word', async (t) => {
  t.same(Array.from(complete([464, BOS, 3797], 1).tokens), [BOS, 464, BOS, 3797, MASK])
  t.throws(() => complete([464, MASK], 1), {
    code: 'invalid_request',
    param: 'prompt',
    message: /mask token/
  })
  t.throws(() => complete([464, 60000], 1), { param: 'prompt', message: /below 50257, got 60000/ })
})

t.test('special and mask-like text stays text', async (t) => {
  for (const text of ['<|endoftext|>', '<|mask|>', '[MASK]']) {
    const tokens = Array.from(complete(text, 1).tokens)
    t.notOk(tokens.slice(1, -1).some((token) => token >= BOS))
  }
})

t.test('an infill has any number of holes of exact lengths', async (t) => {
  const { tokens, holes } = layOutInfill([{ mask: 2 }, ' cat', { mask: 1 }, [464], { mask: 3 }], context)
  t.same(Array.from(tokens), [BOS, MASK, MASK, 3797, MASK, 464, MASK, MASK, MASK])
  t.same(holes, [
    { start: 0, length: 2 },
    { start: 3, length: 1 },
    { start: 5, length: 3 }
  ])
})

t.test('a template without a hole or beyond the context is refused', async (t) => {
  t.throws(() => layOutInfill(['The cat'], context), { param: 'template', message: /at least one hole/ })
  t.throws(() => layOutInfill([{ mask: 16 }], context), {
    code: 'context_length_exceeded',
    param: 'template'
  })
  t.throws(() => layOutInfill([{ mask: 2 ** 31 }], context), { code: 'context_length_exceeded' })
  t.throws(() => layOutInfill(['a', [MASK]], context), { code: 'invalid_request', param: 'template[1]' })
})
