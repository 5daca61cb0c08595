import fc from 'fast-check'
import t from 'tap'
import { Coins } from '../../src/diffusion/coin.js'
import { noiseSchedules } from '../../src/diffusion/noise-schedule.js'
import { drawRevealPlan } from '../../src/diffusion/reveal-plan.js'
import { chiSquareDeviation } from '../chi-square.js'

const logLinear = noiseSchedules['log-linear']

t.test('every masked position is revealed once, in ascending steps that all reveal something', async (t) => {
  const masked = fc.uniqueArray(fc.nat(300), { maxLength: 100 }).map((all) => all.sort((a, b) => a - b))
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        masked,
        fc.integer({ min: 1, max: 200 }),
        fc.infiniteStream(fc.double({ min: 0, max: 1 - 2 ** -53, noNaN: true })),
        (masked, steps, coins) => {
          const plan = drawRevealPlan(masked, steps, logLinear, () => coins.next().value)
          const positions = plan.flatMap((step) => step.positions)
          const ascending = plan.every(({ step }, i) => step > (plan[i - 1]?.step ?? 0) && step <= steps)
          const nonEmpty = plan.every((step) => step.positions.length > 0)
          return ascending && nonEmpty && [...positions].sort((a, b) => a - b).join() === masked.join()
        }
      )
    )
  )
})

t.test('the outermost coins give the first and the last step', async (t) => {
  for (const steps of [1, 3, 7, 16, 1000]) {
    t.equal(drawRevealPlan([0], steps, logLinear, () => 0)[0]!.step, 1)
    t.equal(drawRevealPlan([0], steps, logLinear, () => 1 - 2 ** -53)[0]!.step, steps)
  }
})

t.test(
  'a position still masked at t is revealed in the step from t to s with probability (m(t) - m(s)) / m(t)',
  async (t) => {
    // Evenly spread coins stand for the law itself; a curved schedule shows that the curve is used.
    for (const maskedShare of [logLinear, (time: number) => time * time]) {
      const steps = 5
      const draws = 100_000
      const counts = new Array<number>(steps).fill(0)
      for (let i = 0; i < draws; i++)
        counts[drawRevealPlan([0], steps, maskedShare, () => (i + 0.5) / draws)[0]!.step - 1]!++
      let masked = draws
      for (let n = 1; n <= steps; n++) {
        const from = maskedShare(1 - (n - 1) / steps)
        const to = maskedShare(1 - n / steps)
        t.ok(Math.abs(counts[n - 1]! / masked - (from - to) / from) < 1e-3)
        masked -= counts[n - 1]!
      }
    }
  }
)

t.test('under the log-linear schedule the steps are uniform', async (t) => {
  const coins = new Coins(1, 0)
  const plan = drawRevealPlan(
    Array.from({ length: 50_000 }, (_, i) => i),
    16,
    logLinear,
    (position) => coins.plan(0, position)
  )
  t.ok(
    Math.abs(
      chiSquareDeviation(
        plan.map(({ positions }) => positions.length),
        new Array(16).fill(1 / 16)
      )
    ) < 4
  )
})
