import { readFileSync } from 'node:fs'
import t from 'tap'
import type { TSchema } from 'typebox'
import Value from 'typebox/value'
import { build, parseEvents, post } from '../helper.js'

t.test('openapi.yaml is what the running schemas say (npm run openapi)', async (t) => {
  const { app } = await build(t)
  t.equal(app.swagger({ yaml: true }), readFileSync('openapi.yaml', 'utf8'))
  t.same((await app.inject('/openapi.json')).json(), JSON.parse(JSON.stringify(app.swagger())))
  t.equal((await app.inject('/docs/')).statusCode, 200)
})

t.test('every reference of openapi.yaml leads somewhere, and every field has a type', async (t) => {
  const { app } = await build(t)
  const document = JSON.parse(JSON.stringify(app.swagger()))
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)]
  t.ok(references.length > 20)
  for (const [, name] of references) t.ok(document.components.schemas[name!], name!)
})

t.test('answers are what their schemas say', async (t) => {
  const { app } = await build(t)
  const schemas = app.getSchemas() as Record<string, TSchema>
  const check = (id: string, answer: unknown) => t.same(Value.Errors(schemas, schemas[id]!, answer), [], id)
  const request = { prompt: 'The cat', max_tokens: 4, logprobs: 2, echo: true }
  check('Completion', (await post(app, '/v1/completions', request)).body)
  check('Error', (await post(app, '/v1/completions', { n: 0 })).body)
  check('Infill', (await post(app, '/v1/infill', { template: [{ mask: 3 }], alternatives: 1 })).body)
  check('ModelList', (await app.inject('/v1/models')).json())
  check('Model', (await app.inject('/v1/models/table')).json())
  check('Tokens', (await post(app, '/v1/tokenize', { text: 'a b' })).body)
  check('PlainText', (await post(app, '/v1/detokenize', { tokens: [1] })).body)
  check('Readiness', (await app.inject('/health/ready')).json())
  const payload = { template: [{ mask: 3 }], stream: true }
  const events = parseEvents((await app.inject({ method: 'POST', url: '/v1/infill', payload })).body)
  const names = { 'sequence-start': 'SequenceStart', 'step-end': 'StepEnd', 'sequence-end': 'SequenceEnd' }
  for (const { event, data } of events) check(names[event as keyof typeof names], JSON.parse(data))
})
