import { once } from 'node:events'
import { fastify } from 'fastify'
import t from 'tap'
import { ApiKeys, newKey, parseKey } from '../../src/api-keys.js'
import { departure } from '../../src/http/departure.js'
import { build, listen, postTo, until } from '../helper.js'

const { secret, line } = newKey('ann', 'text')

t.test('a client that leaves frees its places, on every route, streamed or not', async (t) => {
  const security = { keys: new ApiKeys([parseKey(line)!]), maxKeyRequests: 1 }
  const { app, denoiser, scheduler } = await build(t, { security, maxBatchTokens: 1 })
  const address = await listen(app)
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }
  const model = '/v2/models/table'
  const infer = (data: string[]) => ({
    inputs: [{ name: 'prompt', datatype: 'BYTES', shape: [data.length], data }]
  })
  const template = ['Once ', { mask: 9 }]
  const requests: [url: string, body: object, texts: number][] = [
    ['/v1/completions', {}, 1],
    ['/v1/completions', { n: 3 }, 3], // one runs and two wait
    ['/v1/completions', { stream: true }, 1],
    ['/v1/completions', { stream: true, n: 3 }, 3],
    ['/v1/infill', { template }, 1],
    ['/v1/infill', { template, stream: true }, 1],
    [`${model}/infer`, infer(['a']), 1],
    [`${model}/infer`, infer(['a', 'b', 'c']), 3],
    [`${model}/generate`, { text_input: '' }, 1],
    [`${model}/generate_stream`, { text_input: '' }, 1]
  ]
  let left = 0
  for (const [url, body, texts] of requests) {
    denoiser.hold()
    const client = new AbortController()
    const { signal } = client
    const answer = postTo(`${address}${url}`, body, { headers, signal }).then((answer) => answer.text())
    const aborted = t.rejects(answer, { name: 'AbortError' })
    await until(() => scheduler.stats.running + scheduler.stats.queued === texts)
    client.abort()
    await until(() => scheduler.stats.running + scheduler.stats.queued === 0)
    await aborted
    left += texts
    t.equal(scheduler.stats.sequences.cancelled, left, `${url} ${JSON.stringify(body)}`)
    denoiser.release()
    const next = { method: 'POST', url: '/v1/completions', headers, payload: { max_tokens: 2 } } as const
    t.equal((await app.inject(next)).statusCode, 200, 'its key has its place back')
  }
})

t.test('who left before the handler began has left', async (t) => {
  const app = fastify()
  t.teardown(() => app.close())
  const left = new Promise<AbortSignal>((resolve) => {
    app.get('/', async (_request, reply) => {
      await once(reply.raw, 'close')
      resolve(departure(reply))
    })
  })
  const arrived = once(app.server, 'request')
  const client = new AbortController()
  const { signal } = client
  const answer = t.rejects(fetch(await listen(app), { signal }), { name: 'AbortError' })
  await arrived
  client.abort()
  await answer
  t.match((await left).reason, { code: 'cancelled' })
})
