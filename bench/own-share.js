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
/** Of the pass under way: when it was sent, or when its answer came. */
let since
const shares = { network: [], way: [], work: [] }
const run = denoiser.run.bind(denoiser)
denoiser.run = async (pass) => {
  const sent = performance.now()
  const full = pass.lengths.length === BATCH
  if (full && since !== undefined) shares.work.push(sent - since)
  const revealed = await run(pass)
  since = performance.now()
  if (full) {
    shares.network.push(revealed.passMs)
    shares.way.push(since - sent - revealed.passMs)
  }
  return revealed
}
// Passes that cost the same however large: all sixteen share each; and none lies ready, so that nothing is done meanwhile.
const cost = new PassCost({ fixedMs: 1, msPerToken: 1e-9, msPerRow: 0 })
cost.observe = () => {}
const scheduler = new Scheduler(denoiser, {
  maxQueue: BATCH,
  maxBacklogMs: Number.POSITIVE_INFINITY,
  maxBatchTokens: BATCH * 128,
  cost,
  prefer: 'latency'
})
const tokenizer = await loadTokenizer('models/tokenizers/gpt2')
const engine = new Engine([{ name: 'student', denoiser, scheduler, tokenizer }], {
  aliases: new Map(),
  maxTextTokens: 256,
  maxTexts: 1
})

let bytes = 0
async function round(number) {
  const texts = Array.from({ length: BATCH }, async (_, text) => {
    const request = { template: [{ mask: HOLE }], steps: STEPS, seed: number * BATCH + text }
    for await (const event of engine.infill(request, { id: `${text}`, signal: new AbortController().signal }))
      bytes += JSON.stringify(event).length
  })
  await Promise.all(texts)
  since = undefined
}

await round(0)
bytes = 0
for (const share of Object.values(shares)) share.length = 0
for (let number = 1; number <= ROUNDS; number++) await round(number)
await denoiser.close()

const figure = (list) => {
  const { min, median, max } = minMedianMax(list)
  return `${min.toFixed(2)}, ${median.toFixed(2)}, ${max.toFixed(2)} ms`
}
const passes = shares.network.length
report(
  'own-share',
  `A pass of ${BATCH} texts of 128 tokens on the bundled student, with none lying ready: what the network takes, and everything else (min, median, max of ${passes} passes).`,
  [
    { what: 'the network', figure: figure(shares.network) },
    { what: 'to its process and back', figure: figure(shares.way), goal: 'both together: median < 1 ms' },
    {
      what: `applying, events as JSON (${(bytes / passes / 1024).toFixed(0)} KiB), assembling the next`,
      figure: figure(shares.work)
    }
  ],
  shares
)
