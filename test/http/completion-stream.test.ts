import type { Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import OpenAI from 'openai'
import t from 'tap'
import { build, listen, parseEvents, post, postTo, until } from '../helper.js'

const url = '/v1/completions'

t.test('a stream is chunks whose texts add up to the completion, then [DONE]', async (t) => {
  const { app } = await build(t)
  const request = { prompt: 'The cat', n: 2, max_tokens: 20, steps: 10, seed: 1 }
  const whole = (await post(app, url, request)).body
  const answer = await app.inject({ method: 'POST', url, payload: { ...request, stream: true } })
  t.equal(answer.headers['content-type'], 'text/event-stream; charset=utf-8')
  t.equal(answer.headers['cache-control'], 'no-cache')
  t.equal(answer.headers['x-accel-buffering'], 'no')
  const events = parseEvents(answer.body)
  t.same(events.pop(), { event: 'message', data: '[DONE]' })
  const chunks = events.map(({ data }) => JSON.parse(data))
  const texts = ['', '']
  const finished: (string | null)[] = [null, null]
  for (const { id, object, model, choices, ...rest } of chunks) {
    t.match({ id, object, model }, { id: chunks[0].id, object: 'text_completion', model: 'table' })
    t.notOk('usage' in rest)
    const [{ index, text, finish_reason }] = choices
    t.equal(finished[index], null, 'nothing after the end of a choice')
    texts[index] += text
    finished[index] = finish_reason
  }
  t.same(
    texts,
    whole.choices.map(({ text }: { text: string }) => text)
  )
  t.same(finished, ['length', 'length'])
})

t.test('echo, logprobs and usage come with a stream too', async (t) => {
  const { app } = await build(t)
  const request = { prompt: 'The cat', max_tokens: 6, seed: 1, echo: true, logprobs: 1 }
  const whole = (await post(app, url, request)).body
  const payload = { ...request, stream: true, stream_options: { include_usage: true } }
  const events = parseEvents((await app.inject({ method: 'POST', url, payload })).body).slice(0, -1)
  const chunks = events.map(({ data }) => JSON.parse(data))
  t.same(chunks.at(-1).choices, [])
  t.same(chunks.at(-1).usage, whole.usage)
  t.ok(chunks.slice(0, -1).every(({ usage }) => usage === null))
  t.equal(chunks[0].choices[0].text, 'The cat')
  t.equal(chunks.map(({ choices }) => choices[0]?.text ?? '').join(''), whole.choices[0].text)
  t.same(chunks.at(-2).choices[0].logprobs, whole.choices[0].logprobs)
})

t.test('drafts are typed events between the chunks', async (t) => {
  const { app } = await build(t)
  const payload = { prompt: 'The cat', max_tokens: 20, steps: 10, seed: 1, stream: true, drafts: true }
  const events = parseEvents((await app.inject({ method: 'POST', url, payload })).body).slice(0, -1)
  const drafts = events.filter(({ event }) => event !== 'message').map(({ data }) => JSON.parse(data))
  t.match(drafts[0], { type: 'sequence-start', index: 0, seed: 1, holes: [{ start: 2, length: 20 }] })
  t.match(drafts.at(-1), { type: 'sequence-end', usage: { completion_tokens: 20 } })
  t.notOk('tokens' in drafts.at(-1))
  const steps = drafts.slice(1, -1)
  t.equal(steps.length, drafts[0].passes)
  const positions = steps.flatMap(({ reveals }) =>
    reveals.map(({ position }: { position: number }) => position)
  )
  t.same(
    positions.sort((a, b) => a - b),
    Array.from({ length: 20 }, (_, i) => i + 2)
  )
  for (const { event, data } of events) {
    const { type, choices, object } = JSON.parse(data)
    t.equal(type ?? 'message', event)
    t.ok(Array.isArray(choices), 'a chunk to a client that knows no events')
    t.equal(object, 'text_completion')
  }
})

t.test("OpenAI's client reads a stream, with drafts and without", async (t) => {
  const { app } = await build(t)
  const client = new OpenAI({ baseURL: `${await listen(app)}/v1`, apiKey: 'none', maxRetries: 0 })
  const request = { model: 'table', prompt: 'The cat', max_tokens: 20, steps: 10, seed: 1 }
  const whole = await client.completions.create(request)
  for (const drafts of [false, true]) {
    let text = ''
    const stream = await client.completions.create({ ...request, stream: true, ...(drafts && { drafts }) })
    for await (const chunk of stream) for (const choice of chunk.choices) text += choice.text
    t.equal(text, whole.choices[0]!.text)
  }
})

t.test("an error on the way is the last event, and OpenAI's client throws it", async (t) => {
  const { app, denoiser } = await build(t)
  const request = { model: 'table', prompt: '', max_tokens: 20, steps: 10, stream: true as const }
  denoiser.before = () => {
    if (denoiser.passes.length % 3 === 0) throw new Error('out of memory')
  }
  const events = parseEvents((await app.inject({ method: 'POST', url, payload: request })).body)
  t.equal(events.at(-1)!.event, 'error')
  t.match(JSON.parse(events.at(-1)!.data), {
    error: { code: 'denoiser_failed', type: 'server_error', param: null, message: String }
  })
  t.notMatch(events.map(({ data }) => data).join(), /DONE/)

  denoiser.passes = []
  const client = new OpenAI({ baseURL: `${await listen(app)}/v1`, apiKey: 'none', maxRetries: 0 })
  const read = async () => {
    for await (const chunk of await client.completions.create(request)) t.ok(chunk.choices)
  }
  await t.rejects(read(), { code: 'denoiser_failed' })
})

t.test('a stream says that it is accepted at once, and that it lives while it waits', async (t) => {
  const { app, denoiser, scheduler } = await build(t, { limits: { heartbeatMs: 5 } })
  denoiser.hold()
  const answer = await postTo(`${await listen(app)}${url}`, { max_tokens: 4, steps: 2, stream: true })
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
  let waiting = ''
  while (!waiting.includes('alive')) waiting += (await reader.read()).value
  t.match(waiting, /^: accepted\n\n: alive\n\n/)
  t.equal(scheduler.stats.running, 1)
  denoiser.release()
  let text = ''
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) text += chunk.value
  t.match(text, /\[DONE\]\n\n$/)
  await until(() => scheduler.stats.running === 0)
})

t.test(
  'a stream that is not read takes what fills its transport from its text, and the rest of its steps is joined',
  async (t) => {
    const { app, denoiser, scheduler } = await build(t)
    denoiser.before = () => setImmediate() // so that who reads gets every step
    const request = { max_tokens: 190, steps: 500, seed: 1, logprobs: 5, stream: true, drafts: true }
    const stepsOf = (text: string) =>
      parseEvents(text)
        .filter(({ event }) => event === 'step-end')
        .map(({ data }) => JSON.parse(data))
    const steps = stepsOf((await app.inject({ method: 'POST', url, payload: request })).body)
    t.ok(steps.length > 100)

    const connected = new Promise<Socket>((resolve) => app.server.once('connection', resolve))
    const unread = postTo(`${await listen(app)}${url}`, request)
    const connection = await connected
    connection.cork() // takes nothing: the buffers of the kernel would take the whole text
    await until(() => scheduler.stats.sequences.completed === 2)
    connection.uncork()
    const joined = stepsOf(await (await unread).text())
    t.ok(joined.length < steps.length - 20, `${joined.length} events for ${steps.length} steps`)
    const revealsOf = (events: typeof steps) => events.flatMap(({ reveals }) => reveals)
    t.same(revealsOf(joined), revealsOf(steps))
  }
)
