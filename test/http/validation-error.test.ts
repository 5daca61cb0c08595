import fc from 'fast-check'
import t from 'tap'
import { editDistance, nearestName } from '../../src/http/edit-distance.js'
import { inWords } from '../../src/schema-words.js'
import { build } from '../helper.js'

t.test('schemas in words', async (t) => {
  const words: [schema: object, words: string][] = [
    [{ type: 'string' }, 'a string'],
    [{ type: 'string', minLength: 1 }, 'a non-empty string'],
    [{ type: 'integer' }, 'an integer'],
    [{ type: 'integer', minimum: 1 }, 'an integer >= 1'],
    [{ type: 'number', exclusiveMinimum: 0, maximum: 1 }, 'a number > 0 and <= 1'],
    [{ type: 'number', minimum: 0, maximum: 2 }, 'a number from 0 to 2'],
    [{ type: 'boolean' }, 'true or false'],
    [{ enum: ['a', 'b'] }, 'one of "a", "b"'],
    [{ const: 'a' }, '"a"'],
    [{ $ref: 'Thing' }, 'an object'],
    [{ title: 'token id', type: 'integer' }, 'a token id'],
    [{ type: 'array', items: { type: 'string' }, maxItems: 4 }, 'an array of at most 4 strings'],
    [
      { type: 'array', minItems: 1, items: { type: 'array', items: { title: 'token id' } } },
      'a non-empty array of arrays of token ids'
    ],
    [{ anyOf: [{ type: 'string' }, { type: 'null' }] }, 'a string'],
    [
      { anyOf: [{ type: 'string' }, { type: 'boolean' }, { type: 'integer' }] },
      'a string, true or false or an integer'
    ]
  ]
  for (const [schema, expected] of words) t.equal(inWords(schema), expected)
})

t.test('edit distance counts letters to insert, delete or replace', async (t) => {
  t.equal(editDistance('kitten', 'sitting'), 3)
  t.equal(editDistance('', 'abc'), 3)
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      const distance = editDistance(a, b)
      return distance === editDistance(b, a) && (distance === 0) === (a === b)
    })
  )
  t.equal(nearestName('max_token', ['max_tokens', 'model']), 'max_tokens')
  t.equal(nearestName('m', ['n', 'stop']), 'n')
  t.equal(nearestName('zebra', ['n', 'stop']), undefined)
})

t.test('what came is shown as far as a message bears it', async (t) => {
  const { app } = await build(t, { limits: { bodyLimit: 1_000_000 } })
  const messageFor = async (payload: string) => {
    const headers = { 'content-type': 'application/json' }
    const answer = await app.inject({ method: 'POST', url: '/v1/infill', headers, payload })
    t.equal(answer.statusCode, 400)
    return answer.json().error.message
  }
  t.match(await messageFor(`{"template": "${'x'.repeat(500_000)}"}`), /got "x{79}…$/)
  t.match(
    await messageFor(`{"template": ${'['.repeat(400_000)}${']'.repeat(400_000)}}`),
    /got (\[+…|a value nested too deep)$/
  )
  t.match(await messageFor('{"template": [1e999]}'), /got Infinity$/)
  t.match(
    await messageFor(`{"${'y'.repeat(500_000)}": 1, "template": [{"mask":1}]}`),
    /^y{64}…: unknown field$/
  )
  t.match(await messageFor('{"__proto__": {"a": 1}, "template": [{"mask":1}]}'), /^__proto__: unknown field/)
})
