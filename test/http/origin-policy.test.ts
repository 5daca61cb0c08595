import { once } from 'node:events'
import t from 'tap'
import { WebSocket } from 'ws'
import { ApiKeys } from '../../src/api-keys.js'
import type { GateOptions } from '../../src/http/gate.js'
import { build, listen } from '../helper.js'

t.test('pages of other origins are refused, on REST and WebSocket', async (t) => {
  const { app } = await build(t)
  const address = await listen(app)
  const status = async (origin: string) =>
    (await fetch(`${address}/v1/models`, { headers: { origin } })).status
  t.equal(await status(address), 200)
  for (const origin of ['https://evil.example', 'null', `${address}0`, 'not a url'])
    t.equal(await status(origin), 403, origin)
  const url = `${address.replace('http', 'ws')}/v1/stream`
  const refused = new WebSocket(url, { origin: 'https://evil.example' })
  t.match((await once(refused, 'error'))[0].message, /403/)
  const own = new WebSocket(url, { origin: address })
  await once(own, 'open')
  own.terminate()
})

t.test('a name that was made to point at this machine is not its own', async (t) => {
  const headers = { origin: 'http://evil.example:8080', host: 'evil.example:8080' }
  const here = await build(t)
  t.equal((await here.app.inject({ url: '/v1/models', headers })).statusCode, 403)
  const anywhere = await build(t, { security: { local: false } })
  t.equal((await anywhere.app.inject({ url: '/v1/models', headers })).statusCode, 200)
})

t.test(
  'a page whose name was made to point at this machine reads nothing where no key is asked for',
  async (t) => {
    const asker = async (security: Partial<GateOptions>) => {
      const { app } = await build(t, { security })
      return async (url: string, host: string) => (await app.inject({ url, headers: { host } })).statusCode
    }
    const local = await asker({ allowOrigin: ['https://app.example'] })
    for (const url of ['/v1/models', '/metrics', '/health/ready', '/', '/nowhere']) {
      for (const host of ['evil.example', 'evil.example:8080', 'localhost.evil.example', 'not a host'])
        t.equal(await local(url, host), 403, `${url} of ${host}`)
    }
    for (const host of ['localhost:8080', '127.0.0.1', '[::1]:8080', 'app.example'])
      t.equal(await local('/metrics', host), 200, host)
    t.equal(await (await asker({ local: false }))('/metrics', 'fewstep.example'), 200)
    t.equal(await (await asker({ keys: new ApiKeys([]) }))('/metrics', 'evil.example'), 401)
  }
)

t.test('an allowed origin may ask and read, any other gets no CORS header', async (t) => {
  const { app } = await build(t, { security: { allowOrigin: ['https://app.example'] } })
  const ask = (origin: string) => app.inject({ url: '/v1/models', headers: { origin } })
  const allowed = await ask('https://app.example')
  t.equal(allowed.statusCode, 200)
  t.equal(allowed.headers['access-control-allow-origin'], 'https://app.example')
  t.match(allowed.headers['access-control-expose-headers'], /retry-after-ms/)
  const other = await ask('https://evil.example')
  t.equal(other.statusCode, 403)
  t.equal(other.headers['access-control-allow-origin'], undefined)
  const preflight = await app.inject({
    method: 'OPTIONS',
    url: '/v1/completions',
    headers: {
      origin: 'https://app.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type'
    }
  })
  t.equal(preflight.statusCode, 204)
  t.match(preflight.headers['access-control-allow-headers'], /authorization/)
  t.match(preflight.headers['access-control-allow-methods'], /DELETE/)
  t.equal((await app.inject('/v1/nowhere')).statusCode, 404)
})

t.test('without allowed origins there is no CORS at all', async (t) => {
  const { app } = await build(t)
  const headers = { origin: 'https://evil.example', 'access-control-request-method': 'POST' }
  const preflight = await app.inject({ method: 'OPTIONS', url: '/v1/completions', headers })
  t.equal(preflight.statusCode, 405)
  t.equal(preflight.headers['access-control-allow-origin'], undefined)
})
