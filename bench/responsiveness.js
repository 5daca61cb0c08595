/** Does the server answer while passes run? */
import { setTimeout } from 'node:timers/promises'
import { quantile, report } from './report.js'
import { infill, startServer } from './server.js'

const CONCURRENT = 64
const SECONDS = 15

const server = await startServer(['--model', 'models/student', '--device', 'cpu'])
const end = performance.now() + SECONDS * 1000
let texts = 0
const load = Array.from({ length: CONCURRENT }, async (_, i) => {
  while (performance.now() < end) {
    await infill(server.url, { template: ['Once upon a time', { mask: 128 }], seed: i })
    texts++
  }
})
const health = []
while (performance.now() < end) {
  const start = performance.now()
  await (await fetch(`${server.url}/health/live`)).text()
  health.push(performance.now() - start)
  await setTimeout(20)
}
const metrics = await (await fetch(`${server.url}/metrics`)).text()
const lagMs = Number(metrics.match(/^nodejs_eventloop_lag_p99_seconds (\S+)/m)[1]) * 1000
await Promise.all(load)
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
