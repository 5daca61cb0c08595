import t from 'tap'
import { dueTimes } from '../../src/bench/arrivals.js'

const endless = Number.POSITIVE_INFINITY
const base = { arrivals: 'constant', rate: 4, seconds: endless, requests: endless, round: 0 } as const

t.test('constant arrivals are evenly spaced, for a time or up to a number', async (t) => {
  t.same([...dueTimes({ ...base, seconds: 1.1 })], [250, 500, 750, 1000])
  t.same([...dueTimes({ ...base, requests: 3 })], [250, 500, 750])
})

t.test('Poisson arrivals are as many in the mean, with gaps that vary as much', async (t) => {
  const poisson = { ...base, arrivals: 'poisson', rate: 100, seconds: 100, round: 1 } as const
  const due = [...dueTimes(poisson)]
  t.same(due, [...dueTimes(poisson)])
  t.not(due[0], [...dueTimes({ ...poisson, round: 2 })][0])
  const gaps = due.map((at, i) => at - (due[i - 1] ?? 0))
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
  const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length)
  // 10,000 expected: four standard errors are 4 %, and so they are for the deviation over the mean, which is 1
  t.ok(Math.abs(due.length - 10_000) < 400)
  t.ok(Math.abs(deviation / mean - 1) < 0.04)
})

t.test('a ramp goes from nothing to its rate, over its time or its number of requests', async (t) => {
  const ramp = { ...base, arrivals: 'ramp', rate: 100 } as const
  const due = [...dueTimes({ ...ramp, seconds: 10 })]
  t.equal(due.length, 499) // half of 100 a second for 10 s; the last would be due at the very end
  t.equal(due.filter((ms) => ms < 5000).length, 124) // a quarter of them in the first half
  const counted = [...dueTimes({ ...ramp, requests: 500 })]
  t.equal(counted.length, 500)
  t.ok(Math.abs(counted[498]! - due[498]!) < 1e-9)
})
