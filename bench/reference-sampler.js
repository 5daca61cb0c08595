/**
 * How much faster than the papers' sampler? Same weights, threads and steps, in turn: the papers' sampler in PyTorch
 * (bench/reference_sampler.py), fewstep's engine in this process. CASES=1x16,2x8,… names others, batch x steps; ROUNDS=3 repeats them.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { availableCores } from '../dist/available-cores.js'
import { OnnxDenoiser } from '../dist/denoiser/onnx-denoiser.js'
import { Engine } from '../dist/engine.js'
import { measurePassCost } from '../dist/scheduler/measure-pass-cost.js'
import { Scheduler } from '../dist/scheduler/scheduler.js'
import { loadTokenizer } from '../dist/tokenizer/gpt2-tokenizer.js'
import { fullSizeModel, PYTHON, withPython } from './full-size.js'
import { minMedianMax, report } from './report.js'

const LENGTH = Number(process.env.LENGTH ?? 1024)
const CASES = (process.env.CASES ?? '1x8,1x16,1x32,2x16,8x8')
  .split(',')
  .map((name) => name.split('x').map(Number))
const ROUNDS = Number(process.env.ROUNDS ?? 1)
const THREADS = availableCores()
const GOALS = { float32: '>= 4', int8: '>= 6' }

await withPython('reference-sampler', async () => {
  const folder = fullSizeModel()
  const engines = { float32: await engineOf(folder, 'float32'), int8: await engineOf(folder, 'int8') }
  const reference = await startReference()
  const results = []
  for (const [batch, steps] of CASES) {
    const rounds = []
    for (let round = 0; round < ROUNDS; round++) {
      const seconds = { reference: await reference.write(batch, steps) }
      for (const [precision, engine] of Object.entries(engines))
        seconds[precision] = await write(engine, batch, steps)
      rounds.push(seconds)
    }
    results.push({ batch, steps, rounds })
  }
  reference.stop()
  report(
    'reference-sampler',
    `Texts of ${LENGTH} tokens from a network of the published size (170 million parameters, random weights), ${THREADS} threads: the papers' sampler in PyTorch, float32, against fewstep.`,
    results.flatMap(rowsOf),
    results
  )
})

function rowsOf({ batch, steps, rounds }) {
  const name = `${batch} at once, ${steps} steps`
  const median = (who) => minMedianMax(rounds.map((round) => round[who])).median
  const samples = (who) => `${((60 * batch) / median(who)).toFixed(2)} texts a minute`
  const ratio = (precision) => {
    const { min, max } = minMedianMax(rounds.map((round) => round.reference / round[precision]))
    return min === max ? min.toFixed(2) : `${min.toFixed(2)} to ${max.toFixed(2)}`
  }
  return [
    { what: `${name}: the papers' sampler`, figure: samples('reference') },
    ...Object.entries(GOALS).map(([precision, goal]) => ({
      what: `${name}: fewstep, ${precision}`,
      figure: `${samples(precision)}, ${ratio(precision)} times as many`,
      goal
    }))
  ]
}

async function engineOf(folder, precision) {
  const options = { device: 'cpu', deviceId: 0, threads: THREADS }
  const denoiser = await OnnxDenoiser.load(join(folder, precision), options)
  const maxBatchTokens = 4 * LENGTH
  const cost = await measurePassCost(denoiser, maxBatchTokens)
  const scheduler = new Scheduler(denoiser, {
    maxQueue: 100,
    maxBacklogMs: Number.POSITIVE_INFINITY,
    maxBatchTokens,
    cost,
    prefer: 'throughput'
  })
  const tokenizer = await loadTokenizer('models/tokenizers/gpt2')
  return new Engine([{ name: precision, denoiser, scheduler, tokenizer }], {
    aliases: new Map(),
    maxTextTokens: LENGTH,
    maxTexts: 1
  })
}

/** @returns {Promise<number>} seconds */
async function write(engine, batch, steps) {
  const start = performance.now()
  const texts = Array.from({ length: batch }, async (_, seed) => {
    const request = { template: [{ mask: LENGTH - 1 }], steps, seed }
    for await (const _ of engine.infill(request, { id: `${seed}`, signal: new AbortController().signal }));
  })
  await Promise.all(texts)
  return (performance.now() - start) / 1000
}

async function startReference() {
  const child = spawn(PYTHON, ['bench/reference_sampler.py', `${THREADS}`], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  await lines.next() // it is ready
  return {
    async write(batch, steps) {
      child.stdin.write(`${batch} ${LENGTH} ${steps}\n`)
      return Number((await lines.next()).value)
    },
    stop: () => child.kill()
  }
}
