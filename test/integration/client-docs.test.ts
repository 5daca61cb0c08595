/** The examples of docs/client.md, run as they are against the bundled models. */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import t from 'tap'
import { startServer } from './server-process.js'

const run = promisify(execFile)
const docs = readFileSync('docs/client.md', 'utf8')
const sections = docs.split(/^##? /m).slice(1)

/** What each example prints. */
const expected: Readonly<Record<string, RegExp>> = {
  'The TypeScript client': /\w+/,
  'Watch a text take shape': /^1 \d+ .*\n[\s\S]*Once upon a time, a/,
  'Several texts over one WebSocket': /^(?=[\s\S]*student: [\d.]+ ms)(?=[\s\S]*teacher: [\d.]+ ms)/,
  Cancel: /^TimeoutError\n$/,
  Errors: /^invalid_request steps steps: expected/,
  'Tries again': /\w+/
}

t.test('every example of the client runs', async (t) => {
  const { url } = await startServer(t, '--device', 'cpu')
  const directory = t.testdir()
  const examples = sections.flatMap((section) => {
    const title = section.slice(0, section.indexOf('\n'))
    return [...section.matchAll(/```ts\n([\s\S]+?)```/g)].map(([, code]) => ({ title, code: code! }))
  })
  t.same(
    examples.map(({ title }) => title),
    Object.keys(expected)
  )
  for (const { title, code } of examples) {
    const file = `${directory}/${title.replaceAll(' ', '-')}.mjs`
    writeFileSync(file, code.replaceAll('http://127.0.0.1:8080', url))
    const { stdout } = await run(process.execPath, [file], { timeout: 30_000 })
    t.match(stdout, expected[title]!, title)
  }
})
