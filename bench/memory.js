/** Does memory stay flat over many requests? */
import { report } from './report.js'
import { infill, inParallel, startServer } from './server.js'

const REQUESTS = 2000
const EVERY = 250

const server = await startServer(['--model', 'models/student', '--device', 'cpu'])
const residentMiB = []
for (let done = 0; done < REQUESTS; done += EVERY) {
  await inParallel(EVERY, 32, (i) =>
    infill(server.url, { template: ['Once', { mask: 8 + ((i * 37) % 120) }], steps: 2, seed: done + i })
  )
  residentMiB.push(Math.round(await server.residentMiB()))
}
await server.stop()

report(
  'memory',
  `Resident memory of the server and its denoiser over ${REQUESTS} requests of 8 to 127 tokens, 32 at a time.`,
  [
    { what: `after ${EVERY}`, figure: `${residentMiB[0]} MiB` },
    { what: `after ${REQUESTS / 2}`, figure: `${residentMiB[residentMiB.length / 2 - 1]} MiB` },
    { what: `after ${REQUESTS}`, figure: `${residentMiB.at(-1)} MiB` },
    {
      what: 'last half: growth',
      figure: `${residentMiB.at(-1) - residentMiB[residentMiB.length / 2 - 1]} MiB`,
      goal: 'flat'
    }
  ],
  { residentMiB }
)
