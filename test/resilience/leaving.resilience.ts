/** Clients that come and go. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { randomFrom } from '../../src/bench/random.js'
import { TOYS } from '../integration/server-process.js'
import { connection, postBytes } from './connection.js'
import { startInspected } from './kept-memory.js'
import { SEED } from './seed.js'
import { atRest, descriptors, descriptorsFall, each, ended, metric, textOf, watched } from './server-watch.js'
import { trial } from './trial.js'

const flags = [...TOYS, '--max-text-tokens', '4000', '--max-queue', '2000', '--log-level', 'error']
/** A pass of four texts: the others wait. */
const smallPasses = ['--max-batch-tokens', '64']
/** Room for caches and code compiled late: 1.1 MiB was the most seen. */
const KEPT_KIB = 2000
const SECOND_MS = 1000

/** Ways to come to a server and leave it. */
const comings: ((url: string) => Promise<Socket>)[] = [
  connection,
  async (url) => sent(await connection(url), 'GET /v1/mod'),
  async (url) => sent(await connection(url), 'GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n'),
  async (url) => sent(await connection(url), postBytes('/v1/completions', '{"prompt": "').slice(0, -5)),
  async (url) => sent(await connection(url), postBytes('/v1/completions', '{"prompt": " red"}'))
]

async function sent(socket: Socket, bytes: string): Promise<Socket> {
  await new Promise((resolve) => socket.write(bytes, resolve))
  return socket
}

trial(
  'connections made and dropped: at once, part way through a request, before its answer, by end and by reset',
  `every connection let go; of the last 4,000 no more than ${KEPT_KIB} KiB kept`,
  async (t) => {
    const server = await startInspected(t, ...flags)
    const { url } = server
    const open = await descriptors(server)
    const lost: string[] = []
    const come = async (n: number) => {
      const socket = await comings[n % comings.length]!(url).catch((error: Error) => error)
      if (socket instanceof Error) lost.push(String(socket))
      else if (n % 3 === 0) socket.resetAndDestroy()
      else socket.destroy()
    }
    await each(Array(6000).keys(), 64, come)
    await atRest(url)
    const before = await server.keptKib()
    const health = await watched(url, () => each(Array(4000).keys(), 64, come))
    await atRest(url)
    const kept = Math.round((await server.keptKib()) - before)
    if (kept > KEPT_KIB) lost.push(`${kept} KiB kept`)
    if (!(await descriptorsFall(server, open + 4, 10_000))) lost.push('connections stay')
    return { times: 10_000, lost: [...lost, ...health.lost], note: `${kept} KiB kept` }
  }
)

const sampling = { steps: 900, seed: 11 }
const long = { model: 'toy-mixture', prompt: ' red', max_tokens: 900, ...sampling }
const infill = {
  model: 'toy-mixture',
  template: [' red', { mask: 6 }, ' blue', { mask: 6 }],
  ...sampling
}
const events = { stream: true, drafts: true }
const inference = { text_input: ' red', parameters: { max_tokens: 900, ...sampling } }

/** Asks for a text as events, and hangs up a little after the first. */
const leaveEvents = (path: string, body: object) => async (url: string, afterMs: number) => {
  const socket = await sent(await connection(url), postBytes(path, JSON.stringify(body)))
  await once(socket, 'data')
  await setTimeout(afterMs)
  socket.destroy()
}

/** Ways to ask for a text and to leave when it has begun, or a little later, or while it waits. Each resolves when it has left. */
const leavings: ((url: string, afterMs: number) => Promise<unknown>)[] = [
  async (url, afterMs) => {
    const socket = await sent(await connection(url), postBytes('/v1/completions', JSON.stringify(long)))
    await setTimeout(20 + afterMs)
    socket.destroy()
  },
  leaveEvents('/v1/completions', { ...long, ...events }),
  leaveEvents('/v1/infill', { ...infill, stream: true }),
  leaveEvents('/v2/models/toy-mixture/generate_stream', inference),
  async (url, afterMs) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`)
    await once(socket, 'open')
    const left = new Promise((resolve) => {
      socket.on('message', (data) => {
        const { type } = JSON.parse(String(data))
        if (type === 'error' || type === 'sequence-end') resolve(undefined)
      })
    })
    socket.send(JSON.stringify({ type: 'completion', id: 'a', request: long }))
    await once(socket, 'message')
    await setTimeout(afterMs)
    socket.send(JSON.stringify({ type: 'cancel', id: 'a' }))
    await left // with an error that says so, or with its end
    socket.terminate()
  },
  async (url, afterMs) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`)
    await once(socket, 'open')
    socket.send(JSON.stringify({ type: 'completion', id: 'a', request: long }))
    await once(socket, 'message')
    await setTimeout(afterMs)
    socket.terminate()
  }
]

trial(
  'texts left at a random moment, some while they wait: JSON, events of three routes, WebSocket by message and by hanging up; beside one that stays',
  `places free at once; completed + cancelled + failed + refused = asked; the neighbour gets its text; of the last 500 no more than ${KEPT_KIB} KiB kept`,
  async (t) => {
    const server = await startInspected(t, ...flags, ...smallPasses)
    const { url } = server
    const expected = await textOf(url, long)
    const open = await descriptors(server)
    const before = await ended(url)
    const lost: string[] = []
    const random = randomFrom(SEED)
    let mostWaiting = 0
    const leave = (count: number) =>
      each(Array(count).keys(), 16, async (n) => {
        if (n % 25 === 0) mostWaiting = Math.max(mostWaiting, await metric(url, 'fewstep_queued_sequences'))
        await leavings[n % leavings.length]!(url, random() * 200)
      })
    await leave(500)
    await atRest(url)
    const keptBefore = await server.keptKib()
    let neighbours = 0
    let leaving = true
    const stay = async () => {
      while (leaving) {
        if ((await textOf(url, long)) !== expected) lost.push('the neighbour got another text')
        neighbours++
      }
    }
    const staying = stay()
    const health = await watched(url, () => leave(500))
    leaving = false
    await staying
    const rest = performance.now()
    await atRest(url)
    const restMs = performance.now() - rest
    if (restMs > SECOND_MS) lost.push(`places were held ${restMs} ms`)
    const asked = 1000 + neighbours
    const sum = (await ended(url)) - before
    if (sum !== asked) lost.push(`${asked} asked, ${sum} counted`)
    const cancelled = await metric(url, 'fewstep_sequences_total', 'outcome="cancelled"')
    if (!(await descriptorsFall(server, open + 4, 10_000))) lost.push('connections stay')
    t.ok(cancelled > 500, `${cancelled} were left part way`)
    t.ok(mostWaiting > 0, 'some waited')
    const kept = Math.round((await server.keptKib()) - keptBefore)
    if (kept > KEPT_KIB) lost.push(`${kept} KiB kept`)
    return {
      times: 1000,
      lost: [...lost, ...health.lost],
      note: `${cancelled} cancelled part way, ${neighbours} neighbours, ${kept} KiB kept`
    }
  }
)
