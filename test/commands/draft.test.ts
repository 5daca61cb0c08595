import { fileURLToPath } from 'node:url'
import { t } from 'tap'
import { Draft } from '../../src/commands/draft.js'
import type { SequenceStart, StepEnd } from '../../src/schemas.js'
import { loadTokenizer } from '../../src/tokenizer/gpt2-tokenizer.js'

const tokenizer = await loadTokenizer(fileURLToPath(new URL('../../models/tokenizers/gpt2', import.meta.url)))
const start = { holes: [{ start: 2, length: 4 }] } as unknown as SequenceStart
const stepEnd = (step: number, tokens: Record<number, number>) =>
  ({
    step,
    reveals: Object.entries(tokens).map(([position, token]) => ({ position: Number(position), token }))
  }) as unknown as StepEnd
const draftOf = () => new Draft(start, { before: 'Hi', after: '.', tokenizer, endOfText: 50256 })
const masked = { text: ' ░░░', style: 'masked' }
const around = (...cells: object[]) => [
  { text: 'Hi', style: 'plain' },
  ...cells,
  { text: '.', style: 'plain' }
]

t.test('what is masked, what is new and what is known each has its style', async (t) => {
  const draft = draftOf()
  t.same(draft.cells(), around(masked, masked, masked, masked))
  const [hello, world] = [tokenizer.encode(' hello')[0]!, tokenizer.encode(' world')[0]!]
  draft.apply(stepEnd(1, { 3: world }))
  draft.apply(stepEnd(2, { 2: hello }))
  t.same(
    draft.cells(),
    around({ text: ' hello', style: 'revealed' }, { text: ' world', style: 'plain' }, masked, masked)
  )
})

t.test('the parts of one character are drawn as one when they are all known', async (t) => {
  const parts = tokenizer.encode('🂡')
  t.equal(parts.length, 3)
  const draft = draftOf()
  draft.apply(stepEnd(1, { 2: parts[0]!, 4: parts[2]! }))
  t.match(draft.cells()[1], { text: '\ufffd' })
  draft.apply(stepEnd(2, { 3: parts[1]! }))
  t.same(draft.cells(), around({ text: '🂡', style: 'revealed' }, masked))
})

t.test('nothing is drawn beyond an end of text', async (t) => {
  const draft = draftOf()
  draft.apply(stepEnd(1, { 3: 50256, 4: 0 }))
  t.same(draft.cells(), around(masked))
})
