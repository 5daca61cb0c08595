import { createRequire } from 'node:module'
import t from 'tap'
import { startTracing } from '../src/tracing.js'
import { build, listen, post, Socket, until } from './helper.js'
import { type ReceivedSpan, receiveSpans } from './otlp-receiver.js'

const never = (message: string) => t.fail(message)
const named = (spans: readonly ReceivedSpan[], name: string) => spans.filter((span) => span.name === name)

t.test('without a collector nothing is traced, and no SDK is loaded', async (t) => {
  t.equal(await startTracing(never), undefined)
  const loaded = Object.keys(createRequire(import.meta.url).cache)
  t.notOk(loaded.some((path) => path.includes('sdk-trace')))
})

t.test('what switches tracing off does so', async (t) => {
  await receiveSpans(t)
  for (const [name, value] of [
    ['OTEL_SDK_DISABLED', 'TRUE'],
    ['OTEL_TRACES_EXPORTER', 'none']
  ] as const) {
    process.env[name] = value
    t.equal(await startTracing(never), undefined, name)
    delete process.env[name]
  }
})

t.test(
  'a request is a span in the trace of its client; below it each text queues and has passes',
  async (t) => {
    const { spans, resources } = await receiveSpans(t)
    const tracing = (await startTracing(never))!
    const { app, denoiser } = await build(t, { tracing })
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/completions',
      headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` },
      payload: { prompt: 'The cat', n: 2, max_tokens: 8, steps: 4 }
    })
    await post(app, '/v1/infill', { template: [] })
    await app.inject('/health/live')
    await tracing.stop()

    t.match(resources[0], { 'service.name': 'fewstep', 'service.version': /^\d/ })
    const [request] = named(spans, 'POST /v1/completions')
    t.match(request, {
      traceId,
      parentSpanId: 'b7ad6b7169203331',
      status: { code: 0 },
      attributes: { 'http.response.status_code': 200, 'fewstep.request': answer.headers['x-request-id'] }
    })
    const { id, choices } = answer.json()
    const below = spans.filter(({ parentSpanId }) => parentSpanId === request!.spanId)
    for (const index of [0, 1]) {
      const own = below.filter(({ attributes }) => attributes['fewstep.sequence'] === `${id}/${index}`)
      const { timings } = choices[index].fewstep
      t.equal(named(own, 'queue').length, 1)
      t.ok(Math.abs(named(own, 'queue')[0]!.ms - timings.queue_ms) < 1)
      t.equal(named(own, 'pass').length, timings.passes)
      for (const { attributes, ms } of named(own, 'pass')) {
        const pass = denoiser.passes[Number(attributes['fewstep.pass']) - 1]!
        t.match(attributes, {
          'fewstep.pass.sequences': pass.lengths.length,
          'fewstep.pass.tokens': pass.tokens.length,
          'fewstep.pass.rows': pass.rows.length,
          'fewstep.pass.denoiser_ms': 1
        })
        t.ok(ms >= 0 && ms < 60_000)
      }
    }
    const [refused] = named(spans, 'POST /v1/infill')
    t.match(refused, {
      attributes: { 'http.response.status_code': 400, 'error.type': 'invalid_request' },
      status: { code: 0 }
    })
    t.not(refused!.traceId, traceId)
    t.equal(refused!.parentSpanId, undefined)
    t.equal(spans.length, 2 + below.length, 'health checks are not traced')
  }
)

t.test('a request that the server fails is an error', async (t) => {
  const { spans } = await receiveSpans(t)
  const tracing = (await startTracing(never))!
  const { app, denoiser } = await build(t, { tracing })
  denoiser.before = () => {
    throw new Error('bad pass')
  }
  t.equal((await post(app, '/v1/completions', { max_tokens: 4 })).status, 500)
  await app.inject({ method: 'POST', url: '/v1/completions', payload: { stream: true } })
  await post(app, '/v2/models/table/generate', { text_input: '' })
  await tracing.stop()
  const error = { status: { code: 2 }, attributes: { 'error.type': 'denoiser_failed' } }
  t.match(named(spans, 'POST /v1/completions'), [error, error])
  t.match(named(spans, 'POST /v2/models/:model/generate'), [error])
  t.same(spans.map(({ attributes }) => attributes['http.response.status_code']).filter(Boolean), [
    '500',
    '200',
    '424'
  ])
  t.match(
    named(spans, 'queue').map(({ attributes }) => attributes['fewstep.sequence']),
    [/^cmpl/, /^cmpl/, /^generate/],
    'no pass, but a wait'
  )
})

t.test('a request over a WebSocket is a span from its message to its end', async (t) => {
  const { spans } = await receiveSpans(t)
  const tracing = (await startTracing(never))!
  const { app } = await build(t, { tracing })
  const traceId = '1af7651916cd43dd8448eb211c80319c'
  const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` }
  const socket = await Socket.open(t, await listen(app), headers)
  socket.send({ type: 'completion', id: 'a', request: { max_tokens: 4, steps: 2 } })
  await socket.readUntil(({ type }) => type === 'sequence-end')
  socket.send({ type: 'infill', id: 'b', request: { template: ['A'] } })
  t.match(await socket.next(), { type: 'error' })
  for (const request of [{ model: 'x' }, { steps: 0 }]) {
    socket.send({ type: 'completion', id: 'c', request })
    t.match(await socket.next(), { type: 'error' })
  }
  await tracing.stop()
  const [a, ...refused] = named(spans, 'completion over WebSocket')
  t.match(refused, [
    { traceId, attributes: { 'fewstep.request': 'c', 'error.type': 'model_not_found' } },
    { traceId, attributes: { 'fewstep.request': 'c', 'error.type': 'invalid_request' } }
  ])
  t.match(a, { traceId, attributes: { 'fewstep.request': 'a', 'http.response.status_code': 200 } })
  t.ok(named(spans, 'pass').every(({ parentSpanId }) => parentSpanId === a!.spanId))
  t.match(named(spans, 'infill over WebSocket'), [
    { traceId, attributes: { 'error.type': 'invalid_request', 'http.response.status_code': 400 } }
  ])
})

t.test('a text that leaves the queue has waited, though it had no pass', async (t) => {
  const { spans } = await receiveSpans(t)
  const tracing = (await startTracing(never))!
  const { app, denoiser, scheduler } = await build(t, { tracing, maxBatchTokens: 1 })
  denoiser.hold()
  const socket = await Socket.open(t, await listen(app))
  socket.send({ type: 'completion', id: 'a', request: { n: 2, max_tokens: 4 } })
  await until(() => scheduler.stats.queued === 1)
  socket.send({ type: 'cancel', id: 'a' })
  await socket.readUntil(({ type }) => type === 'error')
  await tracing.stop()
  const queues = named(spans, 'queue').map(({ attributes }) => attributes['fewstep.sequence'])
  t.same(queues.toSorted(), ['a/0', 'a/1'])
})

t.test('a trace that its client does not record is not recorded', async (t) => {
  const { spans } = await receiveSpans(t)
  const tracing = (await startTracing(never))!
  const { app } = await build(t, { tracing })
  const headers = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00' }
  await app.inject({ method: 'POST', url: '/v1/completions', headers, payload: { max_tokens: 4 } })
  await tracing.stop()
  t.same(spans, [])
})

t.test('a collector that is not there is complained of, and costs no answer', async (t) => {
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = 'http://127.0.0.1:1'
  process.env.OTEL_EXPORTER_OTLP_TIMEOUT = '200'
  t.teardown(() => {
    delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT
    delete process.env.OTEL_EXPORTER_OTLP_TIMEOUT
  })
  const complaints: string[] = []
  const tracing = (await startTracing((message) => complaints.push(message)))!
  const { app } = await build(t, { tracing })
  t.equal((await post(app, '/v1/completions', { max_tokens: 4 })).status, 200)
  await tracing.stop().catch(({ message }) => complaints.push(message))
  t.match(complaints.join(), /ECONNREFUSED|127.0.0.1|fail|timeout/i)
})
