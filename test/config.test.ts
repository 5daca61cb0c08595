import { readFileSync } from 'node:fs'
import { t } from 'tap'
import { settings, settingsTable } from '../src/config.js'
import { readSettings } from '../src/setting.js'

const read = (flags: Parameters<typeof readSettings<typeof settings>>[1], environment = {}) =>
  readSettings(settings, flags, environment)

t.test('without flags and variables every setting has its default', async (t) => {
  const config = read({})
  t.match(config, { host: '127.0.0.1', port: 8080, device: 'auto', model: [], alias: [], maxQueue: 256 })
  t.ok(config.threads >= 1)
  t.ok(Object.isFrozen(config))
})

t.test('a flag goes before its variable, a variable before the default', async (t) => {
  t.equal(read({}, { FEWSTEP_PORT: '9000' }).port, 9000)
  t.equal(read({ port: '9001' }, { FEWSTEP_PORT: '9000' }).port, 9001)
  t.equal(read({}, { FEWSTEP_MAX_BATCH_TOKENS: '64' }).maxBatchTokens, 64)
})

t.test('every default of a number may be given as a value', async (t) => {
  const numbers = Object.entries(settings).filter(([, setting]) => typeof setting.default === 'number')
  for (const [name, setting] of numbers)
    t.match(read({ [name]: String(setting.default) }), { [name]: setting.default })
})

t.test('an empty variable counts as unset', async (t) => {
  t.equal(read({}, { FEWSTEP_PORT: '', FEWSTEP_MODEL: '' }).port, 8080)
})

t.test('a setting with several values takes them from repeated flags or between commas', async (t) => {
  t.same(read({ model: ['a', 'b,c'] }).model, ['a', 'b,c'])
  t.same(read({}, { FEWSTEP_MODEL: 'a,b' }).model, ['a', 'b'])
  t.same(read({ alias: ['x=student', 'y=teacher'] }).alias, [
    ['x', 'student'],
    ['y', 'teacher']
  ])
  t.same(read({}).devices, [0])
  t.same(read({ devices: '0,3' }).devices, [0, 3])
  t.same(read({}, { FEWSTEP_DEVICES: '1' }).devices, [1])
  for (const devices of ['0,', 'a', '-1', ' ']) t.throws(() => read({ devices }), { name: 'ConfigError' })
})

t.test('a bad value is one line: flag or variable, what was expected, what came', async (t) => {
  const message = (text: string) => ({ name: 'ConfigError', message: text })
  t.throws(() => read({ port: '70000' }), message('--port: expected an integer from 0 to 65535, got "70000"'))
  t.throws(
    () => read({}, { FEWSTEP_PORT: 'tcp://10.0.0.1:8080' }),
    message('FEWSTEP_PORT: expected an integer from 0 to 65535, got "tcp://10.0.0.1:8080"')
  )
  t.throws(() => read({ device: 'gpu' }), message('--device: expected one of auto, cuda, cpu, got "gpu"'))
  t.throws(() => read({ alias: ['a=b', 'c'] }), message('--alias: expected name=model, got "a=b,c"'))
  for (const value of ['', ' ', '1.5', '1e3', '0x10', 'NaN', '-1', '0']) {
    t.throws(() => read({ maxQueue: value }), { name: 'ConfigError' }, JSON.stringify(value))
  }
})

t.test('the table in docs/operations.md is that of the settings (npm run settings writes it)', async (t) => {
  const docs = readFileSync(new URL('../docs/operations.md', import.meta.url), 'utf8')
  t.ok(docs.includes(`-->\n${settingsTable()}\n<!-- /settings -->`))
})
