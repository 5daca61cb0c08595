/** Three servers behind the balancer, on hosts of their own: one is killed, one cut off, each replaced, one owes more than the others. */
import { availableParallelism } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import autocannon from 'autocannon'
import t, { type Test } from 'tap'
import { type Fleet, type Replica, startFleet } from './fleet.js'
import { Network } from './network.js'
import { Visitors } from './visitors.js'
import { beginEvents, beginSocket, type Writing, write } from './writing.js'

const network = new Network()
t.teardown(() => network.close())
const flags = ['--model', 'student', '--device', 'cpu', '--threads', '1', '--shutdown-timeout-ms', '120000']
const fleet = await startFleet(network, flags)
const replica = (name: string): Replica => fleet.replicas.get(name)!

const prompt = 'Once upon a time'
const short = { prompt, max_tokens: 16 }
const medium = { prompt, max_tokens: 60, steps: 60 }
const long = { prompt, max_tokens: 240, steps: 240 }

/** Texts that are being written: on every replica one as events and one over a WebSocket. */
async function beginEverywhere({ url, replicas }: Fleet, text: object): Promise<Writing[]> {
  const writings: Writing[] = []
  const tooMany: Writing[] = []
  for (const begin of [beginEvents, beginSocket]) {
    const missing = new Set(replicas.keys())
    while (missing.size > 0) {
      const writing = await begin(url, text)
      if (missing.delete(writing.replica)) writings.push(writing)
      else tooMany.push(writing)
      if (tooMany.length > 60) throw new Error(`the balancer leaves out ${[...missing]}`)
    }
  }
  for (const writing of tooMany) writing.leave()
  return writings
}

/** Clients who come while a test goes on. */
function receive(t: Test, clients: number): Visitors {
  const visitors = new Visitors(fleet.url, short, clients)
  t.teardown(() => visitors.leave())
  return visitors
}

/** All of these come whole. */
async function comeWhole(t: Test, writings: readonly Writing[]): Promise<void> {
  for (const { kind, replica, end } of writings) t.equal(await end, 'whole', `${kind} of ${replica}`)
}

/** All who came meanwhile got their text. */
async function nobodyRefused(t: Test, visitors: Visitors): Promise<void> {
  const answers = await visitors.leave()
  t.same(
    answers.filter(({ status }) => status !== '200'),
    [],
    `${answers.length} texts, nobody refused`
  )
}

/** So many further answers came, none of them from there. */
async function othersServe(t: Test, visitors: Visitors, name: string, count: number): Promise<void> {
  const before = visitors.answers.length
  await until(async () => visitors.answers.length >= before + count)
  t.notOk(visitors.answers.slice(before).some(({ replica }) => replica === name))
}

const servesAgain = (name: string) => until(async () => (await write(fleet.url, short)).replica === name)

t.test('a replica is killed: its streams end, those of the others go on, nobody is refused', async (t) => {
  const writings = await beginEverywhere(fleet, medium)
  const visitors = receive(t, 2)
  await until(async () => visitors.answers.length > 0)
  replica('a').kill('SIGKILL')
  const [its, others] = [true, false].map((of) => writings.filter(({ replica }) => of === (replica === 'a')))
  for (const { kind, end } of its!) t.not(await end, 'whole', `${kind} of a`)
  await othersServe(t, visitors, 'a', 6)
  await nobodyRefused(t, visitors)
  await comeWhole(t, others!)
  await replica('a').start()
  await servesAgain('a')
})

t.test('a replica is cut off and comes back: all streams go on, nobody is refused', async (t) => {
  const writings = await beginEverywhere(fleet, long)
  const visitors = receive(t, 4)
  replica('b').host.plug(false)
  await setTimeout(3000) // two probes, each of a second, fail
  const before = writings.map(({ received }) => received)
  const answers = visitors.answers.length
  await setTimeout(3000)
  const meanwhile = visitors.answers.slice(answers).map(({ replica }) => replica)
  t.ok(meanwhile.length > 0 && !meanwhile.includes('b'), 'the others serve')
  writings.forEach(({ kind, replica, received }, i) => {
    if (replica === 'b') t.equal(received, before[i], `${kind} of b stands still`)
    else t.ok(received > before[i]!, `${kind} of ${replica} goes on`)
  })
  replica('b').host.plug(true)
  await comeWhole(t, writings)
  await nobodyRefused(t, visitors)
  await servesAgain('b')
})

t.test('each replica is replaced in turn: no stream breaks, nobody is refused', async (t) => {
  const visitors = receive(t, 2)
  for (const [name, replica] of fleet.replicas) {
    const writings = await beginEverywhere(fleet, medium)
    t.equal(await replica.stop(), 0, `${name} ends when what it had accepted is written`)
    await othersServe(t, visitors, name, 2)
    await replica.start()
    await comeWhole(t, writings)
    await until(async () => visitors.answers.at(-1)?.replica === name)
  }
  await nobodyRefused(t, visitors)
})

t.test('a replica owes more than its requests tell: new work goes to the others', async (t) => {
  // As many requests everywhere, as far as the balancer knows; but one replica has more from elsewhere.
  const writings = await beginEverywhere(fleet, long)
  writings.push(await beginEvents(replica('a').url, { ...long, n: 8 }))
  await setTimeout(2500) // the balancer asks each second what is owed
  const visitors = receive(t, 1)
  await othersServe(t, visitors, 'a', 6)
  await nobodyRefused(t, visitors)
  for (const writing of writings) writing.leave()
})

t.test('throughput by replicas, same load', async (t) => {
  const lines = ['| replicas | texts/s | p50 ms | p99 ms |', '|---|---|---|---|']
  const serving = [...fleet.replicas.values()]
  for (const one of serving.slice(1)) await one.stop()
  for (const [i, one] of serving.entries()) {
    if (i > 0) {
      await one.start()
      await servesAgain(one.host.name)
    }
    const { requests, latency, errors, statusCodeStats } = await autocannon({
      url: `${fleet.url}/v1/completions`,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt, max_tokens: 64 }),
      connections: 24,
      duration: 5
    })
    t.strictSame([Object.keys(statusCodeStats!), errors], [['200'], 0])
    lines.push(`| ${i + 1} | ${requests.average} | ${latency.p50} | ${latency.p99} |`)
  }
  t.comment(`on ${availableParallelism()} cores, one thread a replica, 24 clients:\n${lines.join('\n')}`)
})

/** Tries until it is so, for a minute. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 60_000; performance.now() < end; ) {
    if (await condition()) return
    await setTimeout(100)
  }
  throw new Error('it never became so')
}
