/** What `fewstep bench` tells of a server is true: held against other load testers, and against servers whose figures are known. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { install } from '@sinonjs/fake-timers'
import autocannon from 'autocannon'
import t from 'tap'
import { Caller } from '../../src/bench/call.js'
import { runSlice } from '../../src/bench/load.js'
import type { Load, TransportName } from '../../src/bench/plan.js'
import { type Figures, Tally } from '../../src/bench/tally.js'
import { type Transport, transportTo } from '../../src/bench/transport.js'
import { wait } from '../../src/client/wait.js'
import { startStub } from './stub.js'

const to = (url: string, name: TransportName) => transportTo(name, { url, key: null, kind: 'fewstep' })

async function measure(transport: Transport, load: Load, seconds: number): Promise<Figures> {
  const tally = new Tally(1000)
  const { signal } = new AbortController()
  const calls: Parameters<Tally['add']>[0][] = []
  const slice = {
    run: { model: 'stub', steps: 4 },
    load,
    round: 0,
    seconds,
    requests: Number.POSITIVE_INFINITY
  }
  const span = await runSlice(slice, {
    caller: new Caller(transport, 60_000, signal),
    texts: { prompts: [''], maxTokens: 8, cancelShare: 0, slowReaderShare: 0 },
    temperature: 1,
    usualMs: () => 0,
    signal,
    onCall(call) {
      calls.push(call)
      tally.add(call)
    }
  })
  tally.addSlice(span, calls)
  await transport.close()
  return tally.figures
}

/** Other work on the machine delays now the one and now the other: what holds in any of some tries is no chance, and what never does is a fault. */
async function eventually(
  tries: number,
  attempt: () => Promise<string | undefined>
): Promise<string | undefined> {
  let fault: string | undefined
  for (let i = 0; i < tries; i++) {
    fault = await attempt()
    if (fault === undefined) return
  }
  return fault
}

function compare(what: string, own: number, other: number): string | undefined {
  return Math.abs(own / other - 1) <= 0.05 ? undefined : `${what}: ${own} against ${other}`
}

const DELAY_MS = 100
const CLIENTS = 8
const SECONDS = 3
const closed = { kind: 'closed', concurrency: CLIENTS } as const
const body = JSON.stringify({ model: 'stub', prompt: '', max_tokens: 8 })

t.test(
  'requests a second and latency are those of autocannon, at the same time on the same server',
  async (t) => {
    const url = await startStub(t, { delayMs: DELAY_MS })
    const fault = await eventually(5, async () => {
      const [own, other] = await Promise.all([
        measure(to(url, 'http'), closed, SECONDS),
        autocannon({
          url: `${url}/v1/completions`,
          method: 'POST',
          body,
          connections: CLIENTS,
          duration: SECONDS
        })
      ])
      const perSecond = other.requests.total / other.duration
      return (
        compare('requests/s', own.textsPerSecond, perSecond) ??
        compare('p50', own.latency.p50, other.latency.p50)
      )
    })
    t.equal(fault, undefined)
  }
)

const run = promisify(execFile)
const wrk = await run('wrk', ['--version']).then(
  () => true,
  ({ code }) => code !== 'ENOENT' // it ends with status 1 when it has told its version
)
t.test('and those of wrk', { skip: wrk ? false : 'wrk is not installed' }, async (t) => {
  const url = await startStub(t, { delayMs: DELAY_MS })
  const script = join(t.testdir({ 'post.lua': `wrk.method = 'POST'\nwrk.body = '${body}'\n` }), 'post.lua')
  const flags = ['-t1', `-c${CLIENTS}`, `-d${SECONDS}s`, '--latency', '-s', script, `${url}/v1/completions`]
  const fault = await eventually(5, async () => {
    const [own, { stdout }] = await Promise.all([
      measure(to(url, 'http'), closed, SECONDS),
      run('wrk', flags)
    ])
    const figure = (pattern: RegExp) => Number(pattern.exec(stdout)![1])
    return (
      compare('requests/s', own.textsPerSecond, figure(/Requests\/sec: +([\d.]+)/)) ??
      compare('p50', own.latency.p50, figure(/50% +([\d.]+)ms/))
    )
  })
  t.equal(fault, undefined)
})

t.test('p99 of a server that stands still is what it is by calculation, to within 2 ms', async (t) => {
  const clock = install({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }) // no machine is late on it
  t.teardown(() => clock.uninstall())
  const stall = { from: 1000, to: 1500 }
  const start = performance.now()
  const stalling: Transport = {
    async write() {
      await wait(15)
      const at = performance.now() - start
      if (at >= stall.from && at < stall.to) await wait(stall.to - at)
      return { text: '', tokens: 8, steps: 4, timings: null, firstStep: null, firstText: performance.now() }
    },
    close: async () => {}
  }
  const measured = measure(stalling, { kind: 'open', rate: 1000, arrivals: 'constant' }, 3)
  await clock.tickAsync(10_000)
  const { latency } = await measured
  // 2,999 requests, a millisecond apart, of which the one that was due at 985 waits longest: 515 ms; and 29 others more than the 99th percentile.
  t.ok(Math.abs(latency.max - 515) <= 2, `max ${latency.max}`)
  t.ok(Math.abs(latency.p99 - (515 - 29)) <= 2, `p99 ${latency.p99}`)
  t.ok(Math.abs(latency.p50 - 15) <= 2, `p50 ${latency.p50}`)
})

for (const name of ['websocket', 'sse', 'http'] as const)
  t.test(`over ${name} no request that waited while the server stood still is left out`, async (t) => {
    const url = await startStub(t, { delayMs: 15, stall: { request: 100, forMs: 500 } })
    const { latency } = await measure(to(url, name), { kind: 'open', rate: 100, arrivals: 'constant' }, 3)
    // 299 requests, 10 ms apart: the longest waits take from 505 ms on downwards, and the 99th percentile is the third or fourth of them
    t.ok(latency.p99 > 470, `p99 ${latency.p99}`)
  })
