import fc from 'fast-check'
import t from 'tap'
import { type Texts, textOf } from '../../src/bench/text.js'

const texts: Texts = { prompts: ['x', 'y'], maxTokens: 8, cancelShare: 0, slowReaderShare: 0 }
const many = (texts: Texts) => Array.from({ length: 20_000 }, (_, n) => textOf(texts, 0, n))

t.test('texts of a round are the same for every run, and no two share a seed', async (t) => {
  fc.assert(
    fc.property(fc.nat(100), fc.nat(10_000), (round, n) => {
      t.same(textOf(texts, round, n), textOf(texts, round, n))
    })
  )
  const seeds = [0, 1, 2].flatMap((round) =>
    Array.from({ length: 50 }, (_, n) => textOf(texts, round, n).seed)
  )
  t.equal(new Set(seeds).size, seeds.length)
})

t.test(
  'readers leave and read late in the shares that were asked for, at any moment of the text',
  async (t) => {
    const readers = many({ ...texts, cancelShare: 0.1, slowReaderShare: 0.2 }).map(({ reader }) => reader)
    const shares = readers.flatMap((reader) => (typeof reader === 'object' ? [reader.share] : []))
    const share = (count: number) => count / readers.length
    // four standard errors of 20,000
    t.ok(Math.abs(share(shares.length) - 0.1) < 0.0085)
    t.ok(Math.abs(share(readers.filter((reader) => reader === 'slow').length) - 0.2) < 0.0114)
    const mean = shares.reduce((sum, value) => sum + value, 0) / shares.length
    t.ok(Math.abs(mean - 0.5) < 0.026)
  }
)

t.test('lengths are of the distribution that was asked for', async (t) => {
  const lengths = (maxTokens: Texts['maxTokens']) =>
    many({ ...texts, maxTokens }).map((text) => text.maxTokens)
  t.same([...new Set(lengths(12))], [12])
  const uniform = lengths({ uniform: [16, 19] })
  for (const length of [16, 17, 18, 19])
    t.ok(Math.abs(uniform.filter((drawn) => drawn === length).length - 5000) < 245, `${length}`)
  const sorted = lengths({ lognormal: [64, 0.5] }).sort((a, b) => a - b)
  t.ok(Math.abs(sorted[10_000]! - 64) <= 2)
  t.ok(Math.abs(sorted[16_827]! / 64 - Math.exp(0.5)) < 0.06) // one deviation above: 84.13 %
  t.ok(Math.min(...lengths({ lognormal: [1, 2] })) === 1)
})
