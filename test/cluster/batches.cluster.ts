/** Offline batches of three servers and a NATS server, on hosts of their own: one server is killed, NATS is killed and comes back. */
import type { ChildProcess } from 'node:child_process'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { ended, line, look, results, start } from '../batches/batch-server.js'
import { post, startServer, TOYS } from '../integration/server-process.js'
import { type Host, Network } from './network.js'

const LINES = 10_000

/** Interactive requests of each of the two measurements that are compared, which take turns: what else the machine does falls on both. */
const REQUESTS = 600
const ROUNDS = 4

const network = new Network()
t.teardown(() => network.close())
const nats = network.host('nats')
const folder = t.testdir()

function startNats(): ChildProcess {
  const where = ['--addr', nats.address, '--store_dir', folder]
  return nats.run(['nats-server', '--jetstream', ...where], {}, 'ignore')
}

function serve(host: Host, ...flags: string[]): { url: string; child: ChildProcess } {
  const where = ['--host', host.address, '--nats', `nats://${nats.address}`, '--log-level', 'error']
  const command = [process.execPath, 'dist/cli.js', 'serve', '--threads', '1', ...where, ...flags]
  return { url: `http://${host.address}:8080`, child: host.run(command, {}, ['ignore', 'ignore', 'inherit']) }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition().catch(() => false))) await setTimeout(100)
}

const ready = async ({ url }: { url: string }) => (await fetch(`${url}/health/ready`)).ok
const done = async (url: string, id: string) => {
  const { completed, failed } = (await look(url, id)).request_counts
  return completed + failed
}

let natsServer = startNats()
await setTimeout(500)

t.test(`${LINES} lines, each answered once, and as one machine answers it`, async (t) => {
  const lines = Array.from({ length: LINES }, (_, seed) =>
    line(`${seed}`, { prompt: ' red', max_tokens: 4 + (seed % 5), steps: 2, seed })
  )
  const answersOf = async (url: string, id: string) => {
    const batch = await ended(url, id)
    t.match(batch, { status: 'completed', error_file_id: null, request_counts: { completed: LINES } })
    return (await results(url, batch.output_file_id)).map(({ custom_id, response }) => {
      const [{ text, fewstep }] = (
        response!.body as { choices: [{ text: string; fewstep: { seed: number } }] }
      ).choices
      return { custom_id, text, seed: fewstep.seed }
    })
  }
  const alone = await startServer(t, ...TOYS, '--data', t.testdir())
  const expected = await answersOf(alone.url, (await start(alone.url, lines)).id)
  alone.child.kill('SIGKILL')

  const [a, b, c] = ['a', 'b', 'c'].map((name) => serve(network.host(name), ...TOYS)) as [
    Served,
    Served,
    Served
  ]
  for (const server of [a, b, c]) await until(() => ready(server))
  let working = true
  const interactive = (async () => {
    let failures = 0
    while (working) failures += Number(!(await post(`${b.url}/v1/completions`, { prompt: ' red' })).ok)
    return failures
  })()
  const began = performance.now()
  const { id } = await start(a.url, lines)
  await until(async () => (await done(b.url, id)) > LINES / 5)
  a.child.kill('SIGKILL')
  await until(async () => (await done(b.url, id)) > LINES / 2)
  natsServer.kill('SIGKILL')
  await setTimeout(2000)
  natsServer = startNats()
  const answers = await until(async () => (await look(c.url, id)).id === id).then(() => answersOf(c.url, id))
  t.comment(`${Math.round((performance.now() - began) / 1000)} s`)
  t.same(answers, expected)
  working = false
  t.equal(await interactive, 0, 'interactive requests are answered all the while')
  for (const { child } of [b, c]) child.kill('SIGKILL')
})

t.test('interactive requests keep their latency while a batch runs', async (t) => {
  const server = serve(network.host('d'), '--model', 'student', '--device', 'cpu')
  await until(() => ready(server))
  const ask = async () => {
    const times: number[] = []
    for (let seed = 0; seed < REQUESTS / ROUNDS; seed++) {
      const began = performance.now()
      const body = { prompt: 'Once upon a time', max_tokens: 32, steps: 8, seed }
      t.ok((await post(`${server.url}/v1/completions`, body)).ok)
      times.push(performance.now() - began)
    }
    return times
  }
  await ask() // what is only slow at first is not to count
  const lines = Array.from({ length: LINES }, (_, seed) =>
    line(`${seed}`, { prompt: 'The house', max_tokens: 8, steps: 2, seed })
  )
  const without: number[] = []
  const within: number[] = []
  let count = 0
  for (let round = 0; round < ROUNDS; round++) {
    without.push(...(await ask()))
    const { id } = await start(server.url, lines)
    await until(async () => (await done(server.url, id)) > 0)
    within.push(...(await ask()))
    const lineCount = await done(server.url, id)
    t.ok(lineCount < LINES, 'the batch ran all the while')
    count += lineCount
    await post(`${server.url}/v1/batches/${id}/cancel`, {})
    await until(async () => (await look(server.url, id)).status === 'cancelled')
  }
  const [p50, p99] = [0.5, 0.99].map((share) => [without, within].map((times) => quantile(times, share)))
  const told = ([a, b]: number[]) => `${a!.toFixed(1)} ms without, ${b!.toFixed(1)} ms within`
  t.comment(`p50 ${told(p50!)}; p99 ${told(p99!)}; ${count} lines done meanwhile`)
  t.ok(p99![1]! < 1.5 * p99![0]!)
})

function quantile(times: readonly number[], share: number): number {
  return [...times].sort((x, y) => x - y)[Math.ceil(share * times.length) - 1]!
}

type Served = ReturnType<typeof serve>
