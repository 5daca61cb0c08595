import t from 'tap'
import { parseNatsUrl } from '../../src/batches/nats-url.js'

t.test('a URL says where NATS is and who asks', async (t) => {
  const nobody = { tls: false, user: '', password: '' }
  t.same(parseNatsUrl('nats://host'), { server: 'host:4222', ...nobody })
  t.same(parseNatsUrl('nats://[::1]:4223/'), { server: '[::1]:4223', ...nobody })
  t.same(parseNatsUrl('tls://me:p%40ss@host:1'), {
    ...{ server: 'host:1', tls: true },
    ...{ user: 'me', password: 'p@ss' }
  })
  t.match(parseNatsUrl('nats://token@host'), { user: 'token', password: '' })
})

t.test('what is no such URL is refused', async (t) => {
  for (const text of [
    '',
    'host:4222',
    'http://host',
    'nats://',
    'nats://host/path',
    'nats://host:99999',
    'nats://%zz@host'
  ])
    t.equal(parseNatsUrl(text), undefined, text)
})
