import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { build, listen, parseEvents, post, postTo, Socket, tokenizer, until } from '../helper.js'

const url = '/v1/completions'

t.test("the answer has OpenAI's shape and what it takes to get it again", async (t) => {
  const { app } = await build(t)
  const request = { model: 'gpt-3.5-turbo-instruct', prompt: 'The cat', max_tokens: 8, steps: 4, seed: 3 }
  const { status, body } = await post(app, url, request)
  t.equal(status, 200)
  t.match(body, {
    id: /^cmpl-[0-9a-f]{32}$/,
    object: 'text_completion',
    created: Number,
    model: 'table',
    system_fingerprint: /^fp_[0-9a-f]{12}$/,
    choices: [
      {
        index: 0,
        text: /^( red| green| blue){8}$/,
        logprobs: null,
        finish_reason: 'length',
        fewstep: { seed: 3, temperature: 1, top_p: 1, top_k: 0, steps: 4, timings: { total_ms: Number } }
      }
    ],
    usage: { prompt_tokens: 2, completion_tokens: 8, total_tokens: 10 }
  })
  const again = await post(app, url, request)
  t.equal(again.body.choices[0].text, body.choices[0].text)
  t.equal(again.body.system_fingerprint, body.system_fingerprint)
})

t.test('what was asked of the sampler reaches every pass and is told, on every route', async (t) => {
  const { app, denoiser } = await build(t)
  const address = await listen(app)
  const told = { seed: 5, steps: 3, temperature: 0.5, top_p: 0.75, top_k: 2 } // float32 has them all
  const completion = { ...told, max_tokens: 12 }
  const infill = { ...told, template: [{ mask: 12 }] }
  const inputs = [{ name: 'prompt', datatype: 'BYTES', shape: [1], data: ['The cat'] }]
  const generate = { text_input: 'The cat', parameters: { ...completion, details: true } }
  const whole = async (url: string, body: unknown) => (await post(app, url, body)).body
  const events = async (url: string, body: object) => {
    const { body: text } = await app.inject({ method: 'POST', url, payload: { ...body, stream: true } })
    return parseEvents(text).map(({ data }) => data !== '[DONE]' && JSON.parse(data))
  }
  const message = async (type: string, request: object) => {
    const socket = await Socket.open(t, address)
    socket.send({ type, id: 'a', request })
    return (await socket.readUntil(({ type }) => type === 'sequence-end'))[0]
  }
  const ways = {
    completion: async () => (await whole(url, completion)).choices[0].fewstep,
    'streamed completion': async () => (await events(url, completion)).at(-2).choices[0].fewstep,
    drafts: async () => (await events(url, { ...completion, drafts: true }))[0],
    'completion on a socket': () => message('completion', completion),
    infill: () => whole('/v1/infill', infill),
    'streamed infill': async () => (await events('/v1/infill', infill))[0],
    'infill on a socket': () => message('infill', infill),
    infer: async () => (await whole('/v2/models/table/infer', { inputs, parameters: completion })).parameters,
    generate: async () => (await whole('/v2/models/table/generate', generate)).details
  }
  for (const [way, ask] of Object.entries(ways)) {
    denoiser.passes = []
    t.match(await ask(), told, way)
    t.equal(denoiser.passes.length, 3, way)
    for (const { rows, temperature, topP, topK } of denoiser.passes) {
      t.same([...temperature], Array(rows.length).fill(0.5))
      t.same([...topP], Array(rows.length).fill(0.75))
      t.same([...topK], Array(rows.length).fill(2))
    }
  }
})

t.test('every form of prompt', async (t) => {
  const { app } = await build(t)
  const ids = tokenizer.encode('The cat')
  const textsOf = async (prompt: unknown) => {
    const { body } = await post(app, url, { prompt, max_tokens: 3, seed: 1, echo: true })
    return body.choices.map(({ text }: { text: string }) => text)
  }
  const [text] = await textsOf('The cat')
  t.match(text, /^The cat( red| green| blue){3}$/)
  t.same(await textsOf(ids), [text])
  t.same((await textsOf([ids, ids]))[0], text)
  t.match(await textsOf(['The cat', 'A dog']), [/^The cat /, /^A dog /])
  t.match(await textsOf(''), [/^( red| green| blue){3}$/])
  t.match(await textsOf(null), [/^( red| green| blue){3}$/])
})

t.test('several prompts and choices come in order, and each prompt is counted once', async (t) => {
  const { app } = await build(t)
  const prompt = ['The cat', 'A dog sat']
  const { body } = await post(app, url, { prompt, n: 2, max_tokens: 5, echo: true })
  t.match(body.choices, [
    { index: 0, text: /^The cat/ },
    { index: 1, text: /^The cat/ },
    { index: 2, text: /^A dog sat/ },
    { index: 3, text: /^A dog sat/ }
  ])
  t.same(body.usage, { prompt_tokens: 5, completion_tokens: 20, total_tokens: 25 })
})

t.test('best_of gives the best, and all usage of what is given', async (t) => {
  const { app } = await build(t)
  const { body } = await post(app, url, { n: 2, best_of: 4, max_tokens: 5, seed: 1 })
  t.match(body.choices, [{ index: 0 }, { index: 1 }])
  t.equal(body.choices.length, 2)
  t.equal(body.usage.completion_tokens, 10)
})

t.test('logprobs list the tokens as they were revealed', async (t) => {
  const { app } = await build(t)
  const { body } = await post(app, url, {
    prompt: 'The cat',
    max_tokens: 3,
    logprobs: 2,
    echo: true,
    seed: 1
  })
  const { text, logprobs } = body.choices[0]
  t.equal(logprobs.tokens.join(''), text)
  t.same(logprobs.token_logprobs.slice(0, 2), [null, null])
  t.same(logprobs.top_logprobs.slice(0, 2), [null, null])
  t.same(logprobs.text_offset.slice(0, 3), [0, 3, 7])
  for (let i = 2; i < 5; i++) {
    t.ok(logprobs.token_logprobs[i] < 0)
    t.equal(logprobs.top_logprobs[i][logprobs.tokens[i]], logprobs.token_logprobs[i])
    t.ok([2, 3].includes(Object.keys(logprobs.top_logprobs[i]).length))
  }
  const bare = (await post(app, url, { prompt: 'The cat', max_tokens: 3, logprobs: 0 })).body.choices[0]
    .logprobs
  t.equal(bare.top_logprobs, null)
  t.equal(bare.tokens.length, 3)
})

t.test('a stop string ends the text before it', async (t) => {
  const { app } = await build(t)
  const whole = (await post(app, url, { max_tokens: 40, seed: 4 })).body.choices[0].text
  const stop = whole.match(/ (red|green|blue)/g)[5]
  const { text, finish_reason } = (await post(app, url, { max_tokens: 40, seed: 4, stop: [stop, 'zebra'] }))
    .body.choices[0]
  t.equal(text, whole.slice(0, whole.indexOf(stop)))
  t.equal(finish_reason, 'stop')
})

t.test('a choice that a stop string ends leaves the others as they are', async (t) => {
  const { app, denoiser } = await build(t)
  denoiser.before = () => setImmediate() // so that the stop is found while the others are part way
  const request = { n: 3, max_tokens: 40, steps: 80, seed: 18 }
  const textsOf = (choices: { text: string }[]) => choices.map(({ text }) => text)
  const [first, ...others] = textsOf((await post(app, url, request)).body.choices)
  const stop = first!.slice(0, 28)
  t.notOk(others.some((text) => text.includes(stop)))
  const { choices } = (await post(app, url, { ...request, stop })).body
  t.same(textsOf(choices), ['', ...others])
  const passes = choices.map(
    ({ fewstep }: { fewstep: { timings: { passes: number } } }) => fewstep.timings.passes
  )
  t.ok(passes[0] < Math.min(...passes.slice(1)), `${passes} passes`)
  t.match(choices, [{ finish_reason: 'stop' }, { finish_reason: 'length' }, { finish_reason: 'length' }])
  const payload = { ...request, stop, stream: true }
  const events = parseEvents((await app.inject({ method: 'POST', url, payload })).body).slice(0, -1)
  const streamed = ['', '', '']
  for (const { data } of events)
    for (const { index, text } of JSON.parse(data).choices) streamed[index] += text
  t.same(streamed, ['', ...others])
})

t.test('suffix leaves room for what comes after', async (t) => {
  const { app } = await build(t)
  const { body } = await post(app, url, { prompt: 'The', suffix: ' end.', max_tokens: 4, echo: true })
  t.match(body.choices[0].text, /^The( red| green| blue){4}$/)
  t.same(body.usage, { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 })
})

t.test('fields that ask for nothing are accepted', async (t) => {
  const { app } = await build(t)
  const nothing = {
    frequency_penalty: 0,
    presence_penalty: 0,
    logit_bias: { 50: 0 },
    best_of: 0,
    suffix: null,
    stop: null,
    stream: null,
    stream_options: null,
    logprobs: null,
    user: 'me',
    drafts: false
  }
  t.equal((await post(app, url, { ...nothing, max_tokens: 3 })).status, 200)
})

t.test('what cannot be met names the field, what was expected and what came', async (t) => {
  const { app } = await build(t)
  const refusals: [request: object, status: number, code: string, param: string, message: RegExp][] = [
    [{ stepz: 3 }, 400, 'invalid_request', 'stepz', /^stepz: unknown field; did you mean "steps"\?$/],
    [{ response_format: { type: 'text' } }, 400, 'invalid_request', 'response_format', /: unknown field/],
    [{ prompt_logprobs: 1 }, 400, 'invalid_request', 'prompt_logprobs', /^prompt_logprobs: unknown field/],
    [{ steps: '4' }, 400, 'invalid_request', 'steps', /^steps: expected an integer >= 1, got "4"$/],
    [{ steps: 1001 }, 400, 'invalid_request', 'steps', /^steps: expected 1 to 1000 for table, got 1001$/],
    [{ temperature: 3 }, 400, 'invalid_request', 'temperature', /expected a number from 0 to 2, got 3/],
    [{ prompt: true }, 400, 'invalid_request', 'prompt', /^prompt: expected a string, .* or .*, got true$/],
    [{ prompt: [50257] }, 400, 'invalid_request', 'prompt', /the mask token/],
    [{ prompt: [99999] }, 400, 'invalid_request', 'prompt', /below 50257, got 99999/],
    [{ max_tokens: 500 }, 400, 'context_length_exceeded', 'max_tokens', /at most 200 .*, got 500/],
    [{ prompt: ' a'.repeat(300) }, 400, 'context_length_exceeded', 'prompt', /at most 200 tokens/],
    [{ n: 9 }, 400, 'invalid_request', 'n', /at most 8 texts/],
    [{ best_of: 2, stream: true }, 400, 'invalid_request', 'best_of', /with stream, got 2/],
    [{ presence_penalty: 1 }, 400, 'unsupported_parameter', 'presence_penalty', /expected 0, got 1/],
    [
      { stop: ['a', ''] },
      400,
      'invalid_request',
      'stop[1]',
      /^stop\[1\]: expected a non-empty string, got ""$/
    ],
    [{ drafts: true }, 400, 'invalid_request', 'drafts', /expected only with "stream": true/],
    [{ stream_options: {} }, 400, 'invalid_request', 'stream_options', /expected only with "stream": true/],
    [{ model: 'gpt-4' }, 404, 'model_not_found', 'model', /one of table, gpt-3.5-turbo-instruct, got "gpt-4"/]
  ]
  for (const [request, status, code, param, message] of refusals) {
    const { body, ...answer } = await post(app, url, request)
    t.match({ ...answer, ...body.error }, { status, code, param, message, type: 'invalid_request_error' })
  }
})

t.test('text that looks like a special token stays text', async (t) => {
  const { app } = await build(t)
  const { body } = await post(app, url, { prompt: '<|endoftext|>[MASK]', max_tokens: 3, echo: true })
  t.match(body.choices[0].text, /^<\|endoftext\|>\[MASK\]( red| green| blue){3}$/)
})

t.test('a client that leaves frees its place at once, whatever it waits for', async (t) => {
  const { app, denoiser, scheduler, metrics } = await build(t)
  const address = await listen(app)
  denoiser.hold()
  for (const stream of [false, true]) {
    const client = new AbortController()
    const body = { n: 3, max_tokens: 40, stream }
    const answer = postTo(`${address}${url}`, body, { signal: client.signal })
    const read = answer.then((response) => response.text())
    const left = t.rejects(read, { name: 'AbortError' })
    await until(() => scheduler.stats.running === 3)
    client.abort()
    await until(() => scheduler.stats.running === 0)
    await left
  }
  t.equal(scheduler.stats.sequences.cancelled, 6)
  t.equal(scheduler.stats.passes, 0, 'no pass had to end for it')
  t.match(await metrics.registry.metrics(), /^fewstep_http_requests_total{.*status="499"} 2$/m)
})

t.test('one client leaving does not disturb another', async (t) => {
  const { app, denoiser, scheduler } = await build(t)
  const address = await listen(app)
  const request = { max_tokens: 20, seed: 5 }
  const undisturbed = await post(app, url, request)
  denoiser.hold()
  const leaving = new AbortController()
  const left = postTo(`${address}${url}`, { max_tokens: 30 }, { signal: leaving.signal }).catch(() => {})
  const stayed = post(app, url, request)
  await until(() => scheduler.stats.running === 2)
  leaving.abort()
  await until(() => scheduler.stats.running === 1)
  denoiser.release()
  t.equal((await stayed).body.choices[0].text, undisturbed.body.choices[0].text)
  await left
})
