import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ApiKeys, newKey, parseKey } from '../../src/api-keys.js'
import { build, listen, postTo, until } from '../helper.js'

const { secret, line } = newKey('ann', 'text')
const security = () => ({ keys: new ApiKeys([parseKey(line)!]) })

async function visitor(t: Test, address: string): Promise<Socket> {
  const socket = connect(Number(new URL(address).port), '127.0.0.1').setEncoding('utf8')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

function ask(body: unknown): string {
  const json = JSON.stringify(body)
  const head = ['POST /v1/completions HTTP/1.1', 'host: localhost', `authorization: Bearer ${secret}`]
  return [...head, 'content-type: application/json', `content-length: ${json.length}`, '', json].join('\r\n')
}

t.test('a client that leaves frees all that it asked for, and each is counted once', async (t) => {
  for (const stream of [false, true]) {
    const limits = { maxKeyRequests: 3 }
    const { app, denoiser, scheduler, metrics } = await build(t, { security: { ...security(), ...limits } })
    const address = await listen(app)
    denoiser.hold()
    const leaving = await visitor(t, address)
    leaving.write(ask({ max_tokens: 4, steps: 2, stream }).repeat(3))
    await until(() => scheduler.stats.running + scheduler.stats.queued === 3)
    leaving.destroy()
    await until(() => scheduler.stats.running + scheduler.stats.queued === 0)
    denoiser.release()
    t.match(await metrics.registry.metrics(), /route="\/v1\/completions",status="499"\} 3\n/)
    const next = await visitor(t, address)
    next.write(ask({ max_tokens: 2 }).repeat(3))
    let answers = ''
    while (answers.split('HTTP/1.1 200').length < 4) answers += (await once(next, 'data'))[0]
    t.notMatch(answers, /HTTP\/1\.1 [^2]/, 'the places of its key are free')
  }
})

t.test('a client that leaves takes nothing of what a neighbour asked for in the same way', async (t) => {
  const { app, denoiser, scheduler } = await build(t, { security: security() })
  const address = await listen(app)
  denoiser.hold()
  const leaving = await visitor(t, address)
  const staying = await visitor(t, address)
  for (const socket of [leaving, staying]) socket.write(ask({ max_tokens: 4, steps: 2 }).repeat(3))
  await until(() => scheduler.stats.running + scheduler.stats.queued === 6)
  leaving.destroy()
  await until(() => scheduler.stats.sequences.cancelled > 0)
  denoiser.release()
  let answers = ''
  while (answers.split('HTTP/1.1 200').length < 4) answers += (await once(staying, 'data'))[0]
  t.match(scheduler.stats.sequences, { completed: 3, cancelled: 3 })
})

t.test('a connection has so many requests in work and no more', async (t) => {
  const { app, denoiser, scheduler, metrics } = await build(t, { security: security() })
  const socket = await visitor(t, await listen(app))
  denoiser.hold()
  socket.write(ask({ max_tokens: 4 }).repeat(6))
  const refusals = async () => /code="overloaded"\} (\d)/.exec(await metrics.registry.metrics())?.[1]
  while ((await refusals()) !== '2') await setImmediate()
  t.equal(scheduler.stats.running + scheduler.stats.queued, 4)
  denoiser.release()
  let answers = ''
  while (answers.split('HTTP/1.1 429').length < 3) answers += (await once(socket, 'data'))[0]
  t.equal(answers.split('HTTP/1.1 200').length - 1, 4)
  t.match(answers, /4 requests in work on one connection/)
})

t.test(
  'a server that closes waits for no client that asks for nothing, and for answers under way',
  async (t) => {
    const { app, denoiser } = await build(t)
    const address = await listen(app)
    denoiser.hold()
    const answer = postTo(`${address}/v1/completions`, { max_tokens: 2 })
    await until(() => denoiser.passes.length > 0)
    const ends: Promise<unknown>[] = []
    for (const sent of ['', 'GET /v1/models HTTP/1.1\r\nho']) {
      const arrived = once(app.server, 'connection')
      const socket = connect(Number(new URL(address).port), '127.0.0.1').resume()
      socket.on('error', () => {}) // a reset will do
      socket.write(sent)
      ends.push(new Promise((resolve) => socket.once('close', resolve)))
      await arrived
    }
    const closed = app.close()
    await Promise.all(ends)
    denoiser.release()
    t.equal((await answer).status, 200)
    await closed
  }
)
