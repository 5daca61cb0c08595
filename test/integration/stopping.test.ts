import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { childrenOf, post, startServer, TOYS } from './server-process.js'

const long = { model: 'toy-mixture', prompt: ' red', max_tokens: 9000, steps: 1000, stream: true }
const flags = [...TOYS, '--max-text-tokens', '10000']

/** A server with a stream under way that takes longer than any test. */
async function busyServer(t: Parameters<typeof startServer>[0], ...more: string[]) {
  const server = await startServer(t, ...flags, ...more)
  const events = await post(`${server.url}/v1/completions`, long)
  const exited = once(server.child, 'exit')
  server.child.kill('SIGTERM')
  return { ...server, events, exited }
}

t.test('while it drains a server is not ready, and takes nothing new', async (t) => {
  const { url, events } = await busyServer(t)
  while ((await fetch(`${url}/health/ready`)).ok) await setTimeout(5)
  t.match(await (await fetch(`${url}/health/ready`)).json(), { status: 'draining' })
  const late = await post(`${url}/v1/completions`, {})
  t.equal(late.status, 503)
  t.match(await late.json(), { error: { code: 'draining' } })
  t.equal((await fetch(`${url}/health/live`)).status, 200)
  await events.body!.cancel()
})

t.test('what is not finished in time is told so, and the exit code says it', async (t) => {
  const { events, exited, logged } = await busyServer(t, '--shutdown-timeout-ms', '300')
  t.match(await events.text(), /event: error\ndata: .*"code":"/)
  t.same(await exited, [1, null])
  await logged(
    /SIGTERM: new work is refused, 1 texts[^\n]*\n[\s\S]*stopped after 300 ms: 1 texts dropped, 1 connection/
  )
})

t.test('a second signal stops at once', async (t) => {
  const { child, events, exited, logged } = await busyServer(t)
  events.text().catch(() => {}) // cut short
  await logged(/SIGTERM: /)
  const begun = performance.now()
  child.kill('SIGTERM')
  t.same(await exited, [143, null])
  t.ok(performance.now() - begun < 2000)
})

t.test('one Ctrl-C that arrives twice, from the terminal and from npm, is one', async (t) => {
  const { child, logged } = await startServer(t, ...TOYS)
  const exited = once(child, 'exit')
  child.kill('SIGINT')
  child.kill('SIGINT')
  t.same(await exited, [0, null])
  await logged(/SIGINT: new work is refused, 0 texts[\s\S]*stopped: all that was accepted is finished/)
})

t.test('a stop while models are loading ends their processes, and the server without a fault', async (t) => {
  const child = spawn(process.execPath, ['dist/cli.js', 'serve', '--port', '0', ...TOYS])
  const exited = once(child, 'exit')
  const output = Promise.all([text(child.stdout), text(child.stderr)])
  const denoisers = () => childrenOf(child.pid!)
  while ((await denoisers()).length === 0) await setTimeout(5)
  const started = await denoisers()
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
  const [announced, log] = await output
  t.equal(announced, '')
  t.match(log, /SIGTERM: new work is refused/)
  t.notMatch(log, /replaced|at .*\.js/)
  for (const pid of started) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
})

t.test('clients that ask for nothing hold no stop up', async (t) => {
  const { url, child } = await startServer(t, ...TOYS)
  for (const sent of ['', 'GET /v1/models HTTP/1.1\r\nho']) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => {}) // a reset will do
    await once(socket, 'connect')
    socket.write(sent)
  }
  await fetch(`${url}/health/live`)
  const begun = performance.now()
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
  t.ok(performance.now() - begun < 10_000, 'less than --shutdown-timeout-ms')
})
