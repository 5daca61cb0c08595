import t from 'tap'
import { ApiKeys, newKey, parseKey } from '../../src/api-keys.js'
import { build, listen, Socket, until } from '../helper.js'

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
