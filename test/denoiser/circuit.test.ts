import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { Circuit } from '../../src/denoiser/circuit.js'

const FAILURES = 6

/** A circuit whose trials end as told, and when they were. */
function circuitOf(trials: (Error | undefined)[], signal = new AbortController().signal) {
  const circuit = new Circuit(async () => {
    times.push(now)
    const error = trials.shift()
    if (error) throw error
  }, signal)
  const times: number[] = []
  let now = 0
  const pass = async (ms: number) => {
    for (let end = now + ms; now < end; ) {
      now += 500
      mock.timers.tick(500)
      await setImmediate()
    }
  }
  const fail = (count = FAILURES) => {
    for (let i = 1; i <= count; i++) circuit.fail(`reason ${i}`)
  }
  return { circuit, times, pass, fail }
}

t.beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
t.afterEach(() => mock.timers.reset())

t.test('failures in a row open it, for the last of the reasons; others do not', async (t) => {
  const { circuit, fail } = circuitOf([])
  for (let i = 0; i < 10; i++) {
    fail(FAILURES - 1)
    t.equal(circuit.failures, FAILURES - 1)
    circuit.succeed()
  }
  t.equal(circuit.outage, undefined)
  fail()
  t.match(circuit.outage, { reason: `reason ${FAILURES}` })
  t.ok(circuit.outage!.retryAfterMs >= 900 && circuit.outage!.retryAfterMs <= 1000)
})

t.test(
  'a trial closes it; one that fails is followed by another after twice the time, up to a minute',
  async (t) => {
    const failed = Array.from({ length: 8 }, () => new Error('still bad'))
    const { circuit, times, pass, fail } = circuitOf(failed)
    fail()
    await pass(260_000)
    t.same(
      times,
      [1, 3, 7, 15, 31, 63, 123, 183, 243].map((seconds) => seconds * 1000)
    )
    t.equal(circuit.outage, undefined)
    t.equal(circuit.failures, 0)
  }
)

t.test('the time is short again after a pass that was asked for, not after a trial', async (t) => {
  const { circuit, times, pass, fail } = circuitOf([])
  fail()
  await pass(2000)
  fail()
  await pass(1500)
  t.match(circuit.outage, { reason: `reason ${FAILURES}` })
  await pass(500)
  t.equal(circuit.outage, undefined)
  circuit.succeed()
  fail()
  await pass(1000)
  t.same(times, [1000, 4000, 5000])
})

t.test('no trial once it is over', async (t) => {
  const controller = new AbortController()
  const { times, pass, fail } = circuitOf([], controller.signal)
  fail()
  controller.abort()
  await pass(5000)
  t.same(times, [])
})
