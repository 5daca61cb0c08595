import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import {
  DisconnectedError,
  FewstepClient,
  FewstepError,
  type SequenceEvent
} from '../../src/client/client.js'
import { type BuildOptions, build, listen, until } from '../helper.js'

async function connect(t: Test, options: BuildOptions = {}, retries = 0) {
  const server = await build(t, options)
  const url = await listen(server.app)
  const client = new FewstepClient(url, { retries, webSocket: WebSocket })
  const stream = client.stream()
  t.teardown(() => {
    server.app.server.closeAllConnections() // fetch opens one in advance, which closing would wait for
    return stream.close()
  })
  return { ...server, url, client, stream }
}

async function read(events: AsyncIterable<SequenceEvent>) {
  const all: SequenceEvent[] = []
  for await (const event of events) all.push(event)
  const end = all.at(-1)!
  const reveals = all.flatMap((event) => (event.type === 'step-end' ? event.reveals : []))
  return { all, reveals, text: end.type === 'sequence-end' ? end.text : undefined }
}

const request = { prompt: 'The cat', max_tokens: 12, steps: 6, seed: 3 }
const template = ['The', { mask: 3 }, ' cat', { mask: 2 }]

t.test('awaited, iterated over, and over a WebSocket, a request has one text', async (t) => {
  const { client, stream } = await connect(t)
  const whole = await client.complete(request)
  for (const events of [client.complete(request), stream.complete(request)]) {
    const { all, reveals, text } = await read(events)
    t.equal(all[0]!.type, 'sequence-start')
    t.equal(reveals.length, 12)
    t.equal(text, whole.choices[0]!.text)
  }
  const infill = await client.infill({ template, seed: 1 })
  for (const events of [client.infill({ template, seed: 1 }), stream.infill({ template, seed: 1 })]) {
    t.equal((await read(events)).text, infill.text)
  }
  t.equal((await client.models())[0]!.id, 'table')
})

t.test('every text of a request is read to its end', async (t) => {
  const { client, stream } = await connect(t)
  const several = { ...request, prompt: ['a', 'b'], n: 2 }
  for (const events of [client.complete(several), stream.complete(several)]) {
    const { all } = await read(events)
    t.equal(all.filter(({ type }) => type === 'sequence-end').length, 4)
  }
})

t.test('many texts share one WebSocket', async (t) => {
  const { app, stream } = await connect(t)
  const texts = await Promise.all([1, 2, 3].map((seed) => read(stream.complete({ ...request, seed }))))
  t.equal(new Set(texts.map(({ text }) => text)).size, 3)
  t.equal(app.websocketServer.clients.size, 1)
})

t.test('a refusal is thrown with the error object of the server', async (t) => {
  const { client, stream } = await connect(t)
  const refused = { code: 'invalid_request', param: 'steps', error: { type: 'invalid_request_error' } }
  const wrong = { steps: 5000 }
  await t.rejects(Promise.resolve(client.complete(wrong)), refused)
  await t.rejects(read(client.complete(wrong)), refused)
  await t.rejects(read(stream.complete(wrong)), refused)
  await t.rejects(read(stream.complete(wrong)), FewstepError)
})

for (const way of ['return', 'signal'] as const) {
  t.test(`${way} cancels, whatever the transport, and the place is free`, async (t) => {
    const { client, stream, denoiser, scheduler } = await connect(t)
    for (const source of [client, stream]) {
      denoiser.hold()
      const controller = new AbortController()
      const events = source.complete(request, { signal: controller.signal })[Symbol.asyncIterator]()
      t.equal((await events.next()).value?.type, 'sequence-start')
      await until(() => scheduler.stats.running === 1)
      if (way === 'return') await events.return(undefined)
      else {
        const next = events.next()
        controller.abort()
        await t.rejects(next, { name: 'AbortError' })
      }
      await until(() => scheduler.stats.running === 0)
      denoiser.release()
    }
    t.match(await read(stream.complete(request)), { text: String }, 'the WebSocket lives on')
  })
}

t.test('what is refused for want of a place is tried again when the server says', async (t) => {
  const { client, stream, denoiser, scheduler } = await connect(t, { maxQueue: 1, maxBatchTokens: 1 }, 50)
  for (const source of [client, stream]) {
    denoiser.hold()
    const running = read(client.complete(request))
    await until(() => scheduler.stats.running === 1)
    const queued = read(client.complete(request))
    await until(() => scheduler.stats.queued === 1)
    const told: unknown[] = []
    const onRetry = (retry: object) => {
      told.push(retry)
      denoiser.release()
    }
    t.match(await read(source.complete(request, { onRetry })), { text: String })
    t.match(told[0], { error: { code: 'overloaded' }, afterMs: Number })
    await Promise.all([running, queued])
  }
})

t.test('a stream that is lost goes on where it was, over either transport', async (t) => {
  const { app, client, stream, denoiser } = await connect(t, {}, 3)
  const whole = await client.complete(request)
  for (const source of [client, stream]) {
    const held = denoiser.holdAt(denoiser.passes.length + 3)
    const seen = read(source.complete({ ...request, seed: 3 }))
    await held
    for (const socket of app.websocketServer.clients) socket.terminate()
    app.server.closeAllConnections()
    denoiser.release()
    denoiser.before = () => undefined
    const { all, reveals, text } = await seen
    t.equal(text, whole.choices[0]!.text)
    t.equal(all.filter(({ type }) => type === 'sequence-start').length, 1)
    t.equal(new Set(reveals.map(({ position }) => position)).size, 12)
    t.equal(reveals.length, 12)
  }
})

t.test(
  'a server that is not there is a DisconnectedError, a handshake that is refused tells why',
  async (t) => {
    const { app, url, client, stream, state } = await connect(t)
    state.phase = 'loading'
    await t.rejects(read(stream.complete(request)), { code: 'loading', retryAfterMs: 1000 })
    await t.rejects(read(client.complete(request)), { code: 'loading', retryAfterMs: 1000 })
    state.phase = 'ready'
    await app.close()
    const late = new FewstepClient(url, { retries: 0, webSocket: WebSocket })
    await t.rejects(read(late.stream().complete(request)), DisconnectedError)
    await t.rejects(read(late.complete(request)), DisconnectedError)
  }
)

t.test('closing a stream ends its texts', async (t) => {
  const { app, stream, denoiser, scheduler } = await connect(t)
  denoiser.hold()
  const ended = t.rejects(read(stream.complete(request)), DisconnectedError)
  await until(() => scheduler.stats.running === 1)
  await stream.close()
  await ended
  await until(() => app.websocketServer.clients.size === 0)
})
