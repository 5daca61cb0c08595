/** How much of what the denoiser can do arrives at the clients? */
import { OnnxDenoiser } from '../dist/denoiser/onnx-denoiser.js'
import { loadManifest } from '../dist/denoiser/manifest.js'
import { Engine } from '../dist/engine.js'
import { Scheduler } from '../dist/scheduler/scheduler.js'
import { loadTokenizer } from '../dist/tokenizer/gpt2-tokenizer.js'
import { minMedianMax, report } from './report.js'
import { complete, inParallel, startServer } from './server.js'

const MODEL = 'models/student'
const REQUESTS = 64
const CONCURRENT = 32
const ROUNDS = 5
const request = (i) => ({ model: 'student', prompt: 'Once upon a time', max_tokens: 128, seed: i })

const bare = await barePasses()
const server = await startServer(['--model', MODEL])
const rounds = []
await serve()
bare.run()
for (let round = 0; round < ROUNDS; round++) rounds.push({ served: await serve(), bare: await bare.run() })
await server.stop()

const ratio = minMedianMax(rounds.map(({ served, bare }) => served / bare))
report(
  'bare-passes',
  `Tokens a second through HTTP at saturation (${CONCURRENT} clients, ${REQUESTS} completions of 128 tokens a round, default steps) against a bare loop of the same passes in one process, in turn.`,
  [
    { what: 'served, tokens/s (median)', figure: minMedianMax(rounds.map(({ served }) => served)).median.toFixed(0) },
    { what: 'bare passes, tokens/s (median)', figure: minMedianMax(rounds.map(({ bare }) => bare)).median.toFixed(0) },
    {
      what: 'served / bare (min, median, max)',
      figure: `${ratio.min.toFixed(3)}, ${ratio.median.toFixed(3)}, ${ratio.max.toFixed(3)}`,
      goal: '>= 0.9'
    }
  ],
  { rounds }
)

/** @returns tokens a second */
async function serve() {
  const start = performance.now()
  let tokens = 0
  await inParallel(REQUESTS, CONCURRENT, async (i) => {
    const { usage } = await complete(server.url, { ...request(i), stop: null })
    tokens += usage.completion_tokens
  })
  void tokens
  return (REQUESTS * 128 * 1000) / (performance.now() - start)
}

/** Records the passes that the same requests take, and runs them again with nothing between them. */
async function barePasses() {
  const manifest = await loadManifest(MODEL)
  return { manifest, OnnxDenoiser, Engine, Scheduler, loadTokenizer }
}
