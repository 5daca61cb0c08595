import { once } from 'node:events'
import { Writable } from 'node:stream'
import t from 'tap'
import { WebSocket } from 'ws'
import { build, listen, post, postTo, Socket, until } from '../helper.js'

// biome-ignore lint/suspicious/noExplicitAny: tests look into lines freely
type Line = any

/** The log's lines about requests; `logger` is for `build`. */
function keepLog() {
  const lines: Line[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      const line = JSON.parse(String(chunk))
      if (line.reqId) lines.push(line)
      done()
    }
  })
  return { lines, logger: { level: 'info', stream } }
}

const failing = () => {
  throw new Error('bad pass')
}

t.test('each request is a line, with the error that its client was told', async (t) => {
  const { lines, logger } = keepLog()
  const { app, denoiser } = await build(t, { logger })
  await post(app, '/v1/completions', { max_tokens: 4 })
  await post(app, '/v1/completions', { steps: 0 })
  denoiser.before = failing
  await post(app, '/v2/models/table/generate', { text_input: '' })
  t.match(
    lines.filter(({ msg }) => msg === 'answered'),
    [
      { route: '/v1/completions', status: 200, code: undefined },
      { route: '/v1/completions', status: 400, code: 'invalid_request' },
      { route: '/v2/models/:model/generate', status: 424, code: 'denoiser_failed' }
    ]
  )
})

t.test('a stream that the server fails says so, though its status was out', async (t) => {
  const { lines, logger } = keepLog()
  const { app, denoiser, metrics } = await build(t, { logger })
  denoiser.before = failing
  const answer = await postTo(`${await listen(app)}/v1/completions`, { stream: true })
  t.match(await answer.text(), /event: error/)
  await until(() => lines.some(({ msg }) => msg === 'answered'))
  t.match(lines.at(-1), { status: 200, code: 'denoiser_failed' })
  t.match(await metrics.registry.metrics(), /^fewstep_errors_total{code="denoiser_failed"} 1$/m)
})

t.test('a client that left was told no error', async (t) => {
  const { lines, logger } = keepLog()
  const { app, denoiser, scheduler, metrics } = await build(t, { logger })
  denoiser.hold()
  const address = await listen(app)
  for (const stream of [false, true]) {
    const client = new AbortController()
    const answer = postTo(`${address}/v1/completions`, { stream }, { signal: client.signal })
    const left = t.rejects(answer.then((response) => response.text()))
    await until(() => scheduler.stats.running === 1)
    client.abort()
    await left
    await until(() => scheduler.stats.running === 0)
  }
  const socket = await Socket.open(t, address)
  socket.send({ type: 'completion', id: 'a', request: {} })
  await until(() => scheduler.stats.running === 1)
  socket.ws.terminate()
  await until(() => lines.filter(({ msg }) => msg === 'answered').length === 4)
  t.match(
    lines.filter(({ msg, status }) => msg === 'answered' && status === 499),
    [{ code: undefined }, { code: undefined }, { type: 'completion', id: 'a', code: 'cancelled' }]
  )
  t.notMatch(await metrics.registry.metrics(), /^fewstep_errors_total.* [1-9]/m)
})

t.test('each request of a WebSocket is a line under the id of its connection and its own', async (t) => {
  const { lines, logger } = keepLog()
  const { app, denoiser } = await build(t, { logger })
  const ws = new WebSocket(`${(await listen(app)).replace('http', 'ws')}/v1/stream`)
  t.teardown(() => ws.terminate())
  const [{ headers }] = await once(ws, 'upgrade')
  const reqId = headers['x-request-id']
  t.match(reqId, /^[0-9a-f-]{36}$/)

  const answered = async (message: unknown, count: number) => {
    ws.send(typeof message === 'string' ? message : JSON.stringify(message))
    await until(() => lines.length >= count)
    return lines.splice(0)
  }
  const completion = (id: unknown, request: object) => ({ type: 'completion', id, request })
  t.match(await answered(completion('a', { max_tokens: 4 }), 1), [
    { reqId, type: 'completion', id: 'a', status: 200, ms: Number, msg: 'answered' }
  ])
  t.match(await answered(completion('b', { model: 'x' }), 1), [
    { reqId, type: 'completion', id: 'b', status: 404, code: 'model_not_found' }
  ])
  t.match(await answered(completion('c'.repeat(999), {}), 1), [
    { reqId, id: 'c'.repeat(128), status: 400, code: 'invalid_request' }
  ])
  t.match(await answered('{', 1), [{ reqId, type: undefined, id: undefined, status: 400 }])
  denoiser.before = failing
  t.match(await answered(completion('d', {}), 2), [
    { reqId, id: 'd', msg: 'The denoiser failed: bad pass' },
    { reqId, id: 'd', status: 500, code: 'denoiser_failed', msg: 'answered' }
  ])
})

t.test('a WebSocket that is refused is no 101', async (t) => {
  const { lines, logger } = keepLog()
  const { app, metrics } = await build(t, { logger })
  const ws = new WebSocket(`${(await listen(app)).replace('http', 'ws')}/v1/stream`, {
    origin: 'https://elsewhere.example'
  })
  ws.on('error', () => {})
  const [, { statusCode }] = await once(ws, 'unexpected-response')
  t.equal(statusCode, 403)
  await until(() => lines.length > 0)
  t.match(lines, [{ route: '/v1/stream', status: 403, code: 'forbidden' }])
  t.match(
    await metrics.registry.metrics(),
    /^fewstep_http_requests_total{method="GET",route="\/v1\/stream",status="403"} 1$/m
  )
})
