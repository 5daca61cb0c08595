/** Does memory stay flat over many requests? */
import { report } from './report.js'
import { infill, inParallel, startServer } from './server.js'

/** Long enough for several full collections of the JavaScript heap, which grows by some 100 MiB between them. */
const REQUESTS = 8000
const EVERY = 500

const server = await startServer(['--model', 'models/student', '--device', 'cpu'])
const residentMiB = []
for (let done = 0; done < REQUESTS; done += EVERY) {
  await inParallel(EVERY, 32, (i) =>
    infill(server.url, { template: ['Once', { mask: 8 + ((i * 37) % 120) }], steps: 2, seed: done + i })
  )
  residentMiB.push(Math.round(await server.residentMiB()))
}
await server.stop()

const mib = (value) => `${value} MiB`
report(
  'memory',
  `Resident memory of the server and its denoiser over ${REQUESTS} requests of 8 to 127 tokens, 32 at a time.`,
  [
    { what: `after ${EVERY}`, figure: mib(residentMiB[0]) },
    { what: 'most', figure: mib(Math.max(...residentMiB)) },
    { what: `after ${REQUESTS}`, figure: mib(residentMiB.at(-1)), goal: 'as at first' }
  ],
  { residentMiB }
)
