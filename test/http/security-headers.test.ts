import { Writable } from 'node:stream'
import t from 'tap'
import { build, post } from '../helper.js'

t.test('every page and answer carries a strict policy', async (t) => {
  const { app } = await build(t)
  for (const url of ['/', '/playground.js', '/v1/models', '/nowhere', '/docs/']) {
    const { headers } = await app.inject(url)
    const policy = String(headers['content-security-policy'])
    t.match(policy, /frame-ancestors 'none'/, url)
    t.match(policy, url === '/docs/' ? /default-src 'self'/ : /default-src 'none'/, url)
    t.notMatch(policy, /unsafe|https?:|\*/, url)
    t.match(headers, { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' }, url)
    t.equal(headers['strict-transport-security'], undefined, 'plain HTTP promises no TLS')
  }
})

t.test('the log holds no prompt unless asked', async (t) => {
  for (const logPrompts of [false, true]) {
    const lines: string[] = []
    const stream = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk))
        done()
      }
    })
    const { app } = await build(t, { logPrompts, logger: { level: 'trace', stream } })
    await post(app, '/v1/completions', { prompt: 'my secret', max_tokens: 2 })
    await post(app, '/v1/completions', { prompt: 'my secret', steps: -1 })
    await app.inject('/v1/models/x?prompt=my%20secret')
    t.equal(lines.join().includes('my secret'), logPrompts)
  }
})
