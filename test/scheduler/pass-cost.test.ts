import fc from 'fast-check'
import t from 'tap'
import { PassCost } from '../../src/scheduler/pass-cost.js'

const term = (min: number) => fc.double({ min, max: 100, noNaN: true })
const terms = fc.record({ fixedMs: term(0), msPerToken: term(1e-4), msPerRow: term(0) })

t.test('work in several passes costs as much more as the passes are worth', async (t) => {
  const cost = new PassCost({ fixedMs: 2, msPerToken: 0.5, msPerRow: 0.25 })
  t.equal(cost.estimate({ tokens: 100, rows: 8 }), 54)
  t.equal(cost.estimate({ tokens: 100, rows: 8 }, 3), 58)
})

t.test('a pass of as many tokens as give a share gives that share, and no more are asked for', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(terms, fc.double({ min: 0.1, max: 0.99, noNaN: true }), (given, share) => {
        const cost = new PassCost(given)
        const reached = (tokens: number) =>
          (tokens * given.msPerToken) / cost.estimate({ tokens, rows: 0 }) || 1
        const tokens = cost.tokensFor(share)
        return reached(tokens) >= share - 1e-9 && (tokens < 2 || reached(tokens - 1) <= share + 1e-9)
      })
    )
  )
})

t.test(
  'one pass that is held up, or lost and run again, moves the estimate by a third at most',
  async (t) => {
    const cost = new PassCost({ fixedMs: 2, msPerToken: 0.5, msPerRow: 0.25 })
    const size = { tokens: 100, rows: 8 }
    cost.observe(size, 60_000)
    t.ok(cost.estimate(size) < (54 * 4) / 3, `${cost.estimate(size)}`)
    cost.observe(size, 0)
    t.ok(cost.estimate(size) > 54 * 0.99, `${cost.estimate(size)}`)
  }
)

t.test('what passes take moves the estimate there, whatever was measured first', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(terms, fc.double({ min: 0.1, max: 10, noNaN: true }), (given, factor) => {
        const cost = new PassCost(given)
        const size = { tokens: 64, rows: 8 }
        const ms = factor * cost.estimate(size)
        for (let pass = 0; pass < 100; pass++) cost.observe(size, ms)
        return Math.abs(cost.estimate(size) / ms - 1) < 1e-3
      })
    )
  )
})
