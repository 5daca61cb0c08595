import t from 'tap'
import { ApiKeys, newKey, parseKey } from '../../src/api-keys.js'
import { build, listen, Socket, until } from '../helper.js'

t.test('who asks for one text does not wait for all of another key, over REST and WebSocket', async (t) => {
  const made = [newKey('many', 'text'), newKey('one', 'text'), newKey('socket', 'text')]
  const keys = new ApiKeys(made.map(({ line }) => parseKey(line)!))
  const { app, denoiser, scheduler } = await build(t, { security: { keys }, maxBatchTokens: 1 }) // a text a pass
  const [many, one, other] = made.map(({ secret }) => ({ authorization: `Bearer ${secret}` }))
  const done: string[] = []
  const write = (headers: typeof many, name: string) =>
    app
      .inject({
        method: 'POST',
        url: '/v1/completions',
        headers: headers!,
        payload: { max_tokens: 4, steps: 1 }
      })
      .then(() => done.push(name))
  const socket = await Socket.open(t, await listen(app), other)
  denoiser.hold()
  const writing = Array.from({ length: 10 }, () => write(many, 'many'))
  await until(() => scheduler.stats.queued === 9)
  writing.push(write(one, 'one'))
  await until(() => scheduler.stats.queued === 10)
  socket.send({ type: 'completion', id: 'a', request: { max_tokens: 4, steps: 1 } })
  await until(() => scheduler.stats.queued === 11)
  const ended = socket.readUntil(({ type }) => type === 'sequence-end').then(() => done.push('socket'))
  const held = denoiser.holdAt(5)
  denoiser.release()
  await held
  await until(() => done.includes('one') && done.includes('socket'))
  t.equal(done.length, 4, done.join())
  denoiser.release()
  await Promise.all([...writing, ended])
})
