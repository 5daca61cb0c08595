import t from 'tap'
import { checkAliases, checkModels, modelFolders } from '../src/served-models.js'

const toy = (name: string) => `test/fixtures/models/toy-${name}`

t.test('models come in the order of their folders', async (t) => {
  const models = await checkModels([toy('product'), toy('mixture')])
  t.match(models, [{ name: 'toy-product' }, { name: 'toy-mixture' }])
  t.equal(models[0]!.tokenizer, models[1]!.tokenizer, 'and share a tokenizer')
})

t.test('two models of one name are refused', async (t) => {
  await t.rejects(checkModels([toy('product'), toy('product')]), {
    name: 'ConfigError',
    message:
      '--model: expected models of different names, got "toy-product" in test/fixtures/models/toy-product and in test/fixtures/models/toy-product'
  })
})

t.test('a folder that is no model is refused by name', async (t) => {
  await t.rejects(checkModels(['/nowhere']), { name: 'ModelError', message: /^\/nowhere[^\n]*$/ })
})

t.test('a folder is taken as given, and a name that is no folder as that of a bundled model', async (t) => {
  t.same(modelFolders([toy('product'), 'nowhere']), [toy('product'), 'nowhere'])
})

t.test('an alias stands for a model and hides none', async (t) => {
  const models = [{ name: 'student' }, { name: 'teacher' }]
  t.same([...checkAliases([['gpt', 'student']], models)], [['gpt', 'student']])
  t.throws(() => checkAliases([['a', 'b']], models), {
    message: '--alias: expected a= one of student, teacher, got "b"'
  })
  t.throws(() => checkAliases([['teacher', 'student']], models), {
    message: '--alias: expected a name that no model has, got "teacher"'
  })
})
