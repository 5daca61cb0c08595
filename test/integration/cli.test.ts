import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { requestSettings } from '../../src/commands/request.js'
import { settings } from '../../src/config.js'
import { flagOf, variableOf } from '../../src/setting.js'
import { FakeTerminal } from '../commands/fake-terminal.js'
import { startServer, TOYS } from './server-process.js'

const TOY = ['--model', 'test/fixtures/models/toy-mixture', '--device', 'cpu']
const WORDS = '( red| green| blue)'

async function fewstep(args: string[], { input = '', env = {} } = {}) {
  const child = spawn(process.execPath, ['dist/cli.js', ...args], { env: { ...process.env, ...env } })
  child.stdin.end(input)
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close')
  ])
  return { stdout, stderr, code }
}

/** In a terminal of 40 columns and 12 rows. */
function fewstepInTerminal(args: string[]) {
  const command = ['stty cols 40 rows 12;', 'exec', process.execPath, 'dist/cli.js', ...args].join(' ')
  return spawn('script', ['--quiet', '--flush', '--return', '--command', command, '/dev/null'], {
    env: { ...process.env, TERM: 'xterm-256color' }
  })
}

t.test('help documents every setting, its flag and its variable', async (t) => {
  const { stdout, code } = await fewstep(['serve', '--help'])
  t.equal(code, 0)
  const documented = (word: string) => new RegExp(`${word}\\b`).test(stdout)
  t.same(
    Object.keys(settings).filter((name) => !(documented(flagOf(name)) && documented(variableOf(name)))),
    []
  )
  const generate = (await fewstep(['generate', '--help'])).stdout
  t.same(
    Object.keys(requestSettings).filter((name) => !generate.includes(flagOf(name))),
    []
  )
})

t.test('the version is that of the package', async (t) => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.same(await fewstep(['--version']), { stdout: `${version}\n`, stderr: '', code: 0 })
})

t.test('what cannot be used is one line on standard error and exit code 1', async (t) => {
  const fails = async (args: string[], line: RegExp | string, env = {}) => {
    const { stdout, stderr, code } = await fewstep(args, { env })
    t.match({ stdout, code }, { stdout: '', code: 1 })
    t.match(stderr, line)
    t.equal(stderr.split('\n').length, 2, stderr)
  }
  await fails(['serve', '--port', '70000'], '--port: expected an integer from 0 to 65535, got "70000"')
  await fails(['serve'], 'FEWSTEP_DEVICE: expected one of auto, cuda, cpu, got "gpu"', {
    FEWSTEP_DEVICE: 'gpu'
  })
  await fails(['serve', ...TOY, '--alias', 'a=b'], '--alias: expected a= one of toy-mixture, got "b"')
  await fails(['serve', ...TOY, ...TOY], '--model: expected models of different names, got "toy-mixture"')
  await fails(['serve', '--model', '/nowhere'], '/nowhere')
  await fails(['serve', ...TOY, '--host', '192.0.2.1'], '--host: expected an address of this machine')
  await fails(['generate', '--top-p', '0'], '--top-p: expected a number over 0, at most 1, got "0"')
  await fails(['generate', ...TOY, '--steps', '1000000'], 'steps: expected ')
  const occupied = createServer().listen(0, '127.0.0.1')
  await once(occupied, 'listening')
  t.teardown(() => occupied.close())
  const port = String((occupied.address() as AddressInfo).port)
  await fails(['serve', ...TOY, '--port', port], `--port: expected a free port, got ${port}`)
})

t.test('on a pipe generate writes the plain text: prompt, completion and suffix', async (t) => {
  const args = ['generate', ' red', ...TOY, '--max-tokens', '5', '--seed', '7', '--suffix', ' blue']
  const first = await fewstep(args)
  t.match(first, { stderr: '', code: 0 })
  t.match(first.stdout, new RegExp(`^ red${WORDS}{5} blue\n$`))
  t.equal((await fewstep(args)).stdout, first.stdout)
})

t.test('generate reads its prompt from standard input', async (t) => {
  const { stdout } = await fewstep(['generate', '-', ...TOY, '--max-tokens', '2'], { input: ' green blue' })
  t.match(stdout, new RegExp(`^ green blue${WORDS}{2}\n$`))
})

t.test('in a terminal the text takes shape in place and is left plain', async (t) => {
  const args = ['generate', '"red"', ...TOY, '--max-tokens', '40', '--steps', '8', '--seed', '7']
  const child = fewstepInTerminal(args)
  const output = await text(child.stdout)
  t.match(output, /░/)
  t.match(output, /step 8 of 8, 0 masked/)
  const terminal = new FakeTerminal(40, 12)
  terminal.write(output)
  const plain = await fewstep(args.map((word) => word.replaceAll('"', '')))
  const shown = terminal.text.split('\n')
  const lines = plain.stdout.trimEnd().match(/.{1,40}/g)!
  t.same(
    shown.slice(0, lines.length),
    lines.map((line) => line.trimEnd())
  )
  t.match(shown.slice(lines.length).join(''), /^40 tokens in 8 steps, .* toy-mixture on cpu, seed 7\)$/)
  t.ok(terminal.cursorShown)
})

t.test('Ctrl-C ends generate and gives the cursor back', async (t) => {
  const child = fewstepInTerminal(['generate', ...TOY, '--max-tokens', '900', '--steps', '900'])
  const closed = once(child, 'close')
  let output = ''
  for await (const chunk of child.stdout) {
    if (!output.includes('step 1 of') && (output + chunk).includes('step 1 of')) child.stdin.write('\u0003')
    output += chunk
  }
  t.same(await closed, [130, null])
  const terminal = new FakeTerminal(40, 12)
  terminal.write(output)
  t.ok(terminal.cursorShown)
  t.notMatch(terminal.text, /step|░/)
})

t.test('when time to drain runs out the rest ends with an error and the exit code says so', async (t) => {
  const { url, child } = await startServer(
    t,
    ...TOYS,
    '--max-text-tokens',
    '1000',
    '--shutdown-timeout-ms',
    '0'
  )
  const body = { model: 'toy-mixture', prompt: ' red', max_tokens: 900, steps: 900, stream: true }
  const answer = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body)
  })
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  t.match(await answer.text(), /draining/)
  t.same(await exited, [1, null])
})
