import t from 'tap'
import { build, post } from './helper.js'
import { MASK } from './table-denoiser.js'

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
  const value = (sample: string) => {
    const line = answer.body.split('\n').find((line) => line.startsWith(`${sample} `))
    return line === undefined ? undefined : Number(line.split(' ').at(-1))
  }
  const model = 'model="table"'
  t.equal(value('fewstep_http_requests_total{method="POST",route="/v1/completions",status="200"}'), 1)
  t.equal(value('fewstep_http_requests_total{method="POST",route="/v1/completions",status="400"}'), 1)
  t.equal(value('fewstep_http_requests_total{method="GET",route="unknown",status="404"}'), 1)
  for (const code of ['invalid_request', 'route_not_found'])
    t.equal(value(`fewstep_errors_total{code="${code}"}`), 1, code)
  t.equal(value('fewstep_http_request_seconds_count{route="/v1/completions"}'), 2)
  t.equal(value(`fewstep_tokens_total{${model},kind="prompt"}`), 4)
  t.equal(value(`fewstep_tokens_total{${model},kind="completion"}`), 12)
  t.equal(value(`fewstep_rows_total{${model}}`), 12)
  t.equal(value(`fewstep_sequences_total{${model},outcome="completed"}`), 2)
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
  t.ok(value(`fewstep_text_passes_sum{${model}}`)! >= passes)
  for (const name of ['first_step', 'first_text'])
    t.equal(value(`fewstep_${name}_seconds_count{${model}}`), 2, name)
  t.equal(value(`fewstep_steps_total{${model}}`)! + value(`fewstep_empty_steps_total{${model}}`)!, 12)
  t.equal(value(`fewstep_queue_seconds_count{${model}}`), 2)
  t.equal(value(`fewstep_text_seconds_count{${model}}`), 2)
  t.equal(value(`fewstep_running_sequences{${model}}`), 0)
  t.equal(value(`fewstep_queued_sequences{${model}}`), 0)
  t.equal(value(`fewstep_backlog_seconds{${model}}`), 0)
  t.ok(value(`fewstep_pass_cost_seconds{${model},term="fixed"}`)! > 0)
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
