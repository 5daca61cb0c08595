import t from 'tap'
import type { Pass, Revealed } from '../../src/denoiser/denoiser.js'
import { loadManifest } from '../../src/denoiser/manifest.js'
import { isAnswer } from '../../src/denoiser/messages.js'
import { golden, toPass, toys } from './toy.js'

const manifest = await loadManifest(toys.mixture)
const pass = toPass(golden['toy-mixture'].passes[0]!, true)
const R = pass.rows.length
const K = 3 // the toy knows three words

const revealed: Revealed = {
  tokens: new Int32Array(R),
  probabilities: new Float32Array(R),
  alternativeTokens: new Int32Array(R * K),
  alternativeProbabilities: new Float32Array(R * K),
  passMs: 1
}
const none = { alternativeTokens: new Int32Array(), alternativeProbabilities: new Float32Array() }

const fits = (changes: Readonly<Record<string, unknown>>, asked: Pass = pass) =>
  isAnswer(
    { id: 7, type: 'revealed', revealed: { ...revealed, ...changes } },
    { id: 7, question: { type: 'pass', pass: asked } },
    manifest
  )

t.test(
  'what a pass reveals has a token and a probability a row, and alternatives only when asked',
  async (t) => {
    t.ok(fits({}))
    t.notOk(fits(none))
    t.ok(fits(none, { ...pass, alternatives: false }))
    t.notOk(fits({}, { ...pass, alternatives: false }))
    t.notOk(fits({ tokens: new Int32Array(R - 1) }))
    t.notOk(fits({ tokens: new BigInt64Array(R) }))
    t.notOk(fits({ probabilities: Array.from(revealed.probabilities) }))
    t.notOk(fits({ alternativeProbabilities: new Float32Array(R) }))
    t.notOk(fits({ passMs: undefined }))
  }
)

t.test('an answer is to the question that was asked', async (t) => {
  const asked = { id: 7, question: { type: 'pass', pass } } as const
  for (const message of [
    undefined,
    null,
    'text',
    5,
    [],
    {},
    { id: 7 },
    { id: 6, type: 'revealed', revealed },
    { id: 7, type: 'loaded' },
    { id: 7, type: 'revealed' },
    { id: 7, type: 'revealed', revealed: null },
    { id: 7, type: 'failed', message: 'no name' }
  ]) {
    t.notOk(isAnswer(message, asked, manifest), JSON.stringify(message))
  }
  t.ok(isAnswer({ id: 7, type: 'failed', name: 'Error', message: 'why' }, asked, manifest))
})
