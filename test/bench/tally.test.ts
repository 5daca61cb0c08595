import t from 'tap'
import type { Call } from '../../src/bench/call.js'
import { Tally } from '../../src/bench/tally.js'

function done(due: number, ended: number, tokens = 10): Call {
  const timings = {
    queue_ms: 1,
    first_step_ms: 2,
    pass_ms: (ended - due) / 2,
    total_ms: ended - due,
    passes: 4
  }
  const written = { text: '', tokens, steps: 5, timings, firstStep: due + 2, firstText: due + 3 }
  return { due, sent: due, ended, outcome: 'done', written }
}

t.test(
  'throughput counts what was done within the time: of a text under way at the end, its share',
  async (t) => {
    const tally = new Tally(1000)
    const calls = [done(0, 500), done(500, 1000), done(800, 1600), done(1000, 1900)]
    for (const call of calls) tally.add(call)
    tally.addSlice({ start: 0, stop: 1000 }, calls)
    t.equal(tally.figures.textsPerSecond, 2.25) // 1 + 1 + 200 / 800 + 0
    t.equal(tally.figures.tokensPerSecond, 22.5)
    t.equal(tally.figures.passesPerText, 4)
    t.equal(tally.figures.stepsPerSecond, 11.25)
    t.equal(tally.figures.passShare, 0.5)
  }
)

t.test(
  'requests are counted by how they ended and why; goodput is those that ended in time, of all but the cancelled',
  async (t) => {
    const tally = new Tally(100)
    tally.add(done(0, 50))
    tally.add(done(0, 150))
    tally.add({ due: 0, sent: 0, ended: 1, outcome: 'refused', reason: 'overloaded' })
    tally.add({ due: 0, sent: 0, ended: 1, outcome: 'failed', reason: 'disconnected' })
    tally.add({ due: 0, sent: 0, ended: 1, outcome: 'cancelled', reason: 'left' })
    tally.add({ due: 0, sent: 0, ended: 1, outcome: 'timedOut', reason: 'timed_out' })
    tally.add({ ...done(0, 5000), outcome: 'slow' })
    t.same(tally.figures.requests, { done: 2, slow: 1, refused: 1, failed: 1, timedOut: 1, cancelled: 1 })
    t.same(tally.figures.reasons, { overloaded: 1, disconnected: 1, left: 1, timed_out: 1 })
    t.equal(tally.figures.goodput, 0.2)
    t.ok(tally.figures.latency.max < 151, 'of a reader who reads late, no times')
  }
)

t.test('quantiles hold to a thousandth', async (t) => {
  const tally = new Tally(1)
  for (let ms = 1; ms <= 1000; ms++) tally.add(done(0, ms))
  const { p50, p90, p99, max } = tally.figures.latency
  for (const [got, expected] of [
    [p50, 500],
    [p90, 900],
    [p99, 990],
    [max, 1000]
  ] as const)
    t.ok(Math.abs(got - expected) <= expected / 1000 + 1, `${got} is ${expected}`)
})

t.test(
  'the time of a text is split by what the server says, and what is left is outside of it',
  async (t) => {
    const tally = new Tally(1000)
    const call = done(0, 100)
    tally.add({ ...call, ended: 110 }) // queue 1, passes 50, 100 in all
    t.same(tally.figures.split, { queue: 1, passes: 50, between: 49, outside: 10 })
  }
)
