import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { ahead } from '../../src/batches/ahead.js'

async function* numbers(count: number) {
  for (let i = 0; i < count; i++) yield i
}

t.test('results come in order, and no more than so many are in work', async (t) => {
  let inWork = 0
  let most = 0
  const work = async (i: number) => {
    most = Math.max(most, ++inWork)
    for (let turn = 0; turn < 5 - (i % 5); turn++) await setImmediate()
    inWork--
    return i
  }
  const results = []
  for await (const result of ahead(numbers(20), 4, work)) results.push(result)
  t.same(results, [...Array(20).keys()])
  t.equal(most, 4)
  for await (const result of ahead(numbers(2), 4, work)) results.push(result)
  t.same(results.slice(20), [0, 1])
})

t.test('an error comes in its turn, and nothing is begun after it', async (t) => {
  const begun: number[] = []
  const results: number[] = []
  const work = async (i: number) => {
    begun.push(i)
    if (i >= 3) throw new Error(`no ${i}`)
    return i
  }
  const read = async () => {
    for await (const result of ahead(numbers(20), 3, work)) results.push(result)
  }
  await t.rejects(read(), { message: 'no 3' })
  t.same(results, [0, 1, 2])
  t.same(begun, [0, 1, 2, 3, 4, 5])
})
