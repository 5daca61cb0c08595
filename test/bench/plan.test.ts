import fc from 'fast-check'
import t from 'tap'
import { interleave } from '../../src/bench/plan.js'

const load = { kind: 'closed', concurrency: 2 } as const
const runs = ['a', 'b', 'c', 'd'].map((model) => ({ model, steps: 8 }))

t.test('every run has its turn in every round, and each is first as often as the others', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 9 }), (count, rounds) => {
      const some = runs.slice(0, count)
      const slices = interleave(some, load, rounds, { seconds: 12, requests: 100 })
      for (let round = 0; round < rounds; round++) {
        const turn = slices.slice(round * count, (round + 1) * count)
        if (!turn.every((slice) => slice.round === round)) return false
        if (new Set(turn.map(({ run }) => run)).size !== count) return false
      }
      const firsts = some.map((run) => slices.filter((s, i) => i % count === 0 && s.run === run).length)
      const seconds = slices.reduce((sum, slice) => sum + slice.seconds, 0)
      const requests = slices.reduce((sum, slice) => sum + slice.requests, 0)
      const even = Math.max(...firsts) - Math.min(...firsts) <= 1
      return even && Math.abs(seconds - 12 * count) < 1e-9 && requests === 100 * count
    })
  )
})
