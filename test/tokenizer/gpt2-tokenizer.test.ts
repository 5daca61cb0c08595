import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { t } from 'tap'
import { get_encoding } from 'tiktoken'
import { RequestError } from '../../src/errors.js'
import { loadTokenizer } from '../../src/tokenizer/gpt2-tokenizer.js'

const tokenizer = await loadTokenizer(fileURLToPath(new URL('../../models/tokenizers/gpt2', import.meta.url)))
const reference = get_encoding('r50k_base')
t.teardown(() => reference.free())

const texts = [
  'Hello world',
  "It's they'll we've I'm he'd you're don't SHE'S",
  'def f(x):\n\treturn  x ** 2  # comment\n\n\n',
  '0 1 12 123 1234 3.14159 1,000,000 ½ ² ४५६ Ⅷ',
  'Ελληνικά Русский עברית العربية हिन्दी ไทย 中文字 日本語 한국어 ქართული Հայերեն',
  '👩‍👩‍👧‍👦 🇯🇵 👍🏽 e\u0301 \u1f468 𝔘𝔫𝔦𝔠𝔬𝔡𝔢',
  '\ufeffbyte order mark at the front, in\ufeffside, after a space \ufeff, and last\ufeff',
  'next\u0085line \u0085 alone',
  '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000',
  'not space: \u180e \u200b \u2060 \u001c \u001f',
  'nul \0 escape \u001b[31m delete \u007f',
  '   leading, inner   and trailing   ',
  "<|endoftext|> <|mask|> [MASK] <|endoftext|><|endoftext|>'s",
  'ÃÂÃÂÃÂÃÂÃÂÃÂÃÂÃÂ',
  '='.repeat(200),
  'a'.repeat(2000)
]

const unicode = fc.string({ unit: 'binary', maxLength: 60 })
const spaces = fc.string({
  unit: fc.constantFrom(' ', '\n', '\ufeff', '\u0085', '\u00a0', '\u200b', 'a', '7', "'s", '.', 'é'),
  maxLength: 40
})

const agrees = (text: string) => tokenizer.encode(text).join() === reference.encode_ordinary(text).join()
const survives = (text: string) => tokenizer.decode(tokenizer.encode(text)) === text

t.test('ids equal those of the reference implementation', async (t) => {
  t.same(
    texts.filter((text) => !agrees(text)),
    []
  )
  t.doesNotThrow(() => fc.assert(fc.property(unicode, agrees), { numRuns: 1000 }))
  t.doesNotThrow(() => fc.assert(fc.property(spaces, agrees), { numRuns: 1000 }))
})

t.test('a long text is encoded in pieces as in the whole', async (t) => {
  const joined = fc.array(fc.oneof(unicode, spaces, fc.constantFrom(...texts)), {
    minLength: 20,
    maxLength: 60
  })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(joined, (parts) => agrees(parts.join(' ').repeat(10))),
      { numRuns: 30 }
    )
  )
})

t.test('a text over the limit is encoded only beyond it', async (t) => {
  const sentence = 'The quick brown fox jumps over the lazy dog. '
  const tokens = tokenizer.encode(sentence.repeat(20_000), { limit: 1000 })
  t.ok(tokens.length > 1000 && tokens.length < 3000)
  t.same(tokens.slice(0, 1000), [...reference.encode_ordinary(sentence.repeat(200))].slice(0, 1000))
  t.same(tokenizer.encode(sentence, { limit: 3 }), tokenizer.encode(sentence))
})

t.test('a word that would hold up everybody is refused by its field', async (t) => {
  for (const unit of ['a', '7', '=', ' ', '\u{1f9d1}']) {
    t.throws(() => tokenizer.encode(`So ${unit.repeat(30_000)}`, { param: 'prompt' }), {
      code: 'context_length_exceeded',
      param: 'prompt',
      message: 'prompt: expected words of at most 4096 characters, got a longer one'
    })
  }
  const ordinary = `${'a1'.repeat(30_000)} ${'漢字。'.repeat(10_000)} ${'b'.repeat(4000)}`
  t.ok(agrees(ordinary))
})

t.test('well-formed text survives the round trip', async (t) => {
  t.same(
    texts.filter((text) => !survives(text)),
    []
  )
  t.doesNotThrow(() => fc.assert(fc.property(unicode, survives), { numRuns: 1000 }))
  t.doesNotThrow(() => fc.assert(fc.property(spaces, survives), { numRuns: 1000 }))
})

t.test('every token alone decodes as it does in the reference implementation', async (t) => {
  const text = new TextDecoder('utf-8', { ignoreBOM: true })
  const differing: number[] = []
  for (let token = 0; token < tokenizer.vocabularySize; token++) {
    const expected = text.decode(reference.decode_single_token_bytes(token))
    if (tokenizer.decodeToken(token) !== expected) differing.push(token)
  }
  t.same(differing, [])
  t.equal(tokenizer.decodeToken(0), tokenizer.decodeToken(0))
})

t.test('a special token in text stays text', async (t) => {
  const tokens = tokenizer.encode('<|endoftext|>')
  t.equal(tokens.length, 7)
  t.notOk(tokens.includes(50256))
  t.equal(tokenizer.decode(tokens), '<|endoftext|>')
})

t.test('a lone surrogate becomes U+FFFD', async (t) => {
  t.same(tokenizer.encode('a\ud800b\udc00'), tokenizer.encode('a\ufffdb\ufffd'))
})

t.test('a character cut in two decodes to U+FFFD', async (t) => {
  const tokens = tokenizer.encode('👍')
  t.ok(tokens.length > 1)
  t.match(tokenizer.decode(tokens.slice(0, 1)), /^\ufffd+$/)
})

t.test('empty text and an empty list answer each other', async (t) => {
  t.same(tokenizer.encode(''), [])
  t.equal(tokenizer.decode([]), '')
})

t.test('the vocabulary is that of GPT-2', async (t) => {
  t.equal(tokenizer.vocabularySize, 50257)
})

t.test('an unknown id is refused by its number', async (t) => {
  for (const token of [50257, -1, 1.5, Number.NaN]) {
    t.throws(
      () => tokenizer.decode([0, token]),
      new RequestError('invalid_request', `tokens: expected token ids from 0 to 50256, got ${token}`, {
        param: 'tokens'
      })
    )
  }
})

t.test('a folder without a tokenizer is one line that names the file', async (t) => {
  const files = { 'tokenizer.json': '{"model": {}}', 'tokenizer_config.json': '{}' }
  const folder = t.testdir({ ...files, SHA256SUMS: sumsOf(files) })
  await t.rejects(loadTokenizer('/nowhere'), {
    message: /^\/nowhere\/tokenizer\.json: expected a file, got ENOENT[^\n]*$/
  })
  await t.rejects(loadTokenizer(folder), {
    message: `${folder}/tokenizer.json: expected a vocabulary at model.vocab, got none`
  })
})

t.test('files that are not those of SHA256SUMS are no tokenizer', async (t) => {
  const files = { 'tokenizer.json': '{"model": {}}', 'tokenizer_config.json': '{}' }
  const folder = t.testdir({ ...files, SHA256SUMS: sumsOf({ ...files, 'tokenizer_config.json': '{ }' }) })
  await t.rejects(loadTokenizer(folder), {
    message: /tokenizer_config\.json: expected the sha256 that SHA256SUMS says, got [0-9a-f]{64}$/
  })
})

function sumsOf(files: Record<string, string>): string {
  const sum = (content: string) => createHash('sha256').update(content).digest('hex')
  return Object.entries(files)
    .map(([name, content]) => `${sum(content)}  ${name}\n`)
    .join('')
}

t.test('nothing that reads images is loaded with it', async (t) => {
  t.notMatch(readFileSync('/proc/self/maps', 'utf8'), /sharp|vips/)
})
