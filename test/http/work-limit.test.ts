import t from 'tap'
import { ApiKeys, newKey, parseKey } from '../../src/api-keys.js'
import { build, listen, postTo, Socket, until } from '../helper.js'

t.test(
  'a key has so many requests in work, over REST and WebSocket together, and others go on',
  async (t) => {
    const made = [newKey('ann', 'text'), newKey('bob', 'text')]
    const keys = new ApiKeys(made.map(({ line }) => parseKey(line)!))
    const { app, denoiser, scheduler } = await build(t, { security: { keys, maxKeyRequests: 2 } })
    const [ann, bob] = made.map(({ secret }) => ({ authorization: `Bearer ${secret}` }))
    const write = (headers: typeof ann) =>
      app.inject({ method: 'POST', url: '/v1/completions', headers: headers!, payload: { max_tokens: 2 } })
    const socket = await Socket.open(t, await listen(app), ann)
    denoiser.hold()
    const first = write(ann)
    await until(() => denoiser.passes.length > 0)
    socket.send({ type: 'completion', id: 'a', request: { max_tokens: 2 } })
    t.equal((await socket.next()).type, 'sequence-start')
    const refused = await write(ann)
    t.equal(refused.statusCode, 429)
    t.match(refused.json().error, { code: 'overloaded', message: /2 requests in work for one key/ })
    socket.send({ type: 'completion', id: 'b', request: { max_tokens: 2 } })
    t.match(await socket.next(), { type: 'error', id: 'b', error: { code: 'overloaded' } })
    const other = write(bob)
    denoiser.release()
    t.same([(await first).statusCode, (await other).statusCode], [200, 200])
    await socket.readUntil(({ type }) => type === 'sequence-end')
    t.equal((await write(ann)).statusCode, 200)
    t.equal(scheduler.stats.running, 0)
  }
)

t.test('a key has its place back however its request ends, over REST and WebSocket', async (t) => {
  const { secret, line } = newKey('ann', 'text')
  const security = { keys: new ApiKeys([parseKey(line)!]), maxKeyRequests: 1 }
  const { app, denoiser, scheduler } = await build(t, { security })
  const address = await listen(app)
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }
  const text = { max_tokens: 4 }
  const tooLong = { max_tokens: 900 }
  const write = async (payload: object) => {
    const options = { method: 'POST', url: '/v1/completions', headers, payload } as const
    return (await app.inject(options)).statusCode
  }
  const send = async (request: object) => {
    const socket = await Socket.open(t, address, headers)
    socket.send({ type: 'completion', id: 'a', request })
    return socket
  }
  const error = async (socket: Socket) =>
    (await socket.readUntil(({ type }) => type === 'error')).at(-1).error
  const held = async (leave: () => Promise<() => void>) => {
    denoiser.hold()
    const go = await leave()
    await until(() => scheduler.stats.running === 1)
    go()
    await until(() => scheduler.stats.running === 0)
    denoiser.release()
  }
  const failing = async (ask: () => Promise<void>) => {
    const { before } = denoiser
    denoiser.before = () => {
      throw new Error('out of memory')
    }
    await ask()
    denoiser.before = before
  }
  const leaving = (stream: boolean) => async () => {
    const client = new AbortController()
    const { signal } = client
    postTo(`${address}/v1/completions`, { ...text, stream }, { headers, signal })
      .then((answer) => answer.text())
      .catch(() => {})
    return () => client.abort()
  }
  const endings = {
    'it is done': async () => t.equal(await write(text), 200),
    'it is refused': async () => t.equal(await write(tooLong), 400),
    'its text fails': () => failing(async () => void t.equal(await write(text), 500)),
    'its client leaves': () => held(leaving(false)),
    'its client leaves the stream': () => held(leaving(true)),
    'its message is refused': async () =>
      t.match(await error(await send(tooLong)), { code: 'context_length_exceeded' }),
    'the text of its message fails': () =>
      failing(async () => void t.match(await error(await send(text)), { code: 'denoiser_failed' })),
    'its message is cancelled': () =>
      held(async () => {
        const socket = await send(text)
        return () => socket.send({ type: 'cancel', id: 'a' })
      }),
    'its socket is closed': () =>
      held(async () => {
        const socket = await send(text)
        return () => socket.ws.terminate()
      })
  }
  for (const [ending, end] of Object.entries(endings)) {
    await end()
    t.equal(await write(text), 200, ending)
  }
})
