/** node scripts/gpu-check.js OUT [--device cpu]: what scripts/gpu-check.sh runs. */
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { WebSocket } from 'ws'
import { minMedianMax, quantile } from '../bench/report.js'
import { infill, startServer } from '../bench/server.js'
import { availableCores } from '../dist/available-cores.js'
import { loadManifest } from '../dist/denoiser/manifest.js'
import { OnnxDenoiser } from '../dist/denoiser/onnx-denoiser.js'
import { warmUpPass } from '../dist/denoiser/warm-up-pass.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { device: { type: 'string', default: 'cuda' } }
})
const [out] = positionals
const { device } = values
const sizes =
  device === 'cpu'
    ? {
        batches: [1, 2],
        lengths: [64],
        steps: [16],
        repeats: 2,
        seconds: 5,
        clients: 4,
        hole: 63,
        tokens: 256
      }
    : {
        batches: [1, 4, 16, 32, 64],
        lengths: [256, 1024],
        steps: [8, 16, 32],
        repeats: 10,
        seconds: 60,
        clients: 192,
        hole: 1023,
        tokens: 65_536
      }
const folders = ['models/student', 'models/full-size'].filter((folder) =>
  existsSync(join(folder, 'model.json'))
)
const largest = folders.at(-1)
const onCpu = { device: 'cpu', deviceId: 0, threads: availableCores() }

const result = { device, machine: machine(), models: folders, matrixRate: matrixRate(), correctness: [] }
for (const folder of folders) result.correctness.push({ folder, ...(await compare(folder)) })
result.passes = await timePasses(largest)
result.served = await serve(largest)
writeFileSync(join(out, 'gpu-check.json'), `${JSON.stringify(result, null, 2)}\n`)
writeFileSync(join(out, 'gpu-check.md'), table(result))
console.log(table(result))

function machine() {
  return `${cpus().length} cores ${cpus()[0].model}, ${nvidia('name') ?? 'no nvidia-smi'}, Node ${process.version}`
}

/** What nvidia-smi says of the first GPU; null where there is none. */
function nvidia(field) {
  try {
    const query = [`--query-gpu=${field}`, '--format=csv,noheader,nounits', '-i', '0']
    return execFileSync('nvidia-smi', query, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return null
  }
}

/** FLOP/s of a large bfloat16 product in PyTorch on this GPU; null where it cannot be had. */
function matrixRate() {
  if (device === 'cpu') return null
  const program = `
import time, torch
a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
for _ in range(5): a @ b
torch.cuda.synchronize(); start = time.perf_counter()
for _ in range(20): a @ b
torch.cuda.synchronize(); print(20 * 2 * 8192**3 / (time.perf_counter() - start))`
  try {
    return Number(
      execFileSync('python3', ['-c', program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    )
  } catch {
    return null
  }
}

/** The same passes on the CPU's variant and on the device's: tokens that differ, and by how much their probabilities do. */
async function compare(folder) {
  const manifest = await loadManifest(folder)
  const there = await OnnxDenoiser.load(folder, { ...onCpu, device })
  const here = await OnnxDenoiser.load(folder, onCpu)
  const pass = halfMasked(manifest, 4, Math.min(256, manifest.context_length))
  const [expected, got] = [await here.run(pass), await there.run(pass)]
  const alone = await there.run(first(pass))
  await here.close()
  await there.close()
  const rows = expected.tokens.length
  const gaps = expected.probabilities.map((probability, r) => Math.abs(probability - got.probabilities[r]))
  return {
    precision: manifest.variants.find(({ devices }) => devices.includes(device)).precision,
    rows,
    sameTokens: share(rows, (r) => expected.tokens[r] === got.tokens[r]),
    largestProbabilityGap: Math.max(...gaps.filter((_, r) => expected.tokens[r] === got.tokens[r])),
    sameAlone: share(alone.tokens.length, (r) => alone.tokens[r] === got.tokens[r])
  }
}

function share(count, holds) {
  return Array.from({ length: count }, (_, i) => i).filter(holds).length / count
}

/** Every other position is known; the others are the rows. */
function halfMasked(manifest, batch, length) {
  const pass = warmUpPass(manifest, batch, length, length / 2)
  pass.tokens.forEach((_, i) => {
    if (i % 2 === 0) pass.tokens[i] = 1 + ((i * 7919) % 200)
  })
  pass.rows.forEach((_, r) => {
    pass.rows[r] = 2 * r + 1
    pass.coins[r] = ((r * 2_654_435_761) % 2 ** 32) / 2 ** 32
  })
  return pass
}

/** The first sequence of a pass by itself. */
function first(pass) {
  const rows = pass.rows.filter((row) => row < pass.length).length
  const cut = (name, length) => [name, pass[name].slice(0, length)]
  return {
    ...pass,
    ...Object.fromEntries([cut('tokens', pass.length), cut('lengths', 1), cut('lambda', 1)]),
    ...Object.fromEntries(['rows', 'coins', 'temperature', 'topP', 'topK'].map((name) => cut(name, rows)))
  }
}

async function timePasses(folder) {
  const { batches, lengths, steps, repeats } = sizes
  const denoiser = await OnnxDenoiser.load(folder, { ...onCpu, device })
  const passes = []
  for (const length of lengths.filter((length) => length <= denoiser.manifest.context_length))
    for (const batch of batches)
      for (const count of steps) {
        const pass = warmUpPass(denoiser.manifest, batch, length, length / count)
        await denoiser.run(pass)
        const times = []
        for (let i = 0; i < repeats; i++) times.push((await denoiser.run(pass)).passMs)
        const ms = minMedianMax(times)
        passes.push({
          batch,
          length,
          steps: count,
          ms,
          textMs: count * ms.median,
          tokensPerSecond: (1000 * batch * length) / (count * ms.median),
          flops: (1000 * passFlops(denoiser.manifest, batch, length, batch * (length / count))) / ms.median,
          memoryMiB: device === 'cpu' ? process.memoryUsage.rss() / 2 ** 20 : Number(nvidia('memory.used'))
        })
      }
  await denoiser.close()
  return passes
}

/** Beyond its attention the last block runs at the rows only. */
function passFlops({ architecture: { blocks, width }, trained_vocabulary: vocabulary }, batch, length, rows) {
  const tokens = batch * length
  const outer = (blocks - 1) * tokens + rows
  return (
    2 *
    width *
    (3 * width * blocks * tokens + 9 * width * outer + 2 * blocks * tokens * length + vocabulary * rows)
  )
}

/** One text at a time over a WebSocket, then as many as there is room for over HTTP. */
async function serve(folder) {
  const flags = [
    '--model',
    folder,
    '--device',
    device,
    '--max-batch-tokens',
    `${sizes.tokens}`,
    '--max-queue',
    '1024'
  ]
  const server = await startServer(flags)
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/stream`)
  await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }))
  const single = []
  for (let seed = 0; seed < 12; seed++) single.push(await overSocket(socket, requestOf(seed)))
  socket.close()
  const times = []
  const start = performance.now()
  const client = async (i) => {
    for (let seed = i; performance.now() < start + 1000 * sizes.seconds; seed += sizes.clients) {
      const asked = performance.now()
      await infill(server.url, requestOf(seed))
      times.push(performance.now() - asked)
    }
  }
  await Promise.all(Array.from({ length: sizes.clients }, (_, i) => client(i)))
  const seconds = (performance.now() - start) / 1000
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  const memoryMiB = await server.residentMiB()
  await server.stop()
  return {
    readyMs: server.readyMs,
    singleMs: minMedianMax(single.slice(2)), // the first ones warm up
    seconds,
    texts: times.length,
    tokensPerSecond: (times.length * sizes.hole) / seconds,
    textMs: { median: quantile(times, 0.5), p99: quantile(times, 0.99) },
    passMs:
      (1000 * metricOf(metrics, 'fewstep_pass_seconds_sum')) /
      metricOf(metrics, 'fewstep_pass_seconds_count'),
    batch:
      metricOf(metrics, 'fewstep_batch_sequences_sum') / metricOf(metrics, 'fewstep_batch_sequences_count'),
    memoryMiB
  }
}

function requestOf(seed) {
  return { template: [{ mask: sizes.hole }], steps: 16, seed }
}

async function overSocket(socket, request) {
  const start = performance.now()
  const ended = new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      const { type } = JSON.parse(data)
      if (type === 'sequence-end') resolve()
      if (type === 'error') reject(new Error(data))
    }
  })
  socket.send(JSON.stringify({ type: 'infill', id: `${request.seed}`, request }))
  await ended
  return performance.now() - start
}

function metricOf(metrics, name) {
  return Number(metrics.match(new RegExp(`^${name}\\{[^}]*\\} (\\S+)`, 'm'))[1])
}

function table({ machine, matrixRate, correctness, passes, served }) {
  const percent = (x) => `${(100 * x).toFixed(2)} %`
  const tera = (rate) => `${(rate / 1e12).toFixed(2)} TFLOP/s`
  const of = (rate) => (matrixRate ? ` (${percent(rate / matrixRate)} of bfloat16 products)` : '')
  return [
    `# fewstep on ${device}: ${machine}`,
    '',
    matrixRate ? `bfloat16 products of 8192 x 8192 in PyTorch: ${tera(matrixRate)}.\n` : '',
    '| model | precision | rows | same token as on the CPU | probabilities differ by at most | same token alone |',
    '|---|---|---|---|---|---|',
    ...correctness.map(
      (c) =>
        `| ${c.folder} | ${c.precision} | ${c.rows} | ${percent(c.sameTokens)} | ${c.largestProbabilityGap.toExponential(1)} | ${percent(c.sameAlone)} |`
    ),
    '',
    '| batch | length | steps | a pass, ms (min, median, max) | a text, ms | tokens/s | arithmetic | memory, MiB |',
    '|---|---|---|---|---|---|---|---|',
    ...passes.map(
      (p) =>
        `| ${p.batch} | ${p.length} | ${p.steps} | ${[p.ms.min, p.ms.median, p.ms.max].map((ms) => ms.toFixed(1)).join(', ')} | ${p.textMs.toFixed(1)} | ${p.tokensPerSecond.toFixed(0)} | ${tera(p.flops)}${of(p.flops)} | ${p.memoryMiB.toFixed(0)} |`
    ),
    '',
    `Served over HTTP, ${sizes.clients} clients, ${sizes.hole} tokens a text, 16 steps, ${served.seconds.toFixed(0)} s: ${served.tokensPerSecond.toFixed(0)} tokens/s, a text in ${served.textMs.median.toFixed(0)} ms (p99 ${served.textMs.p99.toFixed(0)}), ${served.batch.toFixed(1)} sequences a pass, ${served.memoryMiB.toFixed(0)} MiB resident.`,
    '',
    `One text at a time over a WebSocket: ${[served.singleMs.min, served.singleMs.median, served.singleMs.max].map((ms) => ms.toFixed(1)).join(', ')} ms (min, median, max). Start to ready: ${(served.readyMs / 1000).toFixed(1)} s.`,
    ''
  ].join('\n')
}
