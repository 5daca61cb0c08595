import { Writable } from 'node:stream'
import t from 'tap'
import { build, listen, post, postTo, tokenizer, until } from './helper.js'

t.test('a path that is not there and a method that a path does not take', async (t) => {
  const { app } = await build(t)
  const unknown = await app.inject('/v1/chat/completions')
  t.equal(unknown.statusCode, 404)
  t.match(unknown.json(), {
    error: { code: 'route_not_found', type: 'invalid_request_error', param: null, message: /completions/ }
  })
  const wrong = await app.inject('/v1/completions?x=1')
  t.equal(wrong.statusCode, 405)
  t.equal(wrong.headers.allow, 'POST')
  t.match(wrong.json(), { error: { code: 'method_not_allowed', message: /expected POST, got GET/ } })
  t.equal((await app.inject({ method: 'PUT', url: '/v1/models/table' })).statusCode, 405)
  t.equal((await app.inject('/v1/models/%E0%A4%A')).json().error.code, 'invalid_request')
  t.equal((await app.inject('/docs/unknown.js')).json().error.code, 'route_not_found')
  t.equal((await app.inject('/docs/static/unknown.js')).json().error.code, 'route_not_found')
})

t.test('a body that is not JSON', async (t) => {
  const { app } = await build(t)
  const send = (payload: string | Buffer, type = 'application/json') =>
    app.inject({ method: 'POST', url: '/v1/completions', headers: { 'content-type': type }, payload })
  const broken = await send('{"prompt": "a",}')
  t.equal(broken.statusCode, 400)
  t.match(broken.json().error, { code: 'invalid_request', message: /^body: expected JSON, got / })
  t.match((await send('')).json().error.message, /^body: expected JSON, got nothing/)
  const form = await send('prompt=a', 'application/x-www-form-urlencoded')
  t.equal(form.statusCode, 415)
  t.match(form.json().error, {
    code: 'unsupported_media_type',
    message: 'content-type: expected application/json, got application/x-www-form-urlencoded'
  })
  t.equal((await send('a', 'text/plain')).statusCode, 415)
  t.equal((await send('\ufeff{"max_tokens": 2}')).statusCode, 200)
  t.equal((await send('{"max_tokens": 2}', 'application/json; charset=utf-8')).statusCode, 200)
})

t.test('bytes that are no UTF-8 and lone surrogates become U+FFFD', async (t) => {
  const { app } = await build(t)
  const answer = await app.inject({
    method: 'POST',
    url: '/v1/completions',
    headers: { 'content-type': 'application/json' },
    payload: Buffer.concat([
      Buffer.from('{"max_tokens": 2, "echo": true, "prompt": "a'),
      Buffer.from([0xff]),
      Buffer.from('b"}')
    ])
  })
  t.match(answer.json().choices[0].text, /^a\ufffdb /)
  const lone = await post(app, '/v1/completions', {
    max_tokens: 2,
    echo: true,
    prompt: 'a\ud800b',
    stop: '\udc00'
  })
  t.match(lone.body.choices[0].text, /^a\ufffdb /)
})

t.test('a body over the limit is refused by a real server, whole or in chunks', async (t) => {
  const { app } = await build(t)
  const url = `${await listen(app)}/v1/completions`
  const refused = await postTo(url, { prompt: 'a'.repeat(20_000) })
  t.equal(refused.status, 413)
  t.match(await refused.json(), {
    error: { code: 'body_too_large', message: 'body: expected at most 10000 bytes, got 20013' }
  })
  const chunks = new Blob([JSON.stringify({ prompt: 'a'.repeat(20_000) })]).stream()
  const init = { body: chunks, duplex: 'half' } as RequestInit
  t.equal((await postTo(url, undefined, init)).status, 413)
})

t.test('a full queue answers 429 with the time to come back', async (t) => {
  const { app, denoiser, scheduler } = await build(t, { maxQueue: 1, maxBatchTokens: 64 })
  await post(app, '/v1/completions', { max_tokens: 40 }) // teaches the cost of a pass
  denoiser.hold()
  const accepted = post(app, '/v1/completions', { max_tokens: 40, n: 2 })
  await until(() => scheduler.stats.running + scheduler.stats.queued === 2)
  const { status, headers, body } = await post(app, '/v1/completions', { max_tokens: 40 })
  t.equal(status, 429)
  t.match(body.error, { code: 'overloaded', type: 'rate_limit_error' })
  const afterMs = Number(headers['retry-after-ms'])
  t.ok(afterMs > 0)
  t.equal(Number(headers['retry-after']), Math.ceil(afterMs / 1000))
  denoiser.release()
  t.equal((await accepted).status, 200)
})

t.test(
  'of many that come at once no more are taken than there are places, and the rest are not even encoded',
  async (t) => {
    const { app, denoiser, scheduler } = await build(t, { maxQueue: 3, maxBatchTokens: 1 })
    const address = await listen(app)
    const encoded = t.capture(tokenizer, 'encode', tokenizer.encode)
    denoiser.hold()
    const ask = () => postTo(`${address}/v1/completions`, { prompt: 'The cat', max_tokens: 4 })
    let refused = 0
    const answers = Array.from({ length: 20 }, async () => {
      const { status } = await ask()
      if (status === 429) refused++
      return status
    })
    await until(() => refused === 16)
    t.equal(scheduler.stats.running + scheduler.stats.queued, 4)
    t.equal(encoded().filter(({ args }) => args[0] === 'The cat').length, 4)
    denoiser.release()
    t.equal((await Promise.all(answers)).filter((status) => status === 200).length, 4)
  }
)

t.test('while loading every route of the API is refused, and the process is alive', async (t) => {
  const { app, state } = await build(t)
  state.phase = 'loading'
  for (const url of ['/v1/completions', '/v1/infill', '/v1/tokenize']) {
    const { status, headers, body } = await post(app, url, {})
    t.equal(status, 503)
    t.equal(headers['retry-after'], '1')
    t.match(body.error, { code: 'loading', type: 'server_error' })
  }
  t.equal((await app.inject('/v1/models')).statusCode, 503)
  t.equal((await app.inject('/health/live')).statusCode, 200)
})

t.test('while draining new work is refused, and what was accepted is finished', async (t) => {
  const { app, engine, denoiser } = await build(t)
  denoiser.hold()
  const accepted = post(app, '/v1/completions', { max_tokens: 4, steps: 2 })
  await until(() => denoiser.passes.length > 0)
  const drained = engine.drain()
  const late = await post(app, '/v1/completions', {})
  t.equal(late.status, 503)
  t.equal(late.body.error.code, 'draining')
  t.equal(late.headers['retry-after'], '1')
  denoiser.release()
  await drained
  t.equal((await accepted).status, 200)
})

t.test(
  'a client error logs no stack, an unexpected one does, and its client learns nothing of it',
  async (t) => {
    const lines: string[] = []
    const stream = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk))
        done()
      }
    })
    const { app, denoiser, state } = await build(t, { logger: { level: 'info', stream } })
    await post(app, '/v1/completions', { steps: 'x' })
    await post(app, '/v1/completions', { model: 'x' })
    await app.inject('/nope')
    t.equal(lines.length, 3)
    t.notMatch(lines.join(), /stack|node_modules|\.ts:/)
    t.match(JSON.parse(lines[0]!), { route: '/v1/completions', status: 400, msg: 'answered' })

    denoiser.before = () => {
      throw new Error('out of memory')
    }
    const failed = await post(app, '/v1/completions', {})
    t.equal(failed.status, 500)
    t.match(failed.body.error, { code: 'denoiser_failed', type: 'server_error' })

    lines.length = 0
    Object.defineProperty(state, 'phase', {
      get() {
        throw new Error('a secret')
      }
    })
    const unexpected = await post(app, '/v1/completions', {})
    t.equal(unexpected.status, 500)
    t.equal(unexpected.body.error.code, 'internal_error')
    t.notMatch(JSON.stringify(unexpected.body), /secret/)
    t.match(lines.join(), /"stack":"Error: a secret/)
  }
)

t.test('every answer names its request', async (t) => {
  const { app } = await build(t)
  t.match((await app.inject('/health/live')).headers['x-request-id'], /^[0-9a-f-]{36}$/)
})
