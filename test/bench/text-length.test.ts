import t from 'tap'
import { parseTextLength } from '../../src/bench/text-length.js'

t.test('a number, or a distribution', async (t) => {
  t.equal(parseTextLength('64'), 64)
  t.same(parseTextLength('uniform:16:128'), { uniform: [16, 128] })
  t.same(parseTextLength('lognormal:64:0.5'), { lognormal: [64, 0.5] })
})

for (const text of [
  '',
  '0',
  '1.5',
  'many',
  'uniform:16',
  'uniform:9:8',
  'lognormal:64:0',
  'normal:1:2',
  'uniform:1:2:3'
])
  t.test(`"${text}" is neither`, async (t) => t.equal(parseTextLength(text), undefined))
