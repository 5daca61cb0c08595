import { readFileSync } from 'node:fs'
import t from 'tap'
import { distinct, entropy, repetition } from '../../src/bench/diversity.js'

t.test('entropy and distinct n-grams are those of the judge', async (t) => {
  const golden = JSON.parse(readFileSync('test/fixtures/diversity.json', 'utf8')) // by distill.golden
  for (const [i, text] of golden.texts.entries())
    t.ok(Math.abs(entropy(text) - golden.entropy[i]) < 1e-12, `entropy of text ${i}`)
  for (const n of [1, 2, 3])
    t.ok(Math.abs(distinct(golden.texts, n) - golden.distinct[n]) < 1e-12, `distinct-${n}`)
  t.equal(entropy([1, 1, 2, 2]), Math.log(2))
})

t.test('what a text says again is counted within it alone', async (t) => {
  t.equal(repetition([1, 2, 1, 2], 2), 1 - 2 / 3)
  t.equal(repetition([7, 7, 7, 7, 7, 7], 4), 1 - 1 / 3)
  t.equal(repetition([1, 2, 3, 4, 5], 4), 0)
  t.equal(repetition([7, 7, 7], 4), 0, 'no 4-gram')
})
