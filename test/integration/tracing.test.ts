import { once } from 'node:events'
import t from 'tap'
import { receiveSpans } from '../otlp-receiver.js'
import { post, startServer, startServerWith, TOYS } from './server-process.js'

t.test('the last spans leave before the server does', async (t) => {
  const { spans } = await receiveSpans(t)
  const { url, child } = await startServer(t, ...TOYS)
  t.equal((await post(`${url}/v1/completions`, { prompt: ' red', max_tokens: 4, n: 2 })).status, 200)
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
  const names = new Set(spans.map(({ name }) => name))
  t.same(names, new Set(['POST /v1/completions', 'queue', 'pass']))
})

t.test('a setting of the SDK that is no good is one line of the log', async (t) => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_TRACES_SAMPLER: 'bogus' }
  const { url, logged } = await startServerWith(t, { env }, ...TOYS)
  await logged(/"level":40[^\n]*tracing: OTEL_TRACES_SAMPLER value/)
  t.equal((await fetch(`${url}/health/ready`)).status, 200)
})
