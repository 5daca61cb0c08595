import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
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
      return { text: '', tokens: 1, timings, firstStep: performance.now(), firstText: performance.now() }
    },
    close: async () => {}
  }
}

async function latencies(load: Load): Promise<Tally> {
  const tally = new Tally(100)
  await runSlice(
    { run: { model: 'm', steps: 1 }, load, round: 0, seconds: 1 },
    {
      transport: stalling(),
      prompts: [''],
      maxTokens: 1,
      temperature: 1,
      signal: new AbortController().signal,
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
