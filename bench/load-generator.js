/** How many requests a second does `fewstep bench` make? A stub that answers at once stands for the server. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Caller } from '../dist/bench/call.js'
import { runSlice } from '../dist/bench/load.js'
import { Tally } from '../dist/bench/tally.js'
import { transportTo } from '../dist/bench/transport.js'
import { report } from './report.js'

const SECONDS = 10
const GOAL = 5000
const WARM_UP = 5000 // requests: connections are open, code is compiled

const rows = []
const details = {}
for (const name of ['websocket', 'sse', 'http']) {
  const most = await measure(name, { kind: 'closed', concurrency: 64 })
  const goal = await measure(name, { kind: 'open', rate: GOAL, arrivals: 'poisson' })
  details[name] = { most, goal }
  const [p50, p99] = [goal.latency.p50, goal.latency.p99].map((ms) => ms.toFixed(1))
  rows.push(
    {
      what: `${name}: 64 clients, as fast as they can`,
      figure: `${most.textsPerSecond.toFixed(0)} requests/s`,
      goal: `>= ${GOAL}`
    },
    {
      what: `${name}: at ${GOAL}/s`,
      figure: `${goal.textsPerSecond.toFixed(0)} requests/s; p50 ${p50} ms, p99 ${p99} ms`
    }
  )
}
report(
  'load-generator',
  'What `fewstep bench` itself can do, on one machine with a stub server that answers 8 tokens at once.',
  rows,
  details
)

async function measure(name, load) {
  const child = spawn(process.execPath, ['test/bench/stub-server.js', '{}'], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const [line] = await once(child.stdout, 'data')
  const transport = transportTo(name, { url: String(line).trim(), key: null, kind: 'fewstep' })
  await slice(
    transport,
    { kind: 'closed', concurrency: 64 },
    { seconds: Number.POSITIVE_INFINITY, requests: WARM_UP }
  )
  const figures = await slice(transport, load, { seconds: SECONDS, requests: Number.POSITIVE_INFINITY })
  await transport.close()
  child.kill()
  await once(child, 'exit')
  return figures
}

async function slice(transport, load, extent) {
  const tally = new Tally(1000)
  const calls = []
  const { signal } = new AbortController()
  const run = { model: 'stub', steps: 4 }
  const span = await runSlice(
    { run, load, round: 0, ...extent },
    {
      caller: new Caller(transport, 60_000, signal),
      texts: { prompts: [''], maxTokens: 8, cancelShare: 0, slowReaderShare: 0 },
      temperature: 1,
      usualMs: () => 0,
      signal,
      onCall(call) {
        calls.push(call)
        tally.add(call)
      }
    }
  )
  tally.addSlice(span, calls)
  return tally.figures
}
