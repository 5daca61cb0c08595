import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkJudge, Judge } from '../../src/bench/perplexity.js'

/** A Python of which only the judge is there: it tells what it was given. */
function python(t: Test, script: string): string {
  const path = join(t.testdir({ python: `#!/usr/bin/env node\n${script}` }), 'python')
  chmodSync(path, 0o755)
  return path
}

const judging = `
const fs = require('node:fs')
const flag = (name) => process.argv.find((word) => word.startsWith(name)).slice(name.length)
const texts = fs.readFileSync(flag('--texts='), 'utf8').trim().split('\\n').map((line) => JSON.parse(line))
const runs = [...new Set(texts.map(({ model, steps }) => model + ' ' + steps))]
const results = runs.map((run) => {
  const [model, steps] = run.split(' ')
  const own = texts.filter((text) => text.model + ' ' + text.steps === run)
  const value = own.map(({ prompt, text }) => prompt + text).join('').length
  return { model, steps: Number(steps), samples: own.length, perplexity: { value, low: 1, high: 9 } }
})
fs.writeFileSync(flag('--out=') + '/judge.json', JSON.stringify({ judge: 'a judge', results }))`

const text = (seed: number) => ({ seed, prompt: 'ab', maxTokens: 8, reader: 'keen' as const })

t.test('each run is judged by the texts that were timed, one a seed', async (t) => {
  const judge = new Judge(python(t, judging))
  const [fast, slow] = [
    { model: 'student', steps: 4 },
    { model: 'student', steps: 8 }
  ]
  judge.add(fast!, text(0), 'cde')
  judge.add(fast!, text(0), 'cde') // under another load
  judge.add(fast!, text(1), 'f')
  judge.add(slow!, text(0), 'g')
  t.strictSame(
    [...(await judge.perplexities())],
    [
      ['student, 4 steps', { value: 8, low: 1, high: 9, texts: 2, judge: 'a judge' }],
      ['student, 8 steps', { value: 3, low: 1, high: 9, texts: 1, judge: 'a judge' }]
    ]
  )
})

t.test('a judge that fails says why in its last line', async (t) => {
  const failing = python(t, `console.error('Traceback'); console.error('out of memory'); process.exit(1)`)
  const judge = new Judge(failing)
  judge.add({ model: 'm', steps: 1 }, text(0), 'a')
  await t.rejects(judge.perplexities(), { message: 'distill.judge: out of memory' })
  await t.rejects(checkJudge(failing), {
    message: /^--judge: expected a Python with .*python \(out of memory\)$/
  })
})

t.test('where there is no Python, that is said', async (t) => {
  await t.rejects(checkJudge('/no/python'), { message: /got \/no\/python \(ENOENT\)$/ })
})
