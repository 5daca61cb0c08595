import fc from 'fast-check'
import t from 'tap'
import { ApiKeys, newKey, parseKey } from '../src/api-keys.js'

t.test('a secret is found by the line that was made with it, and by no other', async (t) => {
  const made = ['ann', 'bob', 'cat'].map((name) => newKey(name, 'text'))
  const keys = new ApiKeys(made.map(({ line }) => parseKey(line)!))
  t.same(
    made.map(({ secret }) => keys.find(secret)?.name),
    ['ann', 'bob', 'cat']
  )
  fc.assert(fc.property(fc.string(), (secret) => keys.find(secret) === undefined))
  keys.replace([])
  t.equal(keys.find(made[0]!.secret), undefined)
})

t.test('the line does not hold the secret', async (t) => {
  const { secret, line } = newKey('ann', 'admin')
  t.notOk(line.includes(secret.slice(3, 20)))
  t.same([...parseKey(line)!.roles], ['admin'])
})

t.test('a line that is no key is none', async (t) => {
  const hash = 'a'.repeat(64)
  t.equal(parseKey(`a:text+metrics:${hash}`)!.weight, 1)
  t.equal(parseKey(`a:text:${hash}:16`)!.weight, 16)
  for (const line of [
    '',
    'secret',
    `a:text:${hash}0`,
    `a:text:${hash}:0`,
    `a:text:${hash}:1.5`,
    `a:root:${hash}`,
    `a::${hash}`,
    `:text:${hash}`,
    `a b:text:${hash}`
  ])
    t.equal(parseKey(line), undefined, line)
})
