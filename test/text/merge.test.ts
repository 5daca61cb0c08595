import t from 'tap'
import { merge } from '../../src/text/merge.js'

const never = () => t.fail('nothing fails')

async function* count(name: string, to: number) {
  for (let i = 0; i < to; i++) yield `${name}${i}`
}

t.test('items come from all iterators, each in its own order', async (t) => {
  const items: string[] = []
  for await (const item of merge([count('a', 3), count('b', 1), count('c', 2)], never)) items.push(item)
  t.same([...items].sort(), ['a0', 'a1', 'a2', 'b0', 'c0', 'c1'])
  t.same(
    items.filter((item) => item.startsWith('a')),
    ['a0', 'a1', 'a2']
  )
})

t.test('an iterator that waits holds up no other', async (t) => {
  let release = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  async function* late() {
    await gate
    yield 'late'
  }
  const items: string[] = []
  for await (const item of merge([late(), count('a', 2)], never)) {
    items.push(item)
    if (items.length === 2) release()
  }
  t.same(items, ['a0', 'a1', 'late'])
})

t.test('the first failure ends all, when what the others have was told', async (t) => {
  let stopped = false
  async function* fail() {
    yield 'x'
    throw new Error('broken')
  }
  async function* until(limit: number) {
    for (let i = 0; i < limit; i++) yield `${i}`
    if (!stopped) throw new Error('was not stopped')
    yield 'the rest'
    throw new Error('stopped')
  }
  const items: string[] = []
  await t.rejects(async () => {
    const stop = () => {
      stopped = true
    }
    for await (const item of merge([fail(), until(9)], stop)) items.push(item)
  }, /broken/)
  t.same(items.slice(-2), ['8', 'the rest'])
})
