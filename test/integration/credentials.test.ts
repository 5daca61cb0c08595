import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import t from 'tap'
import { newKey } from '../../src/api-keys.js'
import { fewstep } from './command.js'
import { startServer, startServerWith, TOYS } from './server-process.js'

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
  await reload(bob.line, /keys: read again/)
  t.same(await statuses(), [401, 200])
  await reload('a plain secret', /keys: as before: --api-keys-file: .* in line 1 /)
  t.same(await statuses(), [401, 200])
  await reload('', /keys: as before: --api-keys-file: expected keys/)
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
  await logged(/certificate: read again/)
  ;(await greet()).destroy()
})

t.test('a certificate that is half renewed holds up no key that is taken away', async (t) => {
  const folder = t.testdir()
  const files = { keys: join(folder, 'keys'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  writeFileSync(files.keys, `${newKey('ann', 'text').line}\n`)
  copyFileSync(cert, files.cert)
  copyFileSync(key, files.key)
  const tls = ['--tls-cert', files.cert, '--tls-key', files.key]
  const { child, logged } = await startServer(t, ...TOYS, '--api-keys-file', files.keys, ...tls)
  writeFileSync(files.keys, `${newKey('bob', 'text').line}\n`)
  writeFileSync(files.key, 'half of a k')
  child.kill('SIGHUP')
  await logged(/keys: read again[\s\S]*certificate: as before: --tls-cert, --tls-key: expected/)
})

t.test('a hang-up ends no server, with nothing to read again too', async (t) => {
  const { url, child, logged } = await startServer(t, ...TOYS)
  child.kill('SIGHUP')
  await logged(/neither keys nor a certificate/)
  t.equal((await fetch(`${url}/health/live`)).status, 200)
})

t.test('a server that strangers reach without a key says so', async (t) => {
  const { logged } = await startServerWith(t, { env: { FEWSTEP_API_KEY: '' } }, ...TOYS, '--host', '0.0.0.0')
  await logged(/"level":40[^\n]*everybody who reaches 0\.0\.0\.0 may do everything/)
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
  const pairs = [
    generateKeyPairSync('rsa', { modulusLength: 2048 }),
    generateKeyPairSync('ec', { namedCurve: 'P-256' })
  ]
  for (const { privateKey } of pairs) {
    const other = join(t.testdir(), 'key.pem')
    writeFileSync(other, privateKey.export({ type: 'pkcs8', format: 'pem' }))
    await fails(['--tls-cert', cert, '--tls-key', other], /^fewstep: --tls-cert, --tls-key: expected/)
  }
  const [ann, bob] = [newKey('ann', 'text').line, newKey('bob', 'text').line]
  const twice = join(t.testdir(), 'keys')
  writeFileSync(twice, `${ann}\n${bob}\n${ann.replace('ann', 'cat')}\n`)
  await fails(
    ['--api-keys-file', twice],
    /^fewstep: line 3 of .*: expected keys of different hashes, got that of line 1 of/
  )
  const same = ['--api-key', ann, '--api-key', newKey('ann', 'admin').line]
  await fails(same, /^fewstep: --api-key 2: expected keys of different names, got that of --api-key 1 again/)
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
