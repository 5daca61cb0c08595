/** How much of what the denoiser can do arrives at the clients? */
import { OnnxDenoiser } from '../dist/denoiser/onnx-denoiser.js'
import { Engine } from '../dist/engine.js'
import { measurePassCost } from '../dist/scheduler/measure-pass-cost.js'
import { Scheduler } from '../dist/scheduler/scheduler.js'
import { loadTokenizer } from '../dist/tokenizer/gpt2-tokenizer.js'
import { minMedianMax, report } from './report.js'
import { infill, inParallel, startServer } from './server.js'

const MODEL = 'models/student'
const MAX_BATCH_TOKENS = 4096
const REQUESTS = 64
const CONCURRENT = 32
const HOLE = 128
const ROUNDS = 5
// A hole is filled exactly, so every round writes the same number of tokens.
const request = (i) => ({ template: ['Once upon a time', { mask: HOLE }], seed: i })

const denoiser = await OnnxDenoiser.load(MODEL, { device: 'cpu', deviceId: 0, threads: 2 })
const passes = await recordPasses()
const server = await startServer([
  '--model',
  MODEL,
  '--device',
  'cpu',
  '--max-batch-tokens',
  `${MAX_BATCH_TOKENS}`
])
const rounds = []
await serve()
await runBare()
for (let round = 0; round < ROUNDS; round++) rounds.push({ served: await serve(), bare: await runBare() })
await server.stop()

const ratio = minMedianMax(rounds.map(({ served, bare }) => served / bare))
const median = (key) => minMedianMax(rounds.map((round) => round[key])).median.toFixed(0)
report(
  'bare-passes',
  `Tokens a second through HTTP at saturation (${CONCURRENT} clients, ${REQUESTS} holes of ${HOLE} tokens a round, default steps) against a bare loop of the same passes in one process, in turn.`,
  [
    { what: 'served, tokens/s (median)', figure: median('served') },
    { what: 'bare passes, tokens/s (median)', figure: median('bare') },
    {
      what: 'served / bare (min, median, max)',
      figure: `${ratio.min.toFixed(3)}, ${ratio.median.toFixed(3)}, ${ratio.max.toFixed(3)}`,
      goal: '>= 0.97'
    }
  ],
  { passes: passes.length, rounds }
)

/** @returns tokens a second */
async function serve() {
  const start = performance.now()
  await inParallel(REQUESTS, CONCURRENT, (i) => infill(server.url, request(i)))
  return (REQUESTS * HOLE * 1000) / (performance.now() - start)
}

/** @returns tokens a second */
async function runBare() {
  const start = performance.now()
  for (const pass of passes) await denoiser.run(pass)
  return (REQUESTS * HOLE * 1000) / (performance.now() - start)
}

/** The passes that the same requests take, when no client is late. */
async function recordPasses() {
  const recorded = []
  const recording = {
    manifest: denoiser.manifest,
    device: denoiser.device,
    parallel: 1,
    run(pass) {
      recorded.push(copyOf(pass))
      return denoiser.run(pass)
    }
  }
  const cost = await measurePassCost(denoiser, MAX_BATCH_TOKENS)
  const scheduler = new Scheduler(recording, {
    maxQueue: REQUESTS,
    maxBacklogMs: Number.POSITIVE_INFINITY,
    maxBatchTokens: MAX_BATCH_TOKENS,
    cost,
    prefer: 'throughput'
  })
  const tokenizer = await loadTokenizer('models/tokenizers/gpt2')
  const engine = new Engine([{ name: 'student', denoiser: recording, scheduler, tokenizer }], {
    aliases: new Map(),
    maxTextTokens: 1024,
    maxTexts: 1
  })
  await inParallel(REQUESTS, CONCURRENT, async (i) => {
    const generation = engine.infill(request(i), { id: `${i}`, signal: new AbortController().signal })
    for await (const _ of generation);
  })
  return recorded
}

/** The scheduler writes the next pass over it. */
function copyOf(pass) {
  const copy = (value) => (ArrayBuffer.isView(value) ? value.slice() : value)
  return Object.fromEntries(Object.entries(pass).map(([name, value]) => [name, copy(value)]))
}
