import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import type { FileObject } from '../../src/answers.js'
import { ApiKeys, newKey, parseKey } from '../../src/api-keys.js'
import { batchServer, create, line, start, upload } from '../batches/batch-server.js'
import { all, until } from '../helper.js'

const text = `${line('a', { prompt: ' red' })}\n`
const get = (url: string) => fetch(url).then((answer) => answer.json())

t.test('a file is given back as it came, listed, described and deleted', async (t) => {
  const { url } = await batchServer(t)
  const { status, body: file } = await upload(url, text)
  t.equal(status, 200)
  t.match(file, {
    ...{ object: 'file', bytes: text.length, filename: 'requests.jsonl', purpose: 'batch' },
    ...{ status: 'processed', expires_at: null }
  })
  t.same(await get(`${url}/v1/files/${file.id}`), file)
  const content = await fetch(`${url}/v1/files/${file.id}/content`)
  t.equal(content.headers.get('content-length'), String(text.length))
  t.equal(await content.text(), text)
  t.match(await get(`${url}/v1/files`), { object: 'list', data: [file], has_more: false })
  t.match(await get(`${url}/v1/files?purpose=batch_output`), { data: [] })
  const gone = await fetch(`${url}/v1/files/${file.id}`, { method: 'DELETE' })
  t.same(await gone.json(), { id: file.id, object: 'file', deleted: true })
  for (const path of [`${file.id}`, `${file.id}/content`, '..%2fbatches.db/content']) {
    const answer = await fetch(`${url}/v1/files/${path}`)
    t.equal(answer.status, 404)
    t.match(await answer.json(), { error: { code: 'file_not_found' } })
  }
})

t.test('a form that is wrong is refused by its field, and nothing is kept of it', async (t) => {
  const { url, queue } = await batchServer(t)
  const refusals: [Record<string, string>, string][] = [
    [{ purpose: 'fine-tune' }, 'purpose'],
    [{ colour: 'red' }, 'colour'],
    [{ 'expires_after[seconds]': '60' }, 'expires_after[anchor]'],
    [{ 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': '-1' }, 'expires_after[seconds]']
  ]
  for (const [fields, param] of refusals) {
    t.match(await upload(url, text, fields), {
      status: 400,
      body: { error: { code: 'invalid_request', param } }
    })
  }
  const post = (body: BodyInit, type?: string) =>
    fetch(`${url}/v1/files`, { method: 'POST', body, headers: type ? { 'content-type': type } : {} })
  t.equal((await post('{}', 'application/json')).status, 415)
  t.equal((await post('x', 'text/plain')).status, 415)
  const cut = await post(
    '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nxx',
    'multipart/form-data; boundary=b'
  )
  t.match(await cut.json(), { error: { code: 'invalid_request' } })
  const empty = new FormData()
  empty.set('purpose', 'batch')
  t.match(await (await post(empty)).json(), {
    error: { param: 'file', message: 'file: expected a file, got nothing' }
  })
  const named = (name: string, content: string) => {
    const form = new FormData()
    form.set('purpose', 'batch')
    form.set('file', new Blob([content]), name)
    return post(form)
  }
  t.match(await (await named('a', '')).json(), {
    error: { param: 'file', message: 'file: expected one that is not empty, got 0 bytes' }
  })
  t.match(await (await named('a'.repeat(256), text)).json(), {
    error: { param: 'file', message: /^file: expected a name of at most 255 characters, got "a{255}…"$/ }
  })
  t.same(await all(queue.files.list()), [])
  t.equal((await named('a'.repeat(255), text)).status, 200)
})

t.test('a file over the limit is refused with its size, and one at the limit is not', async (t) => {
  const { url, queue } = await batchServer(t, { limits: { maxFileBytes: 300_000 } })
  const answer = await upload(url, 'x'.repeat(2_000_000))
  t.match(answer, { status: 413, body: { error: { code: 'body_too_large', param: 'file' } } })
  t.equal(answer.body.error.message, 'file: expected at most 300000 bytes, got 2000000')
  t.equal((await upload(url, 'x'.repeat(300_000))).status, 200)
  t.equal((await all(queue.files.list())).length, 1)
})

t.test('all files together have a limit, and who deletes one may send another', async (t) => {
  const { url, queue } = await batchServer(t, { limits: { maxDataBytes: 100_000 } })
  const first = (await upload(url, 'x'.repeat(50_000))).body
  t.match(await create(url, { input_file_id: first.id }), {
    status: 413,
    body: { error: { code: 'storage_full', param: 'input_file_id', message: /100000 bytes, got 116\d\d\d;/ } }
  })
  const answer = await upload(url, 'x'.repeat(30_000))
  t.match(answer, {
    status: 413,
    body: { error: { code: 'storage_full', param: 'file', message: /100000 bytes, got 113\d\d\d;/ } }
  })
  t.equal((await all(queue.files.list())).length, 1)
  await fetch(`${url}/v1/files/${first.id}`, { method: 'DELETE' })
  t.equal((await upload(url, 'x'.repeat(60_000))).status, 200)
})

t.test('files and batches that are next to nothing come to an end, too', async (t) => {
  const { url, queue } = await batchServer(t, { idle: true, limits: { maxDataBytes: 100_000 } })
  const { id } = (await upload(url, text)).body
  const made = async (make: () => Promise<{ status: number }>) => {
    for (let count = 0; ; count++) if ((await make()).status !== 200) return count
  }
  t.equal(await made(() => create(url, { input_file_id: id })), 5)
  t.equal(await made(() => upload(url, 'x')), 0)
  t.equal((await all(queue.batches.list())).length, 5)
  t.equal((await all(queue.files.list())).length, 1)
})

/** What the file system says when the first chunk is written and the second one has no room. */
async function* untilFull(chunks: AsyncIterable<Uint8Array>) {
  for await (const chunk of chunks) {
    yield chunk
    throw Object.assign(new Error('ENOSPC: no space left on /data'), { code: 'ENOSPC' })
  }
}

t.test('nothing is kept of a file whose client leaves while it sends', async (t) => {
  const { url, queue, folder } = await batchServer(t)
  const request = httpRequest(`${url}/v1/files`, {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=b' }
  })
  request.on('error', () => {})
  request.write('--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nsome of it')
  const kept = () => readdirSync(join(folder, 'files'))
  await until(() => kept().length === 1)
  request.destroy()
  await until(() => kept().length === 0)
  t.same(await all(queue.files.list()), [])
})

t.test('a disk that is full is not the fault of the client, and is told without a path', async (t) => {
  const { url, queue, folder } = await batchServer(t)
  const write = queue.write.bind(queue)
  queue.write = (id, chunks) => write(id, untilFull(chunks))
  const { status, body } = await upload(url, 'x'.repeat(1_000_000))
  t.match({ status, body }, { status: 507, body: { error: { code: 'disk_full', type: 'server_error' } } })
  t.notMatch(JSON.stringify(body), /ENOSPC|data/)
  t.same(readdirSync(join(folder, 'files')), [])
  t.same(await all(queue.files.list()), [])
})

t.test('an upload that is refused part way is read to its end: its connection can close', async (t) => {
  const { url, queue } = await batchServer(t)
  const write = queue.write.bind(queue)
  queue.write = (id, chunks) => write(id, untilFull(chunks))
  const request = httpRequest(`${url}/v1/files`, {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=b' }
  })
  t.teardown(() => request.destroy())
  const sent = once(request, 'finish')
  request.write('--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n')
  request.end('x'.repeat(16_000_000)) // more than lies in buffers on the way
  const [answer] = await once(request, 'response')
  t.equal(answer.statusCode, 507)
  await sent
  t.equal(request.socket!.writableLength, 0)
})

t.test('a file is gone when its time is over, but stays while a batch reads it', async (t) => {
  const { url, denoiser } = await batchServer(t)
  const kept = (
    await upload(url, text, { 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': '3600' })
  ).body
  t.equal(kept.expires_at, kept.created_at + 3600)
  const brief = (
    await upload(url, text, { 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': '1' })
  ).body
  while ((await fetch(`${url}/v1/files/${brief.id}`)).ok)
    await new Promise((resolve) => setTimeout(resolve, 50))
  t.match(await get(`${url}/v1/files`), { data: [{ id: kept.id }] })
  denoiser.hold()
  const batch = await start(url, [text.trim()])
  const answer = await fetch(`${url}/v1/files/${batch.input_file_id}`, { method: 'DELETE' })
  t.equal(answer.status, 409)
  t.match(await answer.json(), { error: { code: 'file_in_use', message: new RegExp(batch.id) } })
})

t.test('a key sees its own files and batches alone, that of an admin everything', async (t) => {
  const made = { ann: newKey('ann', 'text'), bob: newKey('bob', 'text'), admin: newKey('admin', 'admin') }
  const keys = new ApiKeys(Object.values(made).map(({ line }) => parseKey(line)!))
  const { url, denoiser } = await batchServer(t, { security: { keys } })
  denoiser.hold()
  const as = (name: keyof typeof made) => ({ headers: { authorization: `Bearer ${made[name].secret}` } })
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set('file', new Blob([text]), 'a.jsonl')
  const file = (await (
    await fetch(`${url}/v1/files`, { method: 'POST', body: form, ...as('ann') })
  ).json()) as FileObject
  t.equal((await fetch(`${url}/v1/files/${file.id}`, as('ann'))).status, 200)
  t.equal((await fetch(`${url}/v1/files/${file.id}`, as('bob'))).status, 404)
  t.match(await (await fetch(`${url}/v1/files`, as('bob'))).json(), { data: [] })
  const body = JSON.stringify({
    input_file_id: file.id,
    endpoint: '/v1/completions',
    completion_window: '1h'
  })
  const begin = (name: keyof typeof made) =>
    fetch(`${url}/v1/batches`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...as(name).headers }
    })
  t.equal((await begin('bob')).status, 404)
  const batch = (await (await begin('ann')).json()) as { id: string }
  t.equal((await fetch(`${url}/v1/batches/${batch.id}`, as('ann'))).status, 200)
  t.equal((await fetch(`${url}/v1/batches/${batch.id}`, as('bob'))).status, 404)
  t.match(await (await fetch(`${url}/v1/batches`, as('bob'))).json(), { data: [] })

  // Ann's key is taken away: what she left is still in somebody's hands.
  keys.replace([parseKey(made.admin.line)!])
  t.equal((await fetch(`${url}/v1/batches/${batch.id}`, as('ann'))).status, 401)
  t.match(await (await fetch(`${url}/v1/batches`, as('admin'))).json(), { data: [{ id: batch.id }] })
  t.match(await (await fetch(`${url}/v1/files`, as('admin'))).json(), { data: [{ id: file.id }] })
  const cancel = `${url}/v1/batches/${batch.id}/cancel`
  t.match(await (await fetch(cancel, { method: 'POST', ...as('admin') })).json(), { status: 'cancelling' })
  denoiser.release()
})
