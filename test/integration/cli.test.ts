import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { requestSettings } from '../../src/commands/request.js'
import { settings } from '../../src/config.js'
import { flagOf, variableOf } from '../../src/setting.js'
import { fewstep, TOY } from './command.js'
import { post, startServer, TOYS } from './server-process.js'

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
  await fails(['serve', '--model', '/nowhere'], '/nowhere')
  await fails(['generate', ...TOY, '--steps', '1000000'], 'steps: expected ')
  const occupied = createServer().listen(0, '127.0.0.1')
  await once(occupied, 'listening')
  t.teardown(() => occupied.close())
  const port = String((occupied.address() as AddressInfo).port)
  await fails(['serve', ...TOY, '--port', port], `--port: expected a free port, got ${port}`)
})

t.test('texts that could never all wait are refused by their field, not told to come back', async (t) => {
  const { url } = await startServer(t, ...TOYS, '--max-queue', '2')
  const answer = await post(`${url}/v1/completions`, { prompt: ' red', max_tokens: 2, n: 3 })
  t.equal(answer.status, 400)
  t.match(await answer.json(), { error: { param: 'n', message: /at most 2 texts/ } })
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
  const answer = await post(`${url}/v1/completions`, body)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  t.match(await answer.text(), /draining/)
  t.same(await exited, [1, null])
})

t.test('one Ctrl-C that arrives twice still drains; a later signal stops at once', async (t) => {
  const { url, child } = await startServer(t, ...TOYS, '--max-text-tokens', '4000')
  const body = { model: 'toy-mixture', prompt: ' red', max_tokens: 3900, steps: 900, stream: true }
  const { body: events } = await post(`${url}/v1/completions`, body)
  const exited = once(child, 'exit')
  child.kill('SIGINT')
  child.kill('SIGINT')
  const firstAt = performance.now()
  const reading = async () => {
    // Again and again: nobody knows when a busy server has heeded the first.
    for await (const _ of events!) if (performance.now() - firstAt > 600) child.kill('SIGINT')
  }
  await t.rejects(reading(), 'the text is cut off')
  t.same(await exited, [130, null])
})
