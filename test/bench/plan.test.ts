import fc from 'fast-check'
import t from 'tap'
import { dueTimes } from '../../src/bench/arrivals.js'
import { interleave, textOf } from '../../src/bench/plan.js'

const load = { kind: 'closed', concurrency: 2 } as const
const runs = ['a', 'b', 'c', 'd'].map((model) => ({ model, steps: 8 }))

t.test('every run has its turn in every round, and each is first as often as the others', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 9 }), (count, rounds) => {
      const some = runs.slice(0, count)
      const slices = interleave(some, load, rounds, 12)
      for (let round = 0; round < rounds; round++) {
        const turn = slices.slice(round * count, (round + 1) * count)
        if (!turn.every((slice) => slice.round === round)) return false
        if (new Set(turn.map(({ run }) => run)).size !== count) return false
      }
      const firsts = some.map((run) => slices.filter((s, i) => i % count === 0 && s.run === run).length)
      const seconds = slices.reduce((sum, slice) => sum + slice.seconds, 0)
      return Math.max(...firsts) - Math.min(...firsts) <= 1 && Math.abs(seconds - 12 * count) < 1e-9
    })
  )
})

t.test('texts of a round are the same for every run, and no two share a seed', async (t) => {
  t.same(textOf(['x', 'y'], 3, 5), textOf(['x', 'y'], 3, 5))
  const seeds = [0, 1, 2].flatMap((round) =>
    Array.from({ length: 50 }, (_, n) => textOf(['x'], round, n).seed)
  )
  t.equal(new Set(seeds).size, seeds.length)
})

t.test(
  'constant arrivals are evenly spaced; Poisson ones as many in the mean, with gaps that vary as much',
  async (t) => {
    t.same([...dueTimes('constant', 4, 1.1, 0)], [250, 500, 750, 1000])
    t.same([...dueTimes('poisson', 50, 2, 7)], [...dueTimes('poisson', 50, 2, 7)])
    const due = [...dueTimes('poisson', 100, 100, 1)]
    const gaps = due.map((at, i) => at - (due[i - 1] ?? 0))
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
    const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length)
    // 10,000 expected: four standard errors are 4 %, and so they are for the deviation over the mean, which is 1
    t.ok(Math.abs(due.length - 10_000) < 400)
    t.ok(Math.abs(deviation / mean - 1) < 0.04)
  }
)
