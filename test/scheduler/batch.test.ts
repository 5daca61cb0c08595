import t from 'tap'
import type { Revealed } from '../../src/denoiser/denoiser.js'
import { applyRevealed, nextBatch, PassAssembler } from '../../src/scheduler/batch.js'
import type { PassRules } from '../../src/scheduler/pass-rules.js'
import { BOS, MASK } from '../table-denoiser.js'
import { makeSequence } from './make-sequence.js'

const rulesOf = (changes: Partial<PassRules>): PassRules => ({
  context: 64,
  parallel: 1,
  lanes: 1,
  passTokens: 1000,
  maxRows: 100,
  ...changes
})

t.test('a batch is the first sequence and the others of its padded length, within the budget', async (t) => {
  const waiting = [20, 5, 22, 21].map((length, i) => makeSequence(length, 2, i))
  const batch = nextBatch(waiting, 1000, rulesOf({ passTokens: 48 }))
  t.equal(batch.length, 24)
  t.same(batch.sequences, [waiting[0], waiting[2]])
})

t.test('devices share what runs evenly', async (t) => {
  const waiting = [20, 20, 20, 20].map((length, i) => makeSequence(length, 2, i))
  t.equal(nextBatch(waiting, 4 * 24, rulesOf({ parallel: 2 })).sequences.length, 2)
})

t.test('a batch reveals no more than it may, but for one sequence', async (t) => {
  const waiting = [20, 22, 21].map((length, i) => makeSequence(length, 1, i))
  const sizes = [1, 41, 42, 63].map(
    (maxRows) => nextBatch(waiting, 1000, rulesOf({ maxRows })).sequences.length
  )
  t.same(sizes, [1, 1, 2, 3])
})

t.test('a pass carries what each sequence needs, row by row', async (t) => {
  const sequences = [
    makeSequence(3, 1, 1, { temperature: 0.5, topP: 0.9, topK: 7 }),
    makeSequence(5, 1, 2, { alternatives: 2 })
  ]
  const pass = new PassAssembler().assemble({ length: 16, sequences })
  t.same(Array.from(pass.tokens.subarray(0, 5)), [BOS, MASK, MASK, MASK, 0])
  t.same(Array.from(pass.lengths), [4, 6])
  t.same(Array.from(pass.rows), [1, 2, 3, 17, 18, 19, 20, 21])
  t.same(Array.from(pass.temperature), [0.5, 0.5, 0.5, 1, 1, 1, 1, 1])
  t.same(Array.from(pass.topK), [7, 7, 7, 0, 0, 0, 0, 0])
  t.equal(pass.topP[0], Math.fround(0.9))
  t.equal(new Set([...pass.coins, ...pass.lambda]).size, 10)
  t.ok(pass.alternatives)
})

t.test('an assembler writes pass after pass into the same arrays', async (t) => {
  const assembler = new PassAssembler()
  const sequences = Array.from({ length: 16 }, (_, i) => makeSequence(127, 4, i))
  const buffers = () =>
    Object.values(assembler.assemble({ length: 128, sequences })).flatMap((value) =>
      ArrayBuffer.isView(value) ? [value.buffer] : []
    )
  const first = buffers()
  t.equal(first.length, 8)
  for (const [i, buffer] of buffers().entries()) t.equal(buffer, first[i])
})

t.test(
  'each sequence gets its own rows of what a pass revealed, and as many alternatives as it asked for',
  async (t) => {
    const sequences = [makeSequence(2, 1, 1), makeSequence(1, 1, 2, { alternatives: 2 })]
    const revealed: Revealed = {
      tokens: Int32Array.of(10, 11, 12),
      probabilities: Float32Array.of(0.5, 0.25, 0.125),
      alternativeTokens: Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9),
      alternativeProbabilities: Float32Array.from({ length: 9 }, (_, i) => i / 16),
      passMs: 3
    }
    applyRevealed({ length: 16, sequences }, revealed)
    const [first, second] = await Promise.all(sequences.map(({ stream }) => stream.next()))
    t.match(first!.value.reveals, [
      { position: 1, token: 10, probability: 0.5, alternatives: [] },
      { position: 2, token: 11, probability: 0.25, alternatives: [] }
    ])
    t.match(second!.value.reveals, [
      {
        position: 1,
        token: 12,
        alternatives: [
          { token: 7, probability: 6 / 16 },
          { token: 8, probability: 7 / 16 }
        ]
      }
    ])
    t.ok(sequences.every(({ done, passMs }) => done && passMs === 3))
  }
)

t.test('a sequence that is done reveals nothing more, and may still be asked', async (t) => {
  const sequence = makeSequence(2, 1, 1)
  t.equal(sequence.nextRows, 2)
  sequence.apply(
    [1, 1].map((token) => ({ token, probability: 1, alternatives: [] })),
    1
  )
  t.ok(sequence.done)
  t.equal(sequence.nextRows, 0)
})
