/** Offline batches of a real server: the docs' examples, and processes that are killed. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { DatabaseSync } from '@photostructure/sqlite'
import t from 'tap'
import type { BatchResult, Completion } from '../../src/answers.js'
import { SqliteQueue } from '../../src/batches/sqlite-queue.js'
import { ended, line, look, results, start } from '../batches/batch-server.js'
import { batchRecord } from '../batches/queue-contract.js'
import { post, startServer, startServerWith, TOYS } from './server-process.js'

const run = promisify(execFile)
const docs = readFileSync('docs/batches.md', 'utf8')
const example = (language: string) => docs.match(new RegExp(`\`\`\`${language}\\n([\\s\\S]+?)\`\`\``))![1]!

t.test('the examples of the docs run', async (t) => {
  const directory = t.testdir({ data: {} })
  const { url } = await startServer(t, '--device', 'cpu', '--data', join(directory, 'data'))
  const script = `${directory}/example.mjs`
  writeFileSync(script, example('js').replaceAll('http://127.0.0.1:8080', url))
  const ofClient = await run(process.execPath, [script])
  t.match(ofClient.stdout, /^text 0 .+\n[\s\S]*^text 1 .+\n/m)
  const ofCurl = await run('sh', ['-c', example('sh').replaceAll('http://127.0.0.1:8080', url)], {
    cwd: directory
  })
  const [good, bad] = ofCurl.stdout
    .trim()
    .split('\n')
    .map((result) => JSON.parse(result))
  t.match(good, { custom_id: 'a', error: null, response: { body: { text: /^Once upon a time, a.+\.$/ } } })
  t.match(bad, {
    custom_id: 'b',
    error: { line: 2, param: 'template[0].mask' },
    response: { status_code: 400 }
  })
})

t.test('more batches than memory holds neither stop a server nor keep it from starting', async (t) => {
  const data = t.testdir()
  const queue = await SqliteQueue.open(data)
  await queue.close()
  const database = new DatabaseSync(join(data, 'batches.db'))
  const insert = database.prepare('INSERT INTO batches (id, record) VALUES (?, ?)')
  database.exec('BEGIN')
  for (let i = 0; i < 2000; i++) {
    const record = batchRecord(undefined, { metadata: { a: 'x'.repeat(50_000) } })
    insert.run(record.batch.id, JSON.stringify(record))
  }
  database.exec('COMMIT')
  database.close()
  const env = { NODE_OPTIONS: '--max-old-space-size=96' }
  const { url } = await startServerWith(t, { env }, ...TOYS, '--data', data)
  const list = await (await fetch(`${url}/v1/batches?limit=3`)).json()
  t.match(list, { data: [{}, {}, {}], has_more: true })
  t.equal((await fetch(`${url}/metrics`)).status, 200)
  t.equal((await fetch(`${url}/v1/batches?limit=101`)).status, 400)
})

const lines = Array.from({ length: 400 }, (_, seed) =>
  seed % 50 === 49
    ? line(`${seed}`, { prompt: ' red', steps: 0 })
    : line(`${seed}`, { prompt: ' red', max_tokens: 12, steps: 8, ...(seed % 10 > 0 && { seed }) })
)

const body = (result: BatchResult) => result.response!.body as Completion

/** What every run of the lines must give alike: all but ids, and the texts of lines without a seed. */
const lasting = (found: BatchResult[]) =>
  found.map((result) => {
    const { custom_id, error } = result
    if (error) return [custom_id, error]
    return [custom_id, Number(custom_id) % 10 > 0 && body(result).choices.map(({ text }) => text)]
  })

t.test('a server that is killed again and again loses nothing and does nothing twice', async (t) => {
  const folder = t.testdir()
  const serve = () => startServer(t, ...TOYS, '--data', folder)
  let server = await serve()
  const killed = async () => {
    server.child.kill('SIGKILL')
    await once(server.child, 'exit')
    server = await serve()
  }
  const stored = () => readdirSync(join(folder, 'files'))

  // While a file is sent.
  const sending = httpRequest(`${server.url}/v1/files`, {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=b' }
  })
  sending.on('error', () => {})
  sending.write('--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nsome of it')
  while (stored().length === 0) await setImmediate()
  await killed()
  t.same(stored(), [])

  // When the batch was accepted, then twice while its lines are run, then while its output is written or was just written.
  const { id } = await start(server.url, lines)
  await killed()
  let before = 0
  for (let kills = 0; kills < 2; kills++) {
    for (;;) {
      const { completed, failed } = (await look(server.url, id)).request_counts
      t.ok(completed + failed >= before, 'what was done stays done')
      if (completed + failed > before) {
        before = completed + failed
        break
      }
    }
    await killed()
  }
  while ((await look(server.url, id)).status === 'in_progress') await setImmediate()
  await killed()

  const done = await ended(server.url, id)
  t.match(done, { status: 'completed', request_counts: { total: 400, completed: 392, failed: 8 } })
  const answers = await results(server.url, done.output_file_id)
  const errors = await results(server.url, done.error_file_id)
  const calm = await ended(server.url, (await start(server.url, lines)).id)
  t.same(lasting(answers), lasting(await results(server.url, calm.output_file_id)))
  t.same(lasting(errors), lasting(await results(server.url, calm.error_file_id)))
  t.equal(new Set([...answers, ...errors].map(({ custom_id }) => custom_id)).size, 400)

  // A line without a seed has the text of the seed it was given, however often it was run.
  const [unseeded] = answers
  const [choice] = body(unseeded!).choices
  const request = { prompt: ' red', max_tokens: 12, steps: 8, seed: choice!.fewstep!.seed }
  const live = await post(`${server.url}/v1/completions`, request)
  t.match(await live.json(), { choices: [{ text: choice!.text }] })

  const other = await run(process.execPath, [
    'dist/cli.js',
    'serve',
    '--port',
    '0',
    ...TOYS,
    '--data',
    folder
  ]).catch((error: { stderr: string }) => error)
  t.match(
    other.stderr,
    /^fewstep: --data: expected a folder to write to, got ".*": one that another server uses\n$/
  )
})
