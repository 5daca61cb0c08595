import fc from 'fast-check'
import t from 'tap'
import { CommittedText } from '../../src/text/committed-text.js'
import { loadTokenizer } from '../../src/tokenizer/gpt2-tokenizer.js'

const END = 50256
const tokenizer = await loadTokenizer('models/tokenizers/gpt2')

/** Reveals the tokens in the given order of positions, one at a time. */
function commit(tokens: readonly number[], order: readonly number[], stop: readonly string[] = []) {
  const committed = new CommittedText(tokens.length, tokenizer, stop, END)
  const deltas = order.map((i) => {
    committed.reveal(i, tokens[i]!)
    return committed.takeDelta()
  })
  return { committed, deltas }
}

const inOrder = (tokens: readonly number[]) => tokens.map((_, i) => i)

t.test('text grows at the front only, by what lies before the first mask', async (t) => {
  const tokens = tokenizer.encode('The cat sat')
  t.same(commit(tokens, [1, 2, 0]).deltas, ['', '', 'The cat sat'])
  t.same(commit(tokens, [0, 2, 1]).deltas, ['The', '', ' cat sat'])
})

t.test('a character of several tokens is held back until it is whole', async (t) => {
  const tokens = tokenizer.encode('a 😀!')
  const { deltas, committed } = commit(tokens, inOrder(tokens))
  t.notMatch(deltas.join(''), /\ufffd/)
  t.equal(deltas.join(''), 'a 😀!')
  t.equal(committed.tokenCount, tokens.length)
})

t.test('the text ends at the end-of-text token', async (t) => {
  const tokens = [...tokenizer.encode('One two'), END, ...tokenizer.encode(' three')]
  const { committed, deltas } = commit(tokens, inOrder(tokens))
  t.equal(committed.text, 'One two')
  t.equal(deltas.join(''), 'One two')
  t.ok(committed.stopped)
  t.equal(committed.tokenCount, 2)
})

t.test('the text ends before the first stop string, of which no part is given out', async (t) => {
  const tokens = tokenizer.encode('Hello there. Once more and again')
  const { committed, deltas } = commit(tokens, inOrder(tokens), ['again', 're and', 'e. Once m'])
  t.equal(committed.text, 'Hello ther')
  t.equal(deltas.join(''), 'Hello ther')
  t.equal(committed.tokenCount, 2)
})

t.test('what only looked like a stop string is given out in the end', async (t) => {
  const tokens = tokenizer.encode('one two th')
  const { deltas, committed } = commit(tokens, inOrder(tokens), [' three'])
  t.equal(deltas.join(''), 'one two th')
  t.notOk(committed.stopped)
})

t.test(
  'in any order, the deltas together are the text, and the text is the plain decoding cut at the stop',
  async (t) => {
    const alphabet = tokenizer.encode('the cat 😀 é\u00a0 sat. \n日本語 stop here')
    const tokensAndOrder = fc
      .array(fc.constantFrom(...alphabet), { minLength: 1, maxLength: 30 })
      .chain((tokens) =>
        fc.tuple(fc.constant(tokens), fc.shuffledSubarray(inOrder(tokens), { minLength: tokens.length }))
      )
    const stops = fc.array(fc.constantFrom('cat', ' s', '日', 'stop h', '.'), { maxLength: 3 })
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(tokensAndOrder, stops, ([tokens, order], stop) => {
          const { committed, deltas } = commit(tokens, order, stop)
          const plain = tokenizer.decode(tokens)
          const cut = Math.min(plain.length, ...stop.map((s) => plain.indexOf(s)).filter((i) => i >= 0))
          return deltas.join('') === committed.text && committed.text === plain.slice(0, cut)
        }),
        { numRuns: 500 }
      )
    )
  }
)
