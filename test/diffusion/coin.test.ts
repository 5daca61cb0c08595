import fc from 'fast-check'
import t from 'tap'
import { Coins } from '../../src/diffusion/coin.js'
import { chiSquareDeviation } from '../chi-square.js'

const seeds = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER })
const small = fc.nat(5000)

t.test('a coin depends on its place alone', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(seeds, small, small, small, small, (seed, text, window, step, position) => {
        const coin = new Coins(seed, text).token(window, step, position)
        return coin === new Coins(seed, text).token(window, step, position) && coin >= 0 && coin < 1
      })
    )
  )
})

t.test('every part of the place changes the coin', async (t) => {
  const coin = (seed: number, text: number, window: number, step: number, position: number) =>
    new Coins(seed, text).token(window, step, position)
  const here = [7, 1, 2, 3, 4] as const
  const seen = new Set([coin(...here), new Coins(7, 1).plan(2, 4), new Coins(7, 1).lambda(2, 3)])
  for (let i = 0; i < here.length; i++) {
    seen.add(coin(...(here.map((x, j) => (i === j ? x + 1 : x)) as [number, number, number, number, number])))
  }
  seen.add(coin(7 + 2 ** 32, 1, 2, 3, 4)).add(coin(-7, 1, 2, 3, 4))
  t.equal(seen.size, 3 + here.length + 2)
})

t.test('coins of neighbouring places are uniform and independent', async (t) => {
  // 200,000 pairs in 20 x 20 cells: sees a cell off by 15 % with power above 0.99.
  const cells = 20
  const counts = new Array<number>(cells * cells).fill(0)
  for (let seed = 0; seed < 1000; seed++) {
    const coins = new Coins(seed, 0)
    for (let position = 0; position < 200; position++) {
      const first = Math.floor(coins.token(0, 1, position) * cells)
      const second = Math.floor(coins.token(0, 1, position + 1) * cells)
      counts[first * cells + second]!++
    }
  }
  t.ok(Math.abs(chiSquareDeviation(counts, new Array(counts.length).fill(1 / counts.length))) < 4)
})

t.test('lambda is below 1 as float32', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(seeds, small, (seed, step) => {
        const lambda = new Coins(seed, 0).lambda(0, step)
        return Math.fround(lambda) === lambda && lambda < 1
      })
    )
  )
})
