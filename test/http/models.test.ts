import t from 'tap'
import { build } from '../helper.js'

t.test('models are listed with what there is to know of them', async (t) => {
  const { app } = await build(t)
  const list = (await app.inject('/v1/models')).json()
  t.equal(list.object, 'list')
  t.match(list.data, [
    {
      id: 'table',
      object: 'model',
      created: Number,
      owned_by: 'fewstep',
      aliases: ['gpt-3.5-turbo-instruct'],
      kind: 'mixture',
      description: 'Three tokens.',
      teacher: null,
      context_length: 64,
      steps: { default: 4, min: 1, max: 1000 },
      parameters: 1,
      licence: 'Apache-2.0',
      evaluation: []
    }
  ])
  t.same((await app.inject('/v1/models/table')).json(), list.data[0])
  t.same((await app.inject('/v1/models/gpt-3.5-turbo-instruct')).json(), list.data[0])
})

t.test('an unknown model, however long its name', async (t) => {
  const { app } = await build(t)
  for (const name of ['gpt-4', 'a'.repeat(300), 'a%2Fb']) {
    const answer = await app.inject(`/v1/models/${name}`)
    t.equal(answer.statusCode, 404)
    t.match(answer.json().error, { code: 'model_not_found', param: 'model' })
  }
})
