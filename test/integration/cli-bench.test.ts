import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { startStub } from '../bench/stub.js'
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
  t.match(stdout, /student, \d steps: [\d.]+x the throughput of student, \d steps/)
  const { results, settings } = JSON.parse(await readFile(file, 'utf8'))
  t.equal(settings.maxTokens, 12)
  for (const { figures, variety, server, steps } of results) {
    t.ok(figures.requests.done > 0 && figures.requests.failed === 0)
    t.ok(server.batch >= 1 && server.residentMiB > 50 && server.cpuShare > 0)
    t.ok(figures.stepsPerText > 1 && figures.stepsPerText <= steps && figures.split.passes > 0)
    t.ok(figures.passesPerText <= steps && figures.latency.p50 <= figures.latency.max)
    t.ok(variety.entropy > 0 && variety.texts > 0)
  }
})

t.test('a server that is not fewstep: what can be measured, and no steps are asked for', async (t) => {
  const url = await startStub(t, { kind: 'plain', delayMs: 20 })
  const file = join(t.testdir(), 'figures.json')
  const flags = ['--url', url, '--requests', '12', '--rounds', '3', '--concurrency', '2', '--json', file]
  const { code, stdout } = await fewstep(['bench', ...flags])
  t.equal(code, 0)
  t.match(stdout, /stub +2 at once +12 +0, 0 /)
  const [result] = JSON.parse(await readFile(file, 'utf8')).results
  t.equal(result.steps, null)
  t.equal(result.figures.queue.p50, null)
  t.ok(result.figures.latency.p50 >= 19 && result.figures.tokensPerSecond > 0)
})

t.test('a sweep of rates stops where more requests come than are answered, and says so', async (t) => {
  const url = await startStub(t, { serial: true, delayMs: 50 }) // 20 a second
  const rates = ['--rate', '8,80,800', '--arrivals', 'constant', '--seconds', '1', '--rounds', '1']
  const { code, stdout } = await fewstep(['bench', '--url', url, ...rates])
  t.equal(code, 0)
  t.match(stdout, /8\/s \(constant\)/)
  t.match(stdout, /80\/s \(constant\): stub, 4 steps is over-saturated: the queue grew all the time\./)
  t.notMatch(stdout, /800\/s/)
})

t.test('so does one of clients who are refused', async (t) => {
  const url = await startStub(t, { serial: true, delayMs: 20, mostWaiting: 2 })
  const { stdout } = await fewstep(['bench', '--url', url, '--concurrency', '1,32,64', '--requests', '100'])
  t.match(stdout, /32 at once: stub, 4 steps is over-saturated: \d+ % were refused\./)
  t.notMatch(stdout, /64 at once/)
})

t.test('Ctrl-C shows what was done by then, at the pace that it was done', async (t) => {
  const url = await startStub(t, { delayMs: 20 })
  const file = join(t.testdir(), 'figures.json')
  const flags = ['--url', url, '--concurrency', '4', '--seconds', '600', '--json', file]
  const child = spawn(process.execPath, ['dist/cli.js', 'bench', ...flags])
  const output = text(child.stdout)
  while (Number(await (await fetch(`${url}/asked`)).text()) < 30) await delay(20)
  child.kill('SIGINT')
  const [code] = await once(child, 'close')
  t.equal(code, 0)
  t.match(await output, /stub, 4 steps +4 at once +\d+ +0, 0/)
  const { results } = JSON.parse(await readFile(file, 'utf8'))
  const { seconds, requests, reasons, textsPerSecond } = results[0].figures
  t.ok(seconds < 60)
  t.ok(Math.abs(textsPerSecond * seconds - requests.done) <= 4)
  t.equal(reasons.interrupted, requests.cancelled)
})

t.test('what is asserted and does not hold is told, with status 1; the report is there', async (t) => {
  const url = await startStub(t, { delayMs: 20 })
  const folder = t.testdir()
  const files = { html: join(folder, 'report.html'), json: join(folder, 'figures.json') }
  const asserted = ['--assert', 'goodput>0.99', '--assert', 'latency.p50<1']
  const written = ['--html', files.html, '--json', files.json]
  const load = ['--requests', '8', '--concurrency', '2', '--rounds', '2']
  const { code, stdout } = await fewstep(['bench', '--url', url, ...load, ...asserted, ...written])
  t.equal(code, 1)
  t.match(stdout, /does not hold: latency.p50<1: got \d+(\.\d+)? for stub, 4 steps, 2 at once\n/)
  t.notMatch(stdout, 'does not hold: goodput')
  t.same((await readdir(folder)).sort(), ['figures.json', 'report.html'])
  const { rounds } = JSON.parse(await readFile(files.json, 'utf8')).results[0].figures
  t.equal(rounds.length, 2)

  const compared = await fewstep(['bench', 'compare', files.json, files.json])
  t.match(compared.stdout, /^stub, 4 steps, 2 at once: throughput unchanged beyond noise \(/)
  const { code: wrong, stderr } = await fewstep(['bench', 'compare', files.json, files.html])
  t.equal(wrong, 2)
  t.match(stderr, /^fewstep: .*report.html: expected what fewstep bench --json wrote, got no JSON\n$/)
})

const refused: [flags: string[], message: RegExp][] = [
  [
    ['--run', 'student:0'],
    /^fewstep: --run: expected a model, or model:steps such as student:8, got "student:0"\n$/
  ],
  [['--rate', 'many'], /^fewstep: --rate: expected numbers over 0, with commas between, got "many"\n$/],
  [
    ['--url', 'http://127.0.0.1:9'],
    /^fewstep: --url: expected a fewstep or OpenAI-compatible server, got http:\/\/127.0.0.1:9 \(ECONNREFUSED\)\n$/
  ],
  [['--run', 'nobody'], /^fewstep: --run: expected one of .*student.*, got "nobody"\n$/],
  [
    ['--run', 'student:4000'],
    /^fewstep: --run: expected what the server takes, got student, 4000 steps \(invalid_request: .*\)\n$/
  ],
  [
    ['--html', '/no/such/folder/report.html'],
    /^fewstep: --html: expected a file that can be written, got \/no\/such\/folder\/report.html \(ENOENT\)\n$/
  ],
  [['--assert', 'speed>1'], /^fewstep: --assert: expected a metric, .*, got "speed>1"\n$/],
  [
    ['--judge', '--python', '/no/python'],
    /^fewstep: --judge: expected a Python .*, got \/no\/python \(ENOENT\)\n$/
  ],
  [
    ['--prompts', '/no/such/file'],
    /^fewstep: --prompts: expected a file of prompts, got \/no\/such\/file \(ENOENT\)\n$/
  ]
]
for (const [flags, message] of refused)
  t.test(`${flags.join(' ')} is refused in a line`, async (t) => {
    const { code, stderr } = await fewstep(['bench', ...flags])
    t.equal(code, 2)
    t.match(stderr, message)
  })
