/** Memory under load that does not end: 2 minutes, or as many as SOAK_MINUTES says. */
import { setTimeout } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { post, startServer, TOYS } from '../integration/server-process.js'
import { atRest, ended, metric, residentMib, watched } from './server-watch.js'
import { trial } from './trial.js'

const minutes = Number(process.env.SOAK_MINUTES ?? 2)
const CLIENTS = 8
/** Of the time: start-up and the first garbage are over. */
const WARM_UP = 0.3
const BLOCKS = 12
/** What memory may grow by from the first minute to the last, where that is certain. A kilobyte kept of each text would be more. */
const GROWTH_MIB = 15
const STANDARD_ERRORS = 3

const request = (seed: number) => ({
  model: seed % 2 ? 'toy-mixture' : 'toy-product',
  prompt: ' red',
  max_tokens: 10 + (seed % 90),
  steps: 1 + (seed % 30),
  seed
})

const ways: ((url: string, seed: number) => Promise<void>)[] = [
  async (url, seed) => {
    await (await post(`${url}/v1/completions`, request(seed))).text()
  },
  async (url, seed) => {
    await (await post(`${url}/v1/completions`, { ...request(seed), stream: true, drafts: true })).text()
  },
  async (url, seed) => {
    const answer = await post(`${url}/v1/completions`, { ...request(seed), stream: true })
    await answer.body!.cancel()
  },
  (url, seed) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`)
      socket.once('error', reject).once('close', () => resolve())
      socket.once('open', () =>
        socket.send(JSON.stringify({ type: 'completion', id: 'a', request: request(seed) }))
      )
      socket.on('message', (data) => JSON.parse(String(data)).type === 'sequence-end' && socket.close())
    })
]

interface Sample {
  readonly minute: number
  readonly mib: number
}

/**
 * The least-squares slope of the least memory of each block of time: garbage comes and goes above what is kept.
 * @returns MiB a minute, and its standard error
 */
function slopeOf(samples: readonly Sample[]): { slope: number; error: number } {
  const size = Math.floor(samples.length / BLOCKS)
  const floors = Array.from({ length: BLOCKS }, (_, i) =>
    samples
      .slice(i * size, (i + 1) * size)
      .reduce((least, sample) => (sample.mib < least.mib ? sample : least))
  )
  const mean = (of: (sample: Sample) => number) => floors.reduce((sum, one) => sum + of(one), 0) / BLOCKS
  const minute = mean((one) => one.minute)
  const mib = mean((one) => one.mib)
  const spread = mean((one) => (one.minute - minute) ** 2)
  const slope = mean((one) => (one.minute - minute) * (one.mib - mib)) / spread
  const residual = mean((one) => (one.mib - mib - slope * (one.minute - minute)) ** 2)
  return { slope, error: Math.sqrt(residual / (BLOCKS - 2) / spread) }
}

trial(
  `${minutes} minutes of texts: JSON, events with drafts, WebSocket, every fourth left part way; ${CLIENTS} clients`,
  `resident memory of server and denoisers grows by no more than ${GROWTH_MIB} MiB, or ${STANDARD_ERRORS} standard errors`,
  async (t) => {
    const server = await startServer(t, ...TOYS, '--max-text-tokens', '200', '--log-level', 'error')
    const { url, child } = server
    const processes = { server: child.pid!, denoisers: await server.denoisers() }
    const samples: { server: Sample[]; denoisers: Sample[] } = { server: [], denoisers: [] }
    const begun = performance.now()
    const minute = () => (performance.now() - begun) / 60_000
    const lost: string[] = []
    let asked = 0
    const client = async () => {
      while (minute() < minutes) {
        const seed = asked++
        await ways[seed % ways.length]!(url, seed).catch((error) => lost.push(String(error)))
      }
    }
    const look = async () => {
      while (minute() < minutes) {
        await setTimeout(250 * minutes)
        const denoisers = await Promise.all(processes.denoisers.map(residentMib))
        samples.server.push({ minute: minute(), mib: await residentMib(processes.server) })
        samples.denoisers.push({ minute: minute(), mib: denoisers.reduce((sum, mib) => sum + mib, 0) })
      }
    }
    const health = await watched(url, () => Promise.all([look(), ...Array.from({ length: CLIENTS }, client)]))
    await atRest(url)
    t.equal(await metric(url, 'fewstep_denoiser_restarts_total'), 0)
    if ((await ended(url)) !== asked) lost.push(`${asked} asked, ${await ended(url)} counted`)
    const notes = Object.entries(samples).map(([what, all]) => {
      const { slope, error } = slopeOf(all.slice(Math.floor(all.length * WARM_UP)))
      if (slope * minutes > GROWTH_MIB && slope > STANDARD_ERRORS * error)
        lost.push(`${what}: ${slope} MiB a minute`)
      return `${what} ${slope.toFixed(2)} ± ${error.toFixed(2)} MiB a minute at ${Math.round(all.at(-1)!.mib)} MiB`
    })
    return { times: asked, lost: [...lost, ...health.lost], note: notes.join(', ') }
  }
)
