import { readFile } from 'node:fs/promises'
import t from 'tap'
import { batchServer } from './batches/batch-server.js'
import { build, listen, post, postTo, until } from './helper.js'
import { MASK } from './table-denoiser.js'

const model = 'model="table"'

function sampleOf(metrics: string, sample: string): number | undefined {
  const line = metrics.split('\n').find((line) => line.startsWith(`${sample} `))
  return line === undefined ? undefined : Number(line.split(' ').at(-1))
}

t.test('what was asked and done is counted', async (t) => {
  const { app, denoiser } = await build(t)
  const request = { prompt: 'The cat', n: 2, max_tokens: 6, steps: 6 }
  await post(app, '/v1/completions', request)
  await post(app, '/v1/completions', { steps: 0 })
  await app.inject('/nope')
  denoiser.fallback = 'no GPU'
  denoiser.restarts = 3
  const answer = await app.inject('/metrics')
  t.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/)
  const value = (sample: string) => sampleOf(answer.body, sample)
  t.equal(value('fewstep_http_requests_total{method="POST",route="/v1/completions",status="200"}'), 1)
  t.equal(value('fewstep_http_requests_total{method="POST",route="/v1/completions",status="400"}'), 1)
  t.equal(value('fewstep_http_requests_total{method="GET",route="unknown",status="404"}'), 1)
  for (const code of ['invalid_request', 'route_not_found'])
    t.equal(value(`fewstep_errors_total{code="${code}"}`), 1, code)
  t.equal(value('fewstep_http_request_seconds_count{route="/v1/completions"}'), 2)
  t.equal(value(`fewstep_tokens_total{${model},kind="prompt"}`), 4)
  t.equal(value(`fewstep_tokens_total{${model},kind="completion"}`), 12)
  t.equal(value(`fewstep_rows_total{${model}}`), 12)
  t.equal(value(`fewstep_sequences_total{${model},outcome="completed",reason="done"}`), 2)
  const passes = value(`fewstep_passes_total{${model}}`)!
  t.equal(passes, denoiser.passes.length)
  t.equal(value(`fewstep_pass_seconds_count{${model}}`), passes)
  t.equal(value(`fewstep_batch_sequences_count{${model}}`), passes)
  t.equal(
    value(`fewstep_pass_tokens_sum{${model}}`),
    denoiser.passes.reduce((sum, { tokens }) => sum + tokens.length, 0)
  )
  t.equal(value(`fewstep_pass_rows_sum{${model}}`), 12)
  const masks = denoiser.passes.map(({ tokens }) => tokens.filter((token) => token === MASK).length)
  t.equal(
    value(`fewstep_masked_tokens_total{${model}}`),
    masks.reduce((sum, count) => sum + count)
  )
  t.equal(
    value(`fewstep_unpadded_tokens_total{${model}}`),
    denoiser.passes.reduce((sum, { lengths }) => sum + lengths.reduce((all, length) => all + length), 0)
  )
  t.ok(value(`fewstep_pass_tokens_limit{${model}}`)! > 0)
  t.ok(value(`fewstep_text_passes_sum{${model}}`)! >= passes)
  t.equal(value(`fewstep_text_steps_sum{${model}}`), 12)
  for (const name of ['first_step', 'first_text'])
    t.equal(value(`fewstep_${name}_seconds_count{${model}}`), 2, name)
  t.equal(value(`fewstep_steps_total{${model}}`)! + value(`fewstep_empty_steps_total{${model}}`)!, 12)
  t.equal(value(`fewstep_queue_seconds_count{${model}}`), 2)
  t.equal(value(`fewstep_text_seconds_count{${model}}`), 2)
  t.equal(value(`fewstep_running_sequences{${model}}`), 0)
  t.equal(value(`fewstep_queued_sequences{${model}}`), 0)
  t.equal(value(`fewstep_backlog_seconds{${model}}`), 0)
  t.ok(value(`fewstep_pass_cost_seconds{${model},term="fixed"}`)! > 0)
  t.equal(value(`fewstep_denoiser_processes{${model}}`), 1)
  t.equal(value(`fewstep_denoiser_ready{${model}}`), 1)
  t.equal(value(`fewstep_denoiser_restarts_total{${model}}`), 3)
  t.equal(value(`fewstep_device_info{${model},device="cpu",fallback="no GPU"}`), 1)
  t.ok(value('nodejs_eventloop_lag_p99_seconds') !== undefined)
})

t.test('names follow the rules: one prefix, base units, totals say so', async (t) => {
  const { app } = await build(t)
  const types = [...(await app.inject('/metrics')).body.matchAll(/^# TYPE (fewstep_\S+) (\w+)$/gm)]
  t.ok(types.length > 15)
  for (const [, name, type] of types) {
    t.match(name, /^fewstep_[a-z_]+$/)
    t.equal(type === 'counter', name!.endsWith('_total'), name!)
    t.notMatch(name, /_ms|milli|minutes/)
  }
})

t.test('series are there before their first event, so that it has a rate', async (t) => {
  const { metrics } = await build(t)
  const text = await metrics.registry.metrics()
  for (const sample of [
    'fewstep_errors_total{code="denoiser_failed"}',
    'fewstep_connections_cut_total{reason="full"}',
    'fewstep_connections_cut_total{reason="address"}',
    `fewstep_sequences_total{${model},outcome="refused",reason="backlog"}`,
    `fewstep_tokens_total{${model},kind="prompt"}`,
    `fewstep_masked_tokens_total{${model}}`,
    `fewstep_unpadded_tokens_total{${model}}`,
    `fewstep_text_seconds_bucket{le="300",${model}}`,
    `fewstep_text_steps_bucket{le="4096",${model}}`,
    `fewstep_pass_rows_bucket{le="1",${model}}`
  ])
    t.equal(sampleOf(text, sample), 0, sample)
})

t.test('a text that leaves before its first pass has waited so long', async (t) => {
  const { app, denoiser, scheduler, metrics } = await build(t, { maxBatchTokens: 1 })
  denoiser.hold()
  const address = await listen(app)
  const client = new AbortController()
  const left = postTo(`${address}/v1/completions`, { n: 3, max_tokens: 8 }, { signal: client.signal })
  await until(() => scheduler.stats.queued === 2)
  const waited = () => metrics.registry.metrics().then((text) => sampleOf(text, queueCount))
  const queueCount = `fewstep_queue_seconds_count{${model}}`
  t.equal(await waited(), 1, 'one is in its first pass')
  client.abort()
  await t.rejects(left)
  await until(() => scheduler.stats.queued === 0)
  t.equal(await waited(), 3)
  t.equal(
    sampleOf(
      await metrics.registry.metrics(),
      `fewstep_sequences_total{${model},outcome="cancelled",reason="left"}`
    ),
    3
  )
})

t.test('times count from the request, however late it is read', async (t) => {
  const { engine, scheduler, metrics } = await build(t)
  const { signal } = new AbortController()
  const generation = engine.complete({ max_tokens: 5, steps: 5 }, { id: 'a', signal })
  await scheduler.drain()
  const text = () => metrics.registry.metrics()
  t.equal(sampleOf(await text(), `fewstep_text_seconds_count{${model}}`), 1, 'it is written')
  for await (const event of generation)
    if (event.type === 'sequence-end') {
      const firstText = sampleOf(await text(), `fewstep_first_text_seconds_sum{${model}}`)!
      t.ok(firstText * 1000 >= event.timings.first_step_ms)
    }
})

t.test('every candidate of best_of is counted: it was written', async (t) => {
  const { app, metrics } = await build(t)
  await post(app, '/v1/completions', { best_of: 3, max_tokens: 5, steps: 2 })
  const text = await metrics.registry.metrics()
  t.equal(sampleOf(text, `fewstep_tokens_total{${model},kind="completion"}`), 15)
  t.equal(sampleOf(text, `fewstep_text_seconds_count{${model}}`), 3)
})

t.test('every metric is in the table of docs/api.md, and all of that table is there', async (t) => {
  const { metrics } = await batchServer(t)
  const names = metrics.registry.getMetricsAsArray().map(({ name }) => name)
  const table = (await readFile('docs/api.md', 'utf8'))
    .split('\n')
    .filter((line) => /^\| `fewstep_/.test(line))
  const listed = table.flatMap((line) => line.split('|')[1]!.match(/fewstep_\w+/g)!)
  t.same(listed.toSorted(), names.filter((name) => name.startsWith('fewstep_')).toSorted())
})
