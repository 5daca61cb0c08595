import fc from 'fast-check'
import t from 'tap'
import { type Client, FairQueue } from '../../src/scheduler/fair-queue.js'

interface Item {
  readonly client: Client | undefined
  readonly cost: number
}

const newQueue = () => new FairQueue<Item>({ clientOf: ({ client }) => client, costOf: ({ cost }) => cost })
const cost = fc.integer({ min: 1, max: 100 })
const weight = fc.integer({ min: 1, max: 10 })

t.test('of one client: first come, first served', async (t) => {
  const queue = newQueue()
  const items = [50, 1, 20].map((cost) => ({ client: undefined, cost }))
  for (const item of items) queue.add(item)
  t.equal(queue.size, 3)
  t.equal(queue.next, items[0])
  t.same([queue.take(), queue.take(), queue.take(), queue.take()], [...items, undefined])
  t.equal(queue.size, 0)
})

t.test(
  'while two clients wait, what they get for their weights differs by at most one item of each',
  async () => {
    const costs = fc.array(cost, { minLength: 100, maxLength: 100 })
    fc.assert(
      fc.property(costs, costs, weight, weight, fc.nat(99), (a, b, weightA, weightB, early) => {
        const queue = newQueue()
        const clients = { a: { name: 'a', weight: weightA }, b: { name: 'b', weight: weightB } }
        for (const cost of a) queue.add({ client: clients.a, cost })
        for (let i = 0; i < early; i++) queue.take() // the other comes late, and gets no arrears
        for (const cost of b) queue.add({ client: clients.b, cost })
        const had = { a: 0, b: 0 }
        const bound = Math.max(...a) / weightA + Math.max(...b) / weightB
        let gap = { least: 0, most: 0 }
        while (
          queue.all.some(({ client }) => client === clients.a) &&
          queue.all.some(({ client }) => client === clients.b)
        ) {
          const { client, cost } = queue.take()!
          had[client!.name as 'a' | 'b'] += cost / client!.weight
          const now = had.a - had.b
          gap = { least: Math.min(gap.least, now), most: Math.max(gap.most, now) }
          // Over every interval so far, whichever moment it began at.
          if (now - gap.least > bound + 1e-9 || gap.most - now > bound + 1e-9) return false
        }
        return true
      })
    )
  }
)

t.test(
  'a copy serves its items as the queue does, whatever was served before, and takes none of them',
  async () => {
    const client = fc.record({ name: fc.constantFrom('a', 'b', 'c'), weight: fc.constant(2) })
    const item = fc.record({ client: fc.option(client, { nil: undefined }), cost })
    fc.assert(
      fc.property(fc.array(item), fc.nat(20), fc.array(item), (first, taken, more) => {
        const queue = newQueue()
        for (const each of first) queue.add(each)
        for (let i = 0; i < taken; i++) queue.take()
        for (const each of more) queue.add(each)
        const copy = queue.map((of) => ({ of }), {
          clientOf: ({ of }) => of.client,
          costOf: ({ of }) => of.cost
        })
        const { size } = queue
        const served = Array.from({ length: size }, () => copy.take()!.of)
        return queue.size === size && copy.size === 0 && served.every((each) => queue.take() === each)
      })
    )
  }
)

t.test('what is deleted is not served, and not charged', async (t) => {
  const queue = newQueue()
  const [a, b] = ['a', 'b'].map((name) => ({ name, weight: 1 }))
  const dear = Array.from({ length: 5 }, () => ({ client: a, cost: 100 }))
  const cheap = { client: a, cost: 1 }
  const other = { client: b, cost: 1 }
  for (const item of [...dear, cheap, other]) queue.add(item)
  for (const item of dear) t.equal(queue.delete(item), true)
  t.equal(queue.delete(dear[0]!), false)
  t.same([queue.take(), queue.take(), queue.take()], [cheap, other, undefined])
})
