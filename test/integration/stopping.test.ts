import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { post, startServer, TOYS } from './server-process.js'

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
  const { events, exited } = await busyServer(t, '--shutdown-timeout-ms', '300')
  t.match(await events.text(), /event: error\ndata: .*"code":"/)
  t.same(await exited, [1, null])
})

t.test('a second signal stops at once', async (t) => {
  const { child, events, exited } = await busyServer(t)
  events.text().catch(() => {}) // cut short
  await setTimeout(600) // one Ctrl-C under npm arrives twice
  const begun = performance.now()
  child.kill('SIGTERM')
  t.same(await exited, [143, null])
  t.ok(performance.now() - begun < 2000)
})
