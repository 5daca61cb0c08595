import t from 'tap'
import { DenoiserPool } from '../../src/denoiser/denoiser-pool.js'
import { loadManifest } from '../../src/denoiser/manifest.js'
import { Engine } from '../../src/engine.js'
import { Scheduler } from '../../src/scheduler/scheduler.js'
import { loadTokenizer } from '../../src/tokenizer/gpt2-tokenizer.js'
import { chiSquareDeviation } from '../chi-square.js'
import { golden, toys } from '../denoiser/toy.js'
import { flatCost } from '../scheduler/flat-cost.js'

// 27 texts; 10,000 draws see a total variation of 0.05 with power above 0.99.
const TEXTS = 10_000
const tokenizer = await loadTokenizer('models/tokenizers/gpt2')

for (const [kind, folder] of Object.entries(toys)) {
  t.test(`what the ${kind} toy writes follows the law that Python enumerated`, async (t) => {
    const name = `toy-${kind}` as keyof typeof golden
    // Two processes: what one text draws must not depend on where its passes run.
    const denoiser = await DenoiserPool.start(folder, await loadManifest(folder), [0, 1], {
      device: 'cpu',
      threads: 1,
      passTimeoutMs: 30_000,
      log: () => {}
    })
    t.teardown(() => denoiser.close())
    const scheduler = new Scheduler(denoiser, {
      maxQueue: 2 * TEXTS,
      maxBacklogMs: Number.POSITIVE_INFINITY,
      maxBatchTokens: 16 * 1024,
      cost: flatCost(),
      prefer: 'throughput'
    })
    const engine = new Engine([{ name, denoiser, scheduler, tokenizer }], {
      aliases: new Map(),
      maxTextTokens: 15,
      maxTexts: 2000
    })
    const counts: Record<string, Map<string, number>> = { 1: new Map(), 2: new Map(), 3: new Map() }
    const write = async (steps: number, seed: number) => {
      const request = { max_tokens: 3, steps, seed, n: 2000 }
      for await (const event of engine.complete(request, { id: 'a', signal: new AbortController().signal })) {
        if (event.type !== 'sequence-end') continue
        const key = event.tokens.map(({ token }) => token).join()
        counts[steps]!.set(key, (counts[steps]!.get(key) ?? 0) + 1)
      }
    }
    // All step counts at once, so that they share passes.
    for (let seed = 0; seed < TEXTS / 2000; seed++)
      await Promise.all([1, 2, 3].map((steps) => write(steps, seed)))
    for (const [steps, law] of Object.entries(golden[name].law.steps)) {
      const keys = Object.keys(law)
      const got = keys.map((key) => counts[steps]!.get(key) ?? 0)
      t.equal(keys.length, 27)
      t.equal(
        got.reduce((sum, count) => sum + count),
        TEXTS
      )
      const deviation = chiSquareDeviation(
        got,
        keys.map((key) => law[key]!)
      )
      t.ok(Math.abs(deviation) < 4, `${steps} steps: ${deviation.toFixed(2)} deviations`)
    }
  })
}

t.test('the mixture correlates its words in one step, as no product can', async (t) => {
  const law = golden['toy-mixture'].law.steps['1']!
  const marginal = (position: number, word: string) =>
    Object.entries(law).reduce((sum, [key, p]) => (key.split(',')[position] === word ? sum + p : sum), 0)
  const distance = Object.entries(law).reduce((sum, [key, p]) => {
    const product = key.split(',').reduce((mass, word, position) => mass * marginal(position, word), 1)
    return sum + Math.abs(p - product) / 2
  }, 0)
  t.ok(distance > 0.1, 'so the test above would fail if lambda were drawn for each row')
})
