import t from 'tap'
import { ApiKeys, newKey, parseKey } from '../../src/api-keys.js'
import { build, listen, Socket } from '../helper.js'

t.test('each key has its own measure of requests, and is told when to come back', async (t) => {
  const made = [newKey('ann', 'text'), newKey('bob', 'text')]
  const keys = new ApiKeys(made.map(({ line }) => parseKey(line)!))
  const { app } = await build(t, { security: { keys, maxRequestsPerMinute: 2 } })
  const ask = (secret: string) =>
    app.inject({ url: '/v1/models', headers: { authorization: `Bearer ${secret}` } })
  const [ann, bob] = made.map(({ secret }) => secret)
  t.same([(await ask(ann!)).statusCode, (await ask(ann!)).statusCode], [200, 200])
  const refused = await ask(ann!)
  t.equal(refused.statusCode, 429)
  t.equal(refused.json().error.code, 'rate_limited')
  const afterMs = Number(refused.headers['retry-after-ms'])
  t.ok(afterMs > 0 && afterMs <= 60_000)
  t.equal((await ask(bob!)).statusCode, 200)
  t.same([(await ask('guess')).statusCode, (await ask('again')).statusCode], [401, 401])
  t.equal((await ask('and again')).statusCode, 429, 'guesses count by address')
  t.equal((await app.inject('/health/live')).statusCode, 200)
})

t.test('guesses count wherever a key is judged, its own reader does not', async (t) => {
  const { secret, line } = newKey('bob', 'metrics')
  const keys = new ApiKeys([parseKey(line)!])
  const { app } = await build(t, { security: { keys, maxRequestsPerMinute: 2 } })
  const ask = async (url: string, guess: string) =>
    (await app.inject({ url, headers: { authorization: `Bearer ${guess}` } })).statusCode
  for (let i = 0; i < 3; i++) t.equal(await ask('/metrics', secret), 200)
  t.same([await ask('/metrics', 'guess'), await ask('/health/ready', 'again')], [401, 200])
  t.same([await ask('/metrics', 'more'), await ask('/health/ready', 'yet-more')], [429, 429])
  t.equal((await app.inject('/health/ready')).statusCode, 200)
})

t.test('an address is what a trusted proxy says, and nobody else', async (t) => {
  const statuses = async (trustProxy: string[]) => {
    const { app } = await build(t, { trustProxy, security: { maxRequestsPerMinute: 1 } })
    const ask = async (client: string) =>
      (await app.inject({ url: '/v1/models', headers: { 'x-forwarded-for': client } })).statusCode
    return [await ask('203.0.113.1'), await ask('203.0.113.2'), await ask('::ffff:203.0.113.1')]
  }
  t.same(await statuses([]), [200, 429, 429])
  t.same(await statuses(['127.0.0.0/8']), [200, 200, 429])
})

t.test('messages that start work on a WebSocket count as requests', async (t) => {
  const { app } = await build(t, { security: { maxRequestsPerMinute: 2 } })
  const socket = await Socket.open(t, await listen(app))
  socket.send({ type: 'completion', id: 'a', request: { max_tokens: 2 } })
  await socket.readUntil(({ type }) => type === 'sequence-end')
  socket.send({ type: 'completion', id: 'b', request: { max_tokens: 2 } })
  t.match(await socket.next(), { type: 'error', id: 'b', error: { code: 'rate_limited' } })
})
