import { once } from 'node:events'
import t from 'tap'
import { WebSocket } from 'ws'
import { ApiKeys, newKey, parseKey } from '../../src/api-keys.js'
import { build, listen, Socket } from '../helper.js'

const made = { text: newKey('ann', 'text'), metrics: newKey('bob', 'metrics'), admin: newKey('cat', 'admin') }
const security = () => ({ keys: new ApiKeys(Object.values(made).map(({ line }) => parseKey(line)!)) })
const bearer = ({ secret }: { secret: string }) => ({ authorization: `Bearer ${secret}` })

t.test('a key opens what its roles say, and nothing opens without one', async (t) => {
  const { app } = await build(t, { security: security() })
  const status = async (url: string, headers = {}) => (await app.inject({ url, headers })).statusCode
  for (const [url, text, metrics] of [
    ['/v1/models', 200, 403],
    ['/metrics', 403, 200]
  ] as const) {
    t.equal(await status(url), 401)
    t.equal(await status(url, { authorization: 'Bearer fs-wrong' }), 401)
    t.equal(await status(url, { authorization: made.admin.secret }), 401, 'without Bearer')
    t.equal(await status(url, bearer(made.text)), text)
    t.equal(await status(url, bearer(made.metrics)), metrics)
    t.equal(await status(url, bearer(made.admin)), 200)
  }
  for (const url of ['/health/live', '/health/ready', '/', '/docs/', '/openapi.json'])
    t.equal(await status(url), 200, url)
})

t.test('a refusal says what is missing, in the shape of every error', async (t) => {
  const { app } = await build(t, { security: security() })
  const answer = await app.inject({ method: 'POST', url: '/v1/completions', payload: {} })
  t.equal(answer.headers['www-authenticate'], 'Bearer')
  t.match(answer.json().error, { code: 'unauthenticated', type: 'authentication_error', message: /got none/ })
  const forbidden = await app.inject({ url: '/metrics', headers: bearer(made.text) })
  t.match(forbidden.json().error, {
    code: 'forbidden',
    type: 'permission_error',
    message: /metrics, got ann/
  })
})

t.test('readiness tells strangers the status only', async (t) => {
  const { app } = await build(t, { security: security() })
  const models = async (headers = {}) =>
    (await app.inject({ url: '/health/ready', headers })).json().models.length
  t.equal(await models(), 0)
  t.equal(await models(bearer(made.text)), 0)
  t.equal(await models(bearer(made.metrics)), 1)
})

t.test('a WebSocket takes its key from a header or a subprotocol', async (t) => {
  const { app } = await build(t, { security: security() })
  const url = `${(await listen(app)).replace('http', 'ws')}/v1/stream`
  const refused = new WebSocket(url)
  const [error] = await once(refused, 'error')
  t.match(error.message, /401/)
  const withHeader = new WebSocket(url, { headers: bearer(made.text) })
  await once(withHeader, 'open')
  withHeader.terminate()
  const asBrowser = new WebSocket(url, [`fewstep.key.${made.text.secret}`, 'fewstep'])
  await once(asBrowser, 'open')
  t.equal(asBrowser.protocol, 'fewstep', 'the key is not said back')
  asBrowser.terminate()
})

t.test('a key that is taken away starts nothing more on a socket that is open', async (t) => {
  const options = security()
  const { app } = await build(t, { security: options })
  const socket = await Socket.open(t, await listen(app), bearer(made.text))
  const request = { max_tokens: 2 }
  socket.send({ type: 'completion', id: 'a', request })
  t.equal((await socket.readUntil(({ type }) => type === 'sequence-end')).at(-1).id, 'a')
  options.keys.replace([])
  socket.send({ type: 'completion', id: 'b', request })
  t.match(await socket.next(), { type: 'error', id: 'b', error: { code: 'unauthenticated' } })
})
