/** Memory under load that does not end: 2 minutes, or as many as SOAK_MINUTES says. */
import { setTimeout } from 'node:timers/promises'
import { post, TOYS } from '../integration/server-process.js'
import { startInspected } from './kept-memory.js'
import { revealedText } from './revealed-text.js'
import { atRest, ended, metric, residentMib, textOf, watched } from './server-watch.js'
import { streamedText } from './streamed-text.js'
import { trial } from './trial.js'

const minutes = Number(process.env.SOAK_MINUTES ?? 2)
const CLIENTS = 8
/** Of the time: caches fill, code is compiled. */
const WARM_UP = 0.3
const SAMPLES = 60
/** What the heap may grow by after that: room for code that is compiled late, and hardly anything for each text. */
const KEPT_KIB = 1024
const KEPT_BYTES_A_TEXT = 10
/** Resident memory has the holes that allocators leave, too. */
const GROWTH_MIB = 15
/** Requests that differ: each asked for again and again, always in the same way. */
const REQUESTS = 360

const request = (seed: number) => ({
  model: seed % 2 ? 'toy-mixture' : 'toy-product',
  prompt: ' red',
  max_tokens: 10 + (seed % 90),
  steps: 1 + (seed % 30),
  seed
})

/** Each gives the text, where it stays to the end. */
const ways: ((url: string, seed: number) => Promise<string | undefined>)[] = [
  (url, seed) => textOf(url, request(seed)),
  (url, seed) => streamedText(url, { ...request(seed), drafts: true }),
  async (url, seed) => {
    const answer = await post(`${url}/v1/completions`, { ...request(seed), stream: true })
    await answer.body!.cancel()
    return undefined
  },
  (url, seed) => revealedText(url, request(seed))
]

type Point = readonly [texts: number, amount: number]

/** By how much the least-squares line through these rises from the first to the last, and the standard error of that. */
function growthOf(points: readonly Point[]): { growth: number; error: number } {
  const mean = (of: (point: Point) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const x = mean(([texts]) => texts)
  const y = mean(([, amount]) => amount)
  const spread = mean(([texts]) => (texts - x) ** 2)
  const slope = mean(([texts, amount]) => (texts - x) * (amount - y)) / spread
  const residual = mean(([texts, amount]) => (amount - y - slope * (texts - x)) ** 2)
  const span = points.at(-1)![0] - points[0]![0]
  return { growth: slope * span, error: span * Math.sqrt(residual / (points.length - 2) / spread) }
}

trial(
  `${minutes} minutes of texts: JSON, events with drafts, WebSocket, every fourth left part way; ${CLIENTS} clients`,
  `each text is the one of its seed; garbage collected, the heap grows by no more than ${KEPT_KIB} KiB and ${KEPT_BYTES_A_TEXT} bytes a text, resident memory of server and denoisers by ${GROWTH_MIB} MiB each`,
  async (t) => {
    const server = await startInspected(t, ...TOYS, '--max-text-tokens', '200', '--log-level', 'error')
    const { url, child } = server
    const denoisers = await server.denoisers()
    const texts = new Map<number, string>()
    const lost: string[] = []
    let asked = 0
    const begun = performance.now()
    const share = () => (performance.now() - begun) / (minutes * 60_000)
    const client = async () => {
      while (share() < 1) {
        const seed = asked++ % REQUESTS
        const text = await ways[seed % ways.length]!(url, seed).catch((error: Error) => {
          lost.push(String(error))
          return undefined
        })
        if (text === undefined) continue
        if ((texts.get(seed) ?? text) !== text) lost.push(`another text for seed ${seed}`)
        texts.set(seed, text)
      }
    }
    const samples = { heap: [] as Point[], server: [] as Point[], denoisers: [] as Point[] }
    const look = async () => {
      while (share() < 1) {
        await setTimeout((minutes * 60_000) / SAMPLES)
        const kib = await server.keptKib()
        if (share() < WARM_UP) continue
        const all = await Promise.all([child.pid!, ...denoisers].map(residentMib))
        samples.heap.push([asked, kib])
        samples.server.push([asked, all[0]!])
        samples.denoisers.push([asked, all.slice(1).reduce((sum, mib) => sum + mib, 0)])
      }
    }
    const health = await watched(url, () => Promise.all([look(), ...Array.from({ length: CLIENTS }, client)]))
    await atRest(url)
    t.equal(await metric(url, 'fewstep_denoiser_restarts_total'), 0)
    t.ok(texts.size > REQUESTS / 2, 'texts were compared')
    if ((await ended(url)) !== asked) lost.push(`${asked} asked, ${await ended(url)} counted`)
    const allowed = {
      heap: KEPT_KIB + (KEPT_BYTES_A_TEXT * asked) / 1024,
      server: GROWTH_MIB,
      denoisers: GROWTH_MIB
    }
    const notes = Object.entries(samples).map(([what, points]) => {
      const { growth, error } = growthOf(points)
      const unit = what === 'heap' ? 'KiB' : 'MiB'
      if (growth > allowed[what as keyof typeof allowed]) lost.push(`${what}: ${growth} ${unit} more`)
      return `${what} ${growth.toFixed(1)} ± ${error.toFixed(1)} ${unit} more, at ${Math.round(points.at(-1)![1])}`
    })
    return { times: asked, lost: [...lost, ...health.lost], note: notes.join('; ') }
  }
)
