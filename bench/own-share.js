/** What does fewstep itself take of a pass? Everything that is not the network: assembly, the way to its process and back, applying, events. */
import { DenoiserPool } from '../dist/denoiser/denoiser-pool.js'
import { loadManifest } from '../dist/denoiser/manifest.js'
import { Engine } from '../dist/engine.js'
import { PassCost } from '../dist/scheduler/pass-cost.js'
import { Scheduler } from '../dist/scheduler/scheduler.js'
import { loadTokenizer } from '../dist/tokenizer/gpt2-tokenizer.js'
import { minMedianMax, report } from './report.js'

const MODEL = 'models/student'
const BATCH = 16
const HOLE = 127 // one bucket of 128 with the token before it
const STEPS = 16
const ROUNDS = 12

const denoiser = await DenoiserPool.start(MODEL, await loadManifest(MODEL), [0], {
  device: 'cpu',
  threads: 2,
  passTimeoutMs: 60_000,
  log: () => {}
})
let passes = []
// Passes that cost the same however large: all sixteen share each; and none lies ready, so that nothing is done meanwhile.
const cost = new PassCost({ fixedMs: 1, msPerToken: 1e-9, msPerRow: 0 })
cost.observe = () => {}
const scheduler = new Scheduler(denoiser, {
  maxQueue: BATCH,
  maxBacklogMs: Number.POSITIVE_INFINITY,
  maxBatchTokens: BATCH * 128,
  cost,
  prefer: 'latency',
  onPass: (pass) => passes.push(pass)
})
const tokenizer = await loadTokenizer('models/tokenizers/gpt2')
const engine = new Engine([{ name: 'student', denoiser, scheduler, tokenizer }], {
  aliases: new Map(),
  maxTextTokens: 256,
  maxTexts: 1
})

/** @returns {Promise<number>} milliseconds a pass beyond the network's */
async function round(number) {
  passes = []
  const start = performance.now()
  let events = 0
  const texts = Array.from({ length: BATCH }, async (_, text) => {
    const request = { template: [{ mask: HOLE }], steps: STEPS, seed: number * BATCH + text }
    for await (const event of engine.infill(request, { id: `${text}`, signal: new AbortController().signal }))
      events += JSON.stringify(event).length > 0 ? 1 : 0
  })
  await Promise.all(texts)
  const full = passes.filter(({ sequences }) => sequences === BATCH).length
  if (full < 0.8 * passes.length) throw new Error(`${full} of ${passes.length} passes were of ${BATCH} texts`)
  const network = passes.reduce((sum, { passMs }) => sum + passMs, 0)
  return { own: (performance.now() - start - network) / passes.length, pass: network / passes.length, events }
}

await round(0)
const rounds = []
for (let number = 1; number <= ROUNDS; number++) rounds.push(await round(number))
await denoiser.close()

const figures = (key) => {
  const { min, median, max } = minMedianMax(rounds.map((round) => round[key]))
  return `${min.toFixed(2)}, ${median.toFixed(2)}, ${max.toFixed(2)} ms`
}
report(
  'own-share',
  `A pass of ${BATCH} texts of 128 tokens on the bundled student: what the network takes, and everything else, from the requests to their events as JSON (min, median, max of ${ROUNDS} rounds).`,
  [
    { what: 'the network', figure: figures('pass') },
    { what: 'fewstep itself', figure: figures('own'), goal: 'median < 1 ms' }
  ],
  rounds
)
