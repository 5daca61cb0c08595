/** Offline batches of several real servers on one NATS server, which are killed. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { create, ended, line, look, results, start } from '../batches/batch-server.js'
import { NatsServer, noNats } from '../batches/nats-server.js'
import { post, startServer, TOYS } from './server-process.js'

if (noNats) {
  t.pass('', { skip: noNats })
  process.exit()
}

const run = promisify(execFile)

const lines = Array.from({ length: 400 }, (_, seed) =>
  seed % 50 === 49
    ? line(`${seed}`, { prompt: ' red', steps: 0 })
    : line(`${seed}`, { prompt: ' red', max_tokens: 12, steps: 8, seed })
)

const texts = (answers: Awaited<ReturnType<typeof results>>) =>
  answers.map(({ custom_id, response }) => [
    custom_id,
    (response!.body as { choices: { text: string }[] }).choices[0]!.text
  ])

const done = async (url: string, id: string) => {
  const { completed, failed } = (await look(url, id)).request_counts
  return completed + failed
}

t.test('a server is killed, NATS is killed: nothing is lost, and nothing comes twice', async (t) => {
  const nats = await NatsServer.start(t)
  const serve = () => startServer(t, ...TOYS, '--nats', nats.url)
  const [a, b] = [await serve(), await serve()]
  const { id } = await start(a.url, lines)
  while ((await done(b.url, id)) === 0);
  a.child.kill('SIGKILL')
  await once(a.child, 'exit')
  const before = await done(b.url, id)
  t.ok(before < lines.length)

  await nats.kill()
  const health = async () => (await fetch(`${b.url}/health/ready`)).json() as Promise<{ batches: object }>
  while (!JSON.stringify(await health()).includes('NATS cannot be reached')) await setTimeout(20)
  t.match(await health(), { status: 'ready', batches: { queue: 'nats', trouble: 'NATS cannot be reached' } })
  t.match(await (await post(`${b.url}/v1/completions`, { prompt: ' red' })).json(), { choices: [{}] })
  const refused = await fetch(`${b.url}/v1/batches/${id}`)
  t.equal(refused.status, 503)
  t.match(await refused.json(), { error: { code: 'batches_unavailable' } })
  await nats.start()
  while ((await fetch(`${b.url}/v1/batches/${id}`)).status !== 200) await setTimeout(20)
  t.ok((await done(b.url, id)) >= before, 'what was done stays done')

  const batch = await ended(b.url, id)
  t.match(batch, { status: 'completed', request_counts: { total: 400, completed: 392, failed: 8 } })
  const [answers, errors] = [
    await results(b.url, batch.output_file_id),
    await results(b.url, batch.error_file_id)
  ]
  t.same(
    errors.map(({ error }) => error!.line),
    [50, 100, 150, 200, 250, 300, 350, 400]
  )
  const alone = await startServer(t, ...TOYS, '--data', t.testdir())
  const expected = await ended(alone.url, (await start(alone.url, lines)).id)
  t.same(texts(answers), texts(await results(alone.url, expected.output_file_id)))
})

t.test('an id that stands for many to NATS is that of nothing', async (t) => {
  const { url } = await startServer(t, ...TOYS, '--nats', (await NatsServer.start(t)).url)
  const { id, input_file_id } = await start(url, [line('a', { prompt: ' red' })])
  const places = (id: string): [method: string, path: string][] => [
    ['GET', `files/${id}`],
    ['GET', `files/${id}/content`],
    ['DELETE', `files/${id}`],
    ['GET', `batches/${id}`],
    ['POST', `batches/${id}/cancel`]
  ]
  for (const wild of ['*', '%2A', '>', '%3E', 'a.b', 'a%20b', '%00']) {
    for (const [method, path] of places(wild)) {
      const answer = await fetch(`${url}/v1/${path}`, { method })
      t.equal(answer.status, 404, `${method} ${path}`)
      t.match(await answer.json(), { error: { code: /^(file|batch)_not_found$/ } })
    }
    const { status, body } = await create(url, { input_file_id: decodeURIComponent(wild) })
    t.match({ status, body }, { status: 404, body: { error: { code: 'file_not_found' } } }, `input ${wild}`)
  }
  t.equal((await ended(url, id)).status, 'completed')
  t.equal((await fetch(`${url}/v1/files/${input_file_id}`)).status, 200)
})

t.test('settings that cannot be used end the server with a line', async (t) => {
  const refused = async (...flags: string[]) => {
    const command = ['dist/cli.js', 'serve', '--port', '0', ...TOYS, ...flags]
    const { stderr } = await run(process.execPath, command).catch((error: { stderr: string }) => error)
    return stderr
  }
  t.equal(
    await refused('--nats', 'nats://me:secret@127.0.0.1:1'),
    'fewstep: --nats: expected a NATS server with JetStream, got 127.0.0.1:1: connection refused\n'
  )
  t.equal(
    await refused('--nats', 'nats:/me:secret@host'),
    'fewstep: --nats: expected a URL such as nats://host:4222, got something else\n'
  )
  t.equal(
    await refused('--nats', 'nats://host', '--data', 'folder'),
    'fewstep: --nats: expected no --data beside it, got both\n'
  )
  t.match(
    await refused('--nats', 'nats://host', '--nats-credentials', 'no-file'),
    /^fewstep: --nats-credentials: expected a file that can be read, got ENOENT.+\n$/
  )
})
