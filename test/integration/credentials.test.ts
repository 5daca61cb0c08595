import { once } from 'node:events'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import t from 'tap'
import { newKey } from '../../src/api-keys.js'
import { fewstep } from './command.js'
import { startServer, TOYS } from './server-process.js'

const cert = 'test/fixtures/tls/cert.pem'
const key = 'test/fixtures/tls/key.pem'

t.test('a file of keys is read again at SIGHUP; one that is broken or empty changes nothing', async (t) => {
  const file = join(t.testdir(), 'keys')
  const [ann, bob] = [newKey('ann', 'text'), newKey('bob', 'text')]
  writeFileSync(file, `# clients\n${ann.line}\n`)
  const { url, child, logged } = await startServer(t, ...TOYS, '--api-keys-file', file)
  const status = async (secret: string) =>
    (await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${secret}` } })).status
  const statuses = async () => [await status(ann.secret), await status(bob.secret)]
  const reload = async (text: string, message: RegExp) => {
    writeFileSync(file, text)
    child.kill('SIGHUP')
    await logged(message)
  }
  t.same(await statuses(), [200, 401])
  await reload(bob.line, /were read again/)
  t.same(await statuses(), [401, 200])
  await reload('a plain secret', /stay as they were: --api-keys-file: .* in line 1 /)
  t.same(await statuses(), [401, 200])
  await reload('', /stay as they were: --api-keys-file: expected keys/)
  t.same(await statuses(), [401, 200])
})

t.test('with a certificate the server speaks HTTPS, and takes a new one at SIGHUP', async (t) => {
  const folder = t.testdir()
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  copyFileSync(cert, files.cert)
  copyFileSync(key, files.key)
  const { url, child, logged } = await startServer(
    t,
    ...TOYS,
    '--tls-cert',
    files.cert,
    '--tls-key',
    files.key
  )
  t.match(url, /^https:/)
  const greet = async (): Promise<TLSSocket> => {
    const socket = connect({ port: Number(new URL(url).port), host: 'localhost', ca: readFileSync(cert) })
    await once(socket, 'secureConnect')
    t.ok(socket.authorized)
    return socket
  }
  const socket = await greet()
  socket.end('GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 [\s\S]*strict-transport-security/i)
  child.kill('SIGHUP')
  await logged(/were read again/)
  ;(await greet()).destroy()
})

t.test('what is no key or certificate is one line, and not repeated', async (t) => {
  const fails = async (args: string[], line: RegExp) => {
    const { stderr, code } = await fewstep(['serve', ...args])
    t.equal(code, 1)
    t.match(stderr, line)
    t.notMatch(stderr, /secret|at .*\.js/)
  }
  await fails(['--api-key', 'my-secret'], /^fewstep: --api-key: expected name:role\+role:sha256/)
  await fails(['--tls-cert', cert], /^fewstep: --tls-key: expected with --tls-cert/)
  await fails(['--tls-cert', cert, '--tls-key', cert], /^fewstep: --tls-cert, --tls-key: expected/)
  await fails(['--trust-proxy', '10.0.0.0/99'], /^fewstep: --trust-proxy: expected an IP address/)
})

t.test('fewstep key draws a key that its line lets in', async (t) => {
  const { stdout } = await fewstep(['key', 'ann', 'metrics'])
  const [secret, line] = stdout
    .trim()
    .split('\n')
    .map((text) => text.split(': ')[1]!)
  const { url } = await startServer(t, ...TOYS, '--api-key', line!)
  t.equal((await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${secret}` } })).status, 200)
  t.match(await fewstep(['key', 'a b']), { code: 1, stderr: /^fewstep: name: expected/ })
})
