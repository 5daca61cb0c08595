import { once } from 'node:events'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { type BuildOptions, build, listen, post, Socket, until } from '../helper.js'

async function open(t: Test, options: BuildOptions = {}) {
  const server = await build(t, options)
  const address = await listen(server.app)
  return { ...server, address, socket: await Socket.open(t, address) }
}

const isLast = ({ type }: { type: string }) => type === 'sequence-end' || type === 'error'

t.test('a completion is told from its start to its end', async (t) => {
  const { app, socket } = await open(t)
  const request = { prompt: 'The cat', max_tokens: 20, steps: 10, seed: 1 }
  socket.send({ type: 'completion', id: 'a', request })
  const events = await socket.readUntil(isLast)
  t.match(events[0], { type: 'sequence-start', id: 'a', index: 0, model: 'table', seed: 1, rows: 20 })
  const steps = events.slice(1, -1)
  t.ok(steps.every(({ type, id }) => type === 'step-end' && id === 'a'))
  t.equal(steps.flatMap(({ reveals }) => reveals).length, 20)
  const whole = (await post(app, '/v1/completions', request)).body.choices[0].text
  t.equal(steps.map(({ delta }) => delta).join(''), whole)
  t.match(events.at(-1), { type: 'sequence-end', text: whole, finish_reason: 'length' })
  t.notOk('tokens' in events.at(-1))
})

t.test('an infill takes the same bodies as the route', async (t) => {
  const { socket } = await open(t)
  socket.send({ type: 'infill', id: 'a', request: { template: ['Once ', { mask: 3 }, '.'] } })
  const events = await socket.readUntil(isLast)
  t.match(events.at(-1), { type: 'sequence-end', id: 'a', text: /^Once ( red| green| blue){3}\.$/ })
})

t.test('several requests share a socket, each under its id', async (t) => {
  const { app, socket } = await open(t)
  const request = (seed: number) => ({ max_tokens: 20, seed })
  for (const id of ['a', 'b', 'c'])
    socket.send({ type: 'completion', id, request: request(id.charCodeAt(0)) })
  const texts = new Map<string, string>()
  while (texts.size < 3) {
    const { type, id, text } = await socket.next()
    if (type === 'sequence-end') texts.set(id, text)
  }
  for (const [id, text] of texts) {
    const { body } = await post(app, '/v1/completions', request(id.charCodeAt(0)))
    t.equal(text, body.choices[0].text)
  }
})

t.test('an id is free again after its last event', async (t) => {
  const { socket } = await open(t)
  for (let round = 0; round < 3; round++) {
    socket.send({ type: 'completion', id: 'a', request: { n: 2, max_tokens: 4 } })
    let ends = 0
    await socket.readUntil(({ type }) => type === 'sequence-end' && ++ends === 2)
  }
})

t.test('cancel ends one request and frees its places at once', async (t) => {
  const { socket, denoiser, scheduler } = await open(t)
  denoiser.hold()
  socket.send({ type: 'completion', id: 'a', request: { n: 2, max_tokens: 20 } })
  socket.send({ type: 'completion', id: 'b', request: { max_tokens: 20 } })
  await until(() => scheduler.stats.running === 3)
  socket.send({ type: 'cancel', id: 'a' })
  await until(() => scheduler.stats.running === 1)
  const events = await socket.readUntil(({ type }) => type === 'error')
  t.match(events.at(-1), { id: 'a', error: { code: 'cancelled', type: 'cancelled_error' } })
  denoiser.release()
  const rest = await socket.readUntil(({ type }) => type === 'sequence-end')
  t.ok(rest.every(({ id }) => id === 'b'))
})

t.test('two sockets may use one id, and cancel ends that of its own alone', async (t) => {
  const { address, socket, denoiser, scheduler } = await open(t)
  const other = await Socket.open(t, address)
  denoiser.hold()
  for (const one of [socket, other]) one.send({ type: 'completion', id: 'a', request: { max_tokens: 20 } })
  await until(() => scheduler.stats.running === 2)
  socket.send({ type: 'cancel', id: 'a' })
  t.match((await socket.readUntil(isLast)).at(-1), { id: 'a', error: { code: 'cancelled' } })
  t.equal(scheduler.stats.running, 1)
  denoiser.release()
  t.match((await other.readUntil(isLast)).at(-1), { type: 'sequence-end', id: 'a' })
})

t.test('a request with the goodbye of its socket right behind it starts nothing', async (t) => {
  const { app, socket, denoiser, scheduler } = await open(t)
  socket.send({ type: 'completion', id: 'a', request: { max_tokens: 20 } })
  socket.ws.close() // comes in the same read
  await until(() => app.websocketServer.clients.size === 0)
  t.equal(denoiser.passes.length, 0)
  t.same(scheduler.stats.sequences, { completed: 0, cancelled: 0, failed: 0, refused: 0 })
})

t.test('a snapshot tells all that was revealed so far', async (t) => {
  const { socket, denoiser } = await open(t)
  const held = denoiser.holdAt(4)
  socket.send({ type: 'completion', id: 'a', request: { max_tokens: 30, steps: 30, seed: 1 } })
  await held
  const steps = (await socket.readUntil(({ type }) => type === 'step-end')).slice(1)
  while (steps.length < 3) steps.push(await socket.next())
  socket.send({ type: 'snapshot', id: 'a' })
  const snapshot = await socket.next()
  t.match(snapshot, { type: 'snapshot', id: 'a', index: 0, of: 30, step: steps[2].step })
  t.same(
    snapshot.reveals,
    steps.flatMap(({ reveals }) => reveals)
  )
  denoiser.release()
  t.equal((await socket.readUntil(isLast)).at(-1).type, 'sequence-end')
})

t.test('a bad message gets an error and closes nothing', async (t) => {
  const { socket } = await open(t)
  const refusals: [message: unknown, id: string | null, param: string | null, text: RegExp][] = [
    ['{"type":', null, null, /^message: expected JSON, got /],
    ['', null, null, /^message: expected JSON, got nothing/],
    ['[]', null, null, /^message: expected an object, got array/],
    ['null', null, null, /^message: expected an object, got null/],
    [{}, null, 'type', /^type: expected one of "completion", "infill", "cancel", "snapshot", got undefined/],
    [{ type: 'toString', id: 'a' }, 'a', 'type', /^type: .*got "toString"/],
    [{ type: 'completion', request: {} }, null, 'id', /^id: expected a .*string.*, got nothing/],
    [{ type: 'completion', id: 7, request: {} }, null, 'id', /^id: expected a .*string.*, got 7/],
    [{ type: 'completion', id: '', request: {} }, '', 'id', /^id: expected a non-empty string/],
    [{ type: 'completion', id: 'a' }, 'a', 'request', /^request: expected an object, got nothing/],
    [{ type: 'completion', id: 'a', request: { steps: '4' } }, 'a', 'steps', /^steps: .*, got "4"/],
    [{ type: 'completion', id: 'a', request: { stepz: 4 } }, 'a', 'stepz', /did you mean "steps"/],
    [{ type: 'completion', id: 'a', request: { steps: 9999 } }, 'a', 'steps', /expected 1 to 1000/],
    [{ type: 'completion', id: 'a', request: {}, x: 1 }, 'a', 'x', /unknown field/],
    [{ type: 'infill', id: 'a', request: { template: [3] } }, 'a', 'template[0]', /got 3/],
    [{ type: 'cancel', id: 'a' }, null, 'id', /expected the id of a request in work, got "a"/],
    [{ type: 'snapshot', id: 'a' }, null, 'id', /expected the id of a request in work, got "a"/],
    [
      { type: 'completion', id: 'a', request: { prompt: 'a'.repeat(12_000) } },
      null,
      null,
      /10000 bytes, got 12/
    ]
  ]
  for (const [message, id, param, text] of refusals) {
    socket.send(message)
    const { type, error, ...rest } = await socket.next()
    t.match({ type, ...error }, { type: 'error', param, message: text }, JSON.stringify(message).slice(0, 60))
    t.equal(rest.id, id)
  }
  socket.ws.send(Buffer.from('{}'), { binary: true })
  t.match(await socket.next(), { type: 'error', id: null, error: { message: /got a binary message/ } })
  socket.send({ type: 'completion', id: 'a', request: { max_tokens: 2 } })
  t.equal((await socket.readUntil(isLast)).at(-1).type, 'sequence-end')
})

t.test('bytes that are no UTF-8 become U+FFFD and close nothing', async (t) => {
  const { socket } = await open(t)
  const head = Buffer.from('{"type":"completion","id":"a","request":{"max_tokens":2,"prompt":"')
  socket.ws.send(Buffer.concat([head, Buffer.from([0xff]), Buffer.from('"}}')]), { binary: false })
  t.equal((await socket.readUntil(isLast)).at(-1).type, 'sequence-end')
})

t.test('a message about an id in work that is refused leaves the work alone', async (t) => {
  const { socket, denoiser, scheduler } = await open(t)
  denoiser.hold()
  socket.send({ type: 'completion', id: 'a', request: { max_tokens: 4 } })
  t.equal((await socket.next()).type, 'sequence-start')
  socket.send({ type: 'completion', id: 'a', request: { max_tokens: 4 } })
  t.match(await socket.next(), {
    type: 'error',
    id: null,
    error: { param: 'id', message: /not in use, got "a"/ }
  })
  socket.send({ type: 'cancel', id: 'a', now: true })
  t.match(await socket.next(), { type: 'error', id: null, error: { param: 'now' } })
  t.equal(scheduler.stats.running, 1)
  denoiser.release()
  t.equal((await socket.readUntil(isLast)).at(-1).type, 'sequence-end')
})

t.test('a socket has so many texts in work and no more, and learns when it may have others', async (t) => {
  const { socket, denoiser } = await open(t, { limits: { maxSocketSequences: 3 } })
  denoiser.hold()
  const request = { max_tokens: 4, steps: 1 }
  socket.send({ type: 'completion', id: 'a', request: { ...request, max_tokens: 40, steps: 40 } })
  socket.send({ type: 'completion', id: 'b', request: { ...request, n: 2 } })
  socket.send({ type: 'completion', id: 'c', request })
  const events = await socket.readUntil(({ type }) => type === 'error')
  const refused = { code: 'overloaded', message: /fewer than 3 texts/ }
  t.match(events.at(-1), { id: 'c', error: refused, retry_after_ms: Number })
  denoiser.release()
  await socket.readUntil(({ type, id }) => type === 'sequence-end' && id === 'b')
  socket.send({ type: 'completion', id: 'c', request })
  t.ok(await socket.readUntil(({ type, id }) => type === 'sequence-end' && id === 'c'))
})

t.test('a socket that closes leaves nothing behind', async (t) => {
  const { app, socket, denoiser, scheduler, metrics } = await open(t)
  denoiser.hold()
  for (const id of ['a', 'b']) socket.send({ type: 'completion', id, request: { n: 2, max_tokens: 20 } })
  await until(() => scheduler.stats.running === 4)
  t.match(await metrics.registry.metrics(), /^fewstep_open_websockets 1$/m)
  socket.ws.terminate()
  await until(() => scheduler.stats.running === 0)
  await until(() => app.websocketServer.clients.size === 0)
  t.equal(scheduler.stats.sequences.cancelled, 4)
  t.match(await metrics.registry.metrics(), /^fewstep_open_websockets 0$/m)
})

t.test('a socket that answers no ping is ended, one that does lives on', async (t) => {
  const { address, app, socket } = await open(t, { limits: { heartbeatMs: 500 } })
  const deaf = new WebSocket(`${address.replace('http', 'ws')}/v1/stream`, { autoPong: false })
  await once(deaf, 'open')
  let pings = 0
  socket.ws.on('ping', () => pings++)
  const [code] = await once(deaf, 'close')
  t.equal(code, 1006)
  await until(() => pings > 3)
  t.equal(app.websocketServer.clients.size, 1)
})

t.test('while draining new requests are refused and accepted ones finish', async (t) => {
  const { engine, socket, denoiser } = await open(t)
  denoiser.hold()
  socket.send({ type: 'completion', id: 'a', request: { max_tokens: 4 } })
  t.equal((await socket.next()).type, 'sequence-start')
  const drained = engine.drain()
  socket.send({ type: 'completion', id: 'b', request: { max_tokens: 4 } })
  t.match(await socket.next(), {
    type: 'error',
    id: 'b',
    error: { code: 'draining' },
    retry_after_ms: 1000
  })
  denoiser.release()
  t.match((await socket.readUntil(isLast)).at(-1), { type: 'sequence-end', id: 'a' })
  await drained
})

t.test('a reader that does not read holds no memory, and misses nothing once it reads', async (t) => {
  const { app, socket, denoiser } = await open(t)
  const SNAPSHOTS = 200
  const held = denoiser.holdAt(20)
  socket.send({ type: 'completion', id: 'a', request: { n: 8, max_tokens: 190, steps: 40 } })
  await held
  socket.ws.pause()
  const [server] = app.websocketServer.clients
  for (let i = 0; i < SNAPSHOTS; i++) socket.send({ type: 'snapshot', id: 'a' })
  await until(() => server!.bufferedAmount > 0)
  let most = 0
  for (let turn = 0; turn < 200; turn++) {
    most = Math.max(most, server!.bufferedAmount)
    await new Promise(setImmediate)
  }
  t.ok(most < 100_000, `${most} bytes waited`)
  socket.ws.resume()
  denoiser.release()
  let snapshots = 0
  let ends = 0
  const revealed = new Map<number, number>()
  while (ends < 8) {
    const { type, index, reveals } = await socket.next()
    if (type === 'snapshot') snapshots++
    if (type === 'step-end') revealed.set(index, (revealed.get(index) ?? 0) + reveals.length)
    if (type === 'sequence-end') ends++
  }
  t.same([...revealed.values()], new Array(8).fill(190))
  t.ok(snapshots > 0)
})

t.test('a plain request is told to upgrade, an unknown path is not upgraded', async (t) => {
  const { app, address } = await open(t)
  const answer = await app.inject('/v1/stream')
  t.equal(answer.statusCode, 426)
  t.equal(answer.headers.upgrade, 'websocket')
  t.equal(answer.json().error.code, 'upgrade_required')
  const lost = new WebSocket(`${address.replace('http', 'ws')}/v1/streams`)
  const [error] = await once(lost, 'error')
  t.match(error.message, /404/)
  const misled = new WebSocket(`${address.replace('http', 'ws')}/health/live`)
  await once(misled, 'close')
})

t.test('closing the server says goodbye to its sockets', async (t) => {
  const { app, socket } = await open(t)
  const closed = once(socket.ws, 'close')
  await app.close()
  t.equal((await closed)[0], 1001)
})

t.test('a message so large that it is not read ends the socket, and only that', async (t) => {
  const { app, address, socket } = await open(t)
  const other = await Socket.open(t, address)
  other.send('a'.repeat(50_000))
  const [code] = await once(other.ws, 'close')
  t.equal(code, 1009)
  await until(() => app.websocketServer.clients.size === 1)
  socket.send({ type: 'completion', id: 'a', request: { max_tokens: 2 } })
  t.equal((await socket.readUntil(isLast)).at(-1).type, 'sequence-end')
})
