import t from 'tap'
import { distinct, entropy } from '../../src/bench/diversity.js'

t.test('entropy and distinct n-grams are those of the judge', async (t) => {
  // by distill.diversity
  const texts = [
    [5, 7, 7, 5, 9, 7, 5, 7],
    [7, 5, 1]
  ]
  t.ok(Math.abs(entropy(texts[0]!) - 0.9743147528693494) < 1e-12)
  t.ok(Math.abs(distinct(texts, 1) - 0.36363636363636365) < 1e-12)
  t.ok(Math.abs(distinct(texts, 2) - 0.6666666666666666) < 1e-12)
  t.ok(Math.abs(distinct(texts, 3) - 1.0) < 1e-12)
  t.equal(entropy([1, 1, 2, 2]), Math.log(2))
})
