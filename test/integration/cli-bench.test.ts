import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { fewstep } from './command.js'

t.test('two runs side by side, on a server of its own: table, verdict and figures', async (t) => {
  const file = join(t.testdir({ 'prompts.txt': 'Once upon a time\n\nThe cat\n' }), 'figures.json')
  const flags = ['--run', 'student:2', '--run', 'student:6', '--seconds', '0.6', '--rounds', '2']
  const small = ['--max-tokens', '12', '--concurrency', '2', '--json', file]
  const { code, stdout } = await fewstep([
    'bench',
    ...flags,
    ...small,
    '--prompts',
    join(file, '../prompts.txt')
  ])
  t.equal(code, 0)
  t.match(stdout, /student, 2 steps +2 at once +\d+ +0, 0/)
  t.match(stdout, /student, \d steps?: [\d.]+x the throughput of student at \d steps/)
  const { results, settings } = JSON.parse(await readFile(file, 'utf8'))
  t.equal(settings.maxTokens, 12)
  for (const { figures, variety, steps } of results) {
    t.ok(figures.requests.done > 0 && figures.requests.failed === 0)
    t.ok(figures.passesPerText <= steps && figures.latency.p50 <= figures.latency.max)
    t.ok(variety.entropy > 0 && variety.texts > 0)
  }
})

const refused: [flags: string[], message: RegExp][] = [
  [
    ['--run', 'student:0'],
    /^fewstep: --run: expected a model, or model:steps such as student:8, got "student:0"\n$/
  ],
  [['--rate', 'many'], /^fewstep: --rate: expected numbers over 0, with commas between, got "many"\n$/],
  [
    ['--url', 'http://127.0.0.1:9'],
    /^fewstep: --url: expected a fewstep server that runs, got http:\/\/127.0.0.1:9 /
  ],
  [['--run', 'nobody'], /^fewstep: --run: expected one of .*student.*, got "nobody"\n$/],
  [
    ['--run', 'student:4000'],
    /^fewstep: --run: expected what the server takes, got student, 4000 steps \(invalid_request\)\n$/
  ],
  [
    ['--prompts', '/no/such/file'],
    /^fewstep: --prompts: expected a file of prompts, got \/no\/such\/file \(ENOENT\)\n$/
  ]
]
for (const [flags, message] of refused)
  t.test(`${flags.join(' ')} is refused in a line`, async (t) => {
    const { code, stderr } = await fewstep(['bench', ...flags])
    t.equal(code, 1)
    t.match(stderr, message)
  })
