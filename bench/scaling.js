/** How do passes and memory grow with batch and length, and the server with connections? PEAKS=1x1024,32x1024 names batch x length. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { availableCores } from '../dist/available-cores.js'
import { OnnxDenoiser } from '../dist/denoiser/onnx-denoiser.js'
import { warmUpPass } from '../dist/denoiser/warm-up-pass.js'
import { fullSizeModel, missingPython } from './full-size.js'
import { minMedianMax, quantile, report } from './report.js'
import { infill, startServer } from './server.js'

const SECONDS = Number(process.env.SECONDS ?? 6)
const CONNECTIONS = [1, 4, 16, 64, 256]
const HOLE = 128
const LENGTHS = [64, 128, 256]
const BATCHES = [1, 4, 16, 64]
const REPEATS = 5
const STEPS = 16 // a pass reveals a sixteenth of its positions
const PEAKS = (process.env.PEAKS ?? '1x1024,8x1024,32x1024')
  .split(',')
  .map((name) => name.split('x').map(Number))
const options = { device: 'cpu', deviceId: 0, threads: availableCores() }

await (process.send ? tellPeak() : measure())

async function measure() {
  const passes = await measurePasses()
  const peaks = missingPython() ? [] : await measurePeaks()
  const connections = await measureConnections()
  report(
    'scaling',
    `Passes of the bundled student by batch and length; peak memory of the denoiser's process at the published size (170 million parameters, float32, a sixteenth of the positions as rows); and the server by connections, each asking for one text of ${HOLE} tokens after the other (default steps).`,
    [
      ...passes.map(({ length, rates }) => ({
        what: `length ${length}, batch ${BATCHES.join(', ')}: positions a second`,
        figure: rates.map((rate) => rate.toFixed(0)).join(', ')
      })),
      ...peaks.map(({ batch, length, mebibytes, seconds }) => ({
        what: `published size, ${batch} x ${length}: peak memory, a pass`,
        figure: `${mebibytes.toFixed(0)} MiB, ${seconds.toFixed(1)} s`,
        goal: batch * length === 32 * 1024 ? '< 4096 MiB' : ''
      })),
      ...connections.map(({ count, rate, ms, mebibytes }) => ({
        what: `${count} connections`,
        figure: `${rate.toFixed(0)} tokens/s, a text in ${ms.median.toFixed(0)} ms (p99 ${ms.p99.toFixed(0)}), ${mebibytes.toFixed(0)} MiB`
      }))
    ],
    { passes, peaks, connections }
  )
}

async function measurePasses() {
  const denoiser = await OnnxDenoiser.load('models/student', options)
  const passes = []
  for (const length of LENGTHS) {
    const rates = []
    for (const batch of BATCHES) {
      const pass = warmUpPass(denoiser.manifest, batch, length, length / STEPS)
      await denoiser.run(pass)
      const times = []
      for (let i = 0; i < REPEATS; i++) times.push((await denoiser.run(pass)).passMs)
      rates.push((1000 * batch * length) / minMedianMax(times).median)
    }
    passes.push({ length, rates })
  }
  await denoiser.close()
  return passes
}

async function measurePeaks() {
  const folder = join(fullSizeModel(), 'float32')
  const peaks = []
  for (const [batch, length] of PEAKS) {
    const child = fork(fileURLToPath(import.meta.url))
    child.send({ folder, batch, length })
    const [peak] = await once(child, 'message')
    peaks.push({ batch, length, ...peak })
    await once(child, 'exit')
  }
  return peaks
}

/** In a process of its own, because a peak never falls. */
async function tellPeak() {
  const [{ folder, batch, length }] = await once(process, 'message')
  const denoiser = await OnnxDenoiser.load(folder, options)
  const { passMs } = await denoiser.run(warmUpPass(denoiser.manifest, batch, length, length / STEPS))
  const mebibytes = Number(readFileSync('/proc/self/status', 'utf8').match(/VmHWM:\s+(\d+)/)[1]) / 1024
  process.send({ mebibytes, seconds: passMs / 1000 }, () => process.disconnect())
}

async function measureConnections() {
  const server = await startServer(['--model', 'models/student', '--device', 'cpu'])
  const results = []
  for (const count of CONNECTIONS) {
    const times = []
    const start = performance.now()
    const client = async (i) => {
      for (let seed = i; performance.now() < start + 1000 * SECONDS; seed += count) {
        const asked = performance.now()
        await infill(server.url, { template: ['Once upon a time', { mask: HOLE }], seed })
        times.push(performance.now() - asked)
      }
    }
    await Promise.all(Array.from({ length: count }, (_, i) => client(i)))
    const rate = (1000 * HOLE * times.length) / (performance.now() - start)
    const ms = { median: quantile(times, 0.5), p99: quantile(times, 0.99) }
    results.push({ count, rate, ms, mebibytes: await server.residentMiB() })
  }
  await server.stop()
  return results
}
