/** Does the server answer while passes run? A thread of its own asks, so that the clients' work does not count. */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { quantile, report } from './report.js'
import { infill, startServer } from './server.js'

const CONCURRENT = 64
const SECONDS = 15

await (isMainThread ? measure() : probe(workerData))

async function measure() {
  const server = await startServer(['--model', 'models/student', '--device', 'cpu'])
  const prober = new Worker(new URL(import.meta.url), { workerData: server.url })
  await once(prober, 'message') // it has asked once: its own first request is slow
  const end = performance.now() + SECONDS * 1000
  let texts = 0
  const client = async (i) => {
    while (performance.now() < end) {
      await infill(server.url, { template: ['Once upon a time', { mask: 128 }], seed: i })
      texts++
    }
  }
  const load = Promise.all(Array.from({ length: CONCURRENT }, (_, i) => client(i)))
  const [health] = await once(prober, 'message')
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  const lagMs = Number(metrics.match(/^nodejs_eventloop_lag_p99_seconds (\S+)/m)[1]) * 1000
  await load
  await server.stop()

  const ms = (value) => `${value.toFixed(1)} ms`
  report(
    'responsiveness',
    `Event-loop delay of the server and latency of /health/live while ${CONCURRENT} clients keep it busy for ${SECONDS} s.`,
    [
      { what: 'event-loop delay, p99', figure: ms(lagMs), goal: '< 20 ms' },
      { what: '/health/live, median', figure: ms(quantile(health, 0.5)) },
      { what: '/health/live, p99', figure: ms(quantile(health, 0.99)) },
      { what: '/health/live, max', figure: ms(Math.max(...health)), goal: '< 50 ms' }
    ],
    { texts, probes: health.length }
  )
}

/** Tells the milliseconds of each request to /health/live. */
async function probe(url) {
  const ask = async () => {
    const start = performance.now()
    await (await fetch(`${url}/health/live`)).text()
    return performance.now() - start
  }
  await ask()
  parentPort.postMessage('ready')
  const end = performance.now() + SECONDS * 1000
  const health = []
  while (performance.now() < end) {
    health.push(await ask())
    await setTimeout(20)
  }
  parentPort.postMessage(health)
}
