import { setImmediate } from 'node:timers/promises'
import OpenAI, { toFile } from 'openai'
import t from 'tap'
import type { Completion } from '../../src/answers.js'
import { batchServer, create, ended, line, look, results, start, upload } from '../batches/batch-server.js'
import { build, post, until } from '../helper.js'

const colours = { prompt: ' red', max_tokens: 6 }
const textOf = (body: unknown) => (body as Completion).choices.map(({ text }) => text)

t.test('a batch answers each line as the live endpoint would, in the order of its file', async (t) => {
  const { url, app } = await batchServer(t)
  const lines = Array.from({ length: 40 }, (_, i) =>
    line(`request ${i}`, { ...colours, seed: i, n: 1 + (i % 3) })
  )
  const batch = await start(url, lines, { metadata: { who: 'me' } })
  t.match(batch, { object: 'batch', status: 'in_progress', metadata: { who: 'me' }, errors: null })
  t.same(batch.request_counts, { total: 40, completed: 0, failed: 0 })
  const done = await ended(url, batch.id)
  t.match(done, {
    status: 'completed',
    error_file_id: null,
    request_counts: { total: 40, completed: 40, failed: 0 }
  })
  t.ok(done.completed_at! >= done.finalizing_at! && done.finalizing_at! >= done.created_at)
  const answers = await results(url, done.output_file_id)
  t.same(
    answers.map(({ custom_id }) => custom_id),
    lines.map((_, i) => `request ${i}`)
  )
  for (const [i, { response, error }] of answers.entries()) {
    const live = await post(app, '/v1/completions', { ...colours, seed: i, n: 1 + (i % 3) })
    t.equal(error, null)
    t.equal(response!.status_code, 200)
    t.same(textOf(response!.body), textOf(live.body))
  }
})

t.test('infills are lines, too; a line without a seed is given one, which its answer tells', async (t) => {
  const { url, app } = await batchServer(t)
  const body = { template: ['The ', { mask: 3 }, '.'] }
  const batch = await start(
    url,
    [line('a', body, '/v1/infill'), line('b', { ...body, seed: null }, '/v1/infill')],
    {
      endpoint: '/v1/infill'
    }
  )
  const answers = await results(url, (await ended(url, batch.id)).output_file_id)
  const seeds = answers.map(({ response }) => (response!.body as { seed: number }).seed)
  t.not(seeds[0], seeds[1])
  for (const [i, { response }] of answers.entries()) {
    const live = await post(app, '/v1/infill', { ...body, seed: seeds[i] })
    t.equal((response!.body as { text: string }).text, (live.body as { text: string }).text)
  }
})

t.test('bad lines are told by number and field, and the good ones are run', async (t) => {
  const { url, app } = await batchServer(t)
  const lines = [
    line('good', colours),
    'not JSON',
    line('steps', { ...colours, steps: 0 }),
    '',
    line('url', {}, '/v1/infill'),
    JSON.stringify({ custom_id: 'no body', method: 'POST', url: '/v1/completions' }),
    line('good', colours),
    line('stream', { ...colours, stream: true }),
    line('hurry', { ...colours, deadline_ms: 5 }),
    line('model', { ...colours, model: 'gpt-4' }),
    line('long', { prompt: 'x'.repeat(11_000) }),
    JSON.stringify({ custom_id: 7, method: 'POST', url: '/v1/completions', body: colours }),
    line('last', colours)
  ]
  const done = await ended(url, (await start(url, lines)).id)
  t.same(done.request_counts, { total: 12, completed: 2, failed: 10 })
  t.same(
    (await results(url, done.output_file_id)).map(({ custom_id }) => custom_id),
    ['good', 'last']
  )
  const errors = await results(url, done.error_file_id)
  const told = errors.map(({ custom_id, error }) => [custom_id, error!.line, error!.param, error!.code])
  t.same(told, [
    [null, 2, null, 'invalid_request'],
    ['steps', 3, 'steps', 'invalid_request'],
    ['url', 5, 'url', 'invalid_request'],
    ['no body', 6, 'body', 'invalid_request'],
    ['good', 7, 'custom_id', 'invalid_request'],
    ['stream', 8, 'stream', 'unsupported_parameter'],
    ['hurry', 9, 'deadline_ms', 'unsupported_parameter'],
    ['model', 10, 'model', 'model_not_found'],
    [null, 11, null, 'body_too_large'],
    [null, 12, 'custom_id', 'invalid_request']
  ])
  t.match(errors[1]!.error!.message, /^line 3: steps: expected an integer .*, got 0$/)
  t.match(
    errors[4]!.error!.message,
    'line 7: custom_id: expected one that no other line has, got "good" of line 1'
  )
  // What the response holds is what the live endpoint answers.
  const live = await post(app, '/v1/completions', { ...colours, steps: 0 })
  t.same(errors[1]!.response, { ...errors[1]!.response, status_code: live.status, body: live.body })
})

t.test('a cancelled batch keeps what is done and tells of every other line', async (t) => {
  const { url, denoiser } = await batchServer(t)
  const held = denoiser.holdAt(12)
  const lines = Array.from({ length: 600 }, (_, i) =>
    line(`${i}`, { ...colours, steps: 1 + (i % 4), seed: i })
  )
  const { id } = await start(url, lines)
  await held
  const cancel = () =>
    fetch(`${url}/v1/batches/${id}/cancel`, { method: 'POST' }).then((answer) => answer.json())
  t.match(await cancel(), { status: 'cancelling', cancelling_at: Number })
  t.match(await cancel(), { status: 'cancelling' })
  denoiser.release()
  const done = await ended(url, id)
  t.equal(done.status, 'cancelled')
  const { total, completed, failed } = done.request_counts
  t.ok(completed > 0 && failed > 0)
  t.equal(completed + failed, total)
  const all = [...(await results(url, done.output_file_id)), ...(await results(url, done.error_file_id))]
  t.same(
    all.map(({ custom_id }) => Number(custom_id)).sort((a, b) => a - b),
    lines.map((_, i) => i)
  )
  const [error] = await results(url, done.error_file_id)
  t.match(error, { response: null, error: { code: 'batch_cancelled', line: Number } })
  t.match(await cancel(), { error: { code: 'batch_ended' } })
})

t.test('a batch whose window is over ends, with a word for each line that was not run', async (t) => {
  const { url, denoiser } = await batchServer(t)
  denoiser.hold()
  const { id } = await start(url, [line('a', colours), line('b', colours)], { completion_window: '1s' })
  const done = await ended(url, id)
  t.equal(done.status, 'expired')
  t.ok(done.expired_at! >= done.expires_at)
  t.same(done.request_counts, { total: 2, completed: 0, failed: 2 })
  t.equal(done.output_file_id, null)
  const errors = await results(url, done.error_file_id)
  t.same(
    errors.map(({ custom_id, error }) => [custom_id, error!.code]),
    [
      ['a', 'batch_expired'],
      ['b', 'batch_expired']
    ]
  )
  denoiser.release()
})

t.test('lines are offline texts: they wait for interactive ones', async (t) => {
  const { url, app, denoiser, scheduler } = await batchServer(t)
  denoiser.hold()
  const lines = Array.from({ length: 300 }, (_, i) => line(`${i}`, colours))
  const { id } = await start(url, lines)
  await until(() => scheduler.stats.offline === 128)
  const { queued, running, sequences } = scheduler.stats
  t.same([queued, running, sequences.refused], [0, 0, 0])
  t.match(await look(url, id), { status: 'in_progress', request_counts: { total: 300, completed: 0 } })
  const live = post(app, '/v1/completions', colours)
  await until(() => scheduler.stats.running === 1)
  denoiser.release()
  t.equal((await live).status, 200)
  t.equal((await ended(url, id)).request_counts.completed, 300)
})

const pairs = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}`.padEnd(64, 'x'), 'y'.repeat(256)]))

t.test('what cannot be a batch is refused with its reason', async (t) => {
  const { url } = await batchServer(t, { limits: { maxBatchLines: 2, maxFileBytes: 1000 } })
  const two = (await upload(url, `${line('a', {})}\n${line('b', {})}\n`)).body.id
  const three = (await upload(url, 'a\nb\nc')).body.id
  const none = (await upload(url, '\n \n')).body.id
  const refusals: [object, number, string, string | null][] = [
    [{ input_file_id: 'file-x' }, 404, 'file_not_found', 'input_file_id'],
    [{ input_file_id: three }, 400, 'invalid_request', 'input_file_id'],
    [{ input_file_id: none }, 400, 'invalid_request', 'input_file_id'],
    [{ input_file_id: two, endpoint: '/v1/chat/completions' }, 400, 'invalid_request', 'endpoint'],
    [{ input_file_id: two, completion_window: 'soon' }, 400, 'invalid_request', 'completion_window'],
    [{ input_file_id: two, completion_window: '31d' }, 400, 'invalid_request', 'completion_window'],
    [{ input_file_id: two, completion_window: '999999h' }, 400, 'invalid_request', 'completion_window'],
    [{ input_file_id: two, metadata: { a: 1 } }, 400, 'invalid_request', 'metadata.a'],
    [{ input_file_id: two, metadata: { a: 'x'.repeat(513) } }, 400, 'invalid_request', 'metadata.a'],
    [{ input_file_id: two, metadata: { ['x'.repeat(65)]: '' } }, 400, 'invalid_request', 'metadata'],
    [{ input_file_id: two, metadata: pairs(17) }, 400, 'invalid_request', 'metadata'],
    [{}, 400, 'invalid_request', 'input_file_id']
  ]
  for (const [fields, status, code, param] of refusals) {
    const answer = await create(url, fields)
    t.match(answer, { status, body: { error: { code, param } } }, JSON.stringify(answer.body))
  }
  t.match((await create(url, { input_file_id: two, metadata: pairs(17) })).body.error, {
    message: /^metadata: expected an object of at most 16 strings, with names of at most 64 characters, got /
  })
  t.match(await create(url, { input_file_id: two, metadata: pairs(16), completion_window: '30d' }), {
    status: 200,
    body: { metadata: pairs(16) }
  })
  t.match(await look(url, 'batch_x'), { error: { code: 'batch_not_found' } })
})

t.test('lines that there is no place for come back in a while, and count as no refusals', async (t) => {
  const { url, app, denoiser, scheduler } = await batchServer(t, { maxQueue: 1 })
  let [asked, refused] = [0, 0]
  const expectRoom = scheduler.expectRoom.bind(scheduler)
  scheduler.expectRoom = (...request) => {
    asked++
    try {
      expectRoom(...request)
    } catch (error) {
      refused++
      throw error
    }
  }
  denoiser.hold()
  const lines = Array.from({ length: 100 }, (_, i) => line(`${i}`, colours))
  const { id } = await start(url, lines)
  await until(() => refused > 10)
  const [before, began] = [asked, performance.now()]
  for (let turn = 0; turn < 5000; turn++) await setImmediate()
  const tries = 1 + Math.floor((performance.now() - began) / 1000)
  t.ok(asked - before <= 200 * tries, `${asked - before} questions for 100 lines`)
  const { body } = await app.inject('/metrics')
  t.notMatch(body, /^fewstep_sequences_total.*refused.* [1-9]/m)
  denoiser.release()
  t.match(await ended(url, id), { request_counts: { completed: 100, failed: 0 } })
})

t.test('batches are listed in pages', async (t) => {
  const { url } = await batchServer(t)
  const ids: string[] = []
  for (let i = 0; i < 3; i++) ids.unshift((await start(url, [line('a', colours)])).id)
  const list = async (query: string) => (await fetch(`${url}/v1/batches${query}`)).json() as Promise<Page>
  interface Page {
    data: { id: string }[]
    has_more: boolean
  }
  const idsOf = ({ data }: Page) => data.map(({ id }) => id)
  t.same(idsOf(await list('')), ids)
  const first = await list('?limit=2')
  t.same([idsOf(first), first.has_more], [ids.slice(0, 2), true])
  const rest = await list(`?limit=2&after=${ids[1]}`)
  t.same([idsOf(rest), rest.has_more], [ids.slice(2), false])
  t.match(await list('?limit=none'), { error: { code: 'invalid_request', param: 'limit' } })
})

t.test('without a folder batches are off, and the answer says how to turn them on', async (t) => {
  const { app } = await build(t)
  for (const url of ['/v1/files', '/v1/batches', '/v1/batches/batch_1']) {
    const answer = await app.inject(url)
    t.equal(answer.statusCode, 404)
    t.match(answer.json(), { error: { code: 'batches_off', message: /--data/ } })
  }
})

t.test("OpenAI's client is told what it is typed for", async (t) => {
  const { url, denoiser } = await batchServer(t)
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 })
  const file = await client.files.create({
    file: await toFile(Buffer.from(line('a', colours)), 'requests.jsonl'),
    purpose: 'batch',
    expires_after: { anchor: 'created_at', seconds: 3600 }
  })
  t.equal(file.expires_at, file.created_at + 3600)
  const wanted = {
    input_file_id: file.id,
    endpoint: '/v1/completions',
    completion_window: '24h',
    output_expires_after: { anchor: 'created_at', seconds: 3600 }
  } as const
  const { id } = await client.batches.create(wanted)
  const done = await ended(url, id)
  t.equal((await client.batches.retrieve(id)).status, 'completed')
  const output = await client.files.retrieve(done.output_file_id!)
  t.equal(output.expires_at, output.created_at + 3600)
  t.match(await (await client.files.content(output.id)).text(), /"custom_id":"a"/)

  denoiser.hold()
  const second = await client.batches.create(wanted)
  t.equal((await client.batches.cancel(second.id)).status, 'cancelling')
  denoiser.release()
  await ended(url, second.id)
  const batches: string[] = []
  for await (const batch of client.batches.list({ limit: 1 })) batches.push(batch.id)
  t.same(batches, [second.id, id])
  const files: string[] = []
  for await (const { id } of client.files.list({ limit: 1, purpose: 'batch' })) files.push(id)
  t.same(files, [file.id])

  t.same(await client.files.delete(file.id), { id: file.id, object: 'file', deleted: true })
  const gone = await client.files.retrieve(file.id).catch((error) => error)
  t.ok(gone instanceof OpenAI.NotFoundError)
  t.equal(gone.code, 'file_not_found')
  await t.rejects(client.batches.create(wanted), {
    status: 404,
    code: 'file_not_found',
    param: 'input_file_id'
  })
  await t.rejects(client.batches.retrieve('batch_x'), { status: 404, code: 'batch_not_found' })
  await t.rejects(client.batches.cancel(id), { status: 409, code: 'batch_ended' })
})
