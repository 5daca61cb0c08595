/** How long does one person wait? */
import { minMedianMax, report } from './report.js'
import { infill, startServer } from './server.js'

const ROUNDS = 10

const server = await startServer(['--device', 'cpu'])
const times = { student: [], teacher: [] }
for (let round = 0; round <= ROUNDS; round++) {
  for (const [model, list] of Object.entries(times)) {
    const start = performance.now()
    await infill(server.url, { model, template: ['Once upon a time', { mask: 128 }], seed: round })
    if (round > 0) list.push(performance.now() - start) // the first is a warm-up
  }
}
await server.stop()

const seconds = (list) => {
  const { min, median, max } = minMedianMax(list)
  return `${[min, median, max].map((ms) => (ms / 1000).toFixed(3)).join(', ')} s`
}
report(
  'single-text',
  'One client, 128 new tokens at the default steps of each bundled model, in turn (min, median, max).',
  [
    { what: 'student', figure: seconds(times.student), goal: '< 2 s' },
    { what: 'teacher', figure: seconds(times.teacher) },
    { what: 'start to ready', figure: `${(server.readyMs / 1000).toFixed(2)} s`, goal: '< 2 s' }
  ],
  times
)
