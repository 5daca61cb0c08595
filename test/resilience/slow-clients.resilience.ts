/** Clients that take for ever, hundreds of each kind at once. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { startServer, TOYS } from '../integration/server-process.js'
import { connection } from './connection.js'
import { descriptors, descriptorsFall, each, textOf, watched } from './server-watch.js'
import { trial } from './trial.js'

const OF_A_KIND = 100
/** A request must be there within 60 s, which is looked at every 30 s; a silent connection may stay a little longer. */
const PATIENCE_MS = 110_000

const post = 'POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'
const upgrade =
  'GET /v1/stream HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
/** What they begin with, and what they then send a byte of every second. */
const kinds: Record<string, readonly [start: string, drip: string]> = {
  'nothing at all': ['', ''],
  'half a request, and no more': ['GET /v1/models HTTP/1.1\r\nho', ''],
  'headers, a letter a second': ['GET /v1/models HTTP/1.1\r\nx: ', 'x'],
  'a body, a letter a second': [`${post}content-length: 9000\r\n\r\n`, ' '],
  'a chunked body, a letter a second': [`${post}transfer-encoding: chunked\r\n\r\nfff\r\n`, ' '],
  'one request, then silence': ['GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n', ''],
  'a TLS handshake that never ends': ['', ''],
  'a WebSocket frame, a letter a second': [`${upgrade}\x81\xfe\x0f\xff\0\0\0\0`, 'x']
}

trial(
  `clients that send a letter a second, or nothing (${Object.keys(kinds).length} kinds, ${OF_A_KIND} of each at once)`,
  'each cut off within 110 s; others served all the time',
  async (t) => {
    const flags = [...TOYS, '--heartbeat-ms', '5000', '--log-level', 'error']
    const server = await startServer(t, ...flags)
    const tls = ['--tls-cert', 'test/fixtures/tls/cert.pem', '--tls-key', 'test/fixtures/tls/key.pem']
    const secure = await startServer(t, ...flags, ...tls)
    const open = await descriptors(server)
    const held = new Map<string, number>()
    const slow = Object.entries(kinds).flatMap(([kind, script]) => Array(OF_A_KIND).fill([kind, ...script]))
    const sockets: Socket[] = []
    const lost: string[] = []
    let served = 0
    let longestMs = 0
    const health = await watched(server.url, async () => {
      const ends = new Set<Promise<void>>()
      await each(slow, 32, async ([kind, start, drip]: [string, string, string]) => {
        const socket = await connection(kind.startsWith('a TLS') ? secure.url : server.url)
        sockets.push(socket)
        socket.resume()
        socket.write(start, 'latin1')
        const drips = drip && setInterval(() => socket.write(drip), 1000)
        const begun = performance.now()
        const end = once(socket, 'close').then(() => {
          clearInterval(drips || undefined)
          held.set(kind, Math.max(held.get(kind) ?? 0, performance.now() - begun))
          ends.delete(end)
        })
        ends.add(end)
      })
      const until = performance.now() + PATIENCE_MS
      while (ends.size > 0 && performance.now() < until) {
        const begun = performance.now()
        await textOf(server.url, { model: 'toy-mixture', prompt: ' red', max_tokens: 4 })
        longestMs = Math.max(longestMs, performance.now() - begun)
        served++
        await setTimeout(100)
      }
      if (ends.size > 0) lost.push(`${ends.size} were still there`)
      for (const socket of sockets) socket.destroy()
    })
    for (const kind of Object.keys(kinds)) if (!held.has(kind)) lost.push(`${kind}: still there`)
    t.ok(await descriptorsFall(server, open + 4, 10_000), 'no connection stays')
    const times = [...held].map(([kind, ms]) => `${kind}: ${Math.round(ms / 1000)} s`).join('; ')
    const note = `${served} texts meanwhile, ${Math.round(longestMs)} ms at most; held at most ${times}`
    return { times: slow.length, lost: [...lost, ...health.lost], note }
  }
)
