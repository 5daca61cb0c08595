import t, { type Test } from 'tap'
import Value from 'typebox/value'
import { ApiKeys } from '../../../src/api-keys.js'
import { RequestError } from '../../../src/errors.js'
import { build, listen, parseEvents, post, postTo, until } from '../../helper.js'
import { protocol } from './protocol.js'

const model = '/v2/models/table'
const prompt = (data: unknown[] = ['The cat'], shape = [data.length]) => ({
  ...{ name: 'prompt', datatype: 'BYTES', shape, data }
})

function follows(t: Test, name: keyof typeof protocol, answer: unknown) {
  t.same(Value.Errors(protocol[name], answer), [], `${name}: ${JSON.stringify(answer)}`)
}

t.test('metadata and health follow the protocol', async (t) => {
  const { app, state, denoiser } = await build(t)
  const get = async (url: string) => {
    const answer = await app.inject(url)
    return { status: answer.statusCode, body: answer.json() }
  }
  for (const url of ['/v2', '/v2/']) {
    follows(t, 'serverMetadata', (await get(url)).body)
    t.match((await get(url)).body, { name: 'fewstep', extensions: ['generate'] })
  }
  const metadata = await get('/v2/models/gpt-3.5-turbo-instruct')
  follows(t, 'modelMetadata', metadata.body)
  t.match(metadata.body, { name: 'table', inputs: [{ name: 'prompt', datatype: 'BYTES', shape: [-1] }] })
  follows(t, 'serverLive', (await get('/v2/health/live')).body)
  for (const url of ['/v2/health/ready', `${model}/ready`]) t.equal((await get(url)).status, 200)
  follows(t, 'modelReady', (await get(`${model}/ready`)).body)

  denoiser.ready = false
  for (const url of ['/v2/health/ready', `${model}/ready`]) {
    t.equal((await get(url)).status, 503)
    t.match((await get(url)).body, { ready: false })
  }
  denoiser.ready = true
  state.phase = 'draining'
  for (const url of ['/v2/health/ready', `${model}/ready`]) t.equal((await get(url)).status, 503)
  t.equal((await get('/v2/health/live')).status, 200)
})

t.test('infer gives the texts that completions give', async (t) => {
  const { app } = await build(t)
  const sampling = { max_tokens: 6, steps: 3, seed: 7, temperature: 0.9, top_k: 2 }
  const prompts = ['The cat', 'A dog']
  const { body: plain } = await post(app, '/v1/completions', { prompt: prompts, ...sampling })
  const texts = plain.choices.map(({ text }: { text: string }) => text)
  for (const [data, shape] of [
    [prompts, [2]],
    [prompts.map((text) => [text]), [2, 1]]
  ] as const) {
    const request = { id: '42', inputs: [prompt([...data], [...shape])], parameters: sampling }
    const { status, body } = await post(app, `${model}/infer`, request)
    t.equal(status, 200)
    follows(t, 'infer', body)
    t.same(body, {
      model_name: 'table',
      id: '42',
      parameters: { seed: 7, temperature: 0.9, top_p: 1, top_k: 2, steps: 3 },
      outputs: [
        { name: 'text', datatype: 'BYTES', shape: [2], data: texts },
        { name: 'finish_reason', datatype: 'BYTES', shape: [2], data: ['length', 'length'] }
      ]
    })
  }
})

t.test('infer returns the outputs that are asked for, and an id only to who sent one', async (t) => {
  const { app } = await build(t)
  const request = {
    inputs: [prompt()],
    outputs: [{ name: 'finish_reason', parameters: { binary_data: false } }],
    parameters: { max_tokens: 2 }
  }
  const { body } = await post(app, `${model}/infer`, request)
  t.same(
    body.outputs.map(({ name }: { name: string }) => name),
    ['finish_reason']
  )
  t.notOk('id' in body)
  follows(t, 'infer', body)
})

t.test('a tensor that is none of ours is refused by name', async (t) => {
  const { app } = await build(t)
  const refused: [request: object, message: RegExp][] = [
    [{}, /^inputs: expected a non-empty array of at most 1 /],
    [{ inputs: [] }, /^inputs: expected a non-empty array/],
    [{ inputs: [{ ...prompt(), name: 'x' }] }, /^inputs\[0\]\.name: expected "prompt", got "x"/],
    [{ inputs: [{ ...prompt(), datatype: 'FP32' }] }, /^inputs\[0\]\.datatype: expected "BYTES", got "FP32"/],
    [
      { inputs: [prompt(['a', 'b'], [3])] },
      /^inputs\[0\]\.shape: expected \[2\] for as much data, got \[3\]/
    ],
    [{ inputs: [prompt([[]], [0])] }, /^inputs\[0\]\.data: expected a prompt at least, got none/],
    [{ inputs: [prompt([1])] }, /^inputs\[0\]\.data\[0\]: expected a string/],
    [{ inputs: [prompt()], parameters: { max_token: 3 } }, /^parameters\.max_token: .*"max_tokens"/],
    [{ inputs: [prompt()], parameters: { steps: 0 } }, /^parameters\.steps: expected an integer >= 1, got 0/],
    [
      { inputs: [{ ...prompt(), parameters: { binary_data: true } }] },
      /^inputs\[0\]\.parameters\.binary_data: expected false, got true/
    ],
    [{ inputs: [prompt()], outputs: [{ name: 'logits' }] }, /^outputs\[0\]\.name: expected one of "text"/],
    [
      { inputs: [prompt()], outputs: Array(3).fill({ name: 'text' }) },
      /^outputs: expected an array of at most 2 objects, got /
    ],
    [
      { inputs: [prompt()], outputs: [{ name: 'text' }, { name: 'text', parameters: {} }] },
      /^outputs\[1\]\.name: expected each once, got "text" again$/
    ],
    [{ inputs: [prompt(Array(9).fill('a'))] }, /^prompt: expected at most 8 texts/]
  ]
  for (const [request, message] of refused) {
    const { status, body } = await post(app, `${model}/infer`, request)
    t.equal(status, 400)
    follows(t, 'error', body)
    t.match(body.error, message)
  }
})

t.test('generate gives the text that a completion gives, and its details on demand', async (t) => {
  const { app } = await build(t)
  const parameters = { seed: 3, steps: 4, max_tokens: 8 }
  const { body: plain } = await post(app, '/v1/completions', { prompt: 'The cat', ...parameters })
  const ask = async (more: object) =>
    (await post(app, `${model}/generate`, { text_input: 'The cat', parameters: { ...parameters, ...more } }))
      .body
  const { text } = plain.choices[0]
  t.same(await ask({}), { model_name: 'table', text_output: text })
  const detailed = await ask({ details: true })
  follows(t, 'generate', detailed)
  t.match(detailed.details, { finish_reason: 'length', seed: 3, steps: 4 })
  t.equal(detailed.details.logprobs.map(({ text }: { text: string }) => text).join(''), text)

  const [first] = text.trim().split(' ')
  const cut = await ask({ stop: [` ${first}`], details: true })
  t.match(cut, { text_output: '', details: { finish_reason: 'stop_sequence', logprobs: [] } })
})

t.test('generate is twenty tokens long unless asked otherwise, as the protocol has it', async (t) => {
  const { app } = await build(t)
  const { body } = await post(app, `${model}/generate`, {
    text_input: 'The cat',
    parameters: { details: true }
  })
  t.equal(body.details.logprobs.length, 20)
  follows(t, 'generate', body)
})

t.test('generate_stream tells the text as it grows', async (t) => {
  const { app } = await build(t)
  const request = { text_input: 'The cat', parameters: { seed: 3, max_tokens: 12, steps: 6 } }
  const { body: whole } = await post(app, `${model}/generate`, request)
  const answer = await app.inject({ method: 'POST', url: `${model}/generate_stream`, payload: request })
  t.match(answer.headers['content-type'], /^text\/event-stream/)
  const events = parseEvents(answer.body)
  t.ok(events.length > 1)
  const deltas = events.map(({ event, data }) => {
    t.equal(event, 'message')
    follows(t, 'generate', JSON.parse(data))
    return JSON.parse(data).text_output
  })
  t.equal(deltas.join(''), whole.text_output)

  const payload = { ...request, parameters: { ...request.parameters, details: true } }
  const detailed = await app.inject({ method: 'POST', url: `${model}/generate_stream`, payload })
  const told = parseEvents(detailed.body).map(({ data }) => JSON.parse(data))
  t.same(
    told.map(({ text_output }) => text_output),
    [...deltas, ''],
    'details come last'
  )
  follows(t, 'generate', told.at(-1))
  const { timings, ...details } = told.at(-1).details
  t.match((await post(app, `${model}/generate`, payload)).body.details, details)
  t.match(timings, { queue_ms: Number, first_step_ms: Number, total_ms: Number, passes: Number })
})

t.test('whole answers say where their time went', async (t) => {
  const { app } = await build(t)
  const parameters = { max_tokens: 4 }
  for (const { status, headers } of [
    await post(app, `${model}/infer`, { inputs: [prompt(['a', 'b'])], parameters }),
    await post(app, `${model}/generate`, { text_input: 'a', parameters })
  ]) {
    t.equal(status, 200)
    t.match(
      headers['server-timing'],
      /^queue;dur=[\d.]+, first-step;dur=[\d.]+, passes;.*, total;dur=[\d.]+$/
    )
  }
})

t.test("errors have the protocol's shape and statuses, before a stream and in it", async (t) => {
  const { app, denoiser, state } = await build(t)
  const parameters = { max_tokens: 4 }
  const cases: [url: string, request: unknown, status: number, message: RegExp][] = [
    ['/v2/models/none/infer', { inputs: [prompt()] }, 404, /^model: expected one of table/],
    ['/v2/models/none/generate', { text_input: '' }, 404, /^model: expected one of table/],
    [`${model}/explain`, {}, 404, /expected a path of the API/],
    [`${model}/infer`, undefined, 400, /./],
    [`${model}/generate`, { text: 'a' }, 422, /^text/],
    [`${model}/generate_stream`, { text_input: '', parameters: { detail: 1 } }, 422, /^parameters\.detail: /]
  ]
  for (const [url, request, status, message] of cases) {
    const answer = await post(app, url, request)
    t.equal(answer.status, status, url)
    follows(t, 'error', answer.body)
    t.match(answer.body.error, message)
  }
  t.equal((await app.inject(`${model}/infer`)).statusCode, 405)
  follows(t, 'error', (await app.inject(`${model}/infer`)).json())

  denoiser.before = () => {
    throw new RequestError('denoiser_failed', 'broken')
  }
  const request = { text_input: 'The cat', parameters }
  const failed = await post(app, `${model}/generate`, request)
  t.equal(failed.status, 424)
  t.match(failed.body, { error: 'The denoiser failed: broken' })
  t.equal((await post(app, `${model}/infer`, { inputs: [prompt()], parameters })).status, 500)
  const stream = await app.inject({ method: 'POST', url: `${model}/generate_stream`, payload: request })
  const last = parseEvents(stream.body).at(-1)!
  t.equal(last.event, 'error')
  t.same(JSON.parse(last.data), { error: 'The denoiser failed: broken' })

  state.phase = 'loading'
  const loading = await post(app, `${model}/infer`, { inputs: [prompt()] })
  t.equal(loading.status, 503)
  t.equal(loading.headers['retry-after'], '1')
  follows(t, 'error', loading.body)
})

t.test('keys, limits and metrics are those of every route', async (t) => {
  const { app } = await build(t, { security: { keys: new ApiKeys([]) } })
  for (const url of ['/v2', '/v2/health/live', '/v2/health/ready']) {
    t.equal((await app.inject(url)).statusCode, 200, url)
  }
  for (const url of [model, `${model}/ready`]) t.equal((await app.inject(url)).statusCode, 401, url)
  for (const url of [`${model}/infer`, `${model}/generate`, `${model}/generate_stream`]) {
    const { status, body } = await post(app, url, {})
    t.equal(status, 401, url)
    follows(t, 'error', body)
  }

  const open = await build(t, { maxQueue: 1, maxBatchTokens: 1 })
  open.denoiser.hold()
  const inputs = [prompt(['a', 'b', 'c', 'd'])]
  const refused = await post(open.app, `${model}/infer`, { inputs })
  t.equal(refused.status, 429)
  t.ok(refused.headers['retry-after-ms'])
  open.denoiser.release()
  await post(open.app, `${model}/infer`, { inputs: [prompt()], parameters: { max_tokens: 3 } })
  t.match((await open.app.inject('/metrics')).body, 'fewstep_tokens_total{model="table",kind="completion"} 3')
})

t.test('a client that leaves its stream frees its places', async (t) => {
  const { app, denoiser, scheduler } = await build(t)
  denoiser.hold()
  const leaving = new AbortController()
  const url = `${await listen(app)}${model}/generate_stream`
  await postTo(url, { text_input: 'The cat' }, { signal: leaving.signal })
  t.equal(scheduler.stats.running, 1)
  leaving.abort()
  await until(() => scheduler.stats.running === 0)
  t.equal(scheduler.stats.sequences.cancelled, 1)
})
