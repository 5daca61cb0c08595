import t from 'tap'
import { changeOf, compare } from '../../src/bench/compare.js'
import { closed, documentOf, resultOf } from './results.js'

/** Rounds of a throughput that wanders by a tenth, from a generator of its own: the test says the same every time. */
function simulate(trials: number, rounds: number, ratio: number): { excluded: number; covered: number } {
  let state = 12345
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state + 0.5) / 2 ** 32
  }
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
  const draw = (level: number) => Array.from({ length: rounds }, () => level * Math.exp(0.1 * normal()))
  let excluded = 0
  let covered = 0
  for (let i = 0; i < trials; i++) {
    const { low, high } = changeOf(draw(100), draw(100 * ratio))!
    if (low > 1 || high < 1) excluded++
    if (low <= ratio && ratio <= high) covered++
  }
  return { excluded: excluded / trials, covered: covered / trials }
}

t.test('noise alone is called a change in at most 5 of 100 comparisons', async (t) => {
  for (const rounds of [2, 4, 8]) {
    const { excluded } = simulate(4000, rounds, 1)
    // 4,000 trials: standard deviation of the share 0.0034 at 0.05.
    t.ok(excluded < 0.06, `${rounds} rounds: ${excluded}`)
  }
})

t.test('a change of 30 % is found in four rounds, and the interval holds it', async (t) => {
  const { excluded, covered } = simulate(4000, 4, 1.3)
  t.ok(excluded > 0.75, `found: ${excluded}`)
  t.ok(covered > 0.94, `held: ${covered}`)
})

t.test('runs are matched by model, steps and load, and told in words', async (t) => {
  const before = documentOf([
    resultOf('a', 4, [
      [100, 101],
      [99, 100]
    ]),
    resultOf('b', 8, [[10], [10]], closed(1))
  ])
  const after = documentOf([
    resultOf('a', 4, [
      [50, 51],
      [50, 50]
    ]),
    resultOf('a', 8, [[10], [10]])
  ])
  t.same(compare(before, after), [
    'a, 4 steps, 8 at once: throughput higher, +99.0 % (+81.9 % to +117.7 %); latency shorter, −49.7 % (−54.1 % to −45.0 %); entropy 4.04 before, 4.04 after',
    'b, 8 steps, 1 at once: only in the first file',
    'a, 8 steps, 8 at once: only in the second file'
  ])
  t.equal(changeOf([1], [2, 3]), null)
})
