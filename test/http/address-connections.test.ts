import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { build, listen } from '../helper.js'

const from = async (t: Test, address: string, localAddress: string) => {
  const socket = connect({ port: Number(new URL(address).port), host: '127.0.0.1', localAddress }).resume()
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

t.test('one address has so many connections, others still come', async (t) => {
  const { app, metrics } = await build(t, { limits: { maxAddressConnections: 1 } })
  const address = await listen(app)
  const first = await from(t, address, '127.0.0.1')
  await once(await from(t, address, '127.0.0.1'), 'close')
  t.match(await metrics.registry.metrics(), /fewstep_connections_cut_total\{reason="address"\} 1/)
  const other = await from(t, address, '127.0.0.2')
  other.write('GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n')
  t.match(String((await once(other, 'data'))[0]), /^HTTP\/1\.1 200/)
  first.destroy()
  const again = async (): Promise<boolean> => {
    const socket = await from(t, address, '127.0.0.1')
    socket.end('GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
    const answered = once(socket, 'data').then(() => true)
    return Promise.race([answered, once(socket, 'close').then(() => false)])
  }
  while (!(await again().catch(() => false))); // its place is free once the server has seen it go
})

t.test('a trusted proxy has the connections of many', async (t) => {
  const trustProxy = ['127.0.0.0/8', '::1']
  const { app } = await build(t, { trustProxy, limits: { maxAddressConnections: 1 } })
  const address = await listen(app)
  await from(t, address, '127.0.0.1')
  const second = await from(t, address, '127.0.0.1')
  second.write('GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n')
  t.match(String((await once(second, 'data'))[0]), /^HTTP\/1\.1 200/)
})
