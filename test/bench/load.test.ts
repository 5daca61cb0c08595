import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { Caller } from '../../src/bench/call.js'
import { runSlice } from '../../src/bench/load.js'
import type { Load } from '../../src/bench/plan.js'
import { Tally } from '../../src/bench/tally.js'
import type { Transport } from '../../src/bench/transport.js'

const STALL_MS = 400

/** A server of one place that takes 2 ms for a text, and once stands still. */
function stalling(): Transport {
  let free = Promise.resolve()
  let texts = 0
  return {
    async write() {
      free = free.then(() => delay(texts++ === 20 ? STALL_MS : 2))
      await free
      const timings = { queue_ms: 0, first_step_ms: 1, pass_ms: 2, total_ms: 2, passes: 1 }
      const now = performance.now()
      return { text: '', tokens: 1, steps: 1, timings, firstStep: now, firstText: now }
    },
    close: async () => {}
  }
}

async function latencies(load: Load): Promise<Tally> {
  const tally = new Tally(100)
  const { signal } = new AbortController()
  await runSlice(
    { run: { model: 'm', steps: 1 }, load, round: 0, seconds: 1, requests: Number.POSITIVE_INFINITY },
    {
      caller: new Caller(stalling(), 60_000, signal),
      texts: { prompts: [''], maxTokens: 1, cancelShare: 0, slowReaderShare: 0 },
      temperature: 1,
      usualMs: () => 0,
      signal,
      onCall: (call) => tally.add(call)
    }
  )
  return tally
}

t.test('at a rate, all who were due while the server stood still count their wait', async (t) => {
  const { figures } = await latencies({ kind: 'open', rate: 100, arrivals: 'constant' })
  // 40 of 99 requests were due during the stall: their wait is evenly spread over it
  t.ok(figures.latency.p90 > 0.5 * STALL_MS, `p90 ${figures.latency.p90} ms`)
  t.ok(figures.goodput < 0.85)
})

t.test('clients that wait for their answer see the stall once', async (t) => {
  const { figures } = await latencies({ kind: 'closed', concurrency: 1 })
  t.ok(figures.latency.max >= STALL_MS)
  t.ok(figures.latency.p90 < 0.1 * STALL_MS, `p90 ${figures.latency.p90} ms`)
})
