/** Clients that ask for more than fits into the buffers of their connection, and take nothing of it. */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { startServer, TOYS } from '../integration/server-process.js'
import { connection, postBytes } from './connection.js'
import { atRest, descriptors, descriptorsFall, metric, textOf, watched } from './server-watch.js'
import { trial } from './trial.js'

const OF_A_KIND = 10
const TIMEOUT_MS = 4000
/** All texts have to be written first as far as the buffers go. */
const PATIENCE_MS = 90_000
const flags = ['--max-text-tokens', '2000', '--max-queue', '2000', '--reader-timeout-ms', String(TIMEOUT_MS)]
const large = { model: 'toy-mixture', prompt: ' red', n: 16, max_tokens: 1500, steps: 8, logprobs: 5 }
const small = { model: 'toy-mixture', prompt: ' red', max_tokens: 50, steps: 8, seed: 3 }

async function deafStream(url: string): Promise<void> {
  const socket = await connection(url)
  socket.pause()
  socket.write(postBytes('/v1/completions', JSON.stringify({ ...large, stream: true, drafts: true })))
}

async function deafSocket(url: string): Promise<void> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`)
  socket.on('error', () => {})
  await once(socket, 'open')
  socket.send(JSON.stringify({ type: 'completion', id: 'a', request: large }))
  socket.pause()
}

trial(
  `clients that take nothing of ${OF_A_KIND} event streams and ${OF_A_KIND} WebSockets, 16 texts of 1,500 tokens each`,
  `each cut off when it has taken nothing for ${TIMEOUT_MS / 1000} s, its places free; a neighbour gets its texts`,
  async (t) => {
    const server = await startServer(t, ...TOYS, ...flags, '--log-level', 'error')
    const { url } = server
    const expected = await textOf(url, small)
    const open = await descriptors(server)
    const lost: string[] = []
    let neighbours = 0
    const health = await watched(url, async () => {
      const begun = performance.now()
      for (let i = 0; i < OF_A_KIND; i++) await Promise.all([deafStream(url), deafSocket(url)])
      const cut = () => metric(url, 'fewstep_connections_cut_total', 'reason="stalled"')
      while ((await cut()) < 2 * OF_A_KIND && performance.now() - begun < PATIENCE_MS) {
        if ((await textOf(url, small)) !== expected) lost.push('the neighbour got another text')
        neighbours++
        await setTimeout(100)
      }
      const count = await cut()
      if (count < 2 * OF_A_KIND) lost.push(`${count} of ${2 * OF_A_KIND} were cut`)
    })
    await atRest(url)
    if (!(await descriptorsFall(server, open + 4, 10_000))) lost.push('connections stay')
    return {
      times: 2 * OF_A_KIND,
      lost: [...lost, ...health.lost],
      note: `${neighbours} texts of the neighbour`
    }
  }
)
