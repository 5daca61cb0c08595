/** Offline batches of a real server: the docs' examples, and processes that are killed. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { ended, line, look, results, start } from '../batches/batch-server.js'
import { startServer, TOYS } from './server-process.js'

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

const lines = Array.from({ length: 400 }, (_, i) =>
  i % 50 === 49
    ? line(`${i}`, { prompt: ' red', steps: 0 })
    : line(`${i}`, { prompt: ' red', max_tokens: 12, steps: 8 })
)

/** The texts that the seeds of the answers give on a live server. */
const asTold = ({ custom_id, response }: Awaited<ReturnType<typeof results>>[number]) => {
  const [choice] = (response!.body as { choices: { text: string; fewstep: { seed: number } }[] }).choices
  return [custom_id, choice!.text, choice!.fewstep.seed]
}

t.test('a server that is killed again and again loses nothing and does nothing twice', async (t) => {
  const folder = t.testdir()
  const serve = () => startServer(t, ...TOYS, '--data', folder)
  let server = await serve()
  const { id } = await start(server.url, lines)
  let before = 0
  for (let kills = 0; kills < 3; kills++) {
    for (;;) {
      const { completed, failed } = (await look(server.url, id)).request_counts
      t.ok(completed + failed >= before, 'what was done stays done')
      if (completed + failed > before) {
        before = completed + failed
        break
      }
    }
    server.child.kill('SIGKILL')
    await once(server.child, 'exit')
    server = await serve()
  }
  const done = await ended(server.url, id)
  t.match(done, { status: 'completed', request_counts: { total: 400, completed: 392, failed: 8 } })
  const answers = await results(server.url, done.output_file_id)
  const errors = await results(server.url, done.error_file_id)
  t.same(
    [...answers, ...errors].map(({ custom_id }) => Number(custom_id)).sort((a, b) => a - b),
    lines.map((_, i) => i)
  )
  t.same(
    errors.map(({ error }) => error!.line),
    [50, 100, 150, 200, 250, 300, 350, 400]
  )
  // Whatever was run twice would have given the same text: so says a server that was never killed.
  for (const answer of [answers[0]!, answers.at(-1)!]) {
    const [, text, seed] = asTold(answer)
    const live = await fetch(`${server.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: ' red', max_tokens: 12, steps: 8, seed })
    })
    t.match(await live.json(), { choices: [{ text }] })
  }
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
