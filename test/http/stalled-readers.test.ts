import { once } from 'node:events'
import { type Socket as Connection, connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { install } from '@sinonjs/fake-timers'
import t, { type Test } from 'tap'
import { build, listen, parseEvents, post, postTo, Socket, until } from '../helper.js'

t.test('a client that takes nothing is cut off after the stated time, and hurts nobody else', async (t) => {
  const { app, metrics } = await build(t, { limits: { readerTimeoutMs: 400 } })
  const address = await listen(app)
  const stalled = connect(Number(new URL(address).port), '127.0.0.1')
  stalled.on('error', () => {}) // a reset is what is wanted
  await once(stalled, 'connect')
  stalled.pause()
  stalled.write('GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(1000))
  const connections = () =>
    new Promise<number>((resolve) => app.server.getConnections((_error, n) => resolve(n)))
  t.equal(await connections(), 1)
  let others = 0
  while ((await connections()) > 0) {
    const answer = await fetch(`${address}/health/live`, { headers: { connection: 'close' } })
    await answer.arrayBuffer()
    others++
  }
  t.ok(others > 0)
  t.match(await metrics.registry.metrics(), /fewstep_connections_cut_total\{reason="stalled"\} 1/)
})

t.test('texts of a client that is cut off were stalled: it did not leave', async (t) => {
  const { app, denoiser, scheduler } = await build(t, { limits: { readerTimeoutMs: 400 } })
  const socket = await Socket.open(t, await listen(app))
  const held = denoiser.holdAt(20)
  socket.send({ type: 'completion', id: 'a', request: { n: 8, max_tokens: 190, steps: 40 } })
  await held
  socket.ws.pause()
  for (let i = 0; i < 200; i++) socket.send({ type: 'snapshot', id: 'a' })
  await until(() => scheduler.stats.running === 0)
  t.match(scheduler.endings.cancelled, { stalled: 8, left: 0 })
})

t.test('a client that reads slowly is not cut off', async (t) => {
  const { app, metrics } = await build(t, { limits: { readerTimeoutMs: 1000 } })
  const slow = connect(Number(new URL(await listen(app)).port), '127.0.0.1')
  slow.write('GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(1000))
  for (let reads = 0; reads < 50; reads++) {
    await once(slow, 'readable')
    while (slow.read() !== null) {}
    await setTimeout(40) // 2 s in all: twice as long as a stalled one has
  }
  t.notOk(slow.destroyed)
  t.match(await metrics.registry.metrics(), /reason="stalled"\} 0/)
  slow.destroy()
})

t.test('a connection too many is closed at once', async (t) => {
  const { app, metrics } = await build(t, { limits: { maxConnections: 1 } })
  const port = Number(new URL(await listen(app)).port)
  const first = connect(port, '127.0.0.1')
  await once(first, 'connect')
  const second = connect(port, '127.0.0.1')
  await once(second, 'close')
  t.match(await metrics.registry.metrics(), /fewstep_connections_cut_total\{reason="full"\} 1/)
  first.end('GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n')
  t.match(String((await once(first, 'data'))[0]), /^HTTP\/1\.1 200/)
})

const request = { max_tokens: 100, steps: 200, seed: 1 }

/** Two texts whose connections take nothing and one beside them, where it is looked for stalled readers when the clock is told to go on. */
async function withStalledTexts(t: Test) {
  const clock = install({ toFake: ['setInterval', 'clearInterval'] })
  t.teardown(() => clock.uninstall())
  const server = await build(t, { limits: { readerTimeoutMs: 400 } })
  const { app, denoiser, scheduler } = server
  const connections: Connection[] = []
  app.server.on('connection', (connection: Connection) => connections.push(connection))
  const address = await listen(app)
  const socket = await Socket.open(t, address)
  clock.tick(100) // sees that the handshake has left
  // The buffers of the kernel would take a whole text.
  app.server.on('connection', (connection: Connection) => connection.cork())
  connections[0]!.cork()
  const held = denoiser.holdAt(20)
  socket.send({ type: 'completion', id: 'a', request })
  const stream = postTo(`${address}/v1/completions`, { ...request, stream: true, drafts: true })
  stream.catch(() => {}) // it may be cut off
  const neighbour = post(app, '/v1/completions', request)
  await held
  await until(() => scheduler.stats.running === 3)
  await until(() => connections.every(({ writableLength }) => writableLength > 0))
  return { ...server, clock, socket, stream, neighbour, connections }
}

t.test('texts whose readers take nothing end with their connections, and no other text does', async (t) => {
  const { app, clock, denoiser, scheduler, metrics, neighbour } = await withStalledTexts(t)
  clock.tick(400)
  await until(() => scheduler.stats.running === 1)
  t.equal(scheduler.endings.cancelled.stalled, 2)
  t.match(await metrics.registry.metrics(), /fewstep_connections_cut_total\{reason="stalled"\} 2/)
  denoiser.release()
  const { text } = (await neighbour).body.choices[0]
  t.equal(text, (await post(app, '/v1/completions', request)).body.choices[0].text)
})

t.test('a reader that goes on just before it would be cut off gets all of its text', async (t) => {
  const { clock, denoiser, metrics, socket, stream, neighbour, connections } = await withStalledTexts(t)
  clock.tick(300)
  for (const connection of connections) connection.uncork()
  await until(() => connections.every(({ writableLength }) => writableLength === 0))
  clock.tick(400)
  denoiser.release()
  const { text } = (await neighbour).body.choices[0]
  const drafts = parseEvents(await (await stream).text()).slice(0, -1)
  const messages = await socket.readUntil(({ type }) => type === 'sequence-end')
  for (const events of [drafts.map(({ data }) => JSON.parse(data)), messages])
    t.equal(events.map(({ delta }) => delta ?? '').join(''), text)
  t.match(await metrics.registry.metrics(), /reason="stalled"\} 0/)
})
